# A host that cannot do it: one clear line, status 4, and nothing changes.
# machine: --append isolcpus=6-7
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
check "isolcpus: on" refused 4 shield on win11
check "isolcpus: run" refused 125 shield run -p win11 -- true
check "isolcpus: plan" refused 4 shield plan win11
check "isolcpus: off does nothing" status 0 shield off
check "isolcpus: status" status 3 shield status
check "isolcpus: topology" status 0 shield topology
finish "isolcpus"
true
