# A host that cannot do it: one clear line, status 4, and nothing changes.
# machine: --no-cgroup
# kernels: 6.12
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before
refused() { # STATUS COMMAND…
	want=$1
	shift
	"$@" >$T/out 2>$T/err
	got=$?
	cat $T/err
	[ $got = "$want" ] && one_line $T/err || {
		echo "status $got"
		return 1
	}
}
check "no-cgroup: on" refused 4 shield on win11
check "no-cgroup: run" refused 125 shield run -p win11 -- true
check "no-cgroup: plan" refused 4 shield plan win11
check "no-cgroup: off does nothing" status 0 shield off
check "no-cgroup: status" status 3 shield status
check "no-cgroup: topology" status 0 shield topology
finish "no-cgroup"
true
