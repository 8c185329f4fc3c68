# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# Host settings and flush in a plan; a governor that the kernel does not know; settings that the machine has not.
if [ "$name" = vm-8 ]; then
	for policy in 0 2 4; do
		clock=$machine/sys/devices/system/cpu/cpufreq/policy$policy
		mkdir -p "$clock"
		echo "$policy $((policy + 1))" >"$clock/related_cpus"
		echo schedutil >"$clock/scaling_governor"
		echo "performance schedutil " >"$clock/scaling_available_governors"
	done
	mkdir -p "$machine/sys/kernel/mm/transparent_hugepage" "$machine/proc/sys/vm"
	echo 'always [madvise] never' >"$machine/sys/kernel/mm/transparent_hugepage/enabled"
	echo 45056 >"$machine/proc/sys/vm/min_free_kbytes"
	settings_case() { # CASE STATUS HOST
		printf '{ "version": 1, "name": "vm", "guest": "3-5", "flush": true,\n  "host": { %s } }\n' "$3" >"$work/settings.json"
		golden "$name/settings/$1" "$2" "$binary" plan "$work/settings.json" --sysroot "$machine"
	}
	settings_case clocks 0 '"governor": "performance"'
	settings_case word 2 '"governor": "ondemand"'
	settings_case drags 0 '"transparent_hugepages": "never", "ksm": 0'
	settings_case range 2 '"stat_interval": 0'
	settings_case choice 2 '"transparent_hugepages": "maybe"'
	settings_case unknown 2 '"goveror": "performance"'
	rm -r "$machine/sys/devices/system/cpu/cpufreq" "$machine/sys/kernel/mm" "${machine:?}/proc/sys/vm" "$work/settings.json"
fi
