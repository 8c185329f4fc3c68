# SPDX-License-Identifier: MIT
# The main job with KVM: a Linux guest from start to end, `status` asked all the time; and one whose QEMU is killed.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2034  # guest.sh is in the VM; $linux is words
. /t/guest.sh
. /t/kvm.sh

check "run: this machine has KVM" test -c /dev/kvm
before
check "run: a guest starts" start 2 shield run -p win11 -- $linux "$kernel_options guest.reboot=6"
ran=$(now)
qemu_pid=$(pidof qemu-system-x86_64)
watch_status "$qemu_pid" &
watch=$!
check "run: its kernel boots" wait_for 150 guest_lives
check "run: the worker of KVM is where the emulator is" worker_is_home "$qemu_pid"
check "run: each vCPU is alone, all else is off" kvm_alone
check "run: the guest goes on" guest_goes_on
# It reboots, and so ends.
wait_for 30 not_running "$qemu_pid"
rm -f $T/watch
wait $watch
check "run: status is 0 from a second after the start to the end" watched 20
sed 's/^/# /' $T/said
check "run: it ends by itself: status 0" ends 0
finish "run: a guest that ends"

check "run: a VM that will be killed" start 2 shield run -p win11 -- $firmware
kill -9 "$(pidof qemu-system-x86_64)"
check "run: QEMU is killed: 128 + 9" ends 137
finish "run: QEMU is killed"
