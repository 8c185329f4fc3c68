# SIGKILL at each system call that changes something: $ONLY of it, the points that are $PART modulo $PARTS. (kill-at counts these
# of a command; how many there are is found out by a run that is not killed.)
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
shield=/usr/local/bin/shield
export KILL_AT_LOG=$T/killed
guard_off() { # the guard would help; whoever is to recover shall have to
	for p in $(pidof shield); do
		kill -9 "$p"
	done 2>/dev/null
}
taskset 0x18 sleep 10000 &
taskset 0x08 sleep 10000 &
taskset 0x41 sleep 10000 &

# The state between two commands may only be one of two.
before_or_after() {
	[ -e $state ] || return 0
	answer -e '[.shields[].problems[] | select(.severity == "broken" and .object != "guard")] == []' >/dev/null || {
		echo "neither before nor after:"
		$shield status
		return 1
	}
}
# Is there no file of Shield's? Then no command knows of anything to undo, and none is started: there are many points.
nothing_left() {
	for file in /run/shield/* /run/shield/.[!.]*; do
		[ ! -e "$file" ] || return 1
	done
}
back() {
	nothing_left || $shield off --all >$T/off 2>&1 || {
		cat $T/off
		return 1
	}
	nothing_left || wait_for 3 nothing_left || return 1
	snapshot compare $T/before
}
# recover after a kill: itself killed at some point, then again at another, then allowed to end.
recover() {
	r=$((($1 * 7) % 37 + 1))
	for at in $r $((r / 2 + 1)); do
		nothing_left && return
		KILL_AT_LOG=$T/killed2 timeout -k 1 60 kill-at $at $shield recover >/dev/null 2>&1 && again=$((again + 1))
	done
	nothing_left || $shield recover >$T/recover 2>&1 || {
		cat $T/recover
		return 1
	}
}

n_points=0 n_all=0
# points NAME PREPARE COMMAND…: for each point: PREPARE, COMMAND killed there, recover, compare.
points() {
	points_name=$1 prepare=$2
	shift 2
	case " $ONLY " in
	"  " | *" $points_name "*) ;;
	*) return ;;
	esac
	$prepare >/dev/null 2>&1
	timeout -k 1 60 kill-at 0 "$@" >/dev/null 2>&1
	calls=$(sed -n 's/^ended after \([0-9]*\) .*/\1/p' $T/killed)
	clean_up >/dev/null 2>&1
	back >$T/said 2>&1 || {
		echo "not ok crash: $points_name: without a kill all is as before"
		sed 's/^/#   /' $T/said >&2
		clean
	}
	bad=0 done=0 again=0
	n=1
	while [ $n -le "${calls:-0}" ] && [ $bad -lt 5 ]; do
		if [ $((n % PARTS)) = "$PART" ]; then
			[ -z "${TIMES-}" ] || echo "# $(cut -d' ' -f1 /proc/uptime) $points_name $n" >&2
			$prepare >/dev/null 2>&1
			timeout -k 1 60 kill-at $n "$@" >/dev/null 2>&1
			clean_up >/dev/null 2>&1
			done=$((done + 1))
			{ recover $n && before_or_after && back; } >$T/said 2>&1 || {
				bad=$((bad + 1))
				echo "not ok crash: $points_name: $(cat $T/killed)"
				sed 's/^/#   /' $T/said | head -n 30 >&2
				clean
			}
		fi
		n=$((n + 1))
	done
	n_points=$((n_points + done))
	n_all=$((n_all + calls))
	if [ $bad = 0 ] && [ "${calls:-0}" -gt 0 ]; then
		echo "ok crash: $points_name: killed at $done of its $calls calls, the recovery $again times; all came back"
	else
		echo "not ok crash: $points_name: $bad of $done points are bad"
	fi
}
nothing() { :; }
clean_up() { guard_off; }
on() { $shield on win11 && guard_off; }
on_two() { $shield on one && $shield on two && guard_off; }
half_on() {
	timeout -k 1 60 kill-at 60 $shield on win11
	guard_off
}
half_off() {
	$shield on win11
	guard_off
	timeout -k 1 60 kill-at 18 $shield off win11
}
if [ $kernel = 6.1 ]; then
	profile one '{"version":1,"name":"one","guest":"2","emulator":"3"}'
	profile two '{"version":1,"name":"two","guest":"4","emulator":"5"}'
else
	profile one '{"version":1,"name":"one","guest":"2-3"}'
	profile two '{"version":1,"name":"two","guest":"4-5"}'
fi
snapshot take $T/before

points on nothing $shield on win11
profile rt '{"version":1,"name":"rt","guest":"2-5","flush":true,"host":{"stat_interval":77,"watchdog":"housekeeping"}}'
points on-rt nothing $shield on rt
points off on $shield off
points recover-on half_on $shield recover
points recover-off half_off $shield recover
points off-one-of-two on_two $shield off one
points run nothing $shield run -p win11 -- true

# A VM: it is left alone by the kill of its supervisor, and ends after it.
clean_up() {
	guard_off
	for p in $(pidof qemu-system-x86_64); do
		kill -9 "$p"
	done
	usleep 100000
}
start_qemu() {
	$qemu -smp 4 -qmp unix:$T/qmp.sock,server=on,wait=off &
	wait_for 30 test -S $T/qmp.sock
}
attachable() {
	start_qemu
	$shield on win11
	guard_off
	printf '#!/bin/sh\nexec %s attach --pid %s\n' $shield "$(pidof qemu-system-x86_64)" >$T/attach
	chmod +x $T/attach
}
points attach attachable $T/attach
off_with_vm() {
	attachable
	$T/attach
}
points off-with-vm off_with_vm $shield off

# The guard of a VM whose supervisor was killed: it takes over, sees the end, and puts everything back.
abandoned() {
	$shield run -p win11 -- sleep 3 &
	wait_for 20 grep -q "populated 1" $cgroups/shield-win11/cgroup.events
	guard_off
}
points guard abandoned $shield guard win11

# run, with a real QEMU that somebody ends once it is pinned.
pinned_then_ended() {
	(
		wait_for 50 vm_ready 4
		kill "$(pidof qemu-system-x86_64)"
	) &
	ender=$!
}
clean_up() {
	kill $ender
	guard_off
	for p in $(pidof qemu-system-x86_64); do
		kill -9 "$p"
	done
	usleep 100000
}
points run-qemu pinned_then_ended $shield run -p win11 -- $qemu -smp 4
echo "points: $n_points of $n_all"
