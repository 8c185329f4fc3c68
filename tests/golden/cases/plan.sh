# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by tests/golden/run for each $machine, of that $name
# What `shield on` would do there, for the machines that have a profile beside their golden outputs.
if [ -r "$here/$name/profile.json" ]; then
	golden "$name/plan" "$(cat "$here/$name/plan.status" 2>/dev/null || echo 0)" \
		"$binary" plan "$here/$name/profile.json" --sysroot "$machine"
	golden "$name/plan.json" "$(cat "$here/$name/plan.status" 2>/dev/null || echo 0)" \
		"$binary" plan --json "$here/$name/profile.json" --sysroot "$machine"
fi
