# SPDX-License-Identifier: MIT
# What must be true while a VM runs, and that `status` knows when it is not.
# shellcheck shell=sh disable=SC1091,SC2086,SC2154,SC2015,SC2016,SC2012,SC2231,SC2034  # guest.sh is in the VM; $qemu is words; jq's $
. /t/guest.sh

# Every thread off the guest CPUs, but for the vCPUs and those that status names with a reason; and no name too many.
threads_agree() {
	snapshot on 2-5 >$T/on1
	shield status --json >$T/status
	snapshot on 2-5 >$T/on2
	jq -r '.shields[].vcpus[].tid' $T/status | sort >$T/vcpus
	jq -r '.shields[].problems[] | select(.object | startswith("thread ")) | .object | split(" ")[1]' $T/status | sort >$T/named
	# A worker may come or go between two readings: what counts is there in both.
	cut -d' ' -f1 $T/on1 | sort >$T/tids1
	cut -d' ' -f1 $T/on2 | sort >$T/tids2
	sort -u $T/vcpus $T/named >$T/known
	bad=$(cat $T/tids1 $T/tids2 | sort | uniq -d | grep -vxFf $T/known)
	for tid in $bad; do
		grep "^$tid " $T/on1
	done
	[ -z "$bad" ] || {
		echo "may use guest CPUs, and status does not say so"
		return 1
	}
	sort -u $T/tids1 $T/tids2 >$T/either
	! grep -vxFf $T/either $T/named || {
		echo "named by status, but not on guest CPUs"
		return 1
	}
	[ -s $T/named ]
}
# What status calls immovable is so: a kernel thread whose CPUs only the kernel may set.
immovable_is_fixed() {
	snapshot on 2-5 >$T/on
	shield status --json | jq -r '.shields[].problems[] | select(.severity == "immovable" and (.object | startswith("thread ")))
		| .object | split(" ")[1]' | sort -u >$T/named
	grep -E '^[0-9]+ [0-9]+ (user|kernel) ' $T/on | cut -d' ' -f1 | sort >$T/free
	! grep -xFf $T/free $T/named
}
reasons() {
	shield status --json | jq -e '[.shields[].problems[] | select((.reason | length) < 10 or (.object | length) < 5)] == []'
}
vcpus_alone() {
	[ "$(cat $vcpus/cpuset.cpus.partition)" = isolated ] || return 1
	snapshot on 2-5 | grep -E "CPU [0-9]+/$accel" >$T/vcpus || return 1
	cat $T/vcpus
	[ "$(wc -l <$T/vcpus)" = 4 ] || return 1
	[ "$(cut -d' ' -f4 $T/vcpus | sort | xargs)" = "2 3 4 5" ] || return 1
	[ "$(cut -d' ' -f5 $T/vcpus | sort -u)" = /shield-win11/vcpus ] || return 1
	[ "$(sort $vcpus/cgroup.threads | xargs)" = "$(cut -d' ' -f1 $T/vcpus | sort | xargs)" ]
}
others_off() {
	pid=$(pidof qemu-system-x86_64)
	snapshot on 2-5 | awk -v pid="$pid" -v vcpu="CPU [0-9]+/$accel" '$2 == pid && $0 !~ vcpu' >$T/others
	cat $T/others
	[ ! -s $T/others ] && [ "$(ls /proc/"$pid"/task | wc -l)" -gt 4 ]
}
no_user_task() {
	snapshot on 2-5 | awk -v vcpu="CPU [0-9]+/$accel" '$3 != "fixed" && $0 !~ vcpu' >$T/free
	cat $T/free
	[ ! -s $T/free ]
}
irqs_off() {
	snapshot irqs 2-5 >$T/irqs
	cat $T/irqs
	! grep ' movable ' $T/irqs || return 1
	cut -d' ' -f1 $T/irqs | while read -r n; do
		# One that no driver uses, or that cannot fire there regardless of its mask, does not disturb.
		[ -n "$(cat /sys/kernel/irq/"$n"/actions)" ] || continue
		case $(cat /proc/irq/"$n"/effective_affinity_list) in
		0 | 1 | 6 | 7) continue ;;
		esac
		answer -e --arg p "/proc/irq/$n/smp_affinity_list (" '[.shields[].problems[].object | startswith($p)] | any' || {
			echo "interrupt $n is not named"
			return 1
		}
	done
}
default_off() {
	mask=$(cat /proc/irq/default_smp_affinity)
	echo "$mask"
	[ $((0x$mask & 0x3c)) = 0 ] && [ $((0x$mask)) != 0 ]
}
status_ok() {
	shield status && shield status --json | jq -e '.version == 1 and (.shields | length) == 1 and (.shields[0] |
		.name == "win11" and .phase == "active" and .guest == "2-5" and .cgroup == "/sys/fs/cgroup/shield-win11" and
		.partitions == [{ cgroup: "/sys/fs/cgroup/shield-win11/vcpus", cpus: "2-5", state: "isolated" }] and (.vcpus | map(.index) == [0, 1, 2, 3]) and
		(.vcpus | map(.cpu) | sort == [2, 3, 4, 5]) and ([.problems[] | select(.severity == "broken")] == []))' &&
		[ "$(vm_pid)" = "$(pidof qemu-system-x86_64)" ]
}
emulator_agrees() {
	pid=$(pidof qemu-system-x86_64)
	[ "$(answer -r '.shields[0].emulator')" = "$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/"$pid"/status)" ]
}

set_mask() { echo "$2" >"$1"; }
spare_irq=15
kthread=$(pidof kcompactd0 || pidof khugepaged || pidof oom_reaper)
kthread=${kthread%% *}

before
taskset 0x18 sleep 1000 &
pinned=$!
taskset 0x08 sleep 1000 &
pinned1=$!
taskset 0x40 sleep 1000 &
elsewhere=$!
before
check "run: a VM of 4 vCPUs starts" start 4 shield run -p win11 -- $qemu -smp 4
check "run: each vCPU is alone on a CPU of an isolated partition" vcpus_alone
check "run: all other threads of QEMU are off the guest CPUs" others_off
check "run: no host task and no movable kernel thread is on them" no_user_task
check "run: status names every thread that is left, and no other" threads_agree
check "run: what status calls immovable is" immovable_is_fixed
check "run: every problem has a reason" reasons
check "run: every movable interrupt is off them, the others are named" irqs_off
check "run: default_smp_affinity is off them" default_off
check "run: status is 0 and right" status_ok
check "run: status knows where the emulator is" emulator_agrees
check "run: status does not need root" as_nobody shield status
new_task_off() {
	sh -c 'sleep 30 & echo $!' >$T/new
	snapshot on 2-5 >$T/on
	! grep "^$(cat $T/new) " $T/on
	rc=$?
	kill "$(cat $T/new)"
	return $rc
}
check "run: a thread that is started later is off them" new_task_off
kthread_off() {
	mkdir -p $T/mnt
	cp /t/ext4.img $T/ext4.img
	losetup /dev/loop0 $T/ext4.img && mount -t ext4 /dev/loop0 $T/mnt || return 1
	usleep 1000000
	pid=$(pidof jbd2/loop0-8)
	snapshot on 2-5 >$T/on
	umount $T/mnt
	losetup -d /dev/loop0
	echo "jbd2 is $pid"
	[ -n "$pid" ] && ! grep "^${pid:-x} " $T/on
}
check "run: a kernel thread that is started later is off them within a second" kthread_off
# (What drivers do, too, the guard takes back: all CPUs, for one.)
check "status: names an interrupt that was moved back" broken /proc/irq/$spare_irq/smp_affinity_list \
	"cat /proc/irq/14/smp_affinity_list >/proc/irq/$spare_irq/smp_affinity_list" set_mask /proc/irq/$spare_irq/smp_affinity_list 0-3
check "status: names default_smp_affinity" broken /proc/irq/default_smp_affinity \
	"echo $(cat /proc/irq/default_smp_affinity) >/proc/irq/default_smp_affinity" set_mask /proc/irq/default_smp_affinity ff
vcpu=$(answer -r '.shields[0].vcpus[1].tid')
vcpu_cpu=$(answer -r '.shields[0].vcpus[1].cpu')
check "status: names a vCPU that is not pinned any more" broken "thread $vcpu" \
	"taskset -pc $vcpu_cpu $vcpu" taskset -pc 2-5 "$vcpu"
check "status: names a vCPU on another CPU" broken "thread $vcpu" \
	"taskset -pc $vcpu_cpu $vcpu" taskset -pc 5 "$vcpu"
# The kernel may clamp this.
kthread_told() {
	mask=$(taskset -p "$kthread")
	taskset -pc 0-7 "$kthread"
	if snapshot on 2-5 | grep "^$kthread "; then
		broken "thread $kthread" "taskset -p ${mask##* } $kthread" taskset -pc 0-7 "$kthread"
	else
		status 0 shield status && taskset -p "${mask##* }" "$kthread"
	fi
}
check "status: names a kernel thread that was put back, or the kernel keeps it off" kthread_told
# The guard would be quicker than any look.
guard=$(pidof shield | tr ' ' '\n' | grep -vx "$run")
kill -STOP "$guard"
check "status: names the partition" broken $vcpus/cpuset.cpus.partition "kill -CONT $guard" set_mask $vcpus/cpuset.cpus.partition member
check "guard: repairs the partition" vcpus_alone
kill -CONT "$guard"
kill "$(pidof qemu-system-x86_64)"
check "run: QEMU is told to end: status 0" ends 0
finish "run"
kill $pinned $pinned1 $elsewhere
true
