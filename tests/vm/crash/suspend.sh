# Suspend to memory, with a shield that has a VM: all CPUs but one go offline and come back, and the guard puts things right.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
snapshot take $T/before

# The clock of the machine wakes it again.
suspend() {
	echo deep >/sys/power/mem_sleep || cat /sys/power/mem_sleep /sys/power/state
	echo 0 >/sys/class/rtc/rtc0/wakealarm
	echo +5 >/sys/class/rtc/rtc0/wakealarm && echo mem >/sys/power/state || return 1
	dmesg | grep -c 'CPU[0-9]* is up\|smpboot: CPU [0-9]* is now offline'
	dmesg | grep -q 'CPU 5 is now offline' && [ "$(cat /sys/devices/system/cpu/online)" = 0-7 ]
}
whole() {
	status 0 shield status && [ "$(cat $vcpus/cpuset.cpus.partition)" = isolated ] || return
	snapshot on 2-5 | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(wc -l <$T/on)" = 4 ] && [ "$(grep -c TCG $T/on)" = 4 ] && [ "$(cut -d' ' -f4 $T/on | sort | xargs)" = "2 3 4 5" ]
}
check "suspend: a VM in its shield" start 4 shield run -p win11 -- $qemu -smp 4
check "suspend: before, all is as it should be" whole
for round in 1 2; do
	check "suspend $round: the machine sleeps and wakes" suspend
	check "suspend $round: within 30 s the guard has put it right" wait_for 30 whole
	check "suspend $round: partition, vCPUs and host tasks" whole
done
kill "$(pidof qemu-system-x86_64)"
finish "suspend"
