# SPDX-License-Identifier: MIT
# on, attach, off, in steps; again and again; several shields.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before

on_off() {
	status 0 shield doctor win11 && status 0 shield on win11 && shield doctor win11 | grep -q "win11 is active" && status 0 shield status && status 0 shield off
}
check "on, off: once" on_off
finish "on, off"
cycles() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		shield on -q win11 && shield off -q || {
			echo "cycle $i"
			return 1
		}
	done
}
check "on, off: twenty times" cycles
finish "on, off: twenty times"
check "off: when nothing is on" status 0 shield off
check "off: of a name that is not active" status 0 shield off nosuch
check "guard: of no shield: 3" status 3 shield guard nosuch
check "status: not shielded: 3" status 3 shield status
check "status: not shielded: JSON" sh -c 'shield status --json | jq -e ".version == 1 and .shields == []"'
check "recover: nothing to do" status 0 shield recover
placeholder() {
	shield on win11 && [ "$(cat $vcpus/cpuset.cpus.partition)" = isolated ] && [ -z "$(cat $vcpus/cgroup.threads)" ] &&
		[ -z "$(snapshot on 2-5 | awk '$3 != "fixed"')" ] && shield status
}
check "on: without a VM the partition holds the CPUs" placeholder
check "on: a second time: refused" status 1 shield on win11
finish_off() { shield off win11; }
check "off: by name" finish_off
finish "on without a VM"

# A process may answer for it until there is a VM.
owned() {
	sleep 1000 &
	shield on -q win11 --owner $! && shield status && kill $! && wait_for 10 test ! -e /run/shield/state.json
}
check "on --owner: it ends with its owner" owned
finish "on --owner"
check "on --owner: a process that is none: 2" status 2 shield on win11 --owner 4194000
check "on --owner: no number: 2" status 2 shield on win11 --owner -1

# A dry run changes nothing, even where it shows changes.
dry() {
	snapshot take $T/dry
	shield on -n win11 >/dev/null && shield run -n -p win11 -- true >/dev/null || return 1
	status 3 shield status && snapshot compare $T/dry || return 1
	shield on -q win11 && shield off -n win11 >/dev/null && shield recover -n >/dev/null && status 0 shield status && shield off -q win11
}
check "dry runs change nothing" dry
finish "dry runs"

# A VM that runs already, in a cgroup of its own and with masks of its own.
mkdir $cgroups/machines
before
$qemu -smp 4 -qmp unix:$T/qmp.sock,server=on,wait=off >$T/qemu.out 2>&1 &
qemu_pid=$!
echo $qemu_pid >$cgroups/machines/cgroup.procs
check "attach: QEMU runs" wait_for 30 test -S $T/qmp.sock
sleep 1
for t in /proc/$qemu_pid/task/*; do
	grep -q "/$accel" "$t/comm" && taskset -pc 0-3 "${t##*/}" >/dev/null
done
before
check "attach: without a shield: 3" status 3 shield attach --pid $qemu_pid
check "attach: on" status 0 shield on win11
check "attach: no such process" status 1 shield attach --pid 4194000
check "attach: a process that is not QEMU" status 1 shield attach --pid 1
check "attach" status 0 shield attach --pid $qemu_pid
attached() {
	snapshot on 2-5 | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(grep -cE "CPU [0-9]+/$accel" $T/on)" = 4 ] && [ "$(wc -l <$T/on)" = 4 ] && [ "$(cut -d' ' -f4 $T/on | sort | xargs)" = "2 3 4 5" ] &&
		shield status && [ "$(vm_pid)" = $qemu_pid ]
}
check "attach: vCPUs alone, all else off" attached
check "attach: off" status 0 shield off
check "attach: the VM runs on" test -d /proc/$qemu_pid
finish "attach: off while the VM runs"
check "attach: again" sh -c "shield on win11 && shield attach --pid $qemu_pid"
kill $qemu_pid
wait $qemu_pid
rmdir_machines() { wait_for 5 test ! -e $state && rmdir $cgroups/machines; }
check "attach: when the VM ends the shield ends by itself" rmdir_machines
mkdir $cgroups/machines
finish "attach: the VM ends"
rmdir $cgroups/machines

# Several at once, begun and ended in any order.
if [ $kernel = 6.1 ]; then
	profile one '{"version":1,"name":"one","guest":"2","emulator":"3"}'
	profile two '{"version":1,"name":"two","guest":"4","emulator":"5"}'
else
	profile one '{"version":1,"name":"one","guest":"2-3","emulator":"housekeeping"}'
	profile two '{"version":1,"name":"two","guest":"4-5","emulator":"housekeeping"}'
fi
before
two_shields() { # first, second, ended first, ended second
	shield on "$1" && shield on "$2" && shield status || return 1
	[ -z "$(snapshot on 2,4 | awk '$3 != "fixed"')" ] || return 1
	shield off "$3" && shield status "$4" || return 1
	left=2
	[ "$4" = one ] || left=4
	[ -z "$(snapshot on $left | awk '$3 != "fixed"')" ] || {
		snapshot on $left
		return 1
	}
	status 2 shield on win11x || true
	shield off "$4"
}
for order in "one two one two" "one two two one" "two one one two" "two one two one"; do
	# shellcheck disable=SC2086  # four words
	check "two shields: $order" two_shields $order
	finish "two shields: $order"
done
overlap() {
	shield on one || return 1
	shield on win11 2>$T/err
	got=$?
	cat $T/err
	shield off one
	[ $got = 1 ] && one_line $T/err
}
check "two shields: a guest CPU that is shielded already" overlap
ambiguous() { shield on one && shield on two && status 2 shield off && status 0 shield off --all; }
check "two shields: off without a name is ambiguous, off --all is not" ambiguous
finish "two shields: overlap"
two_vms() {
	shield_name=one
	start 1 shield run -p one -- $qemu -smp 1 || return 1
	first=$run
	shield_name=two
	start 1 shield run -p two -- $qemu -smp 1 || return 1
	snapshot on 2-5 | awk -v vcpu="$accel" '$3 != "fixed" && $0 ~ vcpu' >$T/on
	cat $T/on
	[ "$(wc -l <$T/on)" = 2 ] && status 0 shield status || return 1
	kill "$(answer -r '.shields[] | select(.name == "one") | .pid')"
	wait_for 10 not_running $first || return 1
	wait $first
	status 0 shield status two || return 1
	kill "$(answer -r '.shields[] | select(.name == "two") | .pid')"
	ends 0
}
check "two shields: two VMs at once" two_vms
finish "two VMs"

# What someone else changed meanwhile is his.
theirs() {
	shield on win11 && echo 1 >/proc/irq/15/smp_affinity_list && shield off 2>$T/err || return 1
	cat $T/err
	mask=$(cat /proc/irq/15/smp_affinity_list)
	echo 0-7 >/proc/irq/15/smp_affinity_list
	[ "$mask" = 1 ] && grep -q 'irq/15' $T/err
}
check "off: leaves what someone else changed, and says so" theirs
forced() {
	shield on win11 && echo 1 >/proc/irq/15/smp_affinity_list && shield off --force || return 1
	[ "$(cat /proc/irq/15/smp_affinity_list)" = 0-7 ]
}
check "off --force: takes it back" forced
finish "off: someone else"
user_thread() {
	sleep 100 &
	user_pid=$!
	shield on win11 && taskset -pc 1 $user_pid && shield off 2>$T/err || return 1
	cat $T/err
	now=$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/$user_pid/status)
	kill $user_pid
	[ "$now" = 1 ]
}
check "off: a thread that its user pinned meanwhile stays there" user_thread
finish "off: a pinned thread"
true
