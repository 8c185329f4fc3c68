# SPDX-License-Identifier: MIT
# The real irqbalance: it never wins a guest CPU back, leaves the VM's own interrupts alone, and gets its own back.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2016,SC2034  # what is sourced sets them; no word has blanks
. /t/irq.sh

three=$((3 * SCAN + 2))
setup() { irqbalance-ask "/run/irqbalance/irqbalance$(pidof irqbalance).sock" setup; }
banned() {
	setup >$T/setup
	cat $T/setup
	grep -q "BANNED 0*$1$" $T/setup
}
never() {
	never_end=$(($(date +%s) + $1))
	while [ "$(date +%s)" -lt $never_end ]; do
		no_strays || {
			sleep 1 # one that appears is moved within a second
			no_strays || return
		}
		usleep 500000
	done
}
mkdir -p /run/irqbalance
IRQBALANCE_BANNED_CPULIST=0 irqbalance -t $SCAN
sleep 2
before
check "irqbalance: on" status 0 shield on vm
original() {
	[ "$(jq -r '.objects[] | select((.path // "") | test("irqbalance")) | .original' $state)" = "$1" ]
}
check "irqbalance: its former ban is recorded" original 1-7
check "irqbalance: three of its scans win nothing back" never $three
bans=f1
[ $kernel != 6.1 ] || bans=f9 # the emulator has a core of its own there
check "irqbalance: the guest CPUs are banned beside it" banned $bans
check "irqbalance: status agrees" shield status
check "irqbalance: lives" pidof irqbalance

# The VM's own interrupts stay where they are, or are back within a second.
to_vfio $card
vm_start
check "irqbalance and a VM: attach" shield attach vm --pid $vm
arm
check "irqbalance and a VM: placed" within_a_second placed 4 5 6 7 4
kept() {
	kept_end=$(($(date +%s) + $1))
	kept_moves=0
	while [ "$(date +%s)" -lt $kept_end ]; do
		usleep 200000
		placed 4 5 6 7 4 >$T/kept || {
			kept_moves=$((kept_moves + 1))
			within_a_second placed 4 5 6 7 4 || return
		}
	done
}
check "irqbalance and a VM: its interrupts are kept over three scans" kept $three
echo "# irqbalance moved them $kept_moves times" >&2
own_banned() {
	own_irqs=$(irqs | grep ' vfio-' | cut -d' ' -f1)
	setup >$T/setup
	cat $T/setup
	for own_irq in $own_irqs; do
		grep -q "IRQ $own_irq LOAD" $T/setup || return
	done
}
check "irqbalance and a VM: it is told to leave them alone" own_banned
vm_end
from_vfio $card

check "irqbalance: off" shield off vm
sleep $((2 * SCAN + 1))
check "irqbalance: its former ban is back" wait_for $((2 * SCAN)) banned 1
check "irqbalance: and no interrupt is left alone" sh -c "! grep IRQ $T/setup"
check "irqbalance: all is as before" restored
check "irqbalance: on again" status 0 shield on vm
kill -9 "$(pidof irqbalance)"
irqbalance -t $SCAN
told() {
	jq -e --arg socket "irqbalance$(pidof irqbalance).sock" '[.objects[] | select((.path // "") | endswith($socket))] | length == 1' $state
}
check "irqbalance: one that was started anew is told at once" wait_for 2 told
check "irqbalance: and wins nothing either" never $three
kill_guard
check "irqbalance: off after the guard was killed" shield off vm
sleep $((2 * SCAN + 1))
check "irqbalance: no ban is left" wait_for $((2 * SCAN)) banned ''
kill "$(pidof irqbalance)"
sleep 1
# As a service its directory goes with it, and comes with the next one; one that bans nothing, and says so.
rm -r /run/irqbalance
check "irqbalance: on without one" status 0 shield on vm
sleep 1
mkdir -p /run/irqbalance
IRQBALANCE_BANNED_CPULIST= irqbalance -t $SCAN
check "irqbalance: one that is started later is told at once" wait_for 2 told
check "irqbalance: that wins nothing either" never $three
check "irqbalance: what it had was nothing" original 0-7
check "irqbalance: off again" shield off vm
sleep $((2 * SCAN + 1))
check "irqbalance: no ban is left, again" wait_for $((2 * SCAN)) banned ''
kill "$(pidof irqbalance)"
sleep 1
mount -t tmpfs -o ro none /run/irqbalance
irqbalance -f >/dev/null 2>&1 &
sleep 2
check "no socket: it says what to set" sh -c 'shield plan vm 2>&1 >/dev/null | grep -q "IRQBALANCE_BANNED_CPULIST=4-7"'
kill $!
sleep 1
umount /run/irqbalance
