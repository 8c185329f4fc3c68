# SPDX-License-Identifier: MIT
# Inside the VM (tests/vm/endurance/run): sh endurance.sh PART…, with ROUNDS, RUNS, MINUTES and EVERY.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh

systemd=
[ ! -d /run/systemd/system ] || systemd=1
profile win11 '{"version":1,"name":"win11","guest":"2-3","emulator":"4"}'
profile keeper '{"version":1,"name":"keeper","guest":"6","emulator":"7"}'
if [ -n "$systemd" ]; then
	mkdir -p /etc/systemd/system/shield-guard-.service.d
	cp /units/10-shield-guard.conf /etc/systemd/system/shield-guard-.service.d
	systemctl daemon-reload
fi

# Memory that is the process's own, counted page by page: the counters in /proc/PID/status are off by some.
memory() { awk '/^Anonymous:/ { print $2 }' "/proc/$1/smaps_rollup"; }
entries() { ls "$1" | wc -l; }
process() { # NAME PID
	echo "$1-kB=$(memory "$2") $1-fds=$(entries "/proc/$2/fd") $1-threads=$(entries "/proc/$2/task")"
}
guard_of() { jq -r --arg name "$1" '.shields[$name].guard.pid' $state; }
slab() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo
}
of_systemd() {
	echo "$(process pid1 1 | sed 's/ pid1-threads.*//') units=$(systemctl list-units --all --no-legend --plain | wc -l)"
}
# measure ROUND SHIELD [RUN]: a line of measurements, as NAME=VALUE.
measure() {
	{
		echo "round=$1"
		process guard "$(guard_of "$2")"
		[ -z "${3-}" ] || process run "$3"
		echo "state-B=$(wc -c <$state) files=$(entries /run/shield)"
		awk '$1 == "nr_dying_descendants" { print "dying=" $2 }' $cgroups/cgroup.stat
		[ -z "$systemd" ] || of_systemd
		echo "slab-kB=$(slab)"
	} | tr '\n' ' ' >>$T/samples
	echo >>$T/samples
	sed -n '$s/^/# /p' $T/samples
}

# judge NAME: a check for each column of the samples. Those that are missing, or no numbers, fail.
judge() {
	awk -v name="$1" '
		function median(values, from, to,    i, n, k, t, list) {
			for (i = from; i <= to; i++) list[++n] = values[i]
			for (i = 1; i <= n; i++)
				for (k = i; k > 1 && list[k] < list[k - 1]; k--) { t = list[k]; list[k] = list[k - 1]; list[k - 1] = t }
			return list[int((n + 1) / 2)]
		}
		FNR == NR {
			if ($0 !~ /^#/ && NF) limit[$1] = $2
			next
		}
		{
			n++
			for (i = 2; i <= NF; i++) {
				split($i, part, "=")
				if (!(part[1] in limit) || part[2] !~ /^[0-9]+$/) { print "not ok " name ": " $i " is not a measurement"; next }
				if (n == 1) column[++columns] = part[1]
				value[part[1], n] = part[2] + 0
				seen[part[1]]++
			}
		}
		END {
			if (n < 16) { print "not ok " name ": measured " n + 0 " times only"; exit }
			for (c = 1; c <= columns; c++) {
				what = column[c]
				for (i = 1; i <= n; i++) one[i] = value[what, i]
				before = median(one, int(n / 4) + 1, int(n / 2))
				after = median(one, n - int(n / 4) + 1, n)
				bad = after - before > limit[what] || seen[what] != n
				printf "%s %s: %s: %d, then %d (may grow by %d; first %d, last %d, %d times)\n", bad ? "not ok" : "ok", name, what, before, after,
					limit[what], one[1], one[n], seen[what]
			}
		}' /t/limits $T/samples
	rm -f $T/samples
}

# rounds PART N COMMAND: N times, measured 40 times.
rounds() {
	rounds_step=$(($2 / 40))
	[ $rounds_step -gt 0 ] || rounds_step=1
	rounds_i=0 rounds_bad=0
	while [ $rounds_i -lt "$2" ]; do
		rounds_i=$((rounds_i + 1))
		$3 >$T/said 2>&1 || {
			rounds_bad=$((rounds_bad + 1))
			echo "not ok $1: round $rounds_i"
			sed 's/^/#   /' $T/said >&2
			[ $rounds_bad -lt 5 ] || break
		}
		[ $((rounds_i % rounds_step)) -ne 0 ] || measure $rounds_i keeper
	done
	echo "# $1: $rounds_i rounds, $rounds_bad bad, $(cut -d. -f1 /proc/uptime) s after the boot"
	[ $rounds_i = "$2" ] && [ $rounds_bad = 0 ]
}
beside_keeper() { # PART N COMMAND
	check "$1: another shield is active" shield on -q keeper
	keeper_guard=$(guard_of keeper)
	if rounds "$@"; then echo "ok $1: $2 rounds"; else echo "not ok $1: $2 rounds"; fi
	judge "$1"
	check "$1: its guard is the one that it had" [ "$(guard_of keeper)" = "$keeper_guard" ]
	check "$1: it holds" status 0 shield status keeper
	shield off -q --all
	finish "$1"
}

on_off() { shield on -q win11 && shield off -q win11; }
run_once() {
	rm -f $T/in
	mkfifo $T/in
	sh -c "exec shield run -q -p win11 -- $qemu -smp 2 -monitor stdio <$T/in >$T/out 2>$T/run.err" &
	run=$!
	exec 4>$T/in
	wait_for 60 vm_ready 2 || cat $T/run.err
	echo quit >&4
	exec 4>&-
	ends 0
}

booted() { wc -c <$T/boots; }
guarded() {
	start 2 shield run -q -p win11 -- $qemu -smp 2 -drive file=/t/reboot.img,format=raw,if=ide,snapshot=on \
		-chardev file,id=boots,path=$T/boots -device isa-debugcon,iobase=0xe9,chardev=boots || return 1
	guarded_guard=$(guard_of win11) guarded_end=$(($(date +%s) + 60 * MINUTES)) guarded_pause=$((60 * MINUTES / 60))
	while [ "$(date +%s)" -lt $guarded_end ]; do
		sleep $guarded_pause
		measure "$(booted)" win11 $run
	done >&3
	# (The firmware takes seconds, and half a minute where the host is busy.)
	echo "$(booted) boots in $MINUTES minutes"
	echo "# guard: $(booted) boots" >&3
	[ "$(booted)" -gt $((1 + MINUTES / 2)) ] && [ "$(guard_of win11)" = "$guarded_guard" ] && status 0 shield status
}

exec 3>&1
# PID 1 and the kernel's caches have settled.
check "a shield begins and ends" on_off
sleep 3
before
for part in "$@"; do
	case $part in
	on) beside_keeper on "$ROUNDS" on_off ;;
	run) beside_keeper run "$RUNS" run_once ;;
	guard)
		check "guard: a VM resets itself every $EVERY s, its shield holds" guarded
		judge guard
		kill "$(pidof qemu-system-x86_64)"
		check "guard: its end" ends 0
		finish guard
		;;
	*) echo "not ok there is no part $part" ;;
	esac
done
