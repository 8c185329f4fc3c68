# SPDX-License-Identifier: MIT
# The main job on another machine.
# machine: --cpus 4
# kernels: 6.1 6.12
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
if [ $kernel = 6.1 ]; then
	profile win11 '{"version":1,"name":"win11","guest":"2","emulator":"3"}'
	cpus=2
else
	profile win11 '{"version":1,"name":"win11","guest":"2-3"}'
	cpus=2-3
fi
main_job four $cpus
true
