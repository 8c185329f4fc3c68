# SPDX-License-Identifier: MIT
# SIGKILL at each system call that changes something: $ONLY of it, the points that are $PART modulo $PARTS. (kill-at counts these
# of a command; how many there are is found out by a run that is not killed.) A point is a call, and who is killed there:
#
#	command		the command alone
#	guard, hold	its guard, or the process that holds its scope, alone; the command goes on
#	command,guard	both
#	run		the `run` that waits for its VM meanwhile
#	all		all of ours
#	recovery	the same, and then the recovery that PID 1 starts, and the next one
#
# No command is called afterwards where a process is left that recovers: with systemd always, on other hosts unless the guard was
# killed, too; there the next command recovers (which is killed twice). Within $LIMIT seconds the host is as before, or what lives
# is shielded.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034,SC2046  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
shield=/usr/local/bin/shield
export KILL_AT_LOG=$T/killed
LIMIT=${LIMIT:-5}
kill_ours() {
	for p in $(pidof shield) $(pidof shield-hold); do
		kill -9 "$p"
	done 2>/dev/null
	true
}
# Where PID 1 does not start it again the guard would help; the command that is to recover shall have to.
guard_off() { [ -n "$systemd" ] || kill_ours; }
sleeper 0x18
sleeper 0x08
sleeper 0x41

# Is there no file of Shield's? Then no command knows of anything to undo, and none is started: there are many points.
nothing_left() {
	for file in /run/shield/* /run/shield/.[!.]*; do
		[ ! -e "$file" ] || return 1
	done
}
# Active, and nothing is broken; without a guard where PID 1 does not start it again.
shielded() {
	[ -n "$systemd" ] && but=nothing || but=guard
	answer -e --arg but $but '(.shields | length) > 0 and
		([.shields[].problems[] | select(.severity == "broken" and .object != $but)] == [])' >/dev/null || return 1
	[ -n "${unattached-}" ] || ! pidof qemu-system-x86_64 >/dev/null || answer -e '[.shields[].vcpus | length] == [4]' >/dev/null
}
settled() { nothing_left || shielded; }
# settles SECONDS: by itself. How long it took at most: $slowest, in hundredths.
slowest=0
settles() {
	since=$(now)
	wait_for $1 settled || {
		left=$(echo /run/shield/*)
		[ -z "$systemd" ] || {
			systemctl list-units --all --no-legend 'shield*'
			journalctl -q -o short-monotonic --since -20s | grep -i shield
		}
		echo "at $since; now $(now): $left"
		$shield status
		snapshot compare $T/before
		return 1
	}
	took=$(($(now) - since))
	mark shielded
	[ $took -le $slowest ] || slowest=$took
	# Where no VM lives back() compares.
	! nothing_left || ! pidof qemu-system-x86_64 || {
		run_goes && wait_for $LIMIT no_guard && snapshot compare --within 1 $T/before
	}
}
# A `run` whose shield was taken from it waits for its VM, and is not a leftover.
run_goes() { [ -z "${run_waits-}" ] || kill -9 $run 2>/dev/null || true; }
now() { sed 's/\.\(..\) .*/\1/' /proc/uptime; }
# Afterwards a user ends all that is active.
back() {
	nothing_left || $shield off --all >$T/off 2>&1 || {
		cat $T/off
		return 1
	}
	mark off
	wait_for $LIMIT nothing_left && mark left && wait_for $LIMIT no_process && mark quiet && snapshot compare --within 1 $T/before || {
		ps | grep shield
		return 1
	}
}
no_process() { ! pidof shield-hold && { [ -z "$systemd" ] || ! pidof shield; } && no_guard; }
# PID 1 starts one that was killed again, half a second after the recovery: it finds nothing to guard.
no_guard() { [ -z "$systemd" ] || [ -z "$(systemctl list-units --all --no-legend 'shield-guard-*')" ]; }
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
# What has to come to help after this one was killed: true if nothing has.
helps_itself() {
	[ -n "$systemd" ] || case $1 in
	*guard* | all) false ;;
	esac
}
after() { # VICTIMS N
	if helps_itself "$1"; then
		settles $LIMIT && mark settled || return 1
	else
		kill_ours
		recover "$2" && settles $LIMIT || return 1
	fi
	clean_up >/dev/null 2>&1
	mark cleaned
	back
}

n_points=0 n_all=0 count_child='' kill_with="timeout -k 1 90 kill-at"
# aim VICTIMS N COMMAND…: kill. It may have made fewer calls this time: then its last one.
aim() {
	victims=$1 at=$2
	shift 2
	case $victims in
	recovery) set -- -k all -r $((at * 7 % (at / 2 + 6) + 1)) $at "$@" ;;
	*) set -- -k $victims $at "$@" ;;
	esac
	$kill_with $count_child "$@" >/dev/null 2>&1
}
shoot() { # VICTIMS N COMMAND…
	$prepare >$T/prepared 2>&1 || return 1
	mark prepared
	aim "$@" && mark killed && return
	fewer=$(counted "$1")
	echo "# $points_name: $(cat $T/killed)" >&2
	[ "${fewer:-0}" -gt 0 ] || return 1
	clean_up >/dev/null 2>&1
	back >/dev/null 2>&1
	victims=$1
	shift 2
	$prepare >$T/prepared 2>&1 || return 1
	aim $victims $fewer "$@"
}
# counted VICTIMS: at how many calls they were there.
counted() {
	case $1 in
	guard | command,guard) sed -n 's/^ended .* guard \([0-9]*\),.*/\1/p' $T/killed ;;
	hold | run) sed -n "s/^ended .* $1 \([0-9]*\),.*/\1/p" $T/killed ;;
	*) sed -n 's/^ended after \([0-9]*\) .*/\1/p' $T/killed ;;
	esac
}
# point VICTIMS N COMMAND…
point() {
	point_of=$1 point_at=$2
	: >$T/times
	mark begin
	done=$((done + 1))
	shoot "$@" && after $point_of $point_at && mark end && return
	cat $T/killed $T/prepared
	return 1
} >$T/said 2>&1
# mark WORD: with TIMES=1 what a point spends its time with is printed: when each part of it had ended.
mark() { [ -z "${TIMES-}" ] || printf ' %s %s' "$1" "$(cut -d' ' -f1 /proc/uptime)" >>$T/times; }
# points NAME PREPARE COMMAND…: for each point: PREPARE, COMMAND killed there, wait or recover, compare.
points() {
	points_name=$1 prepare=$2
	shift 2
	case " $ONLY " in
	"  " | *" $points_name "*) ;;
	*) return ;;
	esac
	$prepare >$T/said 2>&1 || {
		echo "not ok crash: $points_name: what is there before"
		sed 's/^/#   /' $T/said >&2
	}
	$kill_with $count_child 0 "$@" >$T/said 2>&1
	cp $T/killed $T/counts
	works $T/counts || {
		echo "not ok crash: $points_name: without a kill it does its work"
		[ -z "$systemd" ] || journalctl -q --since -10s | grep shield >>$T/said
		cat $T/counts $T/said | sed 's/^/#   /' >&2
	}
	clean_up >/dev/null 2>&1
	back >$T/said 2>&1 || {
		echo "not ok crash: $points_name: without a kill all is as before"
		sed 's/^/#   /' $T/said >&2
		clean
	}
	bad=0 done=0 again=0 calls=0
	for victims_set in $sets; do
		cp $T/counts $T/killed
		count=$(counted $victims_set)
		n=1
		while [ $n -le "${count:-0}" ] && [ $bad -lt 5 ]; do
			calls=$((calls + 1))
			n_all=$((n_all + 1))
			if [ $((n_all % PARTS)) = "$PART" ]; then
				point $victims_set $n "$@" || {
					mark failed
					bad=$((bad + 1))
					echo "not ok crash: $points_name, $victims_set: $(head -n 1 $T/killed)"
					sed 's/^/#   /' $T/said | head -n 40 >&2
					clean
				}
				again=$((again + $(grep -c '^recovery killed' $T/killed)))
				[ -z "${TIMES-}" ] || echo "# $points_name $victims_set $n:$(cat $T/times); $(tr '\n' ';' <$T/killed)" >&2
			fi
			n=$((n + 1))
		done
	done
	n_points=$((n_points + done))
	if [ $bad = 0 ] && [ $calls -gt 0 ]; then
		echo "ok crash: $points_name: $done of its $calls points ($(cut -d, -f1 $T/counts)), the recovery killed $again times; all came back"
	else
		echo "not ok crash: $points_name: $bad of $done points are bad ($(cat $T/counts))"
	fi
}
# It succeeds, and makes more than a few calls.
works() { grep -qE '^ended after [1-9][0-9]+ calls with status 0;' "$1"; }
nothing() { :; }
clean_up() { guard_off; }
on() { $shield on win11 && guard_off; }
on_two() { $shield on one && $shield on two && guard_off; }
if [ $kernel = 6.1 ]; then
	profile one '{"version":1,"name":"one","guest":"2","emulator":"3"}'
	profile two '{"version":1,"name":"two","guest":"4","emulator":"5"}'
else
	profile one '{"version":1,"name":"one","guest":"2-3"}'
	profile two '{"version":1,"name":"two","guest":"4-5"}'
fi
# PID 1 makes it for shield@win11.service, and keeps it for a while.
[ -z "$systemd" ] || systemctl start system-shield.slice
snapshot take $T/before
# At which call a command is in the middle of its work. (It is killed there with all of ours, so that no process helps.)
middle() { echo $(($(calls $shield "$@") * 3 / 4)); }
half_on() {
	timeout -k 1 60 kill-at -k all $on_middle $shield on win11 >/dev/null 2>&1 && [ -e $state ]
}
half_off() {
	on
	timeout -k 1 60 kill-at -k all $off_middle $shield off win11 >/dev/null 2>&1 && [ -e $state ]
}

[ -n "$systemd" ] && begun="command guard hold command,guard all recovery" || begun="command guard all"
[ -n "$systemd" ] && going="command guard command,guard all recovery" || going="command guard all"
sets=$begun
points on nothing $shield on win11
profile rt '{"version":1,"name":"rt","guest":"2-5","flush":true,"host":{"stat_interval":77,"watchdog":"housekeeping"}}'
points on-rt nothing $shield on rt
sets=$going
points off on $shield off
points off-one-of-two on_two $shield off one
if [ -z "$systemd" ]; then
	on_middle=$(middle on win11)
	off_middle=$(middle off win11)
	sets=all
	points recover-on half_on $shield recover
	points recover-off half_off $shield recover
fi
sets=$begun
points run nothing $shield run -p win11 -- true

# The unit that begins a shield: PID 1 starts the command.
if [ -n "$systemd" ]; then
	install_units
	mkdir -p /run/systemd/system/shield@win11.service.d
	# The unit's commands go through this one, which kill-at runs with what $T/kill-Start or $T/kill-Stop says.
	cat >$T/in-unit <<-END
		#!/bin/sh
		export KILL_AT_LOG=$KILL_AT_LOG
		verb=\$1
		shift
		[ -e $T/kill-\$verb ] || exec "\$@"
		kill-at \$(cat $T/kill-\$verb)
		exit \$(sed -n 's/.*ended .*with status \([0-9]*\).*/\1/p' \$KILL_AT_LOG)
	END
	chmod +x $T/in-unit
	cat >/run/systemd/system/shield@win11.service.d/kill.conf <<-END
		[Service]
		ExecStart=
		ExecStart=$T/in-unit Start $shield on win11
		ExecStop=
		ExecStop=$T/in-unit Stop $shield off win11
	END
	systemctl daemon-reload
	# kill_in_unit ARGUMENT…: kill-at with these runs the unit's command.
	kill_in_unit() {
		: >$KILL_AT_LOG
		echo "$*" >$T/kill-$unit_verb
		if [ $unit_verb = Start ]; then
			systemctl start shield@win11
		else
			systemctl stop shield@win11
		fi
		rm -f $T/kill-$unit_verb
		grep -q '^killed' $KILL_AT_LOG
	}
	unit_off() {
		systemctl stop shield@win11
		systemctl reset-failed shield@win11 2>/dev/null || true # of the count of its starts, too
	}
	unit_on() { systemctl start shield@win11; }
	clean_up() { unit_off; }
	kill_with=kill_in_unit
	sets=$begun unit_verb=Start
	points unit-start nothing $shield on win11
	sets=$going unit_verb=Stop
	points unit-stop unit_on $shield off win11
	rm /run/systemd/system/shield@win11.service.d/kill.conf
	systemctl daemon-reload
	kill_with="timeout -k 1 90 kill-at"
fi

# A VM: it is left alone by the kill of its supervisor, and ends after it.
clean_up() {
	guard_off
	for p in $(pidof qemu-system-x86_64); do
		kill -9 "$p"
	done
	usleep 100000
}
# Paused (-S), it has all of its threads, and leaves this machine its time.
start_qemu() {
	$qemu -S -smp 4 -qmp unix:$T/qmp.sock,server=on,wait=off &
	wait_for 30 eval "grep -q '^CPU 3/' /proc/$!/task/*/comm"
}
attachable() {
	start_qemu && $shield on win11 || return 1
	guard_off
	printf '#!/bin/sh\nexec %s attach --pid %s\n' $shield "$(pidof qemu-system-x86_64)" >$T/attach
	chmod +x $T/attach
}
sets=$going
unattached=1
points attach attachable $T/attach
off_with_vm() {
	attachable && $T/attach
}
points off-with-vm off_with_vm $shield off
unattached=

# The guard of a VM whose supervisor was killed: it takes over, sees the end, and puts everything back.
abandoned() {
	$shield run -p win11 -- sleep 3 &
	wait_for 20 grep -q "populated 1" $cgroups/shield-win11/cgroup.events && guard_off
}
if [ -z "$systemd" ]; then
	sets=all
	points guard abandoned $shield guard win11
fi

# run, with a real QEMU that is ended once it is pinned.
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
sets=$begun
points run-qemu pinned_then_ended $shield run -p win11 -- $qemu -smp 4

# `off` while a run waits for its VM.
waiting() {
	ender=
	start 4 $shield run -p win11 -- $qemu -S -smp 4
}
sets="run command all"
[ -n "$systemd" ] || sets="run command"
run_waits=1
points off-of-run waiting $shield off
run_waits=

# libvirt's hook, with a domain that is nothing but its cgroups and two threads.
domain_cgroup=machine.slice/machine-vm.scope
start_domain() {
	if [ -n "$systemd" ]; then
		systemd-run -q --scope --unit=machine-vm --slice=machine.slice -p Delegate=cpuset threads 2 100000 &
	else
		mkdir -p $cgroups/$domain_cgroup
		echo +cpuset >$cgroups/cgroup.subtree_control
		echo +cpuset >$cgroups/machine.slice/cgroup.subtree_control
		sh -c "echo 0 >$cgroups/$domain_cgroup/cgroup.procs; exec threads 2 100000" &
	fi
	wait_for 10 pidof threads || return 1
	domain=$(pidof threads)
	wait_for 10 grep -q machine-vm /proc/$domain/cgroup || return 1
	lib=$cgroups/$domain_cgroup/libvirt
	mkdir -p $lib
	echo $domain >$lib/cgroup.procs
	echo +cpuset >$cgroups/$domain_cgroup/cgroup.subtree_control
	for one in emulator vcpu0 vcpu1; do
		mkdir $lib/$one
		echo threaded >$lib/$one/cgroup.type
	done
	echo +cpuset >$lib/cgroup.subtree_control
	set -- $(ls /proc/$domain/task)
	for one in "emulator $1 0-1" "vcpu0 $2 4" "vcpu1 $3 5"; do
		set -- $one
		echo $3 >$lib/$1/cpuset.cpus
		echo $2 >$lib/$1/cgroup.threads
		taskset -pc $3 $2
	done
	mkdir -p /run/libvirt/qemu
	echo $domain >/run/libvirt/qemu/vm.pid
	echo "<domain type='kvm'><name>vm</name><metadata><shield:domain xmlns:shield='urn:shield:domain'/></metadata><vcpu>2</vcpu>
		<cputune><vcpupin vcpu='0' cpuset='4'/><vcpupin vcpu='1' cpuset='5'/><emulatorpin cpuset='0-1'/></cputune></domain>" >$T/vm.xml
	printf '#!/bin/sh\nexec %s hook libvirt vm "$1" begin - <%s/vm.xml\n' $shield $T >$T/hook
	chmod +x $T/hook
}
if [ $kernel != 6.1 ]; then
	start_domain >$T/said 2>&1 || {
		echo "not ok crash: hook: a domain"
		sed 's/^/#   /' $T/said >&2
	}
	# The guards of what came before go a moment after their shields.
	wait_for 10 sh -c '! pidof shield' || true
	snapshot take $T/before
	clean_up() { guard_off; }
	[ -n "$systemd" ] && sets="command guard command,guard all recovery" || sets="command guard all"
	count_child=-c
	points hook nothing $T/hook started
	count_child=
	kill -9 $domain
fi
echo "points: $n_points of $n_all, which took $slowest/100 s at most to come back by themselves"
