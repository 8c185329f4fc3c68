# SPDX-License-Identifier: MIT
# Inside the VM (tests/vm/upgrade/run): the two programs, and what is true of shields whose ends are not of the same one.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh

# Kernels before 6.7 want a CPU for the emulator that the guest does not have.
profile a '{"version":1,"name":"a","guest":"2-3","emulator":"6"}'
profile b '{"version":1,"name":"b","guest":"4","emulator":"7"}'
profile rt '{"version":1,"name":"rt","guest":"2-5","emulator":"6","flush":true,"host":{"stat_interval":77,"watchdog":"housekeeping"}}'

# use old|new: that one is installed, as a package is: what runs goes on with the file that it has.
use() {
	cp /opt/shield.$1 /usr/local/bin/shield.tmp && mv /usr/local/bin/shield.tmp /usr/local/bin/shield || return 1
	[ ! -d /units.$1 ] || use_units $1
}
guard_of() { jq -r --arg name "$1" '.shields[$name].guard.pid' $state; }
alive() { [ -d "/proc/$1" ] && ! not_running "$1"; }
# runs_as PID old|new: the process executes that program. (Of one that has been replaced the name says so.)
runs_as() { cmp -s "/proc/$1/exe" /opt/shield.$2; }

# An interrupt that no driver has, moved back to all CPUs as a driver would: a guard that works takes it off again.
spare=/proc/irq/15/smp_affinity_list
guards() {
	echo 0-7 >$spare
	wait_for 15 guarded || {
		cat $spare
		return 1
	}
}
guarded() { ! grep -q 0-7 $spare; }

# begun WITH COMMAND…: by the old program; then the new one is there.
begun() {
	use old && "$@" && use new
}
# holds NAME: it does, says the program that is installed, and its guard, which is of the program WHOSE, works.
holds() { # NAME WHOSE
	status 0 shield status "$1" || return 1
	holds_guard=$(guard_of "$1")
	runs_as "$holds_guard" "$2" && guards && [ "$(guard_of "$1")" = "$holds_guard" ] && status 0 shield status "$1"
}
kill_hard() { # PID…
	kill -9 "$@"
	for kill_pid in "$@"; do
		wait_for 10 not_running "$kill_pid" || return 1
	done
}
vm_of() { answer -r --arg name "$1" '.shields[] | select(.name == $name) | .pid'; }
