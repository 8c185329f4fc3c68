# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# Profiles and names that are refused: one line that says what, why and the cure, and where it is.
bad_profile() { # CASE TEXT: in the format of printf
	# shellcheck disable=SC2059  # it is one
	printf "$2" >"$work/bad.json"
	golden "$name/bad/$1" 2 "$binary" profile check "$work/bad.json" --sysroot "$machine"
}

bad_cpus() { # CASE LIST
	bad_profile "cpus.$1" "{\n  \"version\": 1,\n  \"name\": \"vm\",\n  \"guest\": \"$2\"\n}\n"
}

if [ "$name" = vm-8 ]; then
	bad_cpus backwards 5-2
	bad_cpus gap 1,,2
	bad_cpus letter 0-3x
	bad_cpus missing 2,99
	bad_cpus open 2-
	bad_cpus negative -1
	bad_cpus huge 99999999999999999999
	bad_cpus all 0-7
	bad_cpus none ''
	bad_cpus word 'p-coers'
	bad_cpus kind 'p-cores - 2'
	bad_profile type '{ "version": 1, "name": "vm",\n  "guest": 5 }\n'
	bad_profile key '{ "version": 1, "name": "vm",\n  "gest": "2-5" }\n'
	bad_profile duplicate '{ "version": 1, "name": "vm",\n  "guest": "2", "guest": "3" }\n'
	bad_profile comma '{ "version": 1, "name": "vm",\n  "guest": "2-5",\n}\n'
	bad_profile utf8 '{ "version": 1, "name": "\xff" }\n'
	bad_profile empty ''
	rm "$work/bad.json"
	mkdir "$work/bad.json"
	golden "$name/bad/directory" 2 "$binary" profile check "$work/bad.json" --sysroot "$machine"
	rmdir "$work/bad.json"
	truncate -s 100M "$work/bad.json"
	golden "$name/bad/large" 2 "$binary" profile check "$work/bad.json" --sysroot "$machine"
	ln -sf bad.json "$work/bad.json"
	golden "$name/bad/loop" 2 "$binary" profile check "$work/bad.json" --sysroot "$machine"
	rm "$work/bad.json"
	golden "$name/bad/gone" 2 "$binary" profile check "$work/bad.json" --sysroot "$machine"
	golden "$name/bad/name.dots" 2 "$binary" profile check .. --sysroot "$machine"
	golden "$name/bad/name.space" 2 "$binary" profile check 'a b' --sysroot "$machine"
	golden "$name/bad/name.long" 2 "$binary" profile check "$(printf 'x%.0s' {1..300})" --sysroot "$machine"
fi
if [ "$name" = gaps ]; then
	bad_cpus offline 2-4
	bad_cpus absent 7-12
fi

# A machine that scripts/record-machine records is one.
if [ "$name" = one-cpu ]; then
	record() {
		"$repo/scripts/record-machine" "$work/here.tar.gz" 2>/dev/null && mkdir "$work/here" &&
			tar -xzf "$work/here.tar.gz" -C "$work/here" && invariants "$work/here/machine" &&
			diff <("$binary" topology --json) <("$binary" topology --json --sysroot "$work/here/machine")
		local status=$?
		rm -rf "$work/here" "$work/here.tar.gz"
		return $status
	}
	check record-machine record
fi
