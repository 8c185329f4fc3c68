# SPDX-License-Identifier: MIT
# However it ends (that QEMU is killed is in 10-run): the wrapper, the guard, all of them are killed.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2034  # guest.sh is in the VM; $firmware is words
. /t/guest.sh
. /t/kvm.sh

# A VM that runs, with its worker.
runs() {
	start 2 shield run -p win11 -- $firmware || return 1
	qemu_pid=$(pidof qemu-system-x86_64)
	guard=$(pidof shield | tr ' ' '\n' | grep -vx "$run")
	wait_for 2 worker_is_home "$qemu_pid" && [ -n "$guard" ] && wait_for 1 shield status
}

before
check "ends: a VM (SIGTERM)" runs
kill -TERM $run
check "ends: SIGTERM: QEMU gets it and ends" ends 0
finish "ends: SIGTERM"

check "ends: a VM (the wrapper is killed)" runs
kill -9 $run
wait $run
check "ends: the wrapper is killed: the VM is shielded on" eval 'shield status && kvm_alone'
kill -9 "$qemu_pid"
finish "ends: the wrapper is killed, then QEMU"

check "ends: a VM (the guard is killed)" runs
kill -9 "$guard"
check "ends: the guard is killed: the vCPUs stay alone" kvm_alone
kill -9 "$qemu_pid"
check "ends: the guard is killed, then QEMU: 128 + 9" ends 137
finish "ends: the guard is killed, then QEMU"

check "ends: a VM (all of them are killed)" runs
kill -9 "$guard" $run "$qemu_pid"
wait $run
wait_for 10 not_running "$qemu_pid"
check "ends: all are killed: the next command recovers" eval 'shield off --all; ! test -e $state'
finish "ends: all are killed"
