# SPDX-License-Identifier: MIT
# What a profile asks for beside CPUs: host settings, flush, the vCPU map, I/O threads, the command and its user.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
thp=/sys/kernel/mm/transparent_hugepage
profile win11 '{"version":1,"name":"win11","guest":"2-5","flush":true,"vcpus":[5,3,2,4],"iothreads":["1","0"],"host":{
	"governor":"performance","resume_latency_us":"n/a","numa_balancing":0,"ksm":1,"transparent_hugepages":"never",
	"khugepaged_defrag":0,"stat_interval":77,"compaction_proactiveness":3,"sched_rt_runtime_us":-1,"timer_migration":0,
	"nmi_watchdog":0,"watchdog":"housekeeping","machine_check_interval":123,"rcu_normal":1,"halt_poll_ns":0}}'

# Interrupts and threads whose only CPU goes offline during the flush: the kernel moves these, for good.
taskset 0x08 sleep 10000 &
sleeper=$!
echo 4 >/proc/irq/15/smp_affinity_list
taskset 0x18 sleep 10000 &
before

# is FILE VALUE: it says so, or is not there.
is() {
	[ ! -e "$1" ] || [ "$(cat "$1")" = "$2" ] || {
		echo "$1: $(cat "$1") instead of $2"
		return 1
	}
}
asked() {
	is $thp/enabled 'always madvise [never]' && is $thp/khugepaged/defrag 0 && is /sys/kernel/mm/ksm/run 1 &&
		is /proc/sys/vm/stat_interval 77 && is /proc/sys/vm/compaction_proactiveness 3 && is /proc/sys/kernel/numa_balancing 0 &&
		is /proc/sys/kernel/sched_rt_runtime_us -1 && is /proc/sys/kernel/timer_migration 0 && is /sys/kernel/rcu_normal 1 &&
		is /sys/devices/system/machinecheck/machinecheck0/check_interval 123 || return 1
	for cpu in 2 3 4 5; do
		is /sys/devices/system/cpu/cpu$cpu/power/pm_qos_resume_latency_us n/a || return 1
	done
	is /sys/devices/system/cpu/cpu1/power/pm_qos_resume_latency_us 0 && ! grep -q '[2-5]' /proc/sys/kernel/watchdog_cpumask
}
there() { [ -e $thp/enabled ] && [ -e /sys/kernel/mm/ksm/run ] && [ -e /proc/sys/kernel/watchdog_cpumask ] &&
	[ -e /sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us ] && [ -e /proc/sys/vm/stat_interval ]; }
check "settings: this kernel has those that matter here" there

# A CPU that comes back gets its folder anew.
births() { stat -c %i /sys/devices/system/cpu/cpu[0-7]/topology | xargs; }
flushed() {
	births >$T/old
	shield on win11 2>$T/err || {
		cat $T/err
		return 1
	}
	births >$T/new
	cat $T/err $T/old $T/new
	for n in 1 2 3 4 5 6 7 8; do
		same=n
		[ "$(cut -d' ' -f$n $T/old)" = "$(cut -d' ' -f$n $T/new)" ] && same=y
		case $n$same in
		[1278]y | [3456]n) ;;
		*) return 1 ;;
		esac
	done
	grep -q 'host.governor: this machine has no' $T/err
}
check "flush: each guest CPU went offline and came back, no other did" flushed
check "flush: the partition stands after it" sh -c "[ \$(cat $vcpus/cpuset.cpus.partition) = isolated ] && shield status"
check "settings: the kernel holds them" asked
second() {
	if [ $kernel = 6.1 ]; then
		profile other '{"version":1,"name":"other","guest":"6","emulator":"7","flush":true,"host":{"stat_interval":99}}'
	else
		profile other '{"version":1,"name":"other","guest":"6-7","flush":true,"host":{"stat_interval":99}}'
	fi
	shield on other 2>$T/err || {
		cat $T/err
		return 1
	}
	cat $T/err
	grep -q 'flush is left out' $T/err && grep -q 'stat_interval: shield win11 has it set to 77' $T/err &&
		is /proc/sys/vm/stat_interval 77 && shield status && shield off win11 && is /proc/sys/vm/stat_interval 99 &&
		[ "$(cat $thp/enabled)" != 'always madvise [never]' ] && shield off other
}
[ $kernel = 6.1 ] || check "settings: two shields want one setting: the first has it, then the second; no flush beside a partition" second
shield off --all -q
finish "settings and flush"

theirs() {
	shield on win11 -q && echo 55 >/proc/sys/vm/stat_interval && status 1 shield status && shield off 2>$T/err || return 1
	cat $T/err
	now=$(cat /proc/sys/vm/stat_interval)
	echo 1 >/proc/sys/vm/stat_interval
	[ "$now" = 55 ] && grep -q stat_interval $T/err
}
check "settings: one that someone else changed stays his" theirs
finish "settings: someone else"
planned() {
	shield plan win11 >$T/plan 2>/dev/null
	cat $T/plan
	grep -qx '/sys/devices/system/cpu/cpu3/online: 1 -> 0' $T/plan && grep -qx '/sys/devices/system/cpu/cpu3/online: 0 -> 1' $T/plan && grep -q '/enabled: [a-z]* -> never' $T/plan &&
		as_nobody shield plan win11 >$T/plan2 2>/dev/null && grep -q 'cpu3/online' $T/plan2
}
check "plan: shows both, without root" planned

# The partition cannot be made: what was set and flushed goes back.
blocked() {
	mkdir -p $cgroups/blocker && echo +cpuset >$cgroups/cgroup.subtree_control && echo 2-3 >$cgroups/blocker/cpuset.cpus || return 1
	[ $kernel = 6.1 ] || echo 2-3 >$cgroups/blocker/cpuset.cpus.exclusive
	before
	shield on win11 2>$T/err
	got=$?
	cat $T/err
	snapshot compare $T/before
	same=$?
	rmdir $cgroups/blocker
	echo -cpuset >$cgroups/cgroup.subtree_control
	[ $got != 0 ] && [ $same = 0 ]
}
check "a cgroup that is in the way: refused, nothing changed" blocked

# Killed with a CPU offline: the next command brings it back, and all the kernel moved.
before
export KILL_AT_LOG=$T/killed
offline_kills=0 bad=0 n=1
while [ $n -le 40 ] && [ $offline_kills -lt 4 ] && [ $bad = 0 ]; do
	timeout -k 1 60 kill-at $n shield on -q win11 >/dev/null 2>&1
	for p in $(pidof shield); do
		kill -9 "$p"
	done 2>/dev/null
	if [ -n "$(cat /sys/devices/system/cpu/offline)" ]; then
		offline_kills=$((offline_kills + 1))
		{ shield recover && restored; } >$T/said 2>&1 || {
			bad=1
			sed 's/^/#   /' $T/said >&2
			cat $T/killed >&2
		}
	fi
	shield off --all -q >/dev/null 2>&1
	n=$((n + 1))
done
killed() { echo "$offline_kills kills with a CPU offline" && [ $bad = 0 ] && [ $offline_kills -ge 4 ]; }
check "flush: killed with a CPU offline: recover brings all back" killed
finish "flush: killed"

# The VM's threads.
threads_at() { # where each vCPU and I/O thread may run, by name
	for task in /proc/"$(pidof qemu-system-x86_64)"/task/*; do
		printf '%s:%s ' "$(sed -n 's/^Name:.//p' $task/status | tr ' ' _)" "$(sed -n 's/^Cpus_allowed_list:.//p' $task/status)"
	done
}
placed() {
	threads_at >$T/at
	cat $T/at
	for want in CPU_0/$accel:5 CPU_1/$accel:3 CPU_2/$accel:2 CPU_3/$accel:4 IO_io2:1 IO_io10:0; do
		grep -q "$want " $T/at || {
			echo "missing: $want"
			return 1
		}
	done
}
start_vm() { start 4 "$@"; }
check "run: with a vCPU map and I/O threads" start_vm shield run -p win11 -- $qemu -smp 4 -object iothread,id=io10 -object iothread,id=io2
check "run: each vCPU on the CPU of the list, each I/O thread on its own, in the order of their numbers" placed
check "run: status agrees" status 0 shield status
io=$(grep -lx 'IO io2' /proc/"$(pidof qemu-system-x86_64)"/task/*/comm | head -n 1)
io=${io%/comm} io=${io##*/}
check "status: names an I/O thread that lost its CPUs" broken "I/O thread $io (IO io2)" "taskset -pc 1 $io" taskset -pc 0-1 "$io"
io_repaired() {
	taskset -pc 0-1 "$io"
	wait_for 25 sh -c "taskset -pc $io | grep -q ': 1\$'"
}
check "guard: puts it back" io_repaired
kill "$(pidof qemu-system-x86_64)"
check "run: its end" ends 0
finish "vCPU map"
$qemu -smp 4 -object iothread,id=io2 -object iothread,id=io10 >$T/qemu.out 2>&1 &
wait_for 30 sh -c 'grep -q "IO io10" /proc/$(pidof qemu-system-x86_64)/task/*/comm'
sleep 1
before
by_name() { shield on win11 -q && shield attach --pid "$(pidof qemu-system-x86_64)" && placed && shield off; }
check "attach: the same by the names of the threads" by_name
finish "attach by names"
kill %3 2>/dev/null || kill "$(pidof qemu-system-x86_64)"
wait_for 10 sh -c '! pidof qemu-system-x86_64'
before
few() {
	profile win11 '{"version":1,"name":"win11","guest":"2-5","vcpus":[5,3]}'
	timeout 60 shield run -p win11 -- $qemu -smp 4 2>$T/err
	got=$?
	cat $T/err
	[ $got = 125 ] && grep -q 'vCPU 2, but "vcpus" in the profile names only 2' $T/err
}
check "run: a vCPU map that is too short: refused" few
finish "vCPU map: too short"

# Command and user.
profile win11 '{"version":1,"name":"win11","guest":"2-5","user":"anna","command":["sh","-c","id -un; echo \"$0\"","a b"]}'
as_said() {
	shield run -p win11 >$T/out 2>$T/err
	got=$?
	cat $T/out $T/err
	[ $got = 0 ] && [ "$(cat $T/out)" = "$(printf 'anna\na b')" ]
}
check "run: the command and the user of the profile" as_said
overridden() { [ "$(shield run -q -p win11 --user nobody -- id -un 2>/dev/null)" = nobody ] && [ "$(shield run -q -p win11 -- id -un 2>/dev/null)" = anna ]; }
check "run: the command line comes first" overridden
profile win11 '{"version":1,"name":"win11","guest":"2-5"}'
nothing() {
	status 125 shield run -p win11 2>$T/err
	one_line $T/err
}
check "run: no command anywhere" nothing
finish "command and user"
echo 0-7 >/proc/irq/15/smp_affinity_list
kill $sleeper %2 2>/dev/null
true
