# SPDX-License-Identifier: MIT
# Interrupts of a passed-through card: where they go, when they appear, disappear and are reset.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

to_vfio $card
vm_start
arm
before
disarm

check "vfio: on" shield on vm
check "vfio: attach" shield attach vm --pid $vm
arm
check "vfio: a vector on each vCPU's CPU, within a second" within_a_second placed 4 5 6 7 4
check "vfio: shield irq names the owner" sh -c 'shield irq --json | jq -e "[.irqs[] | select(.device == \"0000:00:05.0\") | .owner] == [\"vm\", \"vm\", \"vm\", \"vm\", \"vm\"]"'
fire_there() {
	shield irq --json --watch=2 --count 1 | jq -e '[.irqs[] | select(.class == "vfio" and .rate > 1)] | length == 5'
}
check "vfio: they fire there" fire_there
# Twenty times a second, and emulated: a count that took three seconds is not taken for one of half a second.
slow_look() {
	shield irq --json --watch=0.5 --count 1 >$T/irq.json &
	slow=$!
	usleep 300000
	kill -STOP $slow
	sleep 3
	kill -CONT $slow
	wait $slow && jq -ce '[.irqs[] | select(.class == "vfio") | .rate] | ., (length == 5 and all(. > 1 and . < 50))' $T/irq.json
}
check "vfio: how often is true of a look that takes long" slow_look
check "vfio: nothing else is there" no_strays
check "vfio: status agrees" shield status
disarm
arm
check "vfio: the guest's driver starts again: placed again" within_a_second placed 4 5 6 7 4
for k in 0 1 2 3; do
	echo 0-7 >"/proc/irq/$(number_of "vfio-msix[$k]($card)")/smp_affinity_list"
done
echo 0 >"/proc/irq/$(number_of "vfio-msix[4]($card)")/smp_affinity_list"
check "vfio: a person's mask is left" sh -c 'sleep 1; shield status; test $? = 1'
echo 0-7 >"/proc/irq/$(number_of "vfio-msix[4]($card)")/smp_affinity_list"
check "vfio: what a driver resets is set again within a second" within_a_second placed 4 5 6 7 4
# What any user may see.
stranger() {
	as_nobody "shield irq" >$T/irq && as_nobody "shield irq --json --watch=1 --count 1" >$T/irq.json || return
	grep -E "^ +[0-9]+ +5 +5 +vfio +vm +vfio-msix\[1\]\($card\)" $T/irq &&
		jq -e '[.irqs[] | select(.owner == "vm" and .class == "vfio" and .rate > 1 and (.stray | not))] | length == 5' $T/irq.json
}
check "vfio: any user may see them, with their owner and how often they fire" stranger
check "vfio: off" shield off vm
check "vfio: then as if made without a shield" mask_is "vfio-msix[0]($card)" 0-7
check "vfio: all is as before" restored

# The other settings of a profile.
profile vm '{"version":1,"name":"vm","guest":"4-7","irq":{"vfio":"guest","rules":[{"match":"driver:virtio-pci","cpus":"0-1"}]}}'
check "guest: on" shield on vm
check "guest: attach" shield attach vm --pid $vm
check "guest: all guest CPUs" within_a_second placed 4-7 4-7 4-7 4-7 4-7
virtio=$(cat /sys/kernel/irq/*/actions | grep -m1 '^virtio.*-input')
check "rules: a driver's interrupts go to its CPUs" mask_is "$virtio" 0-1
check "rules: what it cannot move stays the host's" sh -c 'shield irq --json | jq -ce "[.irqs[] | select(.actions | test(\"-req\")) | .owner] | ., (length == 8 and all(. == \"\"))"'
check "guest: status agrees" shield status
check "guest: off" shield off vm
check "guest: all is as before" restored

profile vm '{"version":1,"name":"vm","guest":"4-7","irq":{"vfio":"leave","rules":[{"match":"driver:nosuch*","cpus":"0"}]}}'
check "leave: a rule without an interrupt is warned of" sh -c 'shield plan vm 2>&1 >/dev/null | grep -q "nosuch"'
check "leave: and profile check warns of it" sh -c 'shield profile check vm 2>&1 | grep -q "driver:nosuch.*matches no interrupt"'
echo 6 >"/proc/irq/$(number_of "vfio-msix[0]($card)")/smp_affinity_list"
profile vm '{"version":1,"name":"vm","guest":"4-7","irq":{"vfio":"leave","devices":["0000:00:05.0"]}}'
check "leave: on" shield on vm
check "leave: left" mask_is "vfio-msix[0]($card)" 6
check "leave: status agrees" shield status
check "leave: any user is told so" as_nobody "shield status"
check "leave: off" shield off vm
echo 0-7 >"/proc/irq/$(number_of "vfio-msix[0]($card)")/smp_affinity_list"

profile vm '{"version":1,"name":"vm","guest":"4-7","irq":{"vfio":"housekeeping"}}'
check "housekeeping: on" shield on vm
check "housekeeping: attach" shield attach vm --pid $vm
away() {
	for k in 0 1 2 3 4; do
		case $(mask_of "vfio-msix[$k]($card)") in '' | *[4567]*) return 1 ;; esac
	done
}
check "housekeeping: the VM's own are off its CPUs too" within_a_second away
check "housekeeping: status agrees" shield status
check "housekeeping: off" shield off vm
check "housekeeping: all is as before" restored

# A card of another VM is like any other device: off the guest CPUs.
profile vm '{"version":1,"name":"vm","guest":"4-7"}'
check "another VM: on" shield on vm
check "another VM: its interrupts go away" within_a_second away
check "another VM: off" shield off vm
check "another VM: all is as before" restored
vm_end

# Known by a device of iommufd instead of a group.
vm_options=-c
vm_start
before
profile vm '{"version":1,"name":"vm","guest":"4-7"}'
check "iommufd: on" shield on vm
check "iommufd: attach" shield attach vm --pid $vm
arm
check "iommufd: placed" within_a_second placed 4 5 6 7 4
check "iommufd: off" shield off vm
disarm
check "iommufd: all is as before" restored
vm_end
vm_options=

# NVMe: the queue of each vCPU on its CPU. Vector 0 is that of the admin queue.
to_vfio $nvme
device=$nvme
vm_start $nvme 5
arm
before
disarm
profile vm '{"version":1,"name":"vm","guest":"4-7"}'
check "nvme: on" shield on vm
check "nvme: attach" shield attach vm --pid $vm
arm
check "nvme: each queue on the CPU of its vCPU" within_a_second placed 4 4 5 6 7
check "nvme: off" shield off vm
check "nvme: all is as before" restored
vm_end
from_vfio $nvme
nvme_back() { grep -q nvme0q8 /sys/kernel/irq/*/actions; }
check "nvme: the host has it again" wait_for 20 nvme_back
