# SPDX-License-Identifier: MIT
# A Linux guest that runs already is attached, and lives on after `off`.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2034  # guest.sh is in the VM; $linux is words
. /t/guest.sh
. /t/kvm.sh
rm -f $console

$linux "$kernel_options" >$T/qemu.out 2>&1 &
qemu_pid=$!
check "attach: a guest without a shield" wait_for 150 guest_lives
before
check "attach: on" status 0 shield on win11
check "attach: attach while the guest runs" status 0 shield attach win11 --pid $qemu_pid
ran=$(now)
watch_status $qemu_pid &
watch=$!
check "attach: the worker of KVM is where the emulator is" worker_is_home "$qemu_pid"
check "attach: each vCPU is alone, all else is off" kvm_alone
check "attach: the guest goes on" guest_goes_on
sleep 6
rm -f $T/watch
wait $watch
check "attach: status is 0" watched 5
sed 's/^/# /' $T/said
check "attach: off while the guest runs" status 0 shield off win11
check "attach: off: the guest goes on" guest_goes_on
finish "attach: off while the guest runs"
kill -9 $qemu_pid
true
