# SPDX-License-Identifier: MIT
# A damaged state file: never followed, never a crash, a clear error that says how to go on.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
snapshot take $T/before
shield on win11 2>/dev/null
guard=$(jq -r .shields.win11.guard.pid $state)
kill -9 "$guard"
wait_for 5 not_running "$guard"
cp $state $T/good
size=$(wc -c <$T/good)
snapshot take $T/during

# A file that cannot be trusted: writers refuse, nothing is changed but perhaps the file put aside.
rejects() {
	for command in "off win11" recover "on win11" status "plan win11"; do
		# shellcheck disable=SC2086  # words
		timeout 10 shield $command >$T/out 2>$T/err
		got=$?
		case $got in
		1 | 4 | 5) ;;
		*)
			echo "status $got: shield $command"
			cat $T/err
			return 1
			;;
		esac
		[ "$command" = status ] || one_line $T/err || return 1
		grep -q "recover\|remove\|discard\|use the program\|chown\|must be" $T/err || {
			echo "does not say how to go on:"
			cat $T/err
			return 1
		}
	done
}
# tolerates: any status, but no crash and no change other than an end of the shield.
tolerates() {
	timeout 10 shield status >/dev/null 2>$T/err
	got=$?
	[ $got -lt 100 ] || {
		echo "status $got"
		cat $T/err
		return 1
	}
}
untouched() {
	snapshot take $T/now
	sed -i '/^\/run\/shield/d' $T/now $T/during
	snapshot compare $T/during $T/now
}

truncated() { # every byte for status, some for the writers
	n=0
	while [ $n -lt "$size" ]; do
		head -c $n $T/good >$state
		tolerates && [ $got = 1 ] || {
			echo "cut after $n bytes of $size: status $got"
			return 1
		}
		n=$((n + step))
	done
}
step=$((size / 150 + 1))
check "state: truncated at $((size / step)) places: status" truncated
head -c $((size / 2)) $T/good >$state
check "state: truncated: every command refuses, and says how to go on" rejects
check "state: truncated: nothing was changed" untouched
: >$state
check "state: empty: every command refuses" rejects

flipped() {
	n=0
	while [ $n -lt "$size" ]; do
		cp $T/good $state
		byte=$(dd if=$T/good bs=1 skip=$n count=1 2>/dev/null | od -An -tu1)
		# shellcheck disable=SC2059  # the format is the byte
		printf "\\$(printf %o $((byte ^ (1 << (n % 8)))))" | dd of=$state bs=1 seek=$n conv=notrunc 2>/dev/null
		tolerates || {
			echo "byte $n of $size"
			return 1
		}
		n=$((n + step))
	done
}
check "state: a bit of each of $((size / step)) bytes flipped: no crash" flipped
check "state: flipped: nothing was changed" untouched

cp $T/good $state
as() { # JQ-PROGRAM: the file, changed so
	jq -c "$1" $T/good >$state || return 1
}
hostile() { # NAME JQ-PROGRAM
	as "$2"
	check "state: $1: refused" rejects
}
hostile "of another version" '.version = 2'
hostile "a path out of the table" '.objects[0].path = "/etc/passwd"'
hostile "a path with dots" '(.objects[] | select(.kind == "write") | .path) |= sub("/proc/irq/"; "/proc/irq/../../etc/")'
hostile "sysrq-trigger" '.objects += [{"kind":"write","path":"/proc/sysrq-trigger","original":"b","ours":"c","claims":{}}]'
hostile "a sysfs file out of the table" '.objects += [{"kind":"write","path":"/sys/power/state","original":"mem","ours":"disk","claims":{}}]'
hostile "a foreign cgroup" '.objects += [{"kind":"dir","path":"/sys/fs/cgroup/machines","original":"absent","ours":"present","claims":{}}]'
hostile "a foreign cgroup's file" '.objects += [{"kind":"write","path":"/sys/fs/cgroup/machines/cpuset.cpus","original":"0","ours":"1","claims":{}}]'
hostile "a value that no mask takes" '(.objects[] | select(.path == "/proc/irq/default_smp_affinity") | .original) = "1;reboot"'
hostile "a claim of an unknown shield" '.objects[0].claims.stranger = null'
hostile "a shield with a hostile name" '.shields["../../etc"] = .shields.win11'
hostile "a hostile cgroup of a shield" '.shields.win11.cgroup = "/../../etc"'
hostile "an unknown key" '.extra = 1'
hostile "a negative process" '.objects += [{"kind":"affinity","pid":-1,"start":1,"original":"0","ours":"1","claims":{}}]'
hostile "a list instead of an object" '[.]'
hostile "a key that is missing" 'del(.objects)'
head -c 100000000 /dev/zero | tr '\0' ' ' >$state 2>/dev/null
check "state: enormous: refused" rejects

# Files that are not a plain file of root's.
rm $state
cp $T/good $T/elsewhere
ln -s $T/elsewhere $state
check "state: a symbolic link: refused" rejects
rm $state
ln -s /run/nosuch $state
check "state: a symbolic link to nothing: refused" rejects
rm $state
cp $T/good /run/hard
ln /run/hard $state
check "state: a hard link: refused" rejects
rm $state /run/hard
mkfifo $state
check "state: a fifo: refused" rejects
rm $state
mkdir $state
check "state: a directory: refused" rejects
rmdir $state
mknod $state c 1 5
check "state: a device: refused" rejects
rm $state
cp $T/good $state
chown 1000 $state
check "state: of another owner: refused" rejects
chown 0 $state
chmod 664 $state
check "state: writable by the group: refused" rejects
chmod 646 $state
check "state: writable by others: refused" rejects
chmod 644 $state
chmod 777 /run/shield
check "state: in a directory that others can write: refused" rejects
chmod 755 /run/shield
chown 1000 /run/shield
check "state: in another's directory: refused" rejects
chown 0 /run/shield
mv /run/shield /run/elsewhere
ln -s /run/elsewhere /run/shield
check "state: its directory is a symbolic link: refused" rejects
rm /run/shield
mv /run/elsewhere /run/shield
check "state: nothing was changed by any of these" untouched

# Of another boot: void. (What it says is not undone: a reboot has done that.)
as '.boot_id = "00000000-0000-0000-0000-000000000000"'
check "state: of another boot: nothing is shielded" status 3 shield status
check "state: of another boot: nothing was changed" untouched

# A pid that was reused: the start time does not fit, and the thread is left alone.
sleep 1000 &
other=$!
as '.objects += [{"kind":"affinity","pid":'$other',"start":1,"identity":"sleep","original":"1","ours":"0-7","claims":{"win11":null}}]'
reused() { shield off win11 && [ "$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/$other/status)" = 0-7 ]; }
check "state: a number that was reused: the thread is left alone" reused
kill $other
check "state: afterwards all is as before" restored

# A damaged file is put aside on request, and work goes on.
printf '{' >$state
check "state: recover --discard puts it aside" status 0 shield recover --discard
check "state: the damaged file is kept" test -e $state.damaged
rm -f $state.damaged
check "state: then work goes on" sh -c 'shield on win11 && shield off'
finish "state"

# With a shield active: what to do is in the message, and restores the CPUs. The originals of interrupts are lost with the file.
lost() {
	shield on win11 || return 1
	$1
	status 1 shield off 2>$T/err || status 0 shield off || return 1
	shield recover 2>>$T/err
	cat $T/err
	grep -q 'shield recover --discard' $T/err && status 0 shield recover --discard || return 1
	[ "$(cat $cgroups/cpuset.cpus.effective)" = 0-7 ] && ! [ -d $cgroups/shield-win11 ] && ! [ -e $state ] || return 1
	mend
	snapshot compare $T/before >$T/diff && return
	# Linux 6.1 leaves kernel threads and workqueues to us.
	grep -v '^note\|^/run/shield' $T/diff >$T/left
	cat $T/left
	case $kernel in
	6.1) ! grep -v '^thread\|workqueue\|compared' $T/left ;;
	*) ! grep -v 'compared' $T/left ;;
	esac
}
mend() {
	sed -n 's,^\(/proc/irq/[^\t]*\)\t,\1 ,p' $T/before | while read -r path mask; do
		[ "$(cat $path)" = "$mask" ] || echo "$mask" >$path
	done 2>/dev/null
	! grep -q "^$cgroups/cgroup.subtree_control.*cpuset" $T/before && echo -cpuset >$cgroups/cgroup.subtree_control
	true
}
damage() { printf '{' >$state; }
check "state: damaged under a shield: what the message says restores the CPUs" lost damage
rm -f $state.damaged
remove() { rm $state; }
check "state: removed under a shield: what recover says restores the CPUs" lost remove
with_vm() {
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	printf '{' >$state
	shield recover --discard || return 1
	[ "$(cat $cgroups/cpuset.cpus.effective)" = 0-7 ] && pidof qemu-system-x86_64 || return 1
	kill "$(pidof qemu-system-x86_64)"
	ends 0
}
check "state: damaged under a VM: it runs on, unshielded" with_vm
rm -f $state.damaged
mend
again() { shield on win11 && shield status && shield off; }
check "state: then work goes on, again" again
true
