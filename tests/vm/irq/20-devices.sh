# SPDX-License-Identifier: MIT
# Devices of the host: queues, new interrupts, drivers that reset masks, a storm, and what a busy host does to guest CPUs.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

hotplug_once 1 2 5
to_vfio $card
vm_start
arm
disarm
vm_end
for net in /sys/bus/pci/drivers/virtio-pci/*/virtio*/net/*; do
	net=${net##*/}
done
nic=$(readlink -f "/sys/class/net/$net/device/..")
nic=${nic##*/}
ip link set "$net" up
ip addr add 10.0.2.15/24 dev "$net"
echo 7f >"/sys/class/net/$net/queues/rx-0/rps_cpus"
queues tap0 4 >$T/queues &
queues=$!
wait_for 5 grep -q ready $T/queues
tap=/sys/class/net/tap0/queues
echo 30 >$tap/tx-0/xps_cpus # guest CPUs only
echo c0 >$tap/tx-1/xps_cpus
echo 41 >$tap/tx-2/xps_cpus
sysctl=/proc/sys/net/core
echo f0 >$sysctl/flow_limit_cpu_bitmap
[ ! -e $sysctl/rps_default_mask ] || echo 11 >$sysctl/rps_default_mask # since 6.3
before

plan_says() { # 6.1 tells what is managed only when it is asked to move it
	shield plan vm 2>&1 >/dev/null | grep "can" | tee $T/plan
	grep -q "(virtio-pci): 4 interrupts on guest CPUs cannot be moved: managed; only isolcpus=managed_irq at boot keeps it away" $T/plan
}
[ $kernel = 6.1 ] || check "devices: a plan names managed queues" plan_says
check "devices: on" status 0 shield on vm
check "devices: nothing may use guest CPUs" no_strays
managed() {
	shield status --json | jq -e '[.shields[].problems[] | select(.severity == "immovable" and (.object | test("virtio.*-req|nvme.*q[1-9]"))) |
		.reason | test("isolcpus=managed_irq")] | length == 8 and all'
}
check "devices: managed queues are explained" managed
check "devices: shield irq says so" sh -c 'shield irq --json | jq -e "[.irqs[] | select(.actions | test(\"-req\")) | .class] | length == 8"'
rps() {
	cat "/sys/class/net/$net/queues/rx-0/rps_cpus"
	[ "$(cat "/sys/class/net/$net/queues/rx-0/rps_cpus")" = "${1:-0f}" ]
}
host=0f
[ $kernel != 6.1 ] || host=07 # the emulator has a core of its own there
check "devices: packets are not handed to guest CPUs" rps $host
queues_are() {
	grep . $tap/tx-*/xps_cpus $sysctl/*_bitmap $sysctl/rps_default_mask
	[ "$(cat $tap/tx-0/xps_cpus)" = $host ] && [ "$(cat $tap/tx-1/xps_cpus)" = $host ] && [ "$(cat $tap/tx-2/xps_cpus)" = 01 ] &&
		[ "$(cat $tap/tx-3/xps_cpus)" = 00 ] && [ "$(cat $sysctl/flow_limit_cpu_bitmap)" = $host ] &&
		{ [ ! -e $sysctl/rps_default_mask ] || [ "$(cat $sysctl/rps_default_mask)" = 01 ]; }
}
check "devices: nor sent from them: XPS, flow limit, the default RPS mask" queues_are

# A driver goes and comes back: its interrupts are new.
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
sleep 1
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
check "new interrupts: off guest CPUs within a second" within_a_second no_strays
ip link set "$net" up
ip addr add 10.0.2.15/24 dev "$net"
echo 7f >"/sys/class/net/$net/queues/rx-0/rps_cpus"

# CPU hotplug: the driver sets its masks anew.
cpu_goes 1
sleep 1
cpu_comes 1
check "hotplug: masks that a driver resets are set again within a second" within_a_second no_strays

# A change of channels: the driver gives its queues masks of its own.
retune channels "$net" 1
check "channels set anew (ethtool -L): set again within a second" within_a_second no_strays

# A mask that is written, and by that alone aims the interrupt nowhere else: it fires where it did, and is heard of all the same.
input=$(number_of "$(cat /sys/kernel/irq/*/actions | grep -m1 '^virtio.*-input')")
at=$(cat "/proc/irq/$input/effective_affinity_list")
echo 0-7 >"/proc/irq/$input/smp_affinity_list"
stays() { [ "$(cat "/proc/irq/$input/effective_affinity_list")" = "$at" ]; }
check "a mask widened by a driver: the interrupt stays on its host CPU" stays
check "a mask widened by a driver: set again within a second" within_a_second no_strays
echo 6 >"/proc/irq/$input/smp_affinity_list"
echo 0-7 >"/proc/irq/$input/smp_affinity_list"
check "an interrupt aimed at a guest CPU by a driver: set again within a second" within_a_second no_strays

# Busy: disk and network, from housekeeping CPUs, and the VM's own card, which shows that the tracepoint counts.
vm_start
check "busy: attach" shield attach vm --pid $vm
arm
check "busy: the VM's own interrupts are in place" within_a_second placed 4 5 6 7 4
trace=/sys/kernel/tracing
disk_before=$(counted '^virtio.*-req') net_before=$(counted '^virtio.*-(input|output)') reads=0 pings=0
echo >$trace/trace
echo f0 >$trace/tracing_cpumask
echo 1 >$trace/events/irq/irq_handler_entry/enable
end=$(($(date +%s) + SECONDS_BUSY))
while [ "$(date +%s)" -lt $end ]; do
	taskset 7 dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null && reads=$((reads + 200))
	taskset 7 ping -c 3 -i 0.1 -W 1 10.0.2.2 >/dev/null 2>&1 && pings=$((pings + 3))
done
echo 0 >$trace/events/irq/irq_handler_entry/enable
grep irq_handler_entry $trace/trace >$T/entries
quiet() {
	grep -v 'name=vfio-msix' $T/entries | head -n 20
	[ "$(grep -vc 'name=vfio-msix' $T/entries)" = 0 ]
}
check "busy: no device interrupt on guest CPUs in $SECONDS_BUSY s but the VM's own" quiet
own() {
	grep -c . $T/entries
	[ "$(grep -c "name=vfio-msix.*$card" $T/entries)" -ge $((SECONDS_BUSY * 10)) ]
}
check "busy: and the VM's own are counted there" own
# A queue may tell of several reads at once.
busy() {
	busy_disk=$(($(counted '^virtio.*-req') - disk_before)) busy_net=$(($(counted '^virtio.*-(input|output)') - net_before))
	echo "$reads reads, $busy_disk interrupts; $pings pings, $busy_net interrupts on the host's CPUs"
	[ $reads -ge 400 ] && [ $busy_disk -ge $((reads / 4)) ] && [ $pings -ge 3 ] && [ $busy_net -ge $pings ]
}
check "busy: and the host's CPUs had those of its disk and its network" busy
echo ff >$trace/tracing_cpumask

check "devices: status agrees" shield status
# Interfaces that are renamed under a shield, or new.
ip link set tap0 name lan0
queues tap1 4 >$T/born &
born=$!
wait_for 5 grep -q ready $T/born
check "devices: off" shield off vm
ip link set lan0 name tap0
as_if_born_without() { # its receive queues have the default mask, which 6.1 has not
	grep . /sys/class/net/tap1/queues/rx-0/rps_cpus $sysctl/rps_default_mask
	[ $kernel = 6.1 ] || [ "$(cat /sys/class/net/tap1/queues/rx-0/rps_cpus)" = 11 ]
}
check "devices: queues that were made under it are as if made without" as_if_born_without
kill $born
wait $born
vm_end
check "devices: all is as before" restored
from_vfio $card
echo 0 >$sysctl/flow_limit_cpu_bitmap
[ ! -e $sysctl/rps_default_mask ] || echo 0 >$sysctl/rps_default_mask
kill $queues
wait $queues

# Nothing is left of its mask: the closest node first. (A device without a node is given one before its driver comes.)
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
echo 1 >"/sys/bus/pci/devices/$nic/numa_node"
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
input=$(cat /sys/kernel/irq/*/actions | grep -m1 '^virtio.*-input')
echo 5 >"/proc/irq/$(number_of "$input")/smp_affinity_list"
profile near '{"version":1,"name":"near","guest":"2-5","emulator":"1"}'
before
check "closest node: on" status 0 shield on near
check "closest node: it goes there" mask_is "$input" 6-7
# A new one meanwhile has what the shield leaves of its node; without the shield it would have had all of that. (The
# driver gives those of its queues masks of its own.)
config=${input%%-*}-config
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
check "closest node: a new interrupt is there" wait_for 2 mask_is "$config" 6-7
check "closest node: off" shield off near
check "closest node: it has all of its node" mask_is "$config" 4-7
echo 5 >"/proc/irq/$(number_of "$input")/smp_affinity_list"
check "closest node: all is as before" restored
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
echo -1 >"/sys/bus/pci/devices/$nic/numa_node"
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind

# The only CPU of its mask is offline when it shall have it back.
rtc=$(number_of rtc0)
echo 5 >"/proc/irq/$rtc/smp_affinity_list"
before
irqs >$T/irqs.before
snapshot on 0-7 | awk '$3 == "kernel" && $6 ~ "^irq/" { print $1, $4 }' >$T/lost
check "offline: on" status 0 shield on vm
cpu_goes 5
said_offline() {
	shield off vm >$T/off 2>&1
	cat $T/off
	grep -q "/proc/irq/$rtc/.*its CPUs 5 are offline; set to" $T/off && [ ! -e $state ]
}
check "offline: off says so" said_offline
check "offline: and comes as near as possible" sh -c "! grep -q 5 /proc/irq/$rtc/smp_affinity_list && cat /proc/irq/$rtc/smp_affinity_list"
cpu_comes 5
sleep 1
echo 5 >"/proc/irq/$rtc/smp_affinity_list"
# What the kernel itself widened when the CPU went. Handlers that are threads follow their interrupts to the CPU that it chose; and on
# 6.1 the threads that a partition gave back, or that Shield gave their node's CPUs back (kswapd1), have what was online then.
while read -r irq mask action; do
	echo "$mask" >"/proc/irq/$irq/smp_affinity_list"
done <$T/irqs.before 2>/dev/null
sleep 1
[ $kernel != 6.1 ] || snapshot on 0-7 | awk '
	$3 != "fixed" && $4 == "0-4,6-7" { print $1, "0-7" }
	$3 != "fixed" && $4 == "4,6-7" { print $1, "4-7" }' >>$T/lost
while read -r tid cpus; do
	taskset -pc "$cpus" "$tid"
done <$T/lost >/dev/null
check "offline: all is as before" restored

# The CPU of a rule goes: the kernel lets the interrupt use all others, guest CPUs too.
profile ruled '{"version":1,"name":"ruled","guest":"4-7","irq":{"rules":[{"match":"action:rtc0","cpus":"2"}]}}'
check "a rule's CPU: on" status 0 shield on ruled
check "a rule's CPU: there" mask_is rtc0 2
cpu_goes 2
check "a rule's CPU is offline: off guest CPUs within a second" within_a_second no_strays
check "a rule's CPU is offline: status agrees" shield status
cpu_comes 2
check "a rule's CPU is back: and the interrupt, within a second" within_a_second mask_is rtc0 2
check "a rule's CPU: off" shield off ruled
check "a rule's CPU: as before" mask_is rtc0 5

# A storm: a device that comes and goes all the time, while shields do.
storm() {
	storm_n=0
	while [ -e $T/storm ] && [ $storm_n -lt "$BINDS" ]; do
		echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
		echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
		storm_n=$((storm_n + 1))
		echo $storm_n >$T/storms
	done
}
ip link set "$net" down
echo 0 >"/sys/class/net/$net/queues/rx-0/rps_cpus"
before
: >$T/storm
storm &
storming=$!
rounds=0 bad=0
while [ -d /proc/$storming ] && ! grep -q '^State:.Z' /proc/$storming/status && [ $rounds -lt "${ROUNDS:-1000}" ]; do
	shield on vm >$T/storm.on 2>&1 || {
		case $? in 64) ;; *) bad=$((bad + 1)) && cat $T/storm.on ;; esac
	}
	shield off vm >$T/storm.off 2>&1 || { bad=$((bad + 1)) && cat $T/storm.off; }
	rounds=$((rounds + 1))
done >&2
rm -f $T/storm
wait $storming
echo "# $(cat $T/storms) times bound and unbound, $rounds times on and off" >&2
check "storm: no on or off failed" test $bad = 0
sleep 1
check "storm: all is as before" restored

# A mask that is what the host keeps already does not make an interrupt new.
echo 0-2 >"/proc/irq/$(number_of rtc0)/smp_affinity_list"
profile narrow '{"version":1,"name":"narrow","guest":"3-7"}'
before
check "chosen masks: on" shield on narrow
sleep 1
check "chosen masks: off" shield off narrow
check "chosen masks: as before" restored
