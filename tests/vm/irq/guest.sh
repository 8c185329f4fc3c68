# SPDX-License-Identifier: MIT
# Sourced by the cases of interrupts, in the test VM. The host side (run) brings an e1000e at 0000:00:05.0 that no driver has,
# an NVMe disk at 06, at 07 a device that has 250 vectors, a virtio-blk disk with eight queues, a virtio-net card, and
# irqbalance. CPUs 0-3 and 4-7 are NUMA nodes.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2015,SC2034  # cases use them; A || B says why and fails
. /t/guest.sh

card=0000:00:05.0
nvme=0000:00:06.0
many=0000:00:07.0
profile vm '{"version":1,"name":"vm","guest":"4-7"}'

# irqs: a line each, "NUMBER MASK ACTIONS", from the kernel. (Processes are slow here, so there are few.)
irqs() {
	grep -H '' /sys/kernel/irq/*/actions /proc/irq/[0-9]*/smp_affinity_list 2>/dev/null | awk '{
		colon = index($0, ":"); split($0, path, "/"); value = substr($0, colon + 1)
		if (path[2] == "sys") actions[path[5]] = value
		else print path[4], value, actions[path[4]]
	}'
}

# Before we look at the host for the first time: what the kernel or a driver does once and never takes back. CPUs go and come, so
# that threads and interrupts have lost what they lose by that, and a card's line is set up when vfio-pci first asks for it.
hotplug_once() {
	for once; do
		cpu_goes $once
		cpu_comes $once
	done
	sleep 1
}

# mask_of ACTION: the CPUs of the interrupt that has it, from the kernel.
number_of() { grep -lxF "$1" /sys/kernel/irq/*/actions | cut -d/ -f5; }
mask_of() { cat "/proc/irq/$(number_of "$1")/smp_affinity_list"; }
mask_is() {
	mask_now=$(mask_of "$1") && [ "$mask_now" = "$2" ] || {
		echo "$1 is on ${mask_now:-no CPU}, not on $2"
		return 1
	}
}

# counted ACTION: how often interrupts that are called so (a regular expression) have fired on CPUs 0 to 3.
counted() { awk -v name="$1" '$NF ~ name { for (i = 2; i <= 5; i++) n += $i } END { print n + 0 }' /proc/interrupts; }

# Interrupts of devices that may use CPUs 4 to 7, but for managed ones (of disks' queues), those of the VM's own card,
# and the two of the board that no kernel lets users move.
strays() {
	irqs | awk -v card="($card)" '
		$1 == 2 || $3 == "timer" || $3 ~ /^virtio.*-req/ || $3 ~ /^nvme.*q[1-9]/ || ($3 ~ /^vfio-/ && index($3, card)) { next }
		$2 ~ /[4-7]/ { print $1, "(" $3 ") may use", $2 }'
}
no_strays() {
	stray=$(strays)
	echo "$stray"
	[ -z "$stray" ]
}

# to_vfio DEVICE: vfio-pci drives it.
to_vfio() {
	echo vfio-pci >"/sys/bus/pci/devices/$1/driver_override"
	[ ! -e "/sys/bus/pci/devices/$1/driver" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
}
# from_vfio DEVICE: back to the driver that it has by itself, if any.
from_vfio() {
	echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo >"/sys/bus/pci/devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
}

# vm_start [DEVICE VECTORS]: the VM, a process that holds the card and has four vCPU threads, or $vm_vcpus.
vm_start() {
	passthrough ${vm_options-} "${1-$card}" ${vm_vcpus-4} ${2-} >$T/vm &
	vm=$!
	wait_for 10 grep -q ready $T/vm
}
vm_said() { [ "$(grep -c "^$1" $T/vm)" -ge "$2" ]; }
arm() {
	arm_n=$(grep -c ^armed $T/vm)
	kill -USR1 $vm
	wait_for 5 vm_said armed $((arm_n + 1))
}
disarm() {
	disarm_n=$(grep -c ^disarmed $T/vm)
	kill -USR2 $vm
	wait_for 5 vm_said disarmed $((disarm_n + 1))
}
vm_end() {
	kill $vm
	wait $vm
}
# placed CPU…: vector k of the card (or of $device) is on the k-th of these.
placed() {
	placed_now=$(irqs | sed -n "s/^[0-9]* \([^ ]*\) vfio-msix\[\([0-9]*\)\](${device:-$card})$/\2 \1/p" | sort -n | cut -d' ' -f2 |
		tr '\n' ' ')
	[ "$placed_now" = "$* " ] || {
		echo "vectors are on: $placed_now"
		return 1
	}
}
# Within a second: five looks, a fifth of a second apart.
within_a_second() {
	for look in 1 2 3 4 5; do
		usleep 200000
		! "$@" >$T/look || return 0
	done
	cat $T/look
	return 1
}
