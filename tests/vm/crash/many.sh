# SPDX-License-Identifier: MIT
# Twenty commands at once: no deadlock, no lost update, no half state.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
if [ $kernel = 6.1 ]; then
	profile a '{"version":1,"name":"a","guest":"2","emulator":"3"}'
	profile b '{"version":1,"name":"b","guest":"4","emulator":"5"}'
else
	profile a '{"version":1,"name":"a","guest":"2-3"}'
	profile b '{"version":1,"name":"b","guest":"4-5"}'
fi
snapshot take $T/before

crowd() {
	i=0
	pids=
	: >$T/codes
	while [ $i -lt 20 ]; do
		case $(((i + $1) % 7)) in
		0) set -- "$1" on a ;;
		1) set -- "$1" off a ;;
		2) set -- "$1" status ;;
		3) set -- "$1" recover ;;
		4) set -- "$1" on b ;;
		5) set -- "$1" off b ;;
		6) set -- "$1" status --json ;;
		esac
		(
			round=$1
			shift
			timeout -s KILL 60 shield "$@" >$T/crowd.$i 2>&1
			code=$?
			echo "$code $*" >>$T/codes
			: "$round"
		) &
		pids="$pids $!"
		i=$((i + 1))
	done
	for pid in $pids; do
		wait "$pid"
	done
	cat $T/codes
	# 0 done, 1 refused as it is on already (or status: one thing is on its way), 3 not shielded; nothing else.
	! grep -vE '^(0|1|3) ' $T/codes || {
		cat $T/crowd.*
		return 1
	}
	grep -q . $T/codes && [ "$(wc -l <$T/codes)" = 20 ] || return 1
	# No JSON that is half.
	for file in $T/crowd.*; do
		case $(head -c 1 "$file") in
		"{") jq -e '.version == 1' "$file" >/dev/null || return 1 ;;
		esac
	done
	wait_for 5 sh -c 'shield status --json | jq -e "[.shields[].problems[] | select(.severity == \"broken\")] == []"' || {
		shield status
		return 1
	}
}
for round in 1 2 3 4 5; do
	check "20 commands at once, round $round" crowd $round
done
all_off() { shield off --all && restored; }
check "20 commands at once: afterwards all is as before" all_off

# take_lock: as a transaction does, by a program of its own, $lock. That it is the lock is seen by a command that waits for it.
take_lock() {
	mkdir -p /run/shield
	lock /run/shield >$T/lock 2>&1 &
	lock=$!
	wait_for 5 grep -qx taken $T/lock
}
give_lock() {
	kill $lock 2>/dev/null
	wait $lock 2>/dev/null
	true
}
writers_wait() {
	take_lock || return 1
	status 137 timeout -s KILL 3 shield recover || return 1
	give_lock
	status 0 timeout -s KILL 20 shield recover
}
check "a command that changes something waits for the lock" writers_wait
give_lock
# status never waits for a transaction.
blocked() {
	take_lock || return 1
	status 3 timeout -s KILL 20 shield status || return 1
	status 1 lock -n /run/shield || return 1
	give_lock
}
check "status does not wait for the lock" blocked
give_lock
# A user who could lock the directory could keep all others from ending a shield.
theirs() {
	shield on -q win11 && as_nobody shield status >/dev/null && status 2 as_nobody "timeout 5 lock -n /run/shield" || return 1
	take_lock || return 1
	give_lock
	shield off && restored
}
check "no other user can take the lock" theirs
! [ -e $state ] || clean
