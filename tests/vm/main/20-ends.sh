# SPDX-License-Identifier: MIT
# However a VM ends: its status is passed on, and the host is as before.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before

vm="shield run -p win11 -- $qemu -smp 4"

# A monitor on standard input: commands go in, and QEMU's answers come out, so both streams are the command's own.
mkfifo $T/in
sh -c "exec $vm -monitor stdio <$T/in >$T/out 2>$T/run.err" &
run=$!
exec 4>$T/in
check "end: a VM with its monitor on our standard streams starts" wait_for 60 vm_ready 4
echo "info name" >&4
check "end: it reads our stdin and writes our stdout" wait_for 5 grep -q '^g' $T/out
echo quit >&4
check "end: quit: status 0" ends 0
exec 4>&-
finish "end: quit"

rm $T/in

fails_at_once() { status 1 shield run -p win11 -- qemu-system-x86_64 -badopt; }
check "end: QEMU that refuses its options: its status" fails_at_once
finish "end: QEMU that refuses its options"

error_exit() {
	mkfifo $T/in2
	sh -c "shield run -p win11 -- $qemu -smp 4 -device isa-debug-exit,iobase=0x501,iosize=1 -monitor stdio <$T/in2 >$T/out 2>&1; echo \$? >$T/code" &
	exec 4>$T/in2
	wait_for 60 vm_ready 4 && echo "o /b 0x501 3" >&4
	exec 4>&-
	wait_for 10 test -s $T/code && cat $T/out && [ "$(cat $T/code)" = 7 ]
}
check "end: the guest ends with an error: QEMU's status" error_exit
finish "end: the guest ends with an error"

check "end: a VM starts (kill -9)" start 4 $vm
kill -9 "$(pidof qemu-system-x86_64)"
check "end: QEMU is killed: 128 + 9" ends 137
finish "end: QEMU is killed"

for signal in TERM HUP; do
	check "end: a VM starts (SIG$signal)" start 4 $vm
	kill -$signal $run
	check "end: SIG$signal to shield: QEMU gets it and ends" ends 0
	finish "end: SIG$signal"
done

# In a terminal: the signal goes to the whole foreground group, once.
in_terminal() { # how to end it
	pty $vm >$T/run.out 2>$T/run.err &
	run=$!
	wait_for 60 vm_ready 4 || return 1
	"$@"
}
check "end: a VM starts in a terminal (Ctrl-C)" in_terminal true
kill -USR1 $run
check "end: Ctrl-C" ends 0
finish "end: Ctrl-C"
check "end: a VM starts in a terminal (SIGINT)" in_terminal true
for pid in $(pidof shield); do
	tr '\0' ' ' </proc/"$pid"/cmdline | grep -q guard || kill -INT "$pid"
done
check "end: SIGINT to shield alone" ends 0
finish "end: SIGINT to shield alone"
check "end: a VM starts in a terminal (hang-up)" in_terminal true
kill -USR2 $run
check "end: the terminal hangs up" wait_for 20 not_running $run
kill $run 2>/dev/null
finish "end: the terminal hangs up"

# Told to end while it starts: at several moments.
for moment in 50 200 400 800 1500; do
	$vm >$T/run.out 2>$T/run.err &
	run=$!
	usleep ${moment}000
	kill -TERM $run
	wait $run
	wait_for 5 test -z "$(pidof qemu-system-x86_64)" >/dev/null
	check "end: SIGTERM $moment ms after its start leaves no QEMU" test -z "$(pidof qemu-system-x86_64)"
	finish "end: SIGTERM $moment ms after its start"
done
true
