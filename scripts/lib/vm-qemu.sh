# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Which QEMU boots the test VMs.
#
# QEMU 7.2, Debian 12's own, emulates two things wrongly that a kernel with several CPUs needs: cmpxchg16b (6.12 oopses under
# "-cpu max"), and code that one CPU changes while another one runs it (7.x dies of "Oops: int3" in one boot out of five, when
# sched_clock becomes stable; with QEMU 10 rarely, under load). Where the machine's own is that old, QEMU 10 from
# bookworm-backports is unpacked below the cache; the libraries are those of the installed one.

qemu_version() {
	"$1" --version | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p'
}

# qemu_ready [refresh]: sets qemu_program.
qemu_ready() {
	qemu_program=$(realpath "$(command -v qemu-system-x86_64)")
	[ "$(qemu_version "$qemu_program")" -lt 9 ] || return 0
	if [ -n "${1:-}" ] || [ ! -e "$cache/qemu/current/usr" ]; then
		locked "$cache/qemu" qemu_fill "${1:-}"
	fi
	if [ -e "$cache/qemu/current/usr" ]; then
		qemu_program=$(realpath "$cache/qemu/current")/usr/bin/qemu-system-x86_64
	else
		say "using $qemu_program, which is too old to be reliable: expect some boots to fail"
	fi
}

qemu_fill() {
	[ -n "${1:-}" ] || [ ! -e "$cache/qemu/current/usr" ] || return 0
	qemu_unpack || say "a newer QEMU could not be had"
}

qemu_unpack() (
	work=$(mktemp -d "$cache/qemu/.new.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	packages_get "QEMU 10" bookworm-backports "$work" 'qemu-system-x86 qemu-system-data seabios' || exit 1
	if ldd "$work/files/usr/bin/qemu-system-x86_64" | grep -q 'not found'; then
		say "QEMU 10 lacks libraries on this machine"
		exit 1
	fi
	target=$(mktemp -d "$cache/qemu/qemu-$(qemu_version "$work/files/usr/bin/qemu-system-x86_64").XXXXXX") || exit 1
	chmod 755 "$target"
	# The rest of the prefix, so that the same tree serves as the nested QEMU's: boot ROMs of network cards.
	[ ! -d /usr/lib/ipxe ] || cp -a /usr/lib/ipxe "$work/files/usr/lib/"
	mv "$work/files/usr" "$target/usr"
	ln -s "${target##*/}" "$work/link"
	mv -T "$work/link" "$cache/qemu/current"
)

# kvm_boots: does a guest with two CPUs come to its user space with this machine's /dev/kvm? It takes a second or two.
kvm_boots() {
	local tree=$work/probe
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	mkdir -p "$tree/guest"
	add_guest "$tree"
	# In a shell of its own, which is told if it is killed.
	(timeout --signal=KILL 20 "$qemu_program" -accel kvm -cpu host -smp 2 -m 256 -nodefaults -no-user-config -display none \
		-no-reboot -kernel "$tree/guest/vmlinuz" -initrd "$tree/guest/initrd" -serial stdio \
		-append 'console=ttyS0 quiet panic=-1 guest.reboot=0' </dev/null >"$tree/said" 2>&1) 2>/dev/null || true
	grep -q '^guest [0-9]' "$tree/said"
}

# accel_choose: sets accel, and the option that says so to QEMU.
accel_choose() {
	if [ "$accel" = auto ]; then
		accel=tcg
		if kvm_boots; then
			accel=kvm
			say "the VM runs with KVM"
		else
			say "the VM is emulated: no guest boots with this machine's KVM"
		fi
	fi
	accel_option=kvm
	[ "$accel" = kvm ] || accel_option=tcg,thread=$threads
}

# kvm_inside: the modules for KVM in the VM, if it can be had.
kvm_inside() {
	local vendor
	if [ "$accel" = tcg ]; then
		modules+=(kvm kvm_amd)
		return
	fi
	for vendor in amd intel; do
		case $(cat "/sys/module/kvm_$vendor/parameters/nested" 2>/dev/null) in
		1 | Y)
			modules+=(kvm "kvm_$vendor")
			return
			;;
		esac
	done
	say "the VM has no KVM of its own: this machine's does not nest"
}

# cpu_model: the CPUs of the VM.
cpu_model() {
	local model=max,cx16=off
	if [ "$accel" = kvm ]; then
		echo host
		return
	fi
	[ -z "$smt" ] || model=Skylake-Client,cx16=off
	if [ -n "$kvm" ]; then
		model=max,+svm,+npt
		[ -z "$smt" ] || model=EPYC,+svm,+npt
		[ "$(qemu_version "$qemu_program")" -ge 9 ] || model+=,cx16=off
	fi
	printf '%s\n' "$model"
}

# add_guest ROOT: what --kvm has for a guest. Its busybox is all of its user space.
add_guest() {
	local tree=$work/guest
	add_file "$1" "$cache/kernels/$kernel/vmlinuz" /guest/vmlinuz
	mkdir -p "$tree/bin" "$tree/dev" "$tree/proc"
	cp -L "$(command -v busybox)" "$tree/bin/busybox"
	install -m 755 "$repo/tests/vm/guest/kvm-init" "$tree/init"
	pack "$tree" >"$1/guest/initrd"
	rm -rf "$tree"
}

# add_qemu ROOT: the QEMU that boots this VM, for use inside it, with its libraries, its accelerator and its firmware.
add_qemu() {
	local root=$1 prefix=${qemu_program%/bin/*} file name
	add_program "$root" "$qemu_program" /usr/bin/qemu-system-x86_64
	for file in "$prefix"/lib/*/qemu/accel-tcg-x86_64.so "$prefix"/lib{,64}/qemu/accel-tcg-x86_64.so; do
		[ ! -e "$file" ] || add_program "$root" "$file" "/usr${file#"$prefix"}"
	done
	for name in {bios,bios-256k,bios-microvm,kvmvapic,pvh,{linuxboot,multiboot}{,_dma},vgabios-stdvga}.bin \
		{qboot,efi-virtio,efi-e1000,efi-e1000e}.rom; do
		for file in "$prefix"/share/{qemu,seabios,qemu-firmware,seavgabios}/"$name" "$prefix/lib/ipxe/qemu/$name"; do
			[ ! -e "$file" ] || add_library "$root" "$file" "/usr${file#"$prefix"}"
		done
	done
}
