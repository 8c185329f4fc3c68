# SPDX-License-Identifier: MIT
# Threads that are started in a partition, while the guard looks, while it does not, and just before the end.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2034  # guest.sh is in the VM; $firmware is words
. /t/guest.sh
. /t/kvm.sh

# Frozen, so that no vCPU has entered KVM yet: it does when its monitor says so.
frozen() {
	mkfifo $T/monitor
	$firmware -S -monitor stdio <$T/monitor >$T/qemu.out 2>&1 &
	qemu_pid=$!
	exec 4>$T/monitor
	rm $T/monitor
	wait_for 30 eval '[ "$(cat /proc/$qemu_pid/task/*/comm | grep -c "^CPU ./KVM")" = 2 ]'
}
worker_born() { [ -n "$(kvm_worker "$qemu_pid")" ]; }
# The guard starts, and within a second what was started meanwhile is home.
comes_home() {
	wait_for 1 worker_is_home "$qemu_pid" && wait_for 1 shield status
}
ended() {
	kill -9 $qemu_pid
	exec 4>&-
	wait_for 10 not_running $qemu_pid
	wait_for 10 test ! -e $state
}

before
check "new threads: a frozen QEMU" frozen
check "new threads: on and attach" eval 'shield on win11 && shield attach win11 --pid $qemu_pid'
kill_guard
echo cont >&4
check "new threads: without a guard, a worker" wait_for 10 worker_born
if [ $kernel != 6.1 ]; then
	check "new threads: is in the partition, since no guard moves it" test "$(cgroup_of "$(kvm_worker "$qemu_pid")")" = /shield-win11/vcpus
fi
check "new threads: status tells" status 1 shield status
check "new threads: recover starts a guard" shield recover
check "new threads: which brings it home" comes_home
check "new threads: each vCPU is alone" kvm_alone
check "new threads: QEMU is killed" ended
finish "new threads: a guard that came later"

# The end, with a worker in the partition that has not been moved: it must not keep the CPU that it inherited.
check "new threads: a frozen QEMU, for an early end" frozen
before
check "new threads: on and attach, for an early end" eval 'shield on win11 && shield attach win11 --pid $qemu_pid'
kill_guard
echo cont >&4
check "new threads: a worker, for an early end" wait_for 10 worker_born
check "new threads: off" status 0 shield off win11
free_again() {
	worker=$(kvm_worker "$qemu_pid")
	echo "$(allowed "$worker") $(cgroup_of "$worker")"
	[ "$(allowed "$worker")" = 0-7 ] && ! [ -d $cgroups/shield-win11 ]
}
check "new threads: the worker has all CPUs" free_again
finish "new threads: off before it was moved"
kill -9 $qemu_pid
exec 4>&-

# A disk whose requests the vCPU itself hands to io_uring: its first sector writes the second again and again (int 13h), and who
# writes to a file of tmpfs is a worker, on each kernel. (Reading has none on 6.1.)
dd if=/dev/zero of=$T/disk bs=1M count=8 2>/dev/null
printf '\270\001\003\271\002\000\272\200\000\061\333\315\023\353\361' | dd of=$T/disk conv=notrunc 2>/dev/null
printf '\125\252' | dd of=$T/disk bs=1 seek=510 conv=notrunc 2>/dev/null
disk="-blockdev driver=file,filename=$T/disk,aio=io_uring,node-name=disk -device virtio-blk-pci,drive=disk,ioeventfd=off,bootindex=0"
before
check "new threads: a VM with io_uring" start 2 shield run -p win11 -- $firmware $disk
qemu_pid=$(pidof qemu-system-x86_64)
io_worker() { grep -l '^iou-wrk-' /proc/"$qemu_pid"/task/*/comm; }
check "new threads: io_uring has a worker" wait_for 10 io_worker
check "new threads: with io_uring each vCPU is alone within a second" wait_for 1 kvm_alone
check "new threads: with io_uring status is 0" shield status
check "new threads: QEMU with io_uring is killed" eval 'kill -9 $qemu_pid && ends 137'
finish "new threads: io_uring"
