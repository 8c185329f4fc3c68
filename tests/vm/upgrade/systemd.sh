# SPDX-License-Identifier: MIT
# With systemd: guards are units, which PID 1 starts again with the program that is in the old one's place by then.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # as lib.sh
. /t/lib.sh
use_units() {
	mkdir -p /etc/systemd/system/shield-guard-.service.d
	cp /units.$1/*.service /etc/systemd/system
	cp /units.$1/10-shield-guard.conf /etc/systemd/system/shield-guard-.service.d
	sed -i 's,=[^ ]*/shield ,=/usr/local/bin/shield ,' /etc/systemd/system/shield*.service
	systemctl daemon-reload
}
guard_anew() { # NAME OLD: another guard than process OLD runs
	anew=$(systemctl show -P MainPID shield-guard-$1.service)
	[ "$anew" -gt 1 ] && [ "$anew" != "$2" ] && [ "$(guard_of $1)" = "$anew" ]
}
# PID 1 runs what a guard's unit runs at its end, and takes the unit's cgroup away, after the command has returned.
restored() { snapshot compare --within 5 $T/before; }
use old && shield on -q a && shield off -q a
sleep 2
before

check "on: by the old program" begun shield on -q a
check "on: holds, and the old guard goes on" holds a old
systemctl daemon-reexec
check "on: PID 1 is executed anew: holds" holds a old
check "on: off by the new one" status 0 shield off a
finish "on"

restarted() {
	begun shield on -q a && restarted_guard=$(guard_of a) && systemctl restart shield-guard-a && wait_for 10 guard_anew a $restarted_guard && holds a new
}
check "the guard's unit is restarted: a guard of the new program holds it" restarted
check "the guard's unit is restarted: off" status 0 shield off a
finish "the guard's unit is restarted"
killed() {
	begun shield on -q a && killed_guard=$(guard_of a) && kill -9 $killed_guard && wait_for 15 guard_anew a $killed_guard && holds a new
}
check "the old guard is killed: PID 1 starts the new one, which holds it" killed
check "the old guard is killed: off" status 0 shield off a
finish "the old guard is killed"

vm="shield run -q -p a -- $qemu -smp 2"
shield_name=a
run_begun() { use old && start 2 $vm && use new; }
check "run: by the old program" run_begun
check "run: holds, and the old guard goes on" holds a old
kill "$(vm_of a)"
check "run: the VM ends, and the old program says how" ends 0
finish "run"
all_killed() {
	run_begun || return 1
	all_guard=$(guard_of a) all_vm=$(vm_of a)
	kill -9 $run $all_guard
	wait_for 15 guard_anew a $all_guard && holds a new && kill "$all_vm"
}
check "run: all of the old program is killed: PID 1 starts the new guard" all_killed
finish "run: all of the old program is killed"

attach_begun() {
	systemd-run -q --unit=other $qemu -smp 2
	use old && shield on -q a && sleep 2 && shield attach -q a --pid "$(systemctl show -P MainPID other)" && use new && holds a old
}
check "attach: by the old program" attach_begun
check "attach: off by the new one" status 0 shield off a
check "attach: the VM is in its unit" grep -q other.service "/proc/$(systemctl show -P MainPID other)/cgroup"
systemctl stop other
finish "attach"

half() { # BY WITH N COMMAND…
	use $1
	half_with=$2 half_n=$3
	shift 3
	KILL_AT_LOG=$T/killed timeout -k 1 60 kill-at $half_n "$@" >/dev/null 2>&1 || {
		cat $T/killed
		return 1
	}
	use $half_with && shield recover && shield off --all
}
for n in 25 45; do
	check "on, killed at call $n of the old program: the new one recovers" half old new $n shield on a
	finish "on, killed at call $n"
done
use old && shield on -q a
check "off, killed at call 20 of the old program: the new one recovers" half old new 20 shield off a
finish "off, killed at call 20"

# And back, as far as the format goes.
back() {
	use new && shield on -q a && use old || return 1
	back_guard=$(guard_of a)
	if [ "$(jq .version $state)" = 1 ]; then
		holds a new && systemctl restart shield-guard-a && wait_for 10 guard_anew a $back_guard && holds a old && shield off a
	else
		! shield off a 2>$T/back && grep -q "use the program that wrote it" $T/back && use new && holds a new && shield off a
	fi
}
check "back: begun by the new program, guarded and ended by the old one" back
finish "back"
# (This runs in shield-vm.service.)
no_units() { ! systemctl list-units --all "shield-[!v]*" "shield.slice" --no-legend --plain | tee $T/units | grep .; }
none_left() {
	wait_for 10 no_units || {
		cat $T/units
		return 1
	}
}
check "no unit of ours is left" none_left
