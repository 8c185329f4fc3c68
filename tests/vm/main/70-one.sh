# SPDX-License-Identifier: MIT
# One CPU: nothing can be shielded there, and that is said.
# machine: --cpus 1
# kernels: 6.12
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before
refused() {
	profile win11 "{\"version\":1,\"name\":\"win11\",\"guest\":\"$2\"}"
	shield on $3 win11 >$T/out 2>$T/err
	got=$?
	cat $T/err
	[ $got = "$1" ] && one_line $T/err
}
check "one CPU: it is all there is" refused 2 0
check "one CPU: even with --force" refused 2 0 --force
check "one CPU: there is no other" refused 2 1
check "one CPU: doctor" status 4 shield doctor
check "one CPU: topology" status 0 shield topology
finish "one CPU"
true
