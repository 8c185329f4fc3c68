# SPDX-License-Identifier: MIT
# Two VMs: a rule of the one means nothing to the card of the other, neither at its beginning nor later.
# (With two passed-through devices QEMU's emulation has died, once of six times: so this is not among the short cases.)
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

to_vfio $card
to_vfio $nvme
before
vm_vcpus=2
vm_start $nvme 5
arm
first=$vm device=$card
vm_start
second=$vm
profile vm '{"version":1,"name":"vm","guest":"4-5","emulator":"2"}'
profile other '{"version":1,"name":"other","guest":"6-7","emulator":"3","irq":{"rules":[{"match":"action:vfio*","cpus":"6-7"}]}}'
check "two: on" shield on vm
check "two: attach" shield attach vm --pid $second
arm
check "two: the one's" within_a_second placed 4 5 4 5 4
irqs | grep "$card" >$T/two
check "two: a plan moves nothing of it" sh -c "! shield plan other 2>/dev/null | grep -F \"/irq/\$(cut -d' ' -f1 $T/two | head -n 1)/\""
check "two: the other, on" shield on other
check "two: attach that" shield attach other --pid $first
device=$nvme
check "two: its own, by its rule" within_a_second placed 6-7 6-7 6-7 6-7 6-7
sleep 1
device=$card
check "two: the one's are where they were" placed 4 5 4 5 4
check "two: status agrees" shield status
check "two: the first ends" shield off vm
two_away() {
	irqs | grep "vfio-.*$card" | tee $T/two | grep -c .
	! grep -E '^[0-9]+ [^ ]*[67]' $T/two
}
check "two: the other's rule takes nothing then" two_away
check "two: off" shield off other
vm_end
vm=$first
vm_end
check "two: all is as before" restored
from_vfio $nvme
