# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# Who owns each CPU, with two shields up.
# What scripts go by is its exit status: 3 without a shield, 1 where something is broken.
status_begins() {
	local said status
	said=$("$binary" status --sysroot "$machine" 2>&1)
	status=$?
	head -n 2 <<<"$said"
	return $status
}
if [ "$name" = i9-9900k ]; then
	golden "$name/status.none" 3 status_begins
	mkdir -p "$machine/run/shield"
	cp "$repo/tests/picture/state.json" "$machine/run/shield/"
	golden "$name/owned" 0 "$binary" topology --sysroot "$machine"
	golden "$name/owned.color" 0 "$binary" topology --color=always --sysroot "$machine"
	golden "$name/owned.json" 0 lines_of_json "$machine"
	# One line a class, so that it fits a screen; with -v all.
	golden "$name/status" 1 "$binary" status --sysroot "$machine"
	golden "$name/status.verbose" 1 "$binary" status -v --sysroot "$machine"
	rm -r "${machine:?}/run"
fi
