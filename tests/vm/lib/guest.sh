# SPDX-License-Identifier: MIT
# Sourced by the cases, in the test VM (busybox ash): the checks, and what they look with. Nothing here believes Shield: the
# kernel is read by the program `snapshot`.
# shellcheck shell=sh disable=SC2034,SC2086,SC2015  # the cases use the variables

T=/tmp/t
mkdir -p $T
chmod 1777 $T
[ -d /run/systemd/system ] && systemd=1 || systemd=
# (A root file system of Debian's has its own, and dbus and libvirt need them.)
if [ -z "$systemd" ]; then
	printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\nanna:x:1000:1000::/:/bin/sh\n' >/etc/passwd
	printf 'root:x:0:\nnogroup:x:65534:\nanna:x:1000:\nkvm:x:107:anna\n' >/etc/group
fi
command -v usleep >/dev/null || usleep() { sleep "$(printf '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000)))"; }
# As installing does it, where the program is.
install_units() {
	mkdir -p /etc/systemd/system/shield-guard-.service.d
	cp /units/*.service /etc/systemd/system
	cp /units/10-shield-guard.conf /etc/systemd/system/shield-guard-.service.d
	sed -i "s|=\(-*\)[^ ]*/shield |=\1/usr/local/bin/shield |" /etc/systemd/system/shield*.service
	systemctl daemon-reload
}
# calls COMMAND…: how many calls it makes that change something (kill-at); it is not killed.
calls() {
	KILL_AT_LOG=$T/counted timeout -k 1 60 kill-at 0 "$@" >/dev/null 2>&1
	sed -n 's/^ended after \([0-9]*\) calls with status 0.*/\1/p' $T/counted | grep .
}
as_nobody() { su -s /bin/sh nobody -c "$*"; }
profiles=/etc/shield/profiles.d
state=/run/shield/state.json
cgroups=/sys/fs/cgroup
vcpus=$cgroups/shield-win11/vcpus
# With KVM where this machine has it (scripts/vm --kvm); its vCPU threads are then called "CPU 0/KVM".
accel=TCG accel_options="-accel tcg,thread=multi -cpu qemu64,-cx16"
if [ -c /dev/kvm ]; then
	accel=KVM accel_options="-accel kvm -cpu host"
fi
qemu="qemu-system-x86_64 $accel_options -m 64 -nodefaults -display none -name g,debug-threads=on"

case $(uname -r) in
6.1.*) kernel=6.1 ;;
6.12.*) kernel=6.12 ;;
*) kernel=7 ;;
esac

# check NAME COMMAND…: one line of result; what the command said follows a failure, on stderr. COMMAND may be a function. A command
# that this machine does not have is a failure, for `! COMMAND` would pass without it.
check() {
	check_name=$1
	shift
	[ -z "${TIMES-}" ] || echo "# $(cut -d' ' -f1 /proc/uptime) $check_name" >&2
	echo "check: $check_name" >/dev/kmsg # there the kernel's complaints are found
	if "$@" >$T/said 2>&1 && all_here; then
		echo "ok $check_name"
	else
		echo "not ok $check_name"
		{
			echo "# $check_name"
			sed 's/^/#   /' $T/said | head -n 60
		} >&2
	fi
}

all_here() { ! grep -qE '^([^ :]*sh|[^ :]*/command): (line [0-9]+: |[0-9]+: )?[^ :]+: not found$' $T/said; }

# What the machine's clock says, in hundredths of a second. (A wall clock's whole seconds would make a second anything down to none.)
hundredths() {
	read -r clock_now clock_idle </proc/uptime
	echo $((${clock_now%.*} * 100 + 1${clock_now#*.} - 100))
}
# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
	wait_end=$(($(hundredths) + 100 * $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(hundredths)" -lt $wait_end ] || {
			echo "still not, after the time allowed: $*"
			return 1
		}
		usleep 50000
	done
}

# status N COMMAND…: ends with N.
status() {
	expected=$1
	shift
	"$@"
	got=$?
	[ $got = "$expected" ] || {
		echo "status $got instead of $expected: $*"
		return 1
	}
}

profile() { # NAME JSON
	mkdir -p $profiles
	echo "$2" >$profiles/"$1".json
}
profile win11 '{"version":1,"name":"win11","guest":"2-5","emulator":"housekeeping"}'

# The guard of the shield before may still be ending.
before() {
	[ -e $state ] || wait_for 5 over
	snapshot take $T/before
}
# The command that ends a shield is done before the last process of ours has ended.
restored() {
	wait_for 5 over || return
	snapshot compare $T/before
}
over() { [ ! -e $state ] && ! pidof shield; }
# What a kernel complains of when a change of a partition is killed: it got no worker (shield/txn/apply.c).
case $kernel in
6.1) killed_inside= ;;
6.12) killed_inside=' remote_partition_(en|dis)able\+' ;;
7) killed_inside=' (housekeeping_update|remote_partition_(en|dis)able)\+' ;;
esac
# The kernel may complain when a machine that has slept is turned off; tests/vm/guest/init announces it then.
has_slept() {
	echo '(kernel/exit.c:[0-9]+ (at )?do_exit|kernel/sched/core.c:[0-9]+ (at )?set_task_cpu)\+' >/run/shield-vm/expect-last
}
# complains may|must REGEX COMMAND…: while COMMAND runs the kernel may warn so, or has to; anywhere else that is a failure.
complains() {
	[ -n "$2" ] || {
		shift 2
		"$@"
		return
	}
	echo "shield-vm: expect $1 $2" >/dev/kmsg
	shift 2
	"$@"
	complains_got=$?
	echo "shield-vm: expect end" >/dev/kmsg
	return $complains_got
}
# cpu_goes N: CPU N is offline afterwards. Linux 6.12 counts what serves tasks that starve among a CPU's tasks, and complains if it is
# at work when the CPU goes.
cpu_goes() {
	goes_warning=
	[ $kernel != 6.12 ] || goes_warning=' sched_cpu_dying\+'
	complains may "$goes_warning" sh -c "echo 0 >/sys/devices/system/cpu/cpu$1/online"
}
cpu_comes() { echo 1 >"/sys/devices/system/cpu/cpu$1/online"; }
# After a case that failed the next one shall have a chance.
clean() {
	for clean_pid in $(pidof qemu-system-x86_64) $(pidof shield); do
		kill -9 "$clean_pid"
	done 2>/dev/null
	usleep 100000
	shield off --all 2>/dev/null
	if [ -e $state ]; then
		shield recover
		shield off --all
	fi 2>/dev/null
	rm -rf /run/shield/*
	for clean_dir in "$cgroups"/shield-*/vcpus "$cgroups"/shield-*; do
		[ ! -d "$clean_dir" ] || rmdir "$clean_dir"
	done 2>/dev/null
	true
}
# sleeper MASK: a thread with these CPUs, as $!; when it is one, for a snapshot taken before that is of a shell.
sleeper() {
	taskset $1 sleep 10000 &
	wait_for 10 grep -q '^sleep' /proc/$!/comm
}
# finish NAME: the host must be as it was.
finish() {
	check "$1: afterwards all is as before" restored
	! [ -e $state ] || clean
}

# broken OBJECT UNDO COMMAND…: after COMMAND, status is 1 and names OBJECT; after UNDO it is 0.
broken() {
	object=$1 undo=$2
	shift 2
	"$@" || return 1
	shield status >$T/text
	got=$?
	answer -r '.shields[].problems[] | select(.severity == "broken") | .object' >$T/objects
	eval "$undo"
	cat $T/text $T/objects
	[ $got = 1 ] && grep -qF "$object" $T/objects && grep -qF "$object" $T/text || return 1
	wait_for 3 shield status
}

answer() { shield status --json 2>/dev/null | jq "$@"; }
# shellcheck disable=SC2016  # the $ is jq's
vm_ready() { answer -e --arg name "${2:-win11}" --argjson n "$1" \
	'.shields[] | select(.name == $name) | .vcpus | length == $n'; }
vm_pid() { answer -r '.shields[0].pid'; }
# start N COMMAND…: in the background, as $run, until its N vCPUs are pinned (those of the shield $shield_name). What it says: $T/run.out and $T/run.err. (It
# ignores SIGINT, as every background command of a script; what `pty` starts does not.)
start() {
	start_n=$1
	shift
	"$@" >$T/run.out 2>$T/run.err &
	run=$!
	wait_for 60 vm_ready "$start_n" "${shield_name-win11}" || {
		cat $T/run.out $T/run.err
		return 1
	}
}
# ends STATUS: $run does.
ends() {
	wait_for 20 not_running $run || return
	wait $run
	ends_got=$?
	[ $ends_got = "$1" ] || {
		echo "status $ends_got instead of $1"
		cat $T/run.out $T/run.err
		return 1
	}
}
not_running() { grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null || ! [ -d "/proc/$1" ]; }
# The only guard there is, and it is gone: on a busy machine a process that has got SIGKILL still runs for a while.
kill_guard() {
	killed=$(pidof shield)
	kill -9 "$killed" && wait_for 10 not_running "$killed"
}

# each_alone A-B: on each of these CPUs is one thread, and none that could be elsewhere.
each_alone() {
	snapshot on "$1" | awk '$3 != "fixed"' >$T/on
	[ "$(cut -d' ' -f4 $T/on | sort -n | xargs)" = "$(seq "${1%-*}" "${1#*-}" | xargs)" ] || {
		cat $T/on
		return 1
	}
}

# One clear line on stderr; on 6.1 the warning that the emulator takes a CPU may precede it.
one_line() {
	[ "$(wc -c <"$1")" -gt 30 ] && grep -q '^shield: ' "$1" && case $(grep -vc '^shield: warning: ' "$1") in
	1) true ;;
	*) false ;;
	esac || {
		echo "stderr is not one clear line:"
		cat "$1"
		return 1
	}
}

# no_host NAME: what must be true on a host that cannot do it: one clear line, status 4, and nothing changes.
no_host() {
	before
	check "$1: on" refused 4 shield on win11
	check "$1: run" refused 125 shield run -p win11 -- true
	check "$1: plan" refused 4 shield plan win11
	check "$1: doctor" status 4 shield doctor win11
	check "$1: off does nothing" status 0 shield off
	check "$1: status" status 3 shield status
	check "$1: topology" status 0 shield topology
	finish "$1"
}
refused() { # STATUS COMMAND…
	refused_want=$1
	shift
	"$@" >$T/out 2>$T/err
	refused_got=$?
	cat $T/err
	[ $refused_got = "$refused_want" ] && one_line $T/err || {
		echo "status $refused_got"
		return 1
	}
}

# main_job NAME CPUS: a VM with a vCPU for each of these guest CPUs (of the profile win11), from start to end.
main_job() {
	main_cpus=$2
	main_n=$(for c in $(echo "$2" | tr ',' ' '); do seq "${c%-*}" "${c#*-}"; done | wc -l)
	taskset 0xc sleep 1000 &
	main_sleep=$!
	before
	check "$1: a VM starts" start "$main_n" shield run -p win11 -- $qemu -smp "$main_n"
	check "$1: vCPUs alone, all else off" main_alone
	check "$1: status agrees" status 0 shield status
	kill "$(pidof qemu-system-x86_64)"
	check "$1: its end" ends 0
	finish "$1"
	kill $main_sleep
}
main_alone() {
	snapshot on "$main_cpus" | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(grep -cE "CPU [0-9]+/$accel" $T/on)" = "$main_n" ] && [ "$(wc -l <$T/on)" = "$main_n" ] &&
		[ "$(cut -d' ' -f4 $T/on | sort -u | wc -l)" = "$main_n" ] && ! snapshot irqs "$main_cpus" | grep ' movable '
}
