# SPDX-License-Identifier: MIT
# What is to end recovery, and must not: a guard that is killed again and again (StartLimitBurst), and a PID 1 that is busy.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2046  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
export KILL_AT_LOG=$T/killed
LIMIT=${LIMIT:-5}
install_units
sleeper 0x18
snapshot take $T/before
guard=shield-guard-win11.service
guard_pid() { systemctl show -P MainPID $guard; }
guard_lives() { # OLD
	pid=$(guard_pid)
	[ "$pid" -gt 1 ] && [ "$pid" != "$1" ] && systemctl -q is-active $guard
}
# (What busy() starts comes and goes.) What still differs: $T/differs. restored: the host is, but PID 1 may not be done with the
# guard's unit yet.
as_before() {
	ls $state >$T/differs 2>/dev/null && return 1
	! snapshot compare $T/before 2>&1 | grep -vE "run-[ru][0-9a-f]+\.service|^[0-9]+ values compared${1:+|$1}" >$T/differs
}
restored() { as_before "$guard|^process [0-9]+ shield:"; }
# back_in SECONDS [restored]: by itself. How long it took at most: $slowest, in hundredths.
slowest=0
back_in() {
	since=$(hundredths)
	wait_for $1 ${2:-as_before} || {
		echo "what differed when it was last looked at:"
		cat $T/differs
		echo "and now:"
		snapshot compare $T/before
		systemctl list-units --all --no-legend 'shield*'
		return 1
	}
	took=$(($(hundredths) - since))
	[ $took -le $slowest ] || slowest=$took
}
kill_ours() {
	for p in $(pidof shield) $(pidof shield-hold); do
		kill -9 "$p"
	done 2>/dev/null
}

killed_often() {
	shield on win11 || return 1
	i=0
	while [ $i -lt 20 ]; do
		old=$(guard_pid)
		[ "$old" -gt 1 ] && kill -9 "$old" && i=$((i + 1))
		usleep 20000
	done
	wait_for $LIMIT guard_lives "$old" && wait_for $LIMIT status 0 shield status && shield off && back_in $LIMIT
}
check "a guard that was killed 20 times is there again" killed_often
[ ! -e $state ] || clean
all_killed_often() {
	shield on win11 || return 1
	i=0
	while [ $i -lt 20 ] && [ -e $state ]; do
		kill_ours
		i=$((i + 1))
		usleep 100000
	done
	echo "killed $i times"
	back_in $LIMIT
}
check "all of ours, and every recovery, killed for two seconds: as before" all_killed_often
[ ! -e $state ] || clean

# PID 1 is told to read all units again, and to start some, all the time. How long each reading takes, in hundredths: $T/reloads.
busy() {
	while :; do
		busy_since=$(hundredths)
		systemctl daemon-reload && echo $(($(hundredths) - busy_since)) >>$T/reloads
		systemd-run -q --wait true
	done 2>/dev/null
}
# back SECONDS READINGS: the host is as before in that time; and the guard's unit is gone in that time, or, where the machine is slow,
# in that of so many readings. (There are five steps to the end of a guard that was killed, and before each PID 1 may read: its end,
# ExecStopPost=, the next start, its end, ExecStopPost=.)
back() {
	back_in $1 restored && back_in "$(sort -n $T/reloads | awk -v least=$1 -v n=$2 '
		{ longest = $1 * n / 100 }
		END { print int(longest > least ? longest : least) }')" || {
		echo "PID 1 read its units in, hundredths: $(xargs <$T/reloads)"
		return 1
	}
}
with_busy() { # COMMAND…
	: >$T/reloads
	busy &
	b1=$!
	busy &
	b2=$!
	"$@"
	busy_got=$?
	kill $b1 $b2
	wait $b1 $b2 2>/dev/null
	# What they had begun has ended when PID 1 has answered this.
	systemctl daemon-reload
	return $busy_got
}
calls=$(calls /usr/local/bin/shield on win11)
shield off
wait_for $LIMIT as_before
killed_while_busy() { # VICTIMS QUARTER
	timeout -k 1 120 kill-at -k $1 $((calls * $2 / 4)) /usr/local/bin/shield on win11
	got=$?
	cat $T/killed
	[ $got = 0 ] && back 30 10
}
for quarter in 2 3; do
	for victims in command command,guard all; do
		check "PID 1 is busy, SIGKILL to $victims after $quarter quarters of on: as before" with_busy killed_while_busy $victims $quarter
		[ ! -e $state ] || clean
	done
done
on_off() {
	timeout 60 shield on win11 && status 0 shield status && timeout 60 shield off
}
check "PID 1 is busy: on and off" with_busy on_off
check "and the host is as before" back $LIMIT 5
# It does not answer at all for a while, and then does.
stopped() {
	timeout -k 1 60 kill-at -k all $((calls * 3 / 4)) /usr/local/bin/shield on win11 || return 1
	i=0 reloads=
	# It is inside of one call after the other. (Of a hundred the last were refused: a client has 90 s to say who it is. Thirty took
	# 58 s on a busy machine.)
	while [ $i -lt 30 ]; do
		systemctl daemon-reload 2>/dev/null &
		reloads="$reloads $!"
		i=$((i + 1))
	done
	since=$(hundredths)
	wait $reloads # not for the sleeper, which does not end
	busy_for=$(($(hundredths) - since))
	echo $((busy_for / 30)) >$T/reloads
	back $LIMIT 5
}
check "thirty reloads at once after SIGKILL to all of ours" stopped
# (shield-vm.service runs this.)
check "no unit of ours is left" wait_for $LIMIT sh -c "! systemctl list-units --all --no-legend 'shield*' | grep -v shield-vm"

# `on` of the unit waits for its turn: that has no limit of time, and can be stopped.
waits() {
	lock /run/shield >/dev/null &
	lock=$!
	usleep 300000
	systemctl start --no-block shield@win11
	wait_for 10 pidof shield && sleep 1 || return 1
	since=$(hundredths)
	timeout 20 systemctl stop shield@win11
	got=$?
	echo "stop: status $got after $(($(hundredths) - since))/100 s"
	systemctl status -n 20 shield@win11
	pidof shield
	kill $lock
	[ $got = 0 ] && wait_for $LIMIT sh -c '! pidof shield' && systemctl reset-failed 2>/dev/null
	systemctl stop system-shield.slice
	back_in $LIMIT
}
check "shield@ that waits for the lock can be stopped" waits
echo "storm: it took $slowest/100 s at most to come back, after thirty reloads that took ${busy_for-?}/100 s, too"
