# SPDX-License-Identifier: MIT
# Suspend to RAM and resume, for real: every CPU but the first goes offline and comes back while a shield stands.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
if [ $kernel = 6.1 ]; then
	profile other '{"version":1,"name":"other","guest":"6","emulator":"7"}'
else
	profile other '{"version":1,"name":"other","guest":"6-7"}'
fi
profile three '{"version":1,"name":"three","guest":"2-4","emulator":"5"}'
sleeper 0x0c
sleeper 0x04
sleeper 0x81

# The machine sleeps until its clock wakes it.
sleep_and_wake() {
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +3 >/sys/class/rtc/rtc0/wakealarm && echo deep >/sys/power/mem_sleep && echo mem >/sys/power/state || return 1
	slept=$((slept + 1))
	has_slept
	[ "$(cat /sys/power/suspend_stats/success)" = $slept ] && [ "$(cat /sys/devices/system/cpu/online)" = 0-7 ]
}
slept=0
# What the kernel itself loses (masks of threads on CPUs that went) is not Shield's doing.
check "suspend: without a shield the machine sleeps and wakes" sleep_and_wake
snapshot take $T/before

# true_again GUESTS: within 5 s the guard has put everything back, and nothing else is on these CPUs.
true_again() {
	wait_for 5 status 0 shield status || {
		shield status
		return 1
	}
	snapshot on "$1" | awk '$3 != "fixed"' | grep -v "$accel" >$T/on
	! [ -s $T/on ] || {
		cat $T/on
		return 1
	}
	! snapshot irqs "$1" | grep ' movable '
}
idle() {
	shield on three && sleep_and_wake && true_again 2-4 && sleep_and_wake && true_again 2-4 && shield off && restored
}
check "suspend: a shield without a VM, twice; off restores" idle
! [ -e $state ] || clean
with_vm() {
	start 4 shield run -p win11 -- $qemu -smp 4 && sleep_and_wake && true_again 2-5 || return 1
	each_alone 2-5 || return 1
	kill "$(pidof qemu-system-x86_64)"
	ends 0 && restored
}
check "suspend: a VM: its vCPUs are back on their CPUs; its end restores" with_vm
! [ -e $state ] || clean
two() {
	shield on three && shield on other && sleep_and_wake && true_again 2-4 && true_again "$(answer -r '.shields[] | select(.name == "other") | .guest')" &&
		shield off three && true_again "$(answer -r '.shields[] | select(.name == "other") | .guest')" && shield off && restored
}
check "suspend: two shields, which end one after the other" two
! [ -e $state ] || clean
# A guard that comes later has not heard of it.
guarded_late() {
	shield on three || return 1
	kill_guard
	sleep_and_wake && shield recover && true_again 2-4 && shield off && restored
}
check "suspend: a guard that was not there puts right what the kernel did meanwhile" guarded_late
! [ -e $state ] || clean
# No guard repairs what the kernel did: off does it.
unguarded() {
	shield on three || return 1
	kill -9 "$(jq -r .shields.three.guard.pid $state)"
	sleep_and_wake && shield off && restored
}
check "suspend: without a guard; off restores" unguarded
! [ -e $state ] || clean
at_once() {
	shield on three && sleep_and_wake && shield off && restored
}
check "suspend: off at once after it" at_once
! [ -e $state ] || clean
# Asleep in the middle of a transaction, again and again: it goes on, or its recovery does.
amid() {
	(while [ ! -e $T/enough ]; do
		shield on three
		shield off three
	done >/dev/null 2>$T/loop) &
	loop=$!
	for n in 1 2 3; do
		usleep $((300000 + 170000 * n))
		sleep_and_wake || return 1
	done
	touch $T/enough
	wait $loop
	rm $T/enough
	cat $T/loop
	shield off --all && restored
}
check "suspend: amid on and off" amid
finish "suspend"
