# SPDX-License-Identifier: MIT
# Sourced by the runners, on the host.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
lib=$root/tests/vm/lib
# What the kernel complains of when a change of a partition is killed: it got no worker (shield/txn/apply.c). For --ignore-kernel.
# shellcheck disable=SC2034  # for who sources this
killed_inside=' (housekeeping_update|remote_partition_(en|dis)able)\+'
work=$(mktemp -d "${TMPDIR:-/tmp}/shield-vm-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT

die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit 254
}

# The small programs that look at the kernel from outside.
build_tools() {
	local tool sources
	mkdir -p "$work/bin"
	for tool in "$@"; do
		sources=("$lib/$tool.c")
		[ ! -f "$lib/$tool-take.c" ] || sources+=("$lib/$tool-take.c")
		gcc -std=gnu17 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -static -pthread -o "$work/bin/$tool" "${sources[@]}" || die "$tool.c"
	done
}

# A small ext4 with a journal: mounting it makes a kernel thread.
build_image() {
	local mke2fs
	mke2fs=$(PATH=$PATH:/sbin:/usr/sbin command -v mke2fs) || die "mke2fs is missing (package e2fsprogs)"
	"$mke2fs" -q -t ext4 -b 1024 -J size=1 -F "$work/ext4.img" 4M >/dev/null 2>&1 || die "mke2fs failed"
}

passed=0 failed=0
# vm OPTION… -- COMMAND…: in a VM; what it prints, and at last "status N". Where the emulator itself broke the machine (249), and
# no check had failed, "once more", and another machine; two of these at most.
vm() {
	local status=0 kvm=() machine out
	# What the QEMU in it runs on; an option --accel sets it.
	case ${SHIELD_ACCEL-tcg} in
	tcg) ;;
	kvm) kvm=(--kvm) ;;
	*) die "SHIELD_ACCEL=$SHIELD_ACCEL: it is tcg or kvm" ;;
	esac
	out=$(mktemp "$work/vm.XXXXXX")
	for machine in 1 2 3; do
		status=0
		(set -o pipefail && "$root/scripts/vm" ${kvm[@]+"${kvm[@]}"} "$@" | tee "$out") || status=$?
		if [[ $status != 249 || $machine == 3 ]] || grep -q '^not ok ' "$out"; then
			break
		fi
		echo "once more"
	done
	echo "status $status"
}

# count_results PREFIX: numbers the result lines of stdin, and prints what else there is. "status N": how the VM ended; "once more":
# what came before does not count.
count_results() {
	local line before=$passed
	while IFS= read -r line; do
		case $line in
		"ok "*)
			passed=$((passed + 1))
			printf 'ok %d %s%s\n' $((passed + failed)) "$1" "${line#ok }"
			;;
		"not ok "*)
			failed=$((failed + 1))
			printf 'not ok %d %s%s\n' $((passed + failed)) "$1" "${line#not ok }"
			;;
		"status 0") ;;
		"once more")
			passed=$before
			printf '# %sthe emulator broke this machine; another one is taken, and all is counted anew\n' "$1"
			;;
		"status "*)
			failed=$((failed + 1))
			printf 'not ok %d %sthe VM ended with %s (scripts/vm --help tells)\n' $((passed + failed)) "$1" "$line"
			;;
		*) printf '%s\n' "$line" ;;
		esac
	done
}
finish_run() {
	printf '%d passed, %d failed\n' $passed $failed
	[ $failed = 0 ] && [ $passed -gt 0 ]
}

# The suites with systemd. systemd_options ARGUMENT…: sets kernels, program, short and only.
systemd_options() {
	kernels=(6.1 6.12 7) program=$root/build/bin/shield short= only=
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel) kernels=("$2") && shift ;;
		--program) program=$2 && shift ;;
		--short) short=short ;;
		--only) only=$2 && shift ;;
		--accel) export SHIELD_ACCEL=$2 && shift ;;
		*)
			sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
			exit 2
			;;
		esac
		shift
	done
	build_tools snapshot
}
# in_vm OPTION… -- COMMAND…: with $kernel and what these suites share, and its results counted. in_vm_bare: without the program.
in_vm() { in_vm_bare --program "$program" "$@"; }
in_vm_bare() {
	count_results "$kernel " < <(vm --kernel "$kernel" --append rcupdate.rcu_cpu_stall_timeout=200 --file "$root/tests/vm/systemd:/test" \
		--file "${program%/bin/*}/units:/units" --file "$work/bin/snapshot:/usr/local/bin/" "$@")
}
