# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# What is allowed but unwise: every warning of `profile check`, where it is due, and not where it is not.
advice_case() { # CASE GUEST [MORE]
	printf '{ "version": 1, "name": "vm",\n  "guest": "%s"%s }\n' "$2" "${3:+, $3}" >"$work/advice.json"
	golden "$name/advice/$1" 0 "$binary" profile check "$work/advice.json" --sysroot "$machine"
}

case $name in
i9-9900k)
	advice_case good core:2-7
	advice_case split 2-7 '"smt": "split"'
	advice_case few core:1-7
	advice_case completed 2-7,10
	;;
ryzen-5950x)
	advice_case good l3:1
	advice_case shared-l3 core:6-9
	# Core 0 is the host's wherever it is.
	advice_case beside-core-0 l3:0
	;;
i7-13700k)
	advice_case good 'p-cores - core:1'
	advice_case kinds core:6-8
	;;
epyc-7543-dual)
	advice_case nodes 'l3:7-8'
	mkdir -p "$machine"/sys/devices/system/node/node{0,1}/hugepages/hugepages-1048576kB
	echo 0 >"$machine/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages"
	echo 16 >"$machine/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages"
	advice_case pages-elsewhere l3:7
	advice_case pages-here l3:15
	rm -r "$machine"/sys/devices/system/node/node{0,1}/hugepages
	;;
arm-two-sorts)
	advice_case good p-cores
	advice_case one-cluster 15-19
	advice_case kinds 8-12
	;;
arm-four-sorts) advice_case kinds 4-7 ;;
threadripper-2990wx) advice_case no-memory node:1 ;;
esac
