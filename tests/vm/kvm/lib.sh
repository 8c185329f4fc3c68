# SPDX-License-Identifier: MIT
# Sourced by the cases, in the test VM (busybox ash), behind guest.sh: guests of KVM's, and the watch over `status`.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154,SC2086  # the cases use the variables; words

profile win11 '{"version":1,"name":"win11","guest":"2-3","emulator":"housekeeping"}'
console=$T/console
# A Linux that says on $console that it lives. (busybox needs no more memory; a reboot ends QEMU.)
linux="qemu-system-x86_64 -accel kvm -cpu host -smp 2 -m 192 -nodefaults -display none -no-reboot -name g,debug-threads=on -serial file:$console"
linux="$linux -kernel /guest/vmlinuz -initrd /guest/initrd -append"
kernel_options="console=ttyS0 quiet nokaslr mitigations=off panic=-1"
# Only firmware, which enters KVM as well, and is there at once.
firmware="$qemu -smp 2"

now() { cut -d' ' -f1 /proc/uptime; }
# What it said last; more of the kernel's own may follow.
guest_time() { tail -n 5 $console 2>/dev/null | sed -n 's/^guest \([0-9]*\.[0-9][0-9]\)\r*$/\1/p' | tail -n 1; }
guest_lives() { [ -n "$(guest_time)" ]; }
guest_goes_on() {
	goes_from=$(wc -l <$console)
	wait_for 10 eval '[ "$(wc -l <$console)" -gt $((goes_from + 3)) ]'
}

# The threads that KVM itself has for the VM of this process. Since 6.4 the worker is one of the process, before a kernel thread.
kvm_worker() {
	if [ $kernel = 6.1 ]; then
		grep -l '^kvm-nx-lpage-re' /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3 | head -n 1
	else
		grep -l '^kvm-nx-lpage-re' /proc/"$1"/task/*/comm 2>/dev/null | cut -d/ -f5 | head -n 1
	fi
}
allowed() { sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/"$1"/status; }
cgroup_of() { sed -n 's/^0:://p' /proc/"$1"/cgroup; }

# Each vCPU is alone on its CPU, and nothing that could be elsewhere is there.
kvm_alone() {
	snapshot on 2-3 | awk '$3 != "fixed"' >$T/on
	cat $T/on
	[ "$(grep -cE 'CPU [0-9]+/KVM' $T/on)" = 2 ] && [ "$(wc -l <$T/on)" = 2 ] &&
		[ "$(cut -d' ' -f4 $T/on | sort | xargs)" = "2 3" ] && ! snapshot irqs 2-3 | grep ' movable '
}
# The worker is where the emulator is, with its CPUs; a kernel thread anywhere but on guest CPUs.
worker_is_home() { # QEMU's number
	worker=$(kvm_worker "$1")
	[ -n "$worker" ] || {
		echo "KVM has no worker: nothing was tested"
		return 1
	}
	echo "worker $worker on $(allowed "$worker") in $(cgroup_of "$worker"), QEMU on $(allowed "$1") in $(cgroup_of "$1")"
	if [ $kernel = 6.1 ]; then
		! snapshot on 2-3 | grep "^$worker "
		return
	fi
	[ "$(allowed "$worker")" = "$(allowed "$1")" ] && [ "$(cgroup_of "$worker")" = "$(cgroup_of "$1")" ]
}

# watch_status PID: asks every 200 ms as long as QEMU runs, which is this process, or until $T/watch is removed; $T/samples has a
# line each: time, status, guest time.
watch_status() {
	: >$T/watch
	: >$T/samples
	: >$T/complaints
	while [ -e $T/watch ]; do
		watch_at=$(now)
		shield status >$T/watched 2>&1
		watch_got=$?
		! not_running "$1" || break # it may have seen the end
		echo "$watch_at $watch_got $(guest_time)" >>$T/samples
		[ $watch_got = 0 ] || sed "s/^/$watch_at /" $T/watched >>$T/complaints
		usleep 200000
	done
}
# watched N: at least N samples were taken after the VM ran (at $ran), and from a second after that each was 0.
watched() {
	awk -v from="$ran" -v least="$1" '
		$1 < from { next }
		{ n++ }
		$2 == 0 && !first { first = $1 - from }
		$2 != 0 && $1 >= from + 1 { bad++; print "status", $2, $1 - from, "s after the VM ran, guest at", $3 }
		$3 != "" { time = $3 }
		END {
			printf "%d samples, the first 0 after %.2f s, %d not 0 later than a second; guest time at the last one: %s s\n", n, first, bad, time
			exit bad || n < least || time == ""
		}' $T/samples || {
		head -n 20 $T/complaints
		return 1
	}
}
