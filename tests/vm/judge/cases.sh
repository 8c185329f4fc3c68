# SPDX-License-Identifier: MIT
# What the judge must see. All changes are planted at once, and it has to name each; then they are taken back, and it has to find
# nothing. A row of its table without a change beside it fails.
# shellcheck shell=sh disable=SC1091,SC2154,SC2086,SC2034  # guest.sh is in the VM
. /t/guest.sh

: >$T/wanted
: >$T/undo
: >$T/rows
# wants NAME KEY: the judge must name the object KEY.
wants() { printf '%s\t%s\n' "$1" "$2" >>$T/wanted; }
undo() { echo "$*" | cat - $T/undo >$T/undo.new && mv $T/undo.new $T/undo; }
# plant NAME FILE VALUE [BACK]: written now, and BACK (or what it says now) at the end.
plant() {
	plant_back=${4-$(cat "$2")}
	if ! echo "$3" >"$2"; then
		echo "not ok judge: $1: the change can be planted"
		return
	fi
	[ "$(cat "$2")" != "$plant_back" ] || echo "not ok judge: $1: the planted value is another one"
	undo "echo '$plant_back' >'$2'"
	wants "$1" "$2"
}
# beside ROW FILE VALUE [BACK]: the change stands beside what this row leaves out.
beside() {
	echo "$1" >>$T/rows
	beside_row=$1
	shift
	plant "beside $beside_row" "$@"
}
# beside_other ROW KEY: a change that was planted by other means.
beside_other() {
	echo "$1" >>$T/rows
	wants "beside $1" "$2"
}
thread_key() { # PID
	awk -v kind="$2" '{ sub(/.*\) /, ""); print "thread '"$1"' " $20 " " kind }' "/proc/$1/stat"
}
kernel_thread() { # NAME
	for task in /proc/[0-9]*; do
		[ "$(cat "$task/comm")" != "$1" ] || echo "${task#/proc/}"
	done 2>/dev/null
}

# The host: a cgroup with children and all controllers, sleepers, a network card with queues, irqbalance.
for controller in cpuset cpu io memory hugetlb pids; do
	echo "+$controller" >$cgroups/cgroup.subtree_control
done
mkdir $cgroups/here $cgroups/here/below $cgroups/there
for name in pinned moved niced; do
	sleep 10000 &
	eval "$name=$!"
done
queues tap0 4 >$T/queues &
wait_for 5 grep -q ready $T/queues
tap=/sys/class/net/tap0/queues
for net in /sys/bus/pci/drivers/virtio-pci/*/virtio*/net/*; do
	net=/sys/class/net/${net##*/}
done
irq=$(grep -lx rtc0 /sys/kernel/irq/*/actions | cut -d/ -f5)
before
sleep 2
unchanged() { snapshot compare $T/before; }
check "judge: of an unchanged host nothing differs" unchanged

# On 6.1 the kernel gives threads of its own all CPUs when a partition changes: they are given back theirs at last.
snapshot on 0-7 | awk '$3 == "kernel" && $4 != "0-7" { print $1 }' >$T/bound
while read -r thread; do
	undo "taskset -p $(taskset -p "$thread" | sed 's/.* //') $thread"
done <$T/bound
# Who sets huge pages has the kernel work this one out anew: it is taken back after them.
plant "the memory that is kept free" /proc/sys/vm/min_free_kbytes 54321

# Beside what is left out.
taskset -p 4 $pinned >/dev/null
undo "taskset -p ff $pinned"
beside_other 'thread *' "$(thread_key $pinned free)"
swap=$(kernel_thread kswapd0)
mask=$(taskset -p "$swap" | sed 's/.* //')
taskset -p 1 "$swap" >/dev/null
undo "taskset -p $mask $swap"
beside_other 'thread * @(fixed|handler|rescuer)' "$(thread_key "$swap" free)"
soft=$(kernel_thread ksoftirqd/1)
renice -n -7 "$soft"
undo "renice -n 7 $soft"
if [ $kernel = 6.1 ]; then
	renice -n -7 "$swap"
	undo "renice -n 7 $swap"
else
	beside_other 'thread * rescuer' "$(thread_key "$soft" fixed)"
	beside_other 'thread * handler' "$(thread_key "$soft" fixed)"
fi
echo $moved >$cgroups/there/cgroup.procs
undo "echo $moved >$cgroups/cgroup.procs"
beside_other '/sys/fs/cgroup/**/cgroup.@(procs|threads)' "$(thread_key $moved free)"
here=$cgroups/here
beside '/sys/fs/cgroup/**/@(cgroup|cpu|io|memory).stat?(.local)' $here/cgroup.max.depth 5
beside '/sys/fs/cgroup/**/memory.numa_stat' $here/memory.high 1048576 max
beside '/sys/fs/cgroup/**/*.@(current|peak|events|events.local)' $here/pids.max 77
beside '/sys/fs/cgroup/**/hugetlb.*.numa_stat' $here/hugetlb.2MB.max 4194304
beside '/sys/fs/cgroup/**/@(cpu|io|irq|memory).pressure' $here/cgroup.pressure 0
beside '/proc/irq/*/effective_affinity?(_list)' /proc/irq/$irq/smp_affinity 02
beside '/proc/irq/*/spurious' /proc/irq/4/smp_affinity 04
beside '/proc/sys/fs/@(aio-nr|dentry-state|file-nr|inode-nr|inode-state)' /proc/sys/fs/aio-max-nr 65537
beside '/proc/sys/fs/quota/@(allocated_dquots|cache_hits|drops|free_dquots|lookups|reads|syncs|writes)' /proc/sys/fs/file-max 123456
beside '/proc/sys/kernel/random/@(uuid|entropy_avail)' /proc/sys/kernel/randomize_va_space 1
beside '/proc/sys/kernel/ns_last_pid' /proc/sys/kernel/pid_max 31000
beside '/proc/sys/kernel/pty/nr' /proc/sys/kernel/pty/max 2048
beside '/proc/sys/kernel/tainted' /proc/sys/kernel/panic_on_oops "$((1 - $(cat /proc/sys/kernel/panic_on_oops)))"
beside '/proc/sys/kernel/perf_event_max_sample_rate' /proc/sys/kernel/perf_event_mlock_kb 512
beside '/proc/sys/vm/stat_refresh' /proc/sys/vm/stat_interval 9
wq=/sys/devices/virtual/workqueue
beside '/sys/devices/virtual/workqueue/*/pool_ids' $wq/writeback/cpumask 3f
cpu=/sys/devices/system/cpu
beside '/sys/devices/**/power/@(async|autosuspend_delay_ms|runtime_*)' $cpu/cpu2/power/pm_qos_resume_latency_us 55
beside "/sys/devices/system/cpu/cpu*/@(cache|topology)" $cpu/cpu3/power/pm_qos_resume_latency_us n/a
pages=hugepages/hugepages-2048kB/nr_hugepages
beside '/sys/devices/system/node/node*/@(meminfo|numastat|vmstat)' /sys/devices/system/node/node1/$pages 3
huge=/sys/kernel/mm/transparent_hugepage
beside '/sys/kernel/mm/transparent_hugepage/khugepaged/@(pages_collapsed|full_scans)' $huge/khugepaged/defrag 0
[ $kernel = 6.1 ] || beside '/sys/kernel/mm/transparent_hugepage/hugepages-*/stats/*' $huge/hugepages-64kB/enabled always never
beside '/sys/kernel/mm/ksm/@(full_scans|general_profit|ksm_zero_pages|pages_scanned|pages_shared|pages_sharing|pages_skipped|pages_unshared|pages_volatile|stable_node_chains|stable_node_dups)' \
	/sys/kernel/mm/ksm/pages_to_scan 101
beside '/sys/class/net/*/queues/*/byte_queue_limits/@(inflight|limit|stall_cnt|stall_max)' $net/queues/tx-0/byte_queue_limits/limit_min 9
[ $kernel != 7 ] || beside '/sys/module/damon_stat/parameters/@(aggr_interval_us|memory_idle_ms_percentiles|estimated_memory_bandwidth|memory_idle_ms|kdamond_pid)' \
	/sys/module/damon_lru_sort/parameters/quota_ms 11
# The files beside this one can only be read: another one lies over the neighbour.
if [ $kernel = 7 ]; then
	cat /sys/kernel/sched_ext/switch_all >$T/switch_all
	mount -o bind $T/switch_all /sys/kernel/sched_ext/switch_all
	undo "umount /sys/kernel/sched_ext/switch_all"
	beside /sys/kernel/sched_ext/hotplug_seq /sys/kernel/sched_ext/switch_all 1
fi
mkdir -p /run/shield
echo x >/run/shield/file
undo "rm /run/shield/file"
beside_other /run/shield /run/shield/file

# Classes of objects.
renice -n 5 $niced
undo "renice -n -5 $niced"
wants "how a thread is scheduled" "$(thread_key $niced free)"
printf '#!/bin/sh\nsleep 10000\n' >/tmp/shield-left
chmod +x /tmp/shield-left
/tmp/shield-left &
left=$!
usleep 300000
undo "kill $left"
wants "a process of ours" "process $left shield-left"
mkdir $cgroups/left $here/below/left
undo "rmdir $cgroups/left $here/below/left"
wants "a cgroup" $cgroups/left
wants "a cgroup, deep" $here/below/left
chown 1000 $here/below
undo "chown 0 $here/below"
wants "a cgroup's owner" $here/below
plant "controllers for those below" $here/cgroup.subtree_control +pids -pids
plant "a cgroup that is frozen" $here/below/cgroup.freeze 1
plant "a cgroup's cpuset.cpus" $here/cpuset.cpus 2-5 ''
plant "a cgroup's cpuset.mems" $here/cpuset.mems 1 ''
plant "a partition" $cgroups/there/cpuset.cpus.partition root member
[ $kernel = 6.1 ] || plant "a cgroup's exclusive CPUs" $here/cpuset.cpus.exclusive 2-5 ''
plant "the mask of new interrupts" /proc/irq/default_smp_affinity 0f
plant "the CPUs of workqueues" $wq/cpumask 7f
[ $kernel = 6.1 ] || wants "the CPUs that were asked for workqueues" $wq/cpumask_requested
plant "a workqueue's niceness" $wq/writeback/nice -3
plant "a sysctl" /proc/sys/kernel/timer_migration 0
plant "a sysctl, deep" /proc/sys/net/ipv4/neigh/lo/gc_stale_time 61
plant "a sysctl of an interface" /proc/sys/net/ipv6/conf/tap0/mtu 1400
[ $kernel = 6.1 ] || plant "the mask of new receive queues" /proc/sys/net/core/rps_default_mask 03
plant "the CPUs of the flow limit" /proc/sys/net/core/flow_limit_cpu_bitmap 03
plant "the CPUs of a receive queue" $tap/rx-0/rps_cpus 03
plant "the flows of a receive queue" $tap/rx-0/rps_flow_cnt 64
plant "the CPUs of a send queue" $tap/tx-2/xps_cpus 0c
plant "the receive queues of a send queue" $tap/tx-3/xps_rxqs 1
plant "how many huge pages may be added" /sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages 5
plant "transparent huge pages" $huge/enabled never "$(sed 's/.*\[\(.*\)\].*/\1/' $huge/enabled)"
plant "KSM" /sys/kernel/mm/ksm/run 1
plant "expedited RCU" /sys/kernel/rcu_normal 1
plant "KVM: how long it polls" /sys/module/kvm/parameters/halt_poll_ns 1
plant "KVM: how it takes huge pages back" /sys/module/kvm/parameters/nx_huge_pages_recovery_ratio 7
[ ! -e /sys/devices/system/machinecheck/machinecheck0/check_interval ] ||
	plant "machine checks" /sys/devices/system/machinecheck/machinecheck0/check_interval 77
plant "the CPUs that are traced" /sys/kernel/tracing/tracing_cpumask 0f
sh -c 'exec 5>/dev/cpu_dma_latency; printf "0x00000011" >&5; exec sleep 10000' &
latency=$!
usleep 300000
undo "kill $latency"
wants "the latency that a program asks for" /dev/cpu_dma_latency
card=$(echo /sys/bus/pci/devices/*/numa_node | cut -d' ' -f1)
plant "a card's driver" "${card%/*}/driver_override" judge-test ''
snapshot compare $T/before >$T/diff
[ $? = 1 ] || echo "not ok judge: its status says that something differs"
named() { awk -v key="$1: was " 'index($0, key) == 1 { found = 1 } END { exit !found }' $T/diff; }
while IFS="$(printf '\t')" read -r name key; do
	check "judge: $name: named" named "$key"
done <$T/wanted
tail -n 1 $T/diff

# All back, and it finds nothing.
sh $T/undo >$T/undone 2>&1
back() {
	snapshot compare --within 10 $T/before && return
	cat $T/undone
	return 1
}
check "judge: when all is taken back nothing differs" back

# What this machine does not have: a tree of plain files.
fake=$T/fake
mkdir -p $fake/proc
policy=$fake/sys/devices/system/cpu/cpufreq/policy0
idle=$fake/sys/devices/system/cpu/cpu0/cpuidle/state1
mkdir -p $policy/stats $idle $fake/sys/fs/cgroup $fake/sys/kernel/irq/30 $fake/sys/kernel/irq/31 $fake/proc/irq/30 $fake/proc/irq/31
cp "$(command -v snapshot)" $fake/snapshot
set_fake() { # GOVERNOR DISABLE COUNT
	echo "$1" >$policy/scaling_governor
	echo "$2" >$idle/disable
	echo "$3" | tee $idle/usage $policy/scaling_cur_freq >$policy/stats/total_trans
}
irqs_fake() { # ACTION-OF-30 MASK ACTION-OF-31 MASK
	echo "$1" >$fake/sys/kernel/irq/30/actions
	echo "$2" >$fake/proc/irq/30/smp_affinity
	echo "$3" >$fake/sys/kernel/irq/31/actions
	echo "$4" >$fake/proc/irq/31/smp_affinity
}
set_fake schedutil 0 1
irqs_fake eth0 0f eth1 f0
chroot $fake /snapshot take /before
set_fake schedutil 0 2
irqs_fake eth1 f0 eth0 0f
alike() { chroot $fake /snapshot compare /before; }
check "judge: counts, and other numbers for the same interrupts, are not differences" alike
set_fake performance 1 2
irqs_fake eth1 f0 eth0 0e
chroot $fake /snapshot compare /before >$T/diff
says() { # ROW KEY
	[ -z "$1" ] || echo "$1" >>$T/rows
	cat $T/diff
	grep -q "^$2: was " $T/diff
}
check "judge: beside a clock's counts: the governor" says '/sys/devices/system/cpu/cpufreq/policy*/stats/*' /sys/devices/system/cpu/cpufreq/policy0/scaling_governor
check "judge: beside a clock: the governor" says '/sys/devices/system/cpu/cpufreq/policy*/@(scaling|cpuinfo)_cur_freq' /sys/devices/system/cpu/cpufreq/policy0/scaling_governor
check "judge: beside a sleep state's counts: whether it is used" says '/sys/devices/system/cpu/cpu*/cpuidle/state*/@(above|below|rejected|time|usage)' /sys/devices/system/cpu/cpu0/cpuidle/state1/disable
check "judge: an interrupt that has another number and another mask" says '' /proc/irq/31/smp_affinity

# irqbalance takes a ban at its next look, and then moves interrupts itself.
mkdir -p /run/irqbalance
irqbalance -t 1 -f >/dev/null 2>&1 &
socket_there() { balancer=$(ls /run/irqbalance/*.sock); }
check "judge: there is an irqbalance" wait_for 10 socket_there
sleep 3
before
irqbalance-ask "$balancer" "settings cpus 4-5" >/dev/null
irqbalance-ask "$balancer" "settings ban irqs $irq" >/dev/null
echo 3f >/proc/irq/default_smp_affinity
sleep 4
snapshot compare $T/before >$T/diff
echo '/proc/irq/*/smp_affinity?(_list)' >>$T/rows
check "judge: beside the masks that irqbalance sets: that of new interrupts" named /proc/irq/default_smp_affinity
check "judge: irqbalance's ban of CPUs: named" named "irqbalance CPUs"
check "judge: irqbalance's ban of interrupts: named" named "irqbalance interrupts"
kill $!

# At last what cannot be taken back without a trace.
before
cpu_goes 7
snapshot compare $T/before >$T/diff
check "judge: a CPU that is offline: named" grep -q "^$cpu/cpu7/online: was 1, is 0" $T/diff
missing() {
	snapshot table | cut -f1 | while read -r row; do
		grep -qxF -e "$row" $T/rows || echo "no case stands beside: $row"
	done | tee $T/missing
	! [ -s $T/missing ] && [ "$(snapshot table | wc -l)" -gt 20 ]
}
check "judge: every row of what it leaves out has its case" missing
: >$T/empty
nothing() { status 2 snapshot compare $T/empty; }
check "judge: to compare nothing is an error" nothing
