# Sourced by the cases of interrupts, in the test VM. The host side (run) brings an e1000e at 0000:00:05.0 that nobody
# drives, a virtio-blk disk with eight queues, a virtio-net card with two pairs of queues, and irqbalance.
# shellcheck shell=sh source=/dev/null disable=SC2154,SC2086,SC2015,SC2034  # cases use them; A || B says why and fails
. /t/guest.sh

card=0000:00:05.0
masks=/tmp/masks
profile vm '{"version":1,"name":"vm","guest":"4-7"}'

# The masks of all interrupts and queues, for comparison. Those of the card exist only while it is armed.
take_masks() {
	for irq in /proc/irq/[0-9]*; do
		case $(cat "/sys/kernel/irq/${irq##*/}/actions") in
		vfio-*) ;;
		*) echo "$irq $(cat "$irq/smp_affinity_list")" ;;
		esac
	done
	echo "default $(cat /proc/irq/default_smp_affinity)"
	for queue in /sys/class/net/*/queues/*/[rx]ps_cpus; do
		echo "$queue $(cat "$queue" 2>/dev/null)"
	done
}
masks_before() { take_masks >$masks.before; }
masks_restored() {
	wait_for 5 test ! -e $state || return
	take_masks >$masks.after
	diff $masks.before $masks.after
}

# mask_of ACTION: the CPUs of the interrupt that has it, from the kernel.
number_of() {
	for irq in /sys/kernel/irq/*; do
		[ "$(cat "$irq/actions")" != "$1" ] || echo "${irq##*/}"
	done
}
mask_of() { cat "/proc/irq/$(number_of "$1")/smp_affinity_list"; }
mask_is() {
	mask_now=$(mask_of "$1") && [ "$mask_now" = "$2" ] || {
		echo "$1 is on ${mask_now:-no CPU}, not on $2"
		return 1
	}
}

# Interrupts of devices that may use CPUs 4 to 7, but for managed ones (of the disk's queues), those of the VM's own card,
# and the two of the board that no kernel lets anybody move.
strays() {
	for irq in /proc/irq/[0-9]*; do
		case $(cat "/sys/kernel/irq/${irq##*/}/actions") in
		virtio*-req.* | vfio-*"($card)" | timer) continue ;;
		esac
		[ "${irq##*/}" != 2 ] || continue
		case ,$(cat "$irq/smp_affinity_list"), in
		*[4567]*) echo "$irq ($(cat "/sys/kernel/irq/${irq##*/}/actions")) may use $(cat "$irq/smp_affinity_list")" ;;
		esac
	done 2>/dev/null
}
no_strays() {
	stray=$(strays)
	echo "$stray"
	[ -z "$stray" ]
}

# The VM: a process that holds the card and has four vCPU threads.
vm_start() {
	passthrough $card 4 >$T/vm &
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
# placed CPU…: vector k of the card is on the k-th of these.
placed() {
	placed_k=0
	for placed_cpu in "$@"; do
		mask_is "vfio-msix[$placed_k]($card)" "$placed_cpu" || return
		placed_k=$((placed_k + 1))
	done
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
