# SPDX-License-Identifier: MIT
# A host that cannot do it: one clear line, status 4, and nothing changes.
# machine: --no-cgroup
# kernels: 6.12
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
no_host no-cgroup
true
