# Devices of the host: queues, newcomers, drivers that reset masks, a storm, and what a busy host does to guest CPUs.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

for net in /sys/bus/pci/drivers/virtio-pci/*/virtio*/net/*; do
	net=${net##*/}
done
nic=$(readlink -f "/sys/class/net/$net/device/..")
nic=${nic##*/}
ip link set "$net" up
ip addr add 10.0.2.15/24 dev "$net"
echo 7f >"/sys/class/net/$net/queues/rx-0/rps_cpus"
masks_before

check "devices: on" status 0 shield on vm
check "devices: nothing may use guest CPUs" no_strays
managed() {
	shield status --json | jq -e '[.shields[].problems[] | select(.severity == "immovable" and (.object | test("virtio.*-req"))) |
		.reason | test("isolcpus=managed_irq")] | length == 4 and all'
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

# A driver goes and comes back: its interrupts are new.
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
sleep 1
echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
check "newcomers: off guest CPUs within a second" within_a_second no_strays
ip link set "$net" up
ip addr add 10.0.2.15/24 dev "$net"
echo 7f >"/sys/class/net/$net/queues/rx-0/rps_cpus"

# CPU hotplug: the driver sets its masks anew.
echo 0 >/sys/devices/system/cpu/cpu1/online
sleep 1
echo 1 >/sys/devices/system/cpu/cpu1/online
check "hotplug: masks that a driver resets are set again" wait_for 12 no_strays

# Busy: disk and network, from housekeeping CPUs. The tracepoint counts, not our own tables.
trace=/sys/kernel/tracing
cat /proc/interrupts >$T/interrupts1
echo >$trace/trace
echo f0 >$trace/tracing_cpumask
echo 1 >$trace/events/irq/irq_handler_entry/enable
end=$(($(date +%s) + ${SECONDS_BUSY:-20}))
while [ "$(date +%s)" -lt $end ]; do
	taskset 7 dd if=/dev/vda of=/dev/null bs=4k count=200 iflag=direct 2>/dev/null
	taskset 7 ping -c 3 -i 0.1 -W 1 10.0.2.2 >/dev/null 2>&1
done
echo 0 >$trace/events/irq/irq_handler_entry/enable
grep -c irq_handler_entry $trace/trace >$T/count
quiet() {
	grep irq_handler_entry $trace/trace | head -n 20
	[ "$(cat $T/count)" = 0 ]
}
check "busy: no device interrupt on guest CPUs in ${SECONDS_BUSY:-20} s" quiet
busy() {
	cat /proc/interrupts >$T/interrupts2
	! cmp -s $T/interrupts1 $T/interrupts2
}
check "busy: and the host was" busy
echo ff >$trace/tracing_cpumask

check "devices: status agrees" shield status
check "devices: off" shield off vm
check "devices: masks as before" masks_restored

# A storm: a device that comes and goes all the time, while shields do.
storm() {
	storm_n=0
	while [ -e $T/storm ] && [ $storm_n -lt "${BINDS:-1000}" ]; do
		echo "$nic" >/sys/bus/pci/drivers/virtio-pci/unbind
		echo "$nic" >/sys/bus/pci/drivers/virtio-pci/bind
		storm_n=$((storm_n + 1))
		echo $storm_n >$T/storms
	done
}
ip link set "$net" down
echo 0 >"/sys/class/net/$net/queues/rx-0/rps_cpus"
masks_before
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
check "storm: masks as before" masks_restored

# A mask that is what the host keeps already is nobody's newborn.
echo 0-2 >"/proc/irq/$(number_of rtc0)/smp_affinity_list"
profile narrow '{"version":1,"name":"narrow","guest":"3-7"}'
masks_before
check "chosen masks: on" shield on narrow
sleep 1
check "chosen masks: off" shield off narrow
check "chosen masks: as before" masks_restored
