# SPDX-License-Identifier: MIT
# What --dry-run says and what strace(1) sees, as lines that can be compared: every write, mkdir, rmdir and
# sched_setaffinity, and every call of PID 1, in their order. Left out are only Shield's own files (/run/shield), and what it
# writes to pipes, terminals and sockets.
# shellcheck shell=sh disable=SC2154  # $T is guest.sh's

# "path value" of a write and so on, from the JSON of a preview. What is not known before may be as it should be already.
preview_lines() {
	jq -r '.steps[] |
		(.object | capture("^(thread|process) (?<id>[0-9]+) ").id // "") as $id |
		if .kind == "write" then
			(if .from == "?" then "perhaps " else "" end) + "write " + .object + " " + (if .from == .to and (.object | endswith("subtree_control")) then "as it is" else .to end)
		elif .kind == "dir" then (if .to == "present" then "mkdir " else "rmdir " end) + .object
		elif .kind == "affinity" then "affinity " + $id + " " + .to
		elif .kind == "process" then "write /sys/fs/cgroup" + .to + "/cgroup.procs " + $id
		elif .kind == "thread" then "write /sys/fs/cgroup" + .to + "/cgroup.threads " + $id
		else "unit " + .object + " " + .to end' "$1"
}

# The same from strace -y. What failed has changed nothing, and may have been tried twice. libcgroup asks again for a
# controller that is there, and a write of nothing waits for the one before.
strace_lines() {
	sed -nE -e 's/^write\([0-9]+<(\/(sys|proc)\/[^>]*)>, "(.*)", [0-9]+\) += .*$/write \1 \3/p' \
		-e 's/^mkdir(at)?\((AT_FDCWD[^,]*, )?"(\/sys[^"]*)".* = 0$/mkdir \3/p' \
		-e 's/^rmdir\("(\/sys[^"]*)".* = 0$/rmdir \1/p' \
		-e 's/^unlinkat\(AT_FDCWD[^,]*, "(\/sys[^"]*)", AT_REMOVEDIR.* = 0$/rmdir \1/p' \
		-e 's/^sched_setaffinity\(([0-9]+), [0-9]+, \[([^]]*)\].*$/affinity \1 \2/p' \
		-e 's/^send(msg|to)\(.*(Start(Transient)?|Restart)Unit\\0/unit active /p' -e 's/^send(msg|to)\(.*StopUnit\\0/unit inactive /p' "$1" |
		awk -v on="$(cat $T/control)" '
		BEGIN { if (on ~ /cpuset/) has["/sys/fs/cgroup/cgroup.subtree_control"] = 1 }
		function ranges(from, i, out, first, last) { # the numbers cpu[from..n]
			out = ""
			for (i = from; i <= n; i = last + 1) {
				first = last = i
				while (last < n && cpu[last + 1] == cpu[last] + 1) last++
				out = out (out == "" ? "" : ",") cpu[first] (last > first ? "-" cpu[last] : "")
			}
			return out
		}
		function mask(text, i, b, digit) { # of a hexadecimal mask; this awk has no powers
			gsub(/,/, "", text)
			n = 0
			for (i = length(text); i > 0; i--) {
				digit = index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
				for (b = 0; b < 4; b++) {
					if (digit % 2) cpu[++n] = (length(text) - i) * 4 + b
					digit = int(digit / 2)
				}
			}
			return ranges(1)
		}
		$1 == "unit" { # its name is the first one in the call
			gsub(/\\\\/, "\\")
			match($0, /shield[-A-Za-z0-9:_.\\@]*\.(scope|slice|service)/)
			print $1, substr($0, RSTART, RLENGTH), $2
			# PID 1 gives the slice of a scope the controller.
			has["/sys/fs/cgroup/shield.slice/cgroup.subtree_control"] = 1
			next
		}
		{ sub(/ \\n$/, " "); sub(/\\n$/, ""); sub(/\/$/, "") }
		$2 ~ /subtree_control$/ {
			if (NF < 3 || ($3 == "+cpuset") == ($2 in has)) print $1, $2, "as it is"
			else print
			if ($3 == "+cpuset") has[$2] = 1
			if ($3 == "-cpuset") delete has[$2]
			next
		}
		$1 == "affinity" { n = 0; for (i = 3; i <= NF; i++) cpu[++n] = $i; print $1, $2, ranges(1); next }
		$2 ~ /(default_smp_affinity|_cpus|_mask|cpumask|_bitmap)$/ { print $1, $2, mask($3); next }
		{ print }' | uniq
}

traced() { # COMMAND…: what shield COMMAND… does goes to done.lines
	cat /sys/fs/cgroup/cgroup.subtree_control >$T/control
	strace -qq -y -s 4096 -o $T/strace -e trace=write,mkdir,mkdirat,rmdir,unlinkat,sched_setaffinity,sendmsg,sendto \
		shield "$@" || return
	strace_lines $T/strace >$T/done.lines
	[ -s $T/done.lines ] || {
		echo "strace saw no change"
		return 1
	}
}
foretold() { shield "$@" --dry-run --json >$T/said.json && preview_lines $T/said.json | uniq >$T/said.lines; }

# shield COMMAND…: its preview, then it, and both compared. 0: it did what was said, call by call.
same_as_preview() { foretold "$@" && traced "$@" && certain | diff - $T/done.lines; }
certain() { # said.lines, without what need not have been done, and without kernel threads that have ended since
	awk 'NR == FNR { done[$0]; next } sub(/^perhaps /, "") && !($0 in done) { next } { print }' $T/done.lines $T/said.lines |
		while IFS= read -r line; do
			case $line in
			"affinity "*) [ -d "/proc/$(echo "$line" | cut -d' ' -f2)" ] || continue ;;
			esac
			echo "$line"
		done
}

# shield run OPTIONS… -- COMMAND: the same up to the start of COMMAND, whose number is not known before; then it ends.
run_as_preview() {
	shield run --dry-run --json "$@" >$T/said.json && preview_lines $T/said.json | uniq | without_numbers >$T/said.lines &&
		traced run "$@" && without_numbers <$T/done.lines | sed '/vcpus.cgroup.procs NUMBER$/q' >$T/begun.lines &&
		mv $T/begun.lines $T/done.lines && certain | diff - $T/done.lines
}
# Of a threaded cgroup libcgroup takes either file.
without_numbers() { sed -E 's/cgroup.(procs|threads) [0-9]+$/cgroup.procs NUMBER/'; }
