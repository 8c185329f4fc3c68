# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034  # scripts/vm, which sources this, shares its settings
# Boots QEMU and follows what comes out of its four serial ports, each through a FIFO in $work:
#
#   ttyS0 log   the kernel log: read line by line, kept in $work/kernel.log, searched for trouble
#   ttyS1 out   the command's standard output, passed on
#   ttyS2 err   its standard error, passed on
#   ttyS3 ctl   the guest's reports (tests/vm/guest/init lists them)
#
# Every reader ends when QEMU does, because only QEMU holds the other end. A reader keeps what it learned in a file (started,
# exit, done, fail, trouble) and sends a word down the FIFO "events"; the main loop sleeps on that with the deadline of the
# current state:
#
#   booting --first line--> kernel --START--> running --EXIT--> finishing --QEMU ends--> (end)
#
# A boot that misses a deadline before START, or dies there of what QEMU emulates wrongly (vm-qemu.sh), is repeated, for no
# command has run. Later the outcome is final.

# A line that means that the kernel is broken. It has to start the message: "Spectre V2 : WARNING" is not one.
trouble='^\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? (WARNING: |BUG: |kernel BUG at |Oops|Kernel panic|general protection fault|watchdog: (BUG|.*LOCKUP)|'
trouble+='INFO: task .* blocked for more than|rcu: INFO: .*stall|refcount_t: |UBSAN: |list_(add|del) corruption|.* \[#[0-9]+\])'

# A warning that a test causes on purpose is announced by it in the kernel log itself, so the order is the kernel's:
#
#   shield-vm: expect may REGEX     from here on a line that fits is not trouble
#   shield-vm: expect must REGEX    and one has to come
#   shield-vm: expect last REGEX    until the machine is off: what the kernel says of its end
#   shield-vm: expect end           what comes from here on is trouble again
stamp='^\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? '
expected='' expected_how='' expected_met=''
in_trouble() {
	printf '%s\n' "$1" >>"$work/trouble"
	echo trouble >&9
}
expect() { # "may REGEX" …
	local how=${1%% *} regex=${1#* }
	case $how in
	may | must | last)
		[ -z "$expected" ] || in_trouble "shield-vm: expected is \"$regex\", and \"$expected\" has not ended"
		expected=$regex expected_how=$how expected_met=
		;;
	end)
		expect_over
		expected=
		;;
	*) in_trouble "shield-vm: what is \"expect $1\"?" ;;
	esac
}
expect_over() {
	[ -n "$expected" ] || in_trouble "shield-vm: the end of an expectation that has no beginning"
	[ "$expected_how" != must ] || [ -n "$expected_met" ] || in_trouble "shield-vm: the kernel did not complain as expected: $expected"
}
read_log() {
	local line first=1
	while IFS= read -r line || [ -n "$line" ]; do
		line=${line%$'\r'}
		printf '%s\n' "$line"
		[ -z "$verbose" ] || printf '%s\n' "$line" >&2
		if [ -n "$first" ] && [[ $line == '['* ]]; then
			first=
			echo first >&9
		fi
		if [[ $line =~ ${stamp}shield-vm:\ expect\ (.*)$ ]]; then
			expect "${BASH_REMATCH[2]}"
		elif [[ $line =~ $trouble ]]; then
			if [ -n "$expected" ] && [[ $line =~ $expected ]]; then
				expected_met=1
			elif ! { [ -n "$ignore_kernel" ] && [[ $line =~ $ignore_kernel ]]; }; then
				in_trouble "$line"
			fi
		fi
	done >"$work/kernel.log" <"$work/log"
	# Who announces it also ends it, if the machine lives.
	[ -z "$expected" ] || [ "$expected_how" = last ] || [ ! -e "$work/exit" ] ||
		in_trouble "shield-vm: what was expected has not ended: $expected"
	echo end >&9
}

read_reports() {
	local word rest
	while IFS=' ' read -r word rest; do
		case $word in
		START)
			: >"$work/started"
			echo start >&9
			;;
		FAIL) printf '%s\n' "$rest" >"$work/fail" ;;
		EXIT)
			printf '%s\n' "$rest" >"$work/exit"
			echo exit >&9
			;;
		FILE)
			echo "file ${rest#* }" >&9
			head -c "${rest#* }" >"$work/file.${rest% *}"
			echo 'file 0' >&9
			;;
		DONE)
			: >"$work/done"
			echo 'done' >&9
			;;
		esac
	done <"$work/ctl"
}

qemu_start() {
	local smp=$cpus half port options=()
	[ -z "$smt" ] || smp+=,threads=2
	if [ -n "$numa" ]; then
		smp+=,sockets=2
		half=$((memory / 2))
		options+=(-object "memory-backend-ram,id=m0,size=${half}M" -object "memory-backend-ram,id=m1,size=$((memory - half))M"
			-numa "node,nodeid=0,cpus=0-$((cpus / 2 - 1)),memdev=m0" -numa "node,nodeid=1,cpus=$((cpus / 2))-$((cpus - 1)),memdev=m1")
	fi
	[ -z "$root_image" ] || options+=(-drive "if=none,id=root,format=raw,file=$root_image,snapshot=on" -device "virtio-blk-pci,drive=root")
	# Interrupt lines of their own: with the customary ones two ports share each.
	for port in 0,0x3f8,4 1,0x2f8,3 2,0x3e8,5 3,0x2e8,7; do
		IFS=, read -r n iobase irq <<<"$port"
		options+=(-chardev "file,id=s$n,append=on,path=/dev/fd/$((n + 4))"
			-device "isa-serial,index=$n,chardev=s$n,iobase=$iobase,irq=$irq")
	done
	TMPDIR=$work setpriv --pdeathsig KILL "$qemu_program" -name shield-vm -machine "$machine" -accel "$accel_option" -cpu "$cpu" \
		-smp "$smp" -m "$memory" -nodefaults -no-reboot -display none -no-user-config "${options[@]}" \
		-kernel "$cache/kernels/$kernel/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0,115200 loglevel=7 panic=-1 nokaslr mitigations=off rcupdate.rcu_cpu_stall_timeout=200 watchdog_thresh=60 random.trust_cpu=on printk.devkmsg=on ${root_image:+systemd.show_status=0 }$append" \
		"${qemu_args[@]}" </dev/null >"$work/qemu.log" 2>&1 9>&- &
	qemu=$!
}

# boot: one boot, up to QEMU's end.
boot() {
	local state=booting deadline now word size
	rm -f "$work"/{started,exit,done,fail,trouble,log,out,err,ctl,events,file.*}
	mkfifo "$work"/{log,out,err,ctl,events}
	exec 9<>"$work/events"
	read_log &
	readers=($!)
	cat <"$work/out" 9>&- &
	readers+=($!)
	cat <"$work/err" >&2 9>&- &
	readers+=($!)
	read_reports &
	readers+=($!)
	exec 4>"$work/log" 5>"$work/out" 6>"$work/err" 7>"$work/ctl"
	qemu_start
	exec 4>&- 5>&- 6>&- 7>&-

	SECONDS=0
	deadline=$first_line_timeout
	expired=
	while :; do
		now=$SECONDS
		if [ "$now" -ge "$deadline" ]; then
			expired=$state
			break
		fi
		word=
		read -r -t $((deadline - now)) -u 9 word size || continue
		case $state:$word in
		*:end) break ;;
		# The rest of the report is on its way.
		*:trouble) [ $((deadline - SECONDS)) -le 5 ] || deadline=$((SECONDS + 5)) ;;
		booting:first)
			state=kernel
			deadline=$start_timeout
			;;
		kernel:start)
			state=running
			detail "the command starts ${SECONDS} s after QEMU"
			deadline=$((SECONDS + timeout))
			;;
		running:exit)
			state=finishing
			deadline=$((SECONDS + 60))
			;;
		# A port carries about 250 kB/s, with luck.
		finishing:file) deadline=$((SECONDS + 60 + size / 50000)) ;;
		finishing:done) deadline=$((SECONDS + 20)) ;;
		esac
	done
	qemu_stop
	wait "${readers[@]}" || true
	readers=()
	exec 9>&-
}

qemu_stop() {
	[ -n "${qemu:-}" ] || return 0
	kill -KILL "$qemu" 2>/dev/null || true
	qemu_status=0
	wait "$qemu" 2>/dev/null || qemu_status=$?
	qemu=
}

log_tail() {
	[ -s "$work/kernel.log" ] || return 0
	say "the end of the kernel log:"
	tail -n 15 "$work/kernel.log" | sed 's/^/vm:   /' >&2
}

# run: boots until the command has started once, and prints on stderr what went wrong. Sets status.
run() {
	local attempt index pair
	for attempt in 1 2 3; do
		boot
		if [ -e "$work/started" ] || [ -e "$work/fail" ]; then
			break
		fi
		if [ -e "$work/trouble" ]; then
			case $(head -n 1 "$work/trouble") in
			*'Oops: int3'*) expired="the emulated CPU read code while it was changed: Oops: int3" ;;
			*"IO-APIC + timer doesn't work"*) expired="on a busy machine the emulated timer came too late" ;;
			*'soft lockup'* | *'blocked for more than'* | *'rcu: INFO'*) expired="an emulated CPU stood still" ;;
			*) break ;;
			esac
		fi
		# QEMU ended by itself within a moment: its own words say why, and nothing changes by asking again.
		if [ -z "$expired" ] && [ "$qemu_status" -ne 0 ] && [ ! -s "$work/kernel.log" ]; then
			say "QEMU did not start:"
			cat "$work/qemu.log" >&2
			status=$exit_setup
			return
		fi
		say "boot $attempt of 3 did not reach the command (${expired:-it powered off})"
	done
	[ -z "$verbose" ] || cat "$work/qemu.log" >&2

	if [ -s "$work/trouble" ]; then
		say "the kernel complains:"
		grep -F -m 1 -A 40 -- "$(head -n 1 "$work/trouble")" "$work/kernel.log" | sed 's/^/vm:   /' >&2 ||
			sed '1q; s/^/vm:   /' "$work/trouble" >&2
		[ "$(wc -l <"$work/trouble")" -lt 2 ] || sed '1d; s/^/vm:   also: /' "$work/trouble" | head -n 20 >&2
		status=$exit_kernel
		# No program can make a kernel die of that; the emulator can (vm-qemu.sh).
		[[ $accel != tcg || $(head -n 1 "$work/trouble") != *'Oops: int3'* ]] || status=$exit_emulator
	elif [ -s "$work/fail" ]; then
		say "the guest could not be prepared: $(<"$work/fail")"
		status=$exit_setup
	elif [ ! -e "$work/started" ]; then
		log_tail
		status=$exit_no_boot
	elif [ "$expired" = running ]; then
		say "the command took longer than $timeout s"
		log_tail
		status=$exit_timeout
	elif [ ! -e "$work/exit" ] || [ ! -e "$work/done" ]; then
		say "the guest ended without saying how its command did; QEMU ended with $qemu_status"
		tail -n 5 "$work/qemu.log" | sed 's/^/vm:   /' >&2
		log_tail
		status=$exit_died
	else
		status=$(<"$work/exit")
	fi

	[ -z "$log" ] || cp "$work/kernel.log" "$log" || true
	index=0
	for pair in "${fetches[@]}"; do
		if [ -e "$work/file.$index" ]; then
			cp "$work/file.$index" "${pair#*:}" || [ "$status" -ne 0 ] || status=$exit_setup
		else
			say "the guest has no file ${pair%%:*}"
			[ "$status" -ne 0 ] || status=$exit_setup
		fi
		index=$((index + 1))
	done
}
