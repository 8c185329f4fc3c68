# SPDX-License-Identifier: MIT
# What the guard is for: a partition that a user broke, CPUs that a sibling took, guest CPUs that went and came. It repairs, with
# a bounded number of tries, or status reports; and it never turns in a hot loop.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh
cpu() { # 0|1 CPU…
	to=$1
	shift
	for n; do
		if [ $to = 1 ]; then cpu_comes $n; else cpu_goes $n; fi || return 1
	done
}
sleeper 0x3c
pinned=$!
sleeper 0x04
pinned="$pinned $!"
sleeper 0xc1
# Hotplug alone changes masks of threads and interrupts, and nothing puts these back: that is done once before we look.
cpu 0 2 3 4 5 && cpu 1 2 3 4 5
sleep 1
snapshot take $T/before

guard() { jq -r '.shields[].guard.pid' $state | head -n 1; }
# How often it woke up, and 1/100 s that it ran.
cost() { echo "$(sed -n 's/^voluntary_ctxt_switches:.//p' "/proc/$1/status") $(awk '{ print $14 + $15 }' "/proc/$1/stat")"; }
healed() {
	wait_for ${1:-10} status 0 shield status || {
		shield status
		return 1
	}
	[ -z "$(snapshot on 2-5 | awk '$3 != "fixed"' | grep -v "$accel" | tee $T/on)" ] || {
		cat $T/on
		return 1
	}
}
end() { shield off && restored; }

member() {
	shield on win11 && echo member >$vcpus/cpuset.cpus.partition && healed && end
}
check "guard: a partition that a user dissolved" member
! [ -e $state ] || clean
shrunk() {
	shield on win11 || return 1
	file=$vcpus/cpuset.cpus.exclusive # which is what counts where there is one
	[ -e $file ] || file=$vcpus/cpuset.cpus
	echo 2-3 >$file
	usleep 200000
	healed 20 && [ "$(cat $file)" = 2-5 ] && [ "$(cat $vcpus/cpuset.cpus.effective)" = 2-5 ] && end
}
check "guard: a partition whose CPUs a user cut" shrunk
! [ -e $state ] || clean

# Linux 7.3 loses the CPUs of a cgroup that goes while it is made a partition (shield/txn/cgroup.c).
lost() {
	for try in 1 2 3 4 5; do
		shield on win11 && kill -STOP $(guard) || return 1
		rewrite $vcpus/cpuset.cpus.partition isolated &
		usleep 200000
		rmdir $vcpus
		wait $!
		lost=$(cat $cgroups/cpuset.cpus.isolated 2>/dev/null)
		kill -CONT $(guard)
		end || return 1
		[ -z "$lost" ] || break
	done
	echo "# lost: ${lost:-nothing}" >&3
}
lost_warning=
[ $kernel != 7 ] || lost_warning=' update_parent_effective_cpumask\+'
check "guard: CPUs that the kernel lost" complains may "$lost_warning" lost 3>&1
! [ -e $state ] || clean

# Below 7.0 a sibling that asks for guest CPUs breaks the partition: on 6.1 for as long as it asks, on 6.12 until that is put up again.
sibling() {
	shield on win11 || return 1
	g=$(guard)
	mkdir -p $cgroups/sibling
	sleep 1000 &
	inside=$!
	echo $inside >$cgroups/sibling/cgroup.procs
	wait_for 5 status 0 shield status || return 1
	was=$(cost $g)
	echo 2-3 >$cgroups/sibling/cpuset.cpus
	sleep 20
	now=$(cost $g)
	echo "20 s with a sibling on 2-3: $(cat $vcpus/cpuset.cpus.partition); wake-ups and time before $was, after $now"
	woken=$((${now% *} - ${was% *})) ran=$((${now#* } - ${was#* }))
	[ $woken -le 100 ] && [ $ran -le 500 ] || return 1
	if shield status; then
		[ $kernel != 6.1 ] && healed || return 1
	fi
	kill $inside
	wait_for 5 grep -q "populated 0" $cgroups/sibling/cgroup.events && rmdir $cgroups/sibling || return 1
	healed 60 && [ "$(guard)" = $g ] && end
}
check "guard: a sibling that takes CPUs: bounded tries, and repaired when it is gone" sibling
! [ -e $state ] || clean
[ ! -d $cgroups/sibling ] || rmdir $cgroups/sibling

gone_and_back() {
	shield on win11 && cpu 0 2 3 4 5 || return 1
	sleep 1
	shield status >$T/status
	cpu 1 2 3 4 5 && healed && end
}
check "guard: all guest CPUs offline and back" gone_and_back
! [ -e $state ] || clean
one_by_one() {
	shield on win11 || return 1
	for n in 2 3 4 5; do
		cpu 0 $n && cpu 1 $n || return 1
	done
	healed && end
}
check "guard: guest CPUs offline and back one by one" one_by_one
! [ -e $state ] || clean
with_vm() { # CPUs that go
	start 4 shield run -p win11 -- $qemu -smp 4 && cpu 0 "$@" || return 1
	sleep 1
	cpu 1 "$@" && healed || return 1
	each_alone 2-5 || return 1
	kill "$(pidof qemu-system-x86_64)"
	ends 0 && restored
}
check "guard: one CPU of a VM offline and back: its vCPU is pinned again" with_vm 3
! [ -e $state ] || clean
check "guard: all CPUs of a VM offline and back: its vCPUs are pinned again" with_vm 2 3 4 5
! [ -e $state ] || clean

# CPUs that are offline when the shield ends, or when it is recovered. (A thread that may use only CPUs that are offline cannot be
# told so, EINVAL, and Linux looks at threads of the root again only when a cpuset changes. Up to 6.1 it takes these CPUs from all
# threads: that is said.)
kill $pinned
lost_only_threads() {
	cat $T/err
	cpu 1 2 3 4 5 && sleep 1 || return 1
	restored >$T/diff && return
	cat $T/diff
	[ $kernel = 6.1 ] && grep -q 'offline, and [0-9]* threads have lost' $T/err && ! grep -v '^note\|^thread\|values compared' $T/diff || return 1
	awk '/^thread/ { print $2, $6 }' $T/diff | while read -r task list; do
		taskset -pc "$list" "$task"
	done >/dev/null 2>&1
	true
}
off_without() {
	shield on win11 && cpu 0 "$@" || return 1
	status 0 shield off 2>$T/err && lost_only_threads
}
check "off while a guest CPU is offline" off_without 3
! [ -e $state ] || clean
check "off while all guest CPUs are offline" off_without 2 3 4 5
! [ -e $state ] || clean
recover_without() {
	on_calls=$(calls /usr/local/bin/shield on win11) && shield off || return 1
	for quarter in 1 2 3; do
		# With its guard, which would recover, and does that before the CPUs go.
		timeout -k 1 60 kill-at -k all $((on_calls * quarter / 4)) /usr/local/bin/shield on win11 >/dev/null 2>&1 || return 1
		cpu 0 "$@" || return 1
		status 0 shield recover 2>$T/err && shield off --all 2>>$T/err && lost_only_threads || return 1
	done
}
check "recover while all guest CPUs are offline" recover_without 2 3 4 5
! [ -e $state ] || clean

# Its cgroup removed by hand: what goes with it cannot be repaired, but all else comes back.
removed() {
	shield on win11 || return 1
	rmdir $vcpus && rmdir $cgroups/shield-win11 || return 1
	sleep 1
	$1 && restored
}
check "the cgroup removed by hand: off restores" removed "shield off"
! [ -e $state ] || clean
unguarded() {
	shield on win11 || return 1
	kill -9 "$(guard)"
	rmdir $vcpus && rmdir $cgroups/shield-win11 && shield recover && shield off && restored
}
check "the cgroup removed by hand, and the guard killed: off restores" unguarded
! [ -e $state ] || clean
# A controller taken away destroys every cpuset in the tree.
stripped() {
	shield on win11 || return 1
	kill -9 "$(guard)"
	for dir in $vcpus $cgroups/shield-win11 $cgroups; do
		echo -cpuset >$dir/cgroup.subtree_control || return 1
	done
	status 1 shield status >/dev/null
	shield off && restored
}
check "the cpuset controller taken away: off restores" stripped
! [ -e $state ] || clean

# Numbers that were reused.
irq_reused() {
	file=/proc/irq/15/smp_affinity_list
	shield on win11 || return 1
	kill -9 "$(guard)"
	echo 1 >$file
	cp $state $T/good
	jq -c '(.objects[] | select(.path == "'$file'")) |= (.identity = "another" | .ours = "1")' $T/good >$state
	! cmp -s $T/good $state && shield off || return 1
	mask=$(cat $file)
	echo 0-7 >$file
	[ "$mask" = 1 ] && restored
}
check "an interrupt whose number went to another: left alone" irq_reused
! [ -e $state ] || clean
guard_reused() {
	shield on win11 || return 1
	kill -9 "$(guard)"
	sleep 1000 &
	other=$!
	cp $state $T/good
	jq -c ".shields.win11.guard.pid = $other" $T/good >$state
	status 1 shield status >/dev/null && answer -e '[.shields[].problems[].object] | index("guard")' && shield off && kill -0 $other || return 1
	kill $other
	restored
}
check "the guard's number went to another: it is missing, and that one is let live" guard_reused
! [ -e $state ] || clean
vm_reused() {
	start 4 shield run -p win11 -- $qemu -smp 4 || return 1
	kill -9 $run "$(guard)"
	kill -9 "$(pidof qemu-system-x86_64)"
	sleep 1000 &
	other=$!
	usleep 300000
	cp $state $T/good
	jq -c ".shields.win11.vm.pid = $other | .shields.win11.vcpus[].tid = $other" $T/good >$state
	shield recover && kill -0 $other || return 1
	allowed=$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/$other/status)
	kill $other
	[ "$allowed" = 0-7 ] && restored
}
check "the VM's number went to another: recover ends the shield and lets that one live" vm_reused
finish "guard"
