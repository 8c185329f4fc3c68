# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# Who owns each CPU, with two shields up.
if [ "$name" = i9-9900k ]; then
	mkdir -p "$machine/run/shield"
	cp "$repo/tests/picture/state.json" "$machine/run/shield/"
	golden "$name/owned" 0 "$binary" topology --sysroot "$machine"
	golden "$name/owned.color" 0 "$binary" topology --color=always --sysroot "$machine"
	golden "$name/owned.json" 0 lines_of_json "$machine"
	rm -r "${machine:?}/run"
fi
