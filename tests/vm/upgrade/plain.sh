# SPDX-License-Identifier: MIT
# Without systemd.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # as lib.sh
. /t/lib.sh
taskset 0x18 sleep 10000 &
taskset 0x41 sleep 10000 &
use old && shield on -q a && shield off -q a
before

# Begun by the old one.
check "on: by the old program" begun shield on -q rt
check "on: holds, and the old guard goes on" holds rt old
check "on: off by the new one" status 0 shield off rt
check "on: and the old guard has ended" wait_for 5 sh -c '! pidof shield'
finish "on"
check "two: the first by the old program" begun shield on -q a
check "two: the second by the new one" status 0 shield on -q b
check "two: both hold" sh -c 'shield status a && shield status b'
check "two: the old guard goes on beside the other" holds a old
check "two: the new one too" holds b new
check "two: the first ends" status 0 shield off a
check "two: the second holds" holds b new
check "two: the second ends by the old program" sh -c 'cp /opt/shield.old /tmp/shield && /tmp/shield off b'
finish "two"

guard_replaced() { # COMMAND…: what comes then
	begun shield on -q a && kill_hard "$(guard_of a)" && status 1 shield status a && "$@"
}
check "the old guard killed: recover starts a new one" guard_replaced shield recover
check "the old guard killed: which holds it" holds a new
check "the old guard killed: off" status 0 shield off a
finish "the old guard killed"
check "the old guard killed, and off at once" guard_replaced shield off a
finish "the old guard killed, and off at once"

# A VM under `shield run` of the old program.
vm="shield run -p a -- $qemu -smp 2"
shield_name=a
run_begun() { use old && start 2 $vm && use new; }
check "run: by the old program" run_begun
check "run: holds, and the old guard goes on" holds a old
kill "$(vm_of a)"
check "run: the VM ends, and the old program says how" ends 0
finish "run"
check "run, off: by the old program" run_begun
check "run, off: by the new one, and the VM goes on" sh -c "shield off a && [ -n \"\$(pidof qemu-system-x86_64)\" ]"
kill "$(pidof qemu-system-x86_64)"
check "run, off: the VM ends" ends 0
finish "run, off"
run_alone() { run_begun && run_vm=$(vm_of a) && kill_hard $run && holds a old && kill "$run_vm"; }
check "run: its old wrapper is killed: the old guard goes on" run_alone
finish "run: its old wrapper is killed"
both_killed() {
	run_begun || return 1
	run_vm=$(vm_of a)
	kill_hard $run "$(guard_of a)" && shield recover && holds a new && kill "$run_vm"
}
check "run: all of the old program is killed: recover starts a guard" both_killed
finish "run: all of the old program is killed"

# A VM of its own.
attach_begun() { # PROGRAM of the attach
	mkdir -p $cgroups/machines
	rm -f $T/qmp.sock
	$qemu -smp 2 -qmp unix:$T/qmp.sock,server=on,wait=off &
	vm_pid=$!
	echo $vm_pid >$cgroups/machines/cgroup.procs
	wait_for 30 test -S $T/qmp.sock && use old && shield on -q a && use $1 && shield attach -q a --pid $vm_pid && use new && holds a old
}
# (kill_hard() looks at its first thread only; on a busy machine others go later.)
vm_killed() {
	kill_hard $vm_pid && wait_for 10 grep -qx "populated 0" $cgroups/machines/cgroup.events && rmdir $cgroups/machines
}
for who in old new; do
	check "attach by the $who program: holds" attach_begun $who
	check "attach by the $who program: off by the new one" status 0 shield off a
	check "attach by the $who program: the VM is where it was" grep -qx 0::/machines /proc/$vm_pid/cgroup
	check "attach by the $who program: the VM ends" vm_killed
	finish "attach by the $who program"
done
check "attach: the VM ends" attach_begun old
kill_hard $vm_pid
check "attach: the old guard ends the shield" wait_for 5 test ! -e $state
rmdir $cgroups/machines
finish "attach: the VM ends"

# killed BY N COMMAND…: by this program, before its Nth change; was it?
killed_by() {
	use $1
	killed_n=$2
	shift 2
	KILL_AT_LOG=$T/killed timeout -k 1 60 kill-at $killed_n "$@" >/dev/null 2>&1 || {
		cat $T/killed
		return 1
	}
}
# half BY N COMMAND…: and the other one recovers.
half() {
	half_by=$1 half_with=new
	[ $half_by != new ] || half_with=old
	killed_by "$@" || return 1
	use $half_with && shield recover && shield off --all
}
for n in 20 36 52; do
	check "on, killed at call $n of the old program: the new one recovers" half old $n shield on rt
	finish "on, killed at call $n"
done
for n in 4 16 28; do
	use old && shield on -q rt
	check "off, killed at call $n of the old program: the new one recovers" half old $n shield off rt
	finish "off, killed at call $n"
done
for n in 25 50; do
	check "run, killed at call $n of the old program: the new one recovers" half old $n shield run -p a -- true
	finish "run, killed at call $n"
done
use old

# And back, as far as the format goes: the old program knows version 1.
back() {
	use new && shield on -q rt && use old || return 1
	if [ "$(jq .version $state)" = 1 ]; then
		holds rt new && shield off rt
	else
		! shield off rt 2>$T/back && grep -q "use the program that wrote it" $T/back && use new && holds rt new && shield off rt
	fi
}
check "back: begun by the new program, ended by the old one" back
finish "back"
back_run() {
	use new && start 2 $vm && use old && back_vm=$(vm_of a) && holds a new && kill "$back_vm" && ends 0
}
check "back: run of the new program, with the old one in its place" back_run
finish "back: run"
for n in 30 50; do
	check "back: on, killed at call $n of the new program: the old one recovers" half new $n shield on rt
	finish "back: on, killed at call $n"
done
true
