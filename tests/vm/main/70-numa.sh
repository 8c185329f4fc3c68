# SPDX-License-Identifier: MIT
# The main job on another machine.
# machine: --numa
# kernels: 6.1 7
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
profile win11 '{"version":1,"name":"win11","guest":"4-6"}'
main_job numa 4-6
true
