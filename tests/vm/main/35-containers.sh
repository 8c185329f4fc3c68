# SPDX-License-Identifier: MIT
# Containers whose CPUs a shield takes: named before, with where they run meanwhile, which is where they do; and put back.
# shellcheck shell=sh disable=SC1091,SC2154,SC2015,SC2086,SC2016  # guest.sh is in the VM
. /t/guest.sh
before
containers=$cgroups/containers
host=0-1,6-7
[ "$kernel" != 6.1 ] || host=0-1,6 # the emulator has a core of its own
make_container() { # NAME CPUS: its process is in $T/pid-NAME
	mkdir -p $containers/$1/init && echo +cpuset >$containers/$1/cgroup.subtree_control && echo "$2" >$containers/$1/cpuset.cpus || return 1
	sleep 600 &
	echo $! >$T/pid-$1
	echo $! >$containers/$1/init/cgroup.procs
}
make() {
	grep -q cpuset $cgroups/cgroup.subtree_control || echo +cpuset >$cgroups/cgroup.subtree_control
	mkdir -p $containers && echo +cpuset >$containers/cgroup.subtree_control && make_container two 2-3 && make_container one 0-2
}
check "containers: made" make
names() { # FILE: both, and where they run
	cat "$1"
	grep -q "$containers/two has only CPUs 2-3 set.* run on CPUs $host meanwhile" "$1" && grep -q "$containers/one has CPUs 0-2 set.* run on CPUs 0-1 meanwhile" "$1"
}
runs_on() { # NAME CPUS
	[ "$(sed -n 's/^Cpus_allowed_list:.//p' "/proc/$(cat $T/pid-$1)/status")" = "$2" ]
}
named() { # COMMAND…
	"$@" >$T/out 2>&1
	names $T/out
}
check "containers: doctor names them" named shield doctor win11
check "containers: plan names them" named shield plan win11
check "containers: on names them" named shield on win11
check "containers: they run where it said" eval 'runs_on two $host && runs_on one 0-1'
check "containers: doctor names them while it is active" named shield doctor
check "containers: off" shield off win11
check "containers: they have their CPUs again" eval 'runs_on two 2-3 && runs_on one 0-2'
unmake() {
	for name in one two; do
		kill "$(cat $T/pid-$name)" && wait_for 5 grep -q 'populated 0' $containers/$name/cgroup.events && rmdir $containers/$name/init $containers/$name || return 1
	done
	echo -cpuset >$containers/cgroup.subtree_control && rmdir $containers && echo -cpuset >$cgroups/cgroup.subtree_control
}
check "containers: removed" unmake
finish "containers"
