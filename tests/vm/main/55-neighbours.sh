# SPDX-License-Identifier: MIT
# What hostile users try: to have root obey their file, and to reach root out of the VM that runs as them; and what that user
# needs all the same.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
# Where it may be switched off, as on most hosts, the attack would prove nothing.
[ ! -e /proc/sys/dev/tty/legacy_tiocsti ] || echo 1 >/proc/sys/dev/tty/legacy_tiocsti
before
home=/home/anna
mkdir -p $home && chown 1000:1000 $home
good='{"version":1,"name":"vm","guest":"2"}'
evil='{"version":1,"name":"vm","guest":"2","command":["/bin/sh","-c","touch /tmp/t/obeyed"]}'
chmod 755 $T
echo "$evil" >$T/evil.json

# Her folder, root's file: she puts another one there.
echo "$good" >$home/vm.json
not_obeyed() { # STATUS's message must have this word
	shield run -p $home/vm.json -- true >$T/out 2>$T/err
	[ $? = 125 ] || return 1
	shield run -p $home/vm.json >$T/out 2>>$T/err
	cat $T/err
	[ ! -e $T/obeyed ] && grep -q "$1" $T/err && grep -qF "sudo install -D -m 644 '$home/vm.json' /etc/shield/profiles.d/vm.json" $T/err
}
check "profile: in a user's folder: refused, with the cure" not_obeyed 'belongs to user 1000'
neighbour as 1000 neighbour cmdline $T/evil.json >$T/pid &
wait_for 10 test -s $T/pid
neighbour as 1000 sh -c "cd $home && mv vm.json was && ln -s /proc/$(cat $T/pid)/cmdline vm.json"
her_text() { grep -q obeyed $home/vm.json && [ "$(stat -Lc %u:%a $home/vm.json)" = 0:444 ]; }
check "profile: her link leads to a file of root's with her text" her_text
check "profile: she replaced it by that link: refused" not_obeyed 'belongs to user 1000'
ln -sf "/proc/$(cat $T/pid)/cmdline" /root/vm.json
direct() {
	status 125 shield run -p /root/vm.json 2>$T/err && status 125 shield run -p "/proc/$(cat $T/pid)/cmdline" 2>>$T/err &&
		status 125 shield run -p /proc/1/cmdline 2>>$T/err &&
		cat $T/err && [ ! -e $T/obeyed ] && grep -q 'it is a symbolic link' $T/err && grep -q 'file system of type proc' $T/err
}
mkdir -p /root && ln -sf "/proc/$(cat $T/pid)/cmdline" /root/vm.json
check "profile: a link, and a file of proc: refused" direct
kill "$(cat $T/pid)"
rm -f $home/vm.json /root/vm.json
above() {
	mkdir -p $home/a/b && chown 0:0 $home/a $home/a/b && echo "$evil" >$home/a/b/vm.json || return 1
	status 125 shield run -p $home/a/b/vm.json 2>$T/err && grep -q "$home belongs to user 1000" $T/err && [ ! -e $T/obeyed ]
}
check "profile: a folder further up is hers: refused" above
hers() { # what she reads is her own affair
	echo "$good" >$home/own.json && chown 1000:1000 $home/own.json
	neighbour as 1000 shield profile check $home/own.json && neighbour as 1000 shield plan $home/own.json
}
check "profile: she herself checks and plans it" hers
installed() {
	mkdir -p $profiles && cp $home/own.json $profiles/vm.json && chmod 644 $profiles/vm.json && shield profile check vm && rm $profiles/vm.json
}
check "profile: the cure cures" installed
finish "profile"

# Root's terminal, and a command of anna's in it.
typed_for_root() { # COMMAND: did root's shell read what it typed?
	rm -f $T/injected
	{
		echo "$1"
		sleep 6
		while echo exit; do sleep 2; done
	} 2>/dev/null | neighbour type sh -i >$T/screen 2>&1
	cat $T/screen
	[ -e $T/injected ]
}
without() { typed_for_root "neighbour as 1000 neighbour inject ' touch $T/injected'"; }
check "terminal: without a shield the attack works" without
attacked() {
	! typed_for_root "shield run -p win11 --user anna -- neighbour inject ' touch $T/injected'" && grep -q 'uid 1000, TIOCSTI: Operation not permitted' $T/screen
}
check "terminal: --user: root's shell reads nothing of it" attacked
allowed() {
	! typed_for_root "shield run -p win11 --allow-privileges --user anna -- neighbour inject ' touch $T/injected'" &&
		grep -q 'uid 1000, TIOCSTI: Operation not permitted' $T/screen
}
check "terminal: nor with --allow-privileges" allowed
finish "terminal"

# What the user's VM does in it.
monitor() {
	mkfifo $T/keys
	neighbour type shield run -p win11 --user anna -- $qemu -smp 2 -serial mon:stdio <$T/keys >$T/screen 2>&1 &
	run=$!
	exec 4>$T/keys
	wait_for 60 vm_ready 2 || return 1
	printf '\001c' >&4
	sleep 1
	printf 'info name\n' >&4
	wait_for 10 grep -qa '^g' $T/screen || return 1
	alone_2 || return 1
	printf 'quit\n' >&4
	exec 4>&-
	ends 0
}
alone_2() { snapshot on 2-5 | awk '$3 != "fixed"' >$T/on && [ "$(grep -c 'CPU [01]/TCG' $T/on)" = 2 ] && [ "$(wc -l <$T/on)" = 2 ]; }
check "user: -serial mon:stdio in a terminal" monitor
exec 4>&-
finish "user: -serial mon:stdio"
check "user: a VM starts in a terminal (Ctrl-C)" eval 'pty shield run -p win11 --user anna -- $qemu -smp 2 >$T/run.out 2>&1 & run=$!; wait_for 60 vm_ready 2'
kill -USR1 $run
check "user: Ctrl-C" ends 0
finish "user: Ctrl-C"

limits() { # LIMIT QEMU-ARGUMENT…
	limits_want=$1
	shift
	start 2 shield run -p win11 --user anna -- $qemu -smp 2 "$@" || return 1
	pid=$(pidof qemu-system-x86_64)
	grep -E '^(Uid|NoNewPrivs|Seccomp):' "/proc/$pid/status"
	limits_got=$(sed -n 's/^Max locked memory *\([^ ]*\).*/\1/p' "/proc/$pid/limits")
	grep -q '^NoNewPrivs:.1' "/proc/$pid/status" && grep -q '^Seccomp:.2' "/proc/$pid/status" && case $limits_got in
	unlimited) [ $limits_want = unlimited ] ;;
	*) [ $limits_want = own ] ;;
	esac
	got=$?
	kill "$pid"
	ends 0 && [ $got = 0 ]
}
check "user: no new privileges, and no more locked memory than he has" limits own
check "user: mem-lock=on: as much as it takes" limits unlimited -overcommit mem-lock=on
descriptor() {
	shield run -p win11 --user anna -- $qemu -smp 2 -add-fd fd=3,set=1 3<>/dev/null 2>$T/err
	[ $? = 125 ] && grep -qe '--keep-fd 3' $T/err || return 1
	start 2 shield run -p win11 --user anna --keep-fd 3 -- $qemu -smp 2 -add-fd fd=3,set=1 3<>/dev/zero 5<>/dev/full || return 1
	pid=$(pidof qemu-system-x86_64)
	ls -l "/proc/$pid/fd" | tee $T/fds
	# QEMU makes another number of it.
	grep -q ' -> /dev/zero' $T/fds && ! grep -q /dev/full $T/fds
	got=$?
	kill "$pid"
	ends 0 && [ $got = 0 ]
}
check "user: a descriptor (3<>/dev/tap5): --keep-fd" descriptor
session() {
	mkdir -p /run/user/1000 && chown 1000:1000 /run/user/1000 && chmod 700 /run/user/1000 || return 1
	AWS_SECRET=x WAYLAND_DISPLAY=wayland-0 PULSE_SERVER=unix:/run/user/1000/pulse/native XDG_RUNTIME_DIR=/run/user/1000 \
		shield run -p win11 --user anna -- sh -c 'env | sort; : >"$XDG_RUNTIME_DIR/$WAYLAND_DISPLAY"' >$T/out || return 1
	cat $T/out
	[ -e /run/user/1000/wayland-0 ] && grep -q '^PULSE_SERVER=' $T/out && grep -q '^HOME=/$' $T/out && ! grep -q AWS_SECRET $T/out
}
check "user: Wayland and audio of his session, and nothing of root's" session
setuid() {
	cp /usr/local/bin/neighbour $T/set-uid && chmod 4755 $T/set-uid
	[ "$(shield run -p win11 --user anna -- $T/set-uid ids 2>/dev/null)" = "1000 1000" ] &&
		[ "$(shield run -p win11 --allow-privileges --user anna -- $T/set-uid ids 2>/dev/null)" = "1000 0" ] || return 1
	shield run -p win11 --user anna -- sh -c 'exit 1' 2>$T/err
	grep -qe '--allow-privileges' $T/err
}
check "user: a script with sudo: only with --allow-privileges, and that is said" setuid
bridge() {
	status 125 shield run -p win11 --user anna -- $qemu -netdev bridge,id=n,br=br0 2>$T/err && one_line $T/err &&
		grep -q 'qemu-bridge-helper.*--allow-privileges' $T/err
}
check "user: the bridge helper: only with --allow-privileges, and that is said" bridge
as_root() {
	start 2 shield run -p win11 -- $qemu -smp 2 && kill "$(pidof qemu-system-x86_64)" && ends 0 && grep -qe '--user' $T/run.err || return 1
	start 2 shield run -q -p win11 -- $qemu -smp 2 && kill "$(pidof qemu-system-x86_64)" && ends 0 && ! grep -qe '--user' $T/run.err
}
check "a VM that runs as root: it is said, unless --quiet" as_root
finish "user"
rm -rf $home /run/user/1000
