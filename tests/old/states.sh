# SPDX-License-Identifier: MIT
# Inside the VM (tests/old/make): shields of all kinds; their state files go to /tmp/states.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
mkdir -p /tmp/states

# keep NAME FILTER: the state file as it is at this moment; FILTER (jq) must be true of it. A line an object, to be readable.
keep() {
	jq -e "$2" $state >/dev/null || {
		echo "$1 is not what it should be: $2" >&2
		jq -c .shields $state >&2
		exit 1
	}
	jq -r --slurpfile s $state -n '$s[0] | "{ \"version\": \(.version), \"boot_id\": \(.boot_id | tojson), \"shields\": {\n" +
		([.shields | to_entries[] | "\(.key | tojson): \(.value | tojson)"] | join(",\n")) + "\n}, \"objects\": [\n" +
		([.objects[] | tojson] | join(",\n")) + "\n] }"' >/tmp/states/$1.json
	echo "kept $1"
}
killed() { # the guard, which would help
	for p in $(pidof shield); do
		kill -9 "$p"
	done 2>/dev/null
}

profile emulated '{"version":1,"name":"emulated","guest":"2-3","emulator":"6"}'
profile second '{"version":1,"name":"second","guest":"4","emulator":"5"}'
profile settings '{"version":1,"name":"settings","guest":"2-5","emulator":"6-7","flush":true,"irq":{"rules":[{"match":"action:*","cpus":"0"}]},"host":{
	"stat_interval":77,"watchdog":"housekeeping","transparent_hugepages":"never","khugepaged_defrag":0,"compaction_proactiveness":0,
	"sched_rt_runtime_us":-1,"ksm":0,"machine_check_interval":0}}'
taskset 0x18 sleep 10000 &
taskset 0x41 sleep 10000 &
for file in /sys/class/net/lo/queues/rx-0/rps_cpus /proc/sys/net/core/rps_default_mask; do
	[ ! -e $file ] || echo 3f >$file
done

shield on win11
keep on '.shields.win11 | .phase == "active" and .guard.pid > 0 and .vm.pid == 0'
shield off
shield on settings
keep settings '[.objects[].path // ""] | any(endswith("stat_interval")) and any(contains("/irq/")) and any(endswith("rps_cpus"))'
shield off

start 4 shield run -p win11 -- $qemu -smp 4
keep run '.shields.win11 | .vm.pid > 0 and .owner.pid > 0 and (.vcpus | length == 4)'
kill "$(pidof qemu-system-x86_64)"
ends 0

mkdir $cgroups/machines
$qemu -smp 2 -object iothread,id=io0 -qmp unix:$T/qmp.sock,server=on,wait=off &
vm=$!
echo $vm >$cgroups/machines/cgroup.procs
wait_for 30 test -S $T/qmp.sock
profile io '{"version":1,"name":"io","guest":"2-3","emulator":"6","iothreads":["7"],"vcpus":[3,2]}'
shield on io
shield attach --pid $vm
keep attached '(.shields.io | (.vcpus | length == 2) and .map != null) and ([.objects[] | select(.kind == "process").original] == ["/machines"])'
shield on second
keep two '.shields | length == 2'
killed
shield off --all
kill $vm
wait $vm
rmdir $cgroups/machines

# half NAME PHASE COMMAND…: killed as late as it is still in this phase.
half() {
	half_name=$1 half_phase=$2
	shift 2
	half_n=60
	while [ $half_n -gt 5 ]; do
		shield off --all >/dev/null 2>&1
		killed
		$half_before
		KILL_AT_LOG=$T/killed kill-at $half_n "$@" >/dev/null 2>&1
		killed
		[ ! -e $state ] || [ "$(jq -r '.shields[].phase' $state)" != "$half_phase" ] || break
		half_n=$((half_n - 5))
	done
	cat $T/killed
	keep $half_name ".shields | to_entries[0].value.phase == \"$half_phase\""
}
half_before=:
half applying applying shield on settings
begun() {
	shield on settings
	killed
}
half_before=begun
half releasing releasing shield off settings
shield off --all
cd /tmp && tar -cf states.tar states
