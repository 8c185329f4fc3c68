# SPDX-License-Identifier: MIT
# kill -9 of the wrapper, QEMU and the guard, in all orders: when the VM has ended, the host is as before within 2 s.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
snapshot take $T/before

wrapper() { echo "$run"; }
guard() { answer '.shields[0]' >/dev/null; jq -r '.shields.win11.guard.pid' $state; }
vm() { pidof qemu-system-x86_64; }
back_in_2s() {
	snapshot compare --within 2 $T/before
}
# While the VM runs it stays shielded, even if all else was killed.
still_shielded() {
	snapshot on 2-5 | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(wc -l <$T/on)" = 4 ] && [ "$(grep -c "$accel" $T/on)" = 4 ] && [ "$(cut -d' ' -f4 $T/on | sort | xargs)" = "2 3 4 5" ]
}
# order WHO…: kill them in turn; helped: whether a command must come to help (no process is left that could).
order() {
	names=$* helped=
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	w=$(wrapper) g=$(guard) v=$(vm)
	wait_for 5 test -d "/proc/$g" || return 1
	# All three within a moment: no process may be left that could restore.
	case "$# $names" in
	3* | *all) helped=1 ;;
	esac
	for who in "$@"; do
		case $who in
		wrapper) kill -9 "$w" && wait_for 10 not_running "$w" ;;
		guard) kill -9 "$g" && wait_for 10 not_running "$g" ;;
		vm) kill -9 "$v" && wait_for 10 not_running "$v" ;;
		all) kill -9 "$w" "$g" "$v" && wait_for 10 not_running "$v" ;;
		end) kill "$v" && wait_for 10 not_running "$v" ;;
		esac
		[ "$who" = vm ] || usleep 200000
		if [ "$who" = guard ] && ! not_running "$v"; then
			status 1 shield status && answer -e '[.shields[].problems[].object] | index("guard")' || return 1
		fi
		if ! not_running "$v"; then
			still_shielded || return 1
		fi
	done
	not_running "$v" || kill "$v"
	wait "$run" 2>/dev/null
	if [ -n "$helped" ]; then
		shield recover || return 1
	fi
	back_in_2s
}
for names in "wrapper" "wrapper end" "vm" "guard" "guard vm" "vm guard" "wrapper vm" "vm wrapper" "wrapper guard" "guard wrapper" \
	"wrapper guard vm" "wrapper vm guard" "vm wrapper guard" "vm guard wrapper" "guard vm wrapper" "guard wrapper vm" all; do
	case $names in
	"wrapper guard" | "guard wrapper") continue ;; # nothing would end the VM: with vm, below
	esac
	# shellcheck disable=SC2086  # words
	check "kill -9: $names" order $names
	! [ -e $state ] || clean
done

# Wrapper and guard are gone: the next command that changes something starts a guard, which sees the end of the VM.
replaced() {
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	v=$(vm) g=$(guard)
	kill -9 "$(wrapper)" "$g"
	wait_for 10 not_running "$g" || return 1
	status 1 shield status && status 0 shield recover 2>$T/recovered || return 1
	cat $T/recovered
	grep -q "its guard was not running, and has been started again" $T/recovered && status 0 shield status && still_shielded || return 1
	kill "$v" && wait_for 10 not_running "$v" && back_in_2s
}
check "kill -9: wrapper and guard: recover starts a guard" replaced
! [ -e $state ] || clean
# All at once, and recovered while the VM is still dying.
at_once() {
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	kill -9 "$(wrapper)" "$(guard)" "$(vm)"
	shield recover && back_in_2s
}
check "kill -9: all at once, and recover at once" at_once
! [ -e $state ] || clean

# Or recover is not called: a user who starts the VM again finds his CPUs free, by on as by run.
begins_again() { # COMMAND…: it leaves a shield of that name
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	v=$(vm)
	kill -9 "$(wrapper)" "$(guard)" "$v"
	wait_for 10 not_running "$v" || return 1
	"$@" 2>$T/again && grep -q "win11: its VM has ended, so the shield was ended" $T/again || {
		cat $T/again
		return 1
	}
	shield off && back_in_2s
}
check "kill -9: all at once, and on again" begins_again shield on win11
! [ -e $state ] || clean
check "kill -9: all at once, and run again" begins_again shield run -p win11 -- true
! [ -e $state ] || clean
# What is active is named, with the way to end it.
taken() {
	profile part '{"version":1,"name":"part","guest":"5-6"}'
	profile io '{"version":1,"name":"io","guest":"6","iothreads":["5"]}'
	shield on win11 || return 1
	status 1 shield on win11 2>$T/twice
	status 1 shield on part 2>$T/part
	status 1 shield on io 2>$T/io
	cat $T/twice $T/part $T/io
	grep -q "the shield win11 is active already; 'shield off win11' ends it" $T/twice || return
	for other in part io; do
		grep -q "CPU 5 is the shield win11's already; 'shield off win11' ends it" $T/$other || return
	done
	shield off && back_in_2s
}
check "what is taken is named" taken
! [ -e $state ] || clean

# on without a VM: the guard is killed; off works.
guard_of_on() {
	shield on win11 && g=$(guard) && kill -9 "$g" && wait_for 10 not_running "$g" || return 1
	status 1 shield status && status 0 shield off && back_in_2s
}
check "kill -9: the guard of on" guard_of_on
! [ -e $state ] || clean
# Another program dissolves the partition whenever it is one: the guard puts it up again, but not for ever, and never in a
# hot loop.
fight() {
	shield on win11 || return 1
	g=$(guard)
	spent=$(awk '{ print $14 + $15 }' "/proc/$g/stat")
	broken=0
	end=$(($(date +%s) + 20))
	while [ "$(date +%s)" -lt $end ]; do
		if [ "$(cat $vcpus/cpuset.cpus.partition)" = isolated ]; then
			echo member >$vcpus/cpuset.cpus.partition
			broken=$((broken + 1))
		fi
	done
	spent=$(($(awk '{ print $14 + $15 }' "/proc/$g/stat") - spent))
	echo "broken $broken times in 20 s; the guard spent $spent/100 s"
	# Ten repairs are allowed in that time, and each may put it up three times; unbounded it would be hundreds.
	[ $broken -ge 4 ] && [ $broken -le 40 ] && [ $spent -le 500 ] || return 1
	wait_for 60 status 0 shield status && shield off && back_in_2s
}
check "guard: of one who breaks the partition again and again it tires, and then wins" fight
! [ -e $state ] || clean
# A command that is not a VM.
plain() {
	shield run -p win11 -- sleep 3 >$T/run.out 2>&1 &
	run=$!
	wait_for 10 test -s $state && wait_for 10 pidof sleep && wait_for 5 sh -c "jq -e '.shields.win11.guard.pid > 0' $state" || return 1
	kill -9 $run
	sleep 3
	back_in_2s
}
check "kill -9: the wrapper of a command that runs on" plain
