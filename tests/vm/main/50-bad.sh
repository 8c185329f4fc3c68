# SPDX-License-Identifier: MIT
# Bad input: nothing changes, one clear line on stderr, the right status.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
before

unchanged() {
	snapshot compare $T/before
}
# refused STATUS COMMAND…: that status, one line, no shield. (The whole is compared once for all of them.)
refused() {
	want=$1
	shift
	"$@" >$T/out 2>$T/err
	got=$?
	cat $T/err
	[ $got = "$want" ] || {
		echo "status $got instead of $want: $*"
		[ ! -e $state ] || shield off --all
		return 1
	}
	one_line $T/err && [ ! -e $state ] && [ ! -d $cgroups/shield-bad ] && [ ! -d $cgroups/shield-win11 ]
}
bad() { # NAME STATUS JSON
	printf '%s' "$3" >$T/bad.json
	check "profile: $1" refused "$2" shield on $T/bad.json
}
bad "wrong type" 2 '{"version":1,"name":"bad","guest":5}'
bad "wrong type of version" 2 '{"version":"1","name":"bad","guest":"5"}'
bad "other version" 2 '{"version":2,"name":"bad","guest":"5"}'
bad "no version" 2 '{"name":"bad","guest":"5"}'
bad "an unknown key" 2 '{"version":1,"name":"bad","gest":"5"}'
suggested() { shield on $T/bad.json 2>&1 | grep -q '"guest"'; }
check "profile: an unknown key: with a suggestion" suggested
bad "a duplicate key" 2 '{"version":1,"name":"bad","guest":"5","guest":"4"}'
bad "a trailing comma" 2 '{"version":1,"name":"bad","guest":"5",}'
bad "not UTF-8" 2 "$(printf '{"version":1,"name":"b\377d","guest":"5"}')"
bad "empty" 2 ''
bad "a text" 2 '"guest"'
bad "cut off" 2 '{"version":1,"name":"bad"'
bad "garbage after it" 2 '{"version":1,"name":"bad","guest":"5"} x'
for cpus in 5-2 1,,2 0-3x 99 2- -1 99999999999999999999 4294967298 0-7 '' ' ' '2 3' '2,3,' ,2 2--3 0x2 2-5:0 none '2-5
'; do
	bad "guest CPUs \"$(printf %s "$cpus" | tr '\n' '~')\"" 2 "$(printf '%s' "$cpus" | jq -Rsc '{"version":1,"name":"bad","guest":.}')"
done
for name in a/b .. . 'a b' '' "$(printf '%0300d' 0)" -x 'a
b' "$(printf 'a\033[31mb')"; do
	bad "name \"$(printf %s "$name" | head -c 20 | tr '\n\033' '~~')\"" 2 "$(printf '%s' "$name" | jq -Rsc '{"version":1,"name":.,"guest":"5"}')"
	check "on: name \"$(printf %s "$name" | head -c 20 | tr '\n\033' '~~')\"" refused 2 shield on -p "$name"
done
check "profile: unknown" refused 2 shield on nosuch
check "profile: a directory" refused 2 shield on /etc
ln -s loop $T/loop
check "profile: a loop of links" refused 2 shield on $T/loop
truncate -s 100M $T/large.json
check "profile: 100 MB" refused 2 shield on $T/large.json
rm $T/large.json $T/loop
mkfifo $T/fifo.json
check "profile: a fifo" refused 2 timeout 5 shield on $T/fifo.json
check "profile: a device" refused 2 shield on /dev/zero
for command in on run plan "profile check"; do
	case $command in
	run) status=125 arguments="-p nosuch -- true" ;;
	*) status=2 arguments=nosuch ;;
	esac
	# shellcheck disable=SC2086  # words
	check "$command: an unknown profile" refused $status shield $command $arguments
done
finish "bad profiles"
cpu_goes 5
before
check "guest CPUs: one is offline" refused 2 shield on win11
finish "guest CPUs: one is offline"
cpu_comes 5
before

no_root() { # STATUS ARGUMENTS…
	want=$1
	shift
	as_nobody shield "$*" >$T/out 2>$T/err
	got=$?
	cat $T/out $T/err
	[ $got = "$want" ] && one_line $T/err && [ ! -e $state ]
}
check "no root: on" no_root 4 on win11
check "no root: off" no_root 4 off
check "no root: run" no_root 125 run -p win11 -- true
check "no root: attach" no_root 4 attach --pid 1
check "no root: recover" no_root 4 recover
unprivileged() { as_nobody "shield plan win11 && shield topology && shield profile list; shield status; test \$? = 3"; }
check "no root: plan, topology, profile, status work" unprivileged
check "no root: nothing was changed" unchanged

check "usage: no such command" sh -c 'shield nosuch 2>/dev/null; test $? = 2'
check "usage: no such option" sh -c 'shield on --nosuch 2>/dev/null; test $? = 2'
check "usage: no profile" sh -c 'shield on 2>/dev/null; test $? = 2'
check "usage: attach without a number" sh -c 'shield attach --pid x 2>/dev/null; test $? = 2'

# Streams that are closed.
closed() {
	shield on win11 <&- && shield status <&- >/dev/null && shield off <&- || return 1
	shield on win11 >&- || return 1
	shield off >&- || return 1
	shield on win11 2>&- || return 1
	shield off 2>&- || return 1
	shield on win11 <&- >&- 2>&- && shield off <&- >&- 2>&-
}
check "closed streams: on and off work" closed
finish "closed streams"
closed_output() { # what was to be printed is lost: that is an error
	shield topology >&- 2>$T/err
	got=$?
	cat $T/err
	[ $got != 0 ] && one_line $T/err
}
check "closed streams: lost output is an error" closed_output
full_output() {
	shield topology >/dev/full 2>$T/err
	got=$?
	cat $T/err
	[ $got != 0 ] && one_line $T/err
}
check "a full disk: lost output is an error" full_output
closed_run() { status 3 shield run -p win11 -- sh -c 'exit 3' <&- >&- 2>&-; }
check "closed streams: run" closed_run
no_foreign_files() { # the command has none of our files
	shield run --quiet -p win11 -- sh -c 'ls -l /proc/$$/fd; true' <&- >$T/out 2>&1
	cat $T/out
	! grep -qE 'shield|cgroup|/proc/[^s]' $T/out
}
check "closed streams: none of our files gets into the command" no_foreign_files
finish "closed streams: run"

# A full /run.
full_run() { # ARGUMENTS…
	mkdir -p /run/shield
	mount -t tmpfs -o size=4k,mode=755 tmpfs /run/shield
	head -c 4096 /dev/zero >/run/shield/filler
	"$@" >$T/out 2>$T/err
	got=$?
	rm -f /run/shield/filler
	left=$(ls /run/shield)
	umount /run/shield
	cat $T/err
	[ -z "$left" ] && one_line $T/err && unchanged
}
full_on() { full_run shield on win11 && [ $got = 1 ]; }
full_run_command() { full_run shield run -p win11 -- true && [ $got = 125 ]; }
check "full /run: on" full_on
check "full /run: run" full_run_command
full_off() { # it filled up in between: the host must get its CPUs back
	mkdir -p /run/shield
	mount -t tmpfs -o size=256k,mode=755 tmpfs /run/shield
	shield on win11
	head -c 300000 /dev/zero >/run/shield/filler 2>/dev/null
	shield off 2>$T/err
	got=$?
	cat $T/err
	left=$(ls /run/shield)
	rm -f /run/shield/filler
	umount /run/shield
	[ $got = 0 ] && [ "$left" = filler ]
}
check "full /run: off gives everything back" full_off
finish "full /run"

# A QEMU that never answers.
mute() { # STATUS OPTION…
	want=$1
	shift
	shield run -p win11 --qmp-timeout 2 "$@" -- /t/fake/qemu-system-x86_64 >$T/out 2>$T/err &
	run=$!
}
mute_killed() {
	mute 125
	wait $run
	got=$?
	cat $T/err
	[ $got = 125 ] && [ -z "$(pidof sleep)" ] && one_line $T/err
}
check "QMP never answers: the VM is killed" mute_killed
finish "QMP never answers: killed"
mute_kept() {
	mute 0 --qmp-failure keep
	wait_for 10 pidof sleep || return 1
	wait_for 10 test ! -e $state || return 1
	cat $T/err
	pid=$(pidof sleep) || return 1
	snapshot take $T/after1
	sed -i '/^\/run\/shield\/win11.qmp/d; /^process [0-9]* shield\t/d' $T/after1 # go when the VM does
	snapshot compare $T/before $T/after1 || return 1
	kill "$pid"
	wait $run
	got=$?
	[ $got = 143 ]
}
check "QMP never answers: the VM is kept, unshielded" mute_kept
finish "QMP never answers: kept"
too_many() {
	shield run -p win11 -- $qemu -smp 6 >$T/out 2>$T/err
	got=$?
	cat $T/err
	[ $got = 125 ] && [ -z "$(pidof qemu-system-x86_64)" ] && grep -q 'vCPU' $T/err
}
check "more vCPUs than guest CPUs" too_many
finish "more vCPUs than guest CPUs"

# A cgroup that is not ours.
foreign() {
	mkdir $cgroups/shield-win11
	sleep 100 &
	foreign_pid=$!
	echo $foreign_pid >$cgroups/shield-win11/cgroup.procs
	shield on win11 2>$T/err
	got=$?
	cat $T/err
	echo $foreign_pid >$cgroups/cgroup.procs
	kill $foreign_pid
	rmdir $cgroups/shield-win11
	[ $got = 1 ] && one_line $T/err
}
check "a cgroup of that name with processes" foreign
sibling() {
	echo +cpuset >$cgroups/cgroup.subtree_control
	mkdir $cgroups/other
	echo 3-4 >$cgroups/other/cpuset.cpus
	shield on win11 2>$T/err
	got=$?
	cat $T/err
	rmdir $cgroups/other
	echo -cpuset >$cgroups/cgroup.subtree_control
	[ $got = 4 ] && one_line $T/err && grep -q other $T/err
}
check "a cgroup that would be left without CPUs: named" sibling
finish "foreign cgroups"
true
