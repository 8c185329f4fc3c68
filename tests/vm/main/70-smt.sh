# SPDX-License-Identifier: MIT
# The main job on another machine, and how vCPUs and its siblings meet.
# machine: --smt
# kernels: 6.1 6.12 7
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
profile win11 '{"version":1,"name":"win11","guest":"2-5"}'
main_job smt 2-5

# "auto": what the guest takes for siblings (as QMP reports it) are siblings.
siblings() { [ "$(cat /sys/devices/system/cpu/cpu2/topology/thread_siblings_list /sys/devices/system/cpu/cpu4/topology/thread_siblings_list | xargs)" = '2-3 4-5' ]; }
check "smt: this machine has siblings" siblings
# auto CPUS SMP: each vCPU on its CPU of the list, as the kernel sees it.
auto() {
	set -- "$1" "$2" "$(echo "$1" | wc -w)"
	start "$3" shield run -q -p win11 -- $qemu -smp "$2" || return 1
	shield status --json | jq -r '.shields[0].vcpus[].tid' >$T/tids
	at=$(while read -r tid; do sed -n 's/^Cpus_allowed_list:.//p' "/proc/$(pidof qemu-system-x86_64)/task/$tid/status"; done <$T/tids | xargs)
	kill "$(pidof qemu-system-x86_64)"
	ends 0 && echo "$at" && [ "$at" = "$1" ]
}
check "auto: two cores of two threads on two cores" auto '2 3 4 5' 4,sockets=1,cores=2,threads=2
check "auto: one core of two threads on one core" auto '2 3' 2,sockets=1,cores=1,threads=2
check "auto: two cores without siblings on two cores" auto '2 4' 2,sockets=1,cores=2,threads=1
check "auto: two sockets are two cores" auto '2 4' 2,sockets=2,cores=1,threads=1
check "auto: more cores than there are: sibling after sibling" auto '2 3 4 5' 4,sockets=1,cores=4,threads=1
check "auto: a half core last" auto '2 3 4' 3,sockets=1,cores=2,threads=2,maxcpus=4
finish "auto"

# A set of CPUs is one of cores, but where the profile splits them.
profile half '{"version":1,"name":"half","guest":"3"}'
profile split '{"version":1,"name":"split","guest":"3","smt":"split"}'
guest_of() { shield profile show --json "$1" 2>/dev/null | jq -r .guest; }
completed() { guest_of half && [ "$(guest_of half)" = 2-3 ] && [ "$(guest_of split)" = 3 ]; }
check "smt: siblings are completed, unless they are to be split" completed
profile win11 '{"version":1,"name":"win11","guest":"all"}'
first_core() { guest_of win11 && [ "$(guest_of win11)" = 2-7 ]; }
check "smt: core 0 stays with the host, both of its CPUs" first_core

# Looking at the machine never runs on another CPU than the caller's.
trace=/sys/kernel/tracing
looks() {
	echo 'next_comm == "shield" || prev_comm == "shield"' >$trace/events/sched/sched_switch/filter
	echo 1 >$trace/events/sched/sched_switch/enable
	echo >$trace/trace
	for look in "" --json "--svg -" "--xml -"; do
		taskset 0x80 shield topology $look >/dev/null || return 1
	done
	echo 0 >$trace/events/sched/sched_switch/enable
	sed -n 's/^.*\[\([0-9]*\)\].*/\1/p' $trace/trace | sort | uniq -c
	[ "$(sed -n 's/^.*\[\([0-9]*\)\].*/\1/p' $trace/trace | sort -u)" = 007 ]
}
check "topology: runs where it was started, and nowhere else" looks
true
