# SPDX-License-Identifier: MIT
# What --dry-run says is what the command does, call by call, seen by strace: one shield, and three.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154  # guest.sh is in the VM; $qemu is words
. /t/guest.sh
. /t/preview.sh
profile one '{"version":1,"name":"one","guest":"2","emulator":"3","host":{"stat_interval":120,"transparent_hugepages":"never"}}'
profile two '{"version":1,"name":"two","guest":"4","emulator":"5","flush":true}'
profile three '{"version":1,"name":"three","guest":"6","emulator":"7","host":{"stat_interval":60}}'
before
nothing() { snapshot take $T/dry && shield on one -n >/dev/null && snapshot compare $T/dry; }
check "preview: it changes nothing" nothing
check "preview: on" same_as_preview on one
check "preview: on, a second" same_as_preview on two
check "preview: on, a third" same_as_preview on three
check "preview: off, one of three" same_as_preview off two
check "preview: off, all that are left" same_as_preview off --all
finish "preview: three shields"
check "preview: run" run_as_preview -q -p one -- true
check "preview: run, a command that does not exist: 127" status 127 shield run -n -p one -- /no/such/command
sleep 1000 &
owner=$!
abandoned() {
	shield on -q one --owner $owner && kill_guard && kill $owner && same_as_preview recover -q
}
check "preview: recover" abandoned
finish "preview: run and recover"
check "preview: plan without root" as_nobody 'shield plan one --json' >/dev/null

mkdir $cgroups/machines
$qemu -smp 4 -qmp unix:$T/qmp.sock,server=on,wait=off >$T/qemu.out 2>&1 &
qemu_pid=$!
echo $qemu_pid >$cgroups/machines/cgroup.procs
check "preview: QEMU runs" wait_for 30 test -S $T/qmp.sock
sleep 1
before
check "preview: on, for a VM" same_as_preview on win11
check "preview: attach" same_as_preview attach win11 --pid $qemu_pid
check "preview: off, the VM runs on" same_as_preview off win11
finish "preview: a VM"
kill $qemu_pid
wait $qemu_pid
rmdir $cgroups/machines
clean
