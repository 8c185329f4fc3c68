# SPDX-License-Identifier: MIT
# What `run` may start: QEMU behind scripts, a daemon, as another user, no VM at all; and what it passes on.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before

# Scripts that end up in QEMU.
cat >$T/exec-qemu <<END
#!/bin/sh
sleep 0.2
exec $qemu -smp 2 "\$@"
END
cat >$T/wait-qemu <<END
#!/bin/sh
echo "about to start"
$qemu -smp 2 &
wait \$!
echo "it ended with \$?"
exit 5
END
cat >$T/child-qemu <<END
#!/bin/sh
sh -c '$qemu -smp 2; exit \$?'
END
chmod +x $T/*-qemu
alone() { # N vCPUs alone on CPUs, in the isolated partition; no other thread of QEMU
	[ "$(cat $vcpus/cpuset.cpus.partition)" = isolated ] || return 1
	snapshot on 2-5 | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(grep -cE "CPU [0-9]+/$accel" $T/on)" = "$1" ] && [ "$(wc -l <$T/on)" = "$1" ] &&
		[ "$(cut -d' ' -f4 $T/on | grep -c '^[2-5]$')" = "$1" ] && [ "$(cut -d' ' -f4 $T/on | sort -u | wc -l)" = "$1" ] &&
		status 0 shield status
}
for script in exec child; do
	check "script: $script-qemu starts, QEMU is found" start 2 shield run -p win11 -- $T/$script-qemu
	check "script: $script-qemu: vCPUs alone, all else off" alone 2
	kill "$(pidof qemu-system-x86_64)"
	check "script: $script-qemu: status" ends 0
	finish "script: $script-qemu"
done
check "script: wait-qemu starts, QEMU is found" start 2 shield run -p win11 -- $T/wait-qemu
check "script: wait-qemu: vCPUs alone, all else off" alone 2
kill -9 "$(pidof qemu-system-x86_64)"
check "script: wait-qemu: the script's own status" ends 5
check "script: wait-qemu: its output came through" grep -q 'ended with 137' $T/run.out
finish "script: wait-qemu"
check "script: wait-qemu starts (SIGTERM)" start 2 shield run -p win11 -- $T/wait-qemu
kill -TERM $run
check "script: SIGTERM ends the script and its VM" wait_for 20 not_running $run
wait $run
check "script: no QEMU is left" test -z "$(pidof qemu-system-x86_64)"
finish "script: SIGTERM"

daemon() { start 2 shield run -p win11 -- $qemu -smp 2 -daemonize -pidfile $T/pid; }
check "daemon: QEMU -daemonize starts, and is pinned" daemon
check "daemon: vCPUs alone, all else off" alone 2
check "daemon: shield waits for it" test -d /proc/$run
kill "$(pidof qemu-system-x86_64)"
check "daemon: its end is the end" ends 0
finish "daemon"

# No VM.
cgroup_is_balancing() { [ "$(cat $vcpus/cpuset.cpus.partition)" = root ]; }
threads 4 3 &
threads_of() { # all threads of the program inside, and no other thread there
	pid=$(pidof "$1" | cut -d' ' -f1)
	for t in /proc/"$pid"/task/*; do
		sed -n 's/^Cpus_allowed_list:[^0-9]*//p' "$t/status"
	done | sort -u >$T/lists
	cat $T/lists
	[ "$(cat $T/lists)" = 2-5 ] && [ "$(cat /proc/"$pid"/cgroup)" = 0::/shield-win11/vcpus ]
}
wait
shield run -p win11 -- threads 4 4 >$T/run.out 2>$T/run.err &
run=$!
check "command: it starts" wait_for 10 pidof threads
usleep 300000
check "command: in a partition that balances" cgroup_is_balancing
check "command: all its threads are inside, on all guest CPUs" threads_of threads
check "command: status agrees" status 0 shield status
spread() { # on how many CPUs its threads are
	pid=$(pidof threads)
	for t in /proc/"$pid"/task/*; do
		sed 's/.*) //' "$t/stat" | cut -d' ' -f37
	done | sort -u | tee $T/cpus | wc -l
	[ "$(wc -l <$T/cpus)" -ge 2 ]
}
check "command: the kernel spreads its threads" wait_for 2 spread
check "command: ends with its status" ends 0
finish "command"
isolated_command() {
	shield run -p win11 --isolated -- sh -c "cat $vcpus/cpuset.cpus.partition /proc/self/cgroup; exit 9" >$T/out
	[ $? = 9 ] && cat $T/out && [ "$(head -n 1 $T/out)" = isolated ]
}
check "command: --isolated" isolated_command
finish "command: --isolated"
# Its threads are the user's affair: status says what nothing balances, and that nothing is broken.
cat >$T/pinned <<'END'
#!/bin/sh
for cpu in 2 3; do taskset -c $cpu sleep 60 & done
taskset -c 4 sleep 60
END
chmod +x $T/pinned
shield run -p win11 --isolated -- taskset -c 5 $T/pinned >$T/run.out 2>$T/run.err &
run=$!
pinned_ones() { [ "$(pidof sleep | wc -w)" = 3 ] && status 0 shield status >$T/out && cat $T/out && ! grep -q 'as it was asked for' $T/out; }
check "command: --isolated, all pinned: nothing to say" wait_for 5 pinned_ones
pidof sleep | xargs kill
check "command: --isolated: ends" wait_for 20 not_running $run
finish "command: --isolated, pinned"
shield run -p win11 --isolated -- sh -c 'sleep 60 & sleep 60 & wait' >$T/run.out 2>$T/run.err &
run=$!
unpinned_ones() {
	[ "$(pidof sleep | wc -w)" = 2 ] && status 0 shield status >$T/out && cat $T/out && grep -q 'as it was asked for' $T/out || return 1
	[ "$(grep -c 'nothing balances' $T/out)" = 3 ] && shield status --json | jq -e '[.shields[0].problems[] | select(.severity | IN("immovable", "pending") | not).severity] | unique == ["chosen"]'
}
check "command: --isolated, not pinned: named, and not broken" wait_for 5 unpinned_ones
pidof sleep | xargs kill
check "command: --isolated: ends" wait_for 20 not_running $run
finish "command: --isolated, not pinned"

check "streams: stdin to stdout" sh -c 'echo passes through | shield run -p win11 -- cat | grep -q "^passes through$"'
check "streams: a large one" sh -c 'dd if=/dev/zero bs=1k count=3000 2>/dev/null | shield run -p win11 -- cat | wc -c | grep -q "^3072000$"'
only_own_stderr() { shield run -p win11 -- sh -c 'echo mine >&2' 2>$T/err && cat $T/err && grep -qx mine $T/err; }
check "streams: stderr" only_own_stderr
serial() {
	shield run -p win11 -- $qemu -smp 1 -serial stdio </dev/null >$T/out 2>&1 &
	run=$!
	wait_for 60 vm_ready 1 && kill "$(pidof qemu-system-x86_64)" && ends 0
}
check "streams: -serial stdio" serial
nographic() {
	# SeaBIOS speaks on the serial port when there is no graphics card.
	shield run -p win11 -- qemu-system-x86_64 $accel_options -m 64 -nographic -net none </dev/null >$T/out 2>&1 &
	run=$!
	wait_for 60 vm_ready 1 && wait_for 30 grep -qa SeaBIOS $T/out && kill "$(pidof qemu-system-x86_64)" && ends 0
}
check "streams: -nographic shows the guest's screen" nographic
finish "streams"

as_user() {
	start 2 shield run -p win11 --user anna -- $qemu -smp 2 || return 1
	pid=$(pidof qemu-system-x86_64)
	grep -E '^(Uid|Gid|Groups):' /proc/"$pid"/status
	grep '^Max locked memory' /proc/"$pid"/limits
	grep -q '^Uid:.1000.1000.1000.1000$' /proc/"$pid"/status && grep -q '^Gid:.1000.1000.1000.1000$' /proc/"$pid"/status &&
		grep -q '^Groups:.*107' /proc/"$pid"/status && ! grep -q '^Groups:.*\b0\b' /proc/"$pid"/status &&
		! grep -q '^Max locked memory *unlimited' /proc/"$pid"/limits
}
check "user: QEMU runs as the user, with his groups and limits" as_user
check "user: vCPUs alone, all else off" alone 2
no_caps() { grep -q '^CapEff:.0000000000000000$' /proc/"$(pidof qemu-system-x86_64)"/status; }
check "user: QEMU has no capability" no_caps
kill "$(pidof qemu-system-x86_64)"
check "user: its end" ends 0
finish "user"
check "user: one that does not exist: 125" status 125 shield run -p win11 --user nosuch -- true

# The user's own -S: the machine stays as he froze it.
frozen() {
	mkfifo $T/mon
	sh -c "exec shield run -p win11 -- $qemu -smp 2 $1 -monitor stdio <$T/mon >$T/out 2>$T/run.err" &
	run=$!
	exec 4>$T/mon
	wait_for 60 vm_ready 2 || return 1
	sleep 1
	echo "info status" >&4
	wait_for 5 grep -q 'VM status' $T/out
	echo quit >&4
	exec 4>&-
	rm $T/mon
	ends 0
	cat $T/out
	grep -q "VM status: $2" $T/out
}
check "-S: a machine that the user froze stays so" frozen -S "paused (prelaunch)"
check "-S: one that he did not freeze runs" frozen "" running
finish "-S"

check "status: 127 when it does not exist" status 127 shield run -p win11 -- /nosuch
check "status: 127 when it is not in PATH" status 127 shield run -p win11 -- nosuch
check "status: 126 when it may not be executed" status 126 shield run -p win11 -- /t/guest.sh
check "status: 126 for a directory" status 126 shield run -p win11 -- /etc
check "status: 125 for an unknown profile" status 125 shield run -p nosuch -- true
check "status: 125 for wrong usage" status 125 shield run --nosuch -p win11 -- true
check "status: the command's own" status 42 shield run -p win11 -- sh -c 'exit 42'
check "status: 128 + signal" status 139 shield run -p win11 -- sh -c 'kill -SEGV $$'
finish "status"
true
