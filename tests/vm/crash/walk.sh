# SPDX-License-Identifier: MIT
# A random walk: four shields, on and off in any order, one killed now and then.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
cpus=
for n in 1 2 3 4; do
	if [ $kernel = 6.1 ]; then
		# Every shield needs an emulator CPU there: three fit.
		[ $n -lt 4 ] || continue
		profile w$n "{\"version\":1,\"name\":\"w$n\",\"guest\":\"$((2 * n))\",\"emulator\":\"$((2 * n - 1))\"}"
	else
		profile w$n "{\"version\":1,\"name\":\"w$n\",\"guest\":\"$((n + 1))\"}"
	fi
	cpus="$cpus w$n"
done
sleeper 0x3c
sleeper 0x04
sleeper 0xf0
snapshot take $T/before
seed=${SEED:-$(($(date +%s) % 1000000))}
random() { # 0 … $1 - 1
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	r=$((seed / 65536 % $1))
}
set -- $cpus
on_calls=$(calls /usr/local/bin/shield on w1)
off_calls=$(calls /usr/local/bin/shield off w1)
kills=0
# After each step what is active is shielded, and what is not is the host's.
in_order() {
	shield status --json >$T/status
	jq -e '[.shields[].problems[] | select(.severity == "broken" and .object != "guard")] == []' $T/status >/dev/null || {
		shield status
		return 1
	}
	guests=$(jq -r '[.shields[].guest] | join(",")' $T/status)
	[ -z "$guests" ] || [ -z "$(snapshot on "$guests" | awk '$3 != "fixed"' | tee $T/on)" ] || {
		cat $T/on
		return 1
	}
	[ "$(jq '.shields | length' $T/status)" = "$active" ] || {
		echo "$active should be active"
		cat $T/status
		return 1
	}
}
step() {
	random $#
	eval "name=\$$((r + 1))"
	if [ -d $cgroups/shield-$name ]; then
		what=off
	else
		what=on
	fi
	random 6
	echo "$what $name $r" >>$T/walk
	if [ "$r" = 0 ]; then
		# It makes some calls more or less, as others are active: but never so few.
		[ $what = on ] && random $((on_calls * 3 / 4)) || random $((off_calls / 2))
		KILL_AT_LOG=$T/killed timeout -k 1 60 kill-at $((r + 1)) /usr/local/bin/shield $what $name >/dev/null 2>&1 || {
			cat $T/killed
			return 1
		}
		kills=$((kills + 1))
		shield recover
	else
		shield $what $name || return 1
	fi
	active=$(find $cgroups -maxdepth 1 -name 'shield-*' | wc -l)
	in_order
}
walk() {
	i=0
	while [ $i -lt "$1" ]; do
		shift_count=$1
		set -- $cpus
		step "$@" || {
			cat $T/walk
			return 1
		}
		set -- "$shift_count"
		i=$((i + 1))
	done
	echo "killed $kills times"
	[ $kills -gt 0 ]
}
check "random walk of 40 steps over $# shields, seed $seed" walk 40
end() { shield off --all && restored; }
check "random walk: afterwards all is as before" end
