# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154  # sourced by ../run, once for each machine
# What doctor says: of a machine where all is well, and of one where nothing is.
add_process() { # NUMBER NAME [POLICY]: 6 is SCHED_DEADLINE
	local dir=$machine/proc/$1
	mkdir -p "$dir/task/$1"
	echo "$2" >"$dir/comm"
	printf '%d (%s) S 1 0 0 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 1100%s %d 0 0 0 0 0 0\n' "$1" "$2" "$(printf ' 0%.0s' {23..40})" "${3-0}" \
		>"$dir/stat"
	printf 'Name:\t%s\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n' "$2" "$1" "$1" >"$dir/status"
	echo 0::/ >"$dir/cgroup"
	cp "$dir"/{comm,stat,status,cgroup} "$dir/task/$1"
}

if [ "$name" = vm-8 ]; then
	whole=$machine
	doctor() { # CASE STATUS ARGUMENT…
		golden "$name/doctor/$1" "$2" "$binary" doctor --sysroot "$machine" "${@:3}"
	}
	machine=$work/doctor
	cp -r "$whole" "$machine"
	doctor fresh 0
	# What the kernel prints without nohz_full=: as many columns as there are CPUs.
	printf '  (null)\n' >"$machine/sys/devices/system/cpu/nohz_full"
	doctor tickful 0
	echo 1-7 >"$machine/sys/devices/system/cpu/nohz_full"
	doctor tickless 0
	rm "$machine/sys/devices/system/cpu/nohz_full"

	mkdir -p "$machine"/sys/kernel/iommu_groups/{0,1} "$machine"/etc/libvirt/{qemu,hooks/qemu.d} "$machine/run/systemd/system" \
		"$machine/etc/shield/profiles.d" "$machine/sys/bus/pci/drivers/vfio-pci" "$machine/run/irqbalance"
	touch "$machine/etc/libvirt/hooks/qemu.d/50-shield"
	chmod +x "$machine/etc/libvirt/hooks/qemu.d/50-shield"
	ln -sf ../../../bus/pci/drivers/vfio-pci "$machine/sys/bus/pci/devices/0000:03:00.0/driver"
	echo '{ "version": 1, "name": "win11", "guest": "2-5" }' >"$machine/etc/shield/profiles.d/win11.json"
	add_process 900 irqbalance
	touch "$machine/run/irqbalance/irqbalance900.sock"
	doctor well 0
	doctor well.profile 0 win11
	doctor well.json 0 --json win11
	doctor no-profile 2 win12
	echo '{ "version": 1, "name": "all", "guest": "0-7" }' >"$machine/etc/shield/profiles.d/all.json"
	doctor all-cpus 2 all

	rm "$machine/run/irqbalance/irqbalance900.sock"
	chmod -x "$machine/etc/libvirt/hooks/qemu.d/50-shield"
	for daemon in intel_lpmd tuned kubelet gamemoded; do
		add_process $((901 + ${#daemon})) $daemon
	done
	mkdir -p "$machine/etc/systemd/system/user.slice.d" "$machine/run/systemd/transient" "$machine/sys/fs/cgroup/user" \
		"$machine/sys/fs/cgroup/docker"
	printf '[Slice]\n\tAllowedCPUs = 0-5\n' >"$machine/etc/systemd/system/user.slice.d/mine.conf"
	printf '[Slice]\nAllowedCPUs=0-5\nAllowedCPUs=\n# AllowedCPUs=3\nAllowedCPUsX=4\n' >"$machine/etc/systemd/system/user.slice.d/none.conf"
	printf '[Service]\nStartupAllowedCPUs=2 4-6\n' >"$machine/etc/systemd/system/build.service"
	printf '[Scope]\nAllowedCPUs=0-7\n' >"$machine/run/systemd/transient/shield-a.scope"
	echo 1-2 >"$machine/sys/fs/cgroup/user/cpuset.cpus"
	echo 5-6 >"$machine/sys/fs/cgroup/docker/cpuset.cpus"
	echo 5-6 >"$machine/sys/fs/cgroup/docker/cpuset.cpus.exclusive"
	doctor others 0
	doctor others.profile 4 win11
	add_process 990 robot 6
	echo 6-7 >"$machine/sys/devices/system/cpu/isolated"
	rm "$machine/sys/fs/cgroup/cpuset.cpus.isolated"
	mkdir -p "$machine/run/shield"
	echo '{' >"$machine/run/shield/state.json"
	echo 6.1.0 >"$machine/proc/sys/kernel/osrelease"
	doctor ill 4
	touch "$machine/sys/fs/cgroup/cgroup.events"
	doctor container.old 4
	rm "$machine/sys/fs/cgroup/cgroup.events"
	echo 6.8.0-45-generic >"$machine/proc/sys/kernel/osrelease"
	doctor container 4
	rm "$machine/sys/fs/cgroup/cgroup.controllers"
	echo 'cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0' >"$machine/proc/self/mounts"
	doctor no-cgroup 4
	rm -r "$machine/run/systemd/system"
	doctor no-cgroup.plain 4
	rm -r "$machine"
	# Kernels that are newer than those tested.
	machine=$work/doctor
	cp -r "$whole" "$machine"
	for release in 7.3.4 7.3.0-rc7 7.4.0-rc1-next 7.10.1 8.0.0 10.2 6.99.1; do
		echo $release >"$machine/proc/sys/kernel/osrelease"
		golden "$name/doctor/kernel.$release" 0 bash -c '"$@" | grep "^[a-z]*  *kernel "' - "$binary" doctor --sysroot "$machine"
	done
	rm -r "$machine"
	# libvirt's hook: where it is looked for, what it calls, and who has to know it.
	machine=$work/doctor
	cp -r "$whole" "$machine"
	mkdir -p "$machine/var/lib/libvirt/qemu" "$machine/var/lib/libvirt/hooks/qemu.d" "$machine/run/libvirt" "$machine/opt/bin"
	touch "$machine"/run/libvirt/{virtqemud,libvirt}-sock
	hook=$machine/var/lib/libvirt/hooks/qemu.d/10-mine
	libvirt() { # CASE
		golden "$name/doctor/libvirt.$1" 0 bash -c '"$@" | grep libvirt' - "$binary" doctor --sysroot "$machine"
	}
	libvirt none
	add_process 900 libvirtd
	libvirt none-libvirtd
	add_process 901 virtqemud
	printf '#!/bin/sh\nexit 0\n' >"$hook"
	libvirt other-hook
	printf '#!/bin/sh\n# …\nprogram=/opt/bin/shield\n"$program" hook -- libvirt "$@" >/dev/null\n' >"$hook"
	chmod 755 "$hook"
	libvirt program-missing
	touch "$machine/opt/bin/shield"
	libvirt program-no-mode
	chmod 755 "$machine/opt/bin/shield"
	libvirt well
	mkdir -p "$machine/sys/fs/selinux/booleans"
	echo 1 >"$machine/sys/fs/selinux/enforce"
	echo 0 0 >"$machine/sys/fs/selinux/booleans/virt_hooks_unconfined"
	libvirt selinux
	echo 0 >"$machine/sys/fs/selinux/enforce"
	printf '#!/bin/sh\nshield hook -- libvirt "$@" >/dev/null\n' >"$hook"
	libvirt earlier
	mkdir -p "$machine/etc/libvirt/hooks"
	mv "$hook" "$machine/etc/libvirt/hooks/qemu"
	chmod 644 "$machine/etc/libvirt/hooks/qemu"
	libvirt single
	rm -r "$machine"
	# Programs that are known by name, and cgroups at any depth that have guest CPUs.
	machine=$work/doctor
	cp -r "$whole" "$machine"
	number=900
	for daemon in lxd incusd numad pvestatd tuned-ppd power-profiles- tlp-pd auto-cpufreq; do
		add_process $((number += 1)) "$daemon"
	done
	mkdir -p "$machine/run/tlp" "$machine/sys/kernel/sched_ext/root" "$machine/etc/pve/qemu-server" "$machine/etc/shield/profiles.d"
	echo enabled >"$machine/sys/kernel/sched_ext/state"
	echo lavd >"$machine/sys/kernel/sched_ext/root/ops"
	doctor known 0
	echo '{ "version": 1, "name": "win11", "guest": "2-5" }' >"$machine/etc/shield/profiles.d/win11.json"
	echo '{ "version": 1, "name": "fast", "guest": "2-5", "host": { "governor": "performance" } }' >"$machine/etc/shield/profiles.d/fast.json"
	add_cgroup() { # PATH CPUS [CONTROLLERS of its children]
		mkdir -p "$machine/sys/fs/cgroup/$1"
		echo "$2" >"$machine/sys/fs/cgroup/$1/cpuset.cpus"
		[ $# -lt 3 ] || echo "$3" >"$machine/sys/fs/cgroup/$1/cgroup.subtree_control"
	}
	add_cgroup docker '' 'cpuset memory'
	add_cgroup docker/abc 2-3
	add_cgroup docker/def 2-3
	add_cgroup docker/free 0-1
	add_cgroup lxc/101 0-5 cpuset
	add_cgroup lxc/101/ns/init.scope 0,4 cpuset
	add_cgroup lxc/101/ns/init.scope/deep 5
	add_cgroup kubepods.slice/kubepods-pod1.slice/cri-1.scope 0-7
	add_cgroup system.slice '' memory
	add_cgroup system.slice/stale.service 2-3 # there can be none, below that one
	add_cgroup shield.slice/shield-old.scope 2-3
	printf 'affinity: 2-3,5\ncores: 3\n\n[before]\naffinity: 4\n' >"$machine/etc/pve/qemu-server/100.conf"
	echo 'affinity: 0-3' >"$machine/etc/pve/qemu-server/101.conf"
	printf 'cores: 1\n[before]\naffinity: 4\n' >"$machine/etc/pve/qemu-server/102.conf"
	doctor known.profile 0 win11
	for profile in win11 fast; do
		golden "$name/doctor/known.plan-$profile" 0 "$binary" plan "$profile" --sysroot "$machine"
	done
	rm -r "$machine"
	# Hybrid: systemd gives no cgroup of the second version the cpuset controller, even if it is there.
	machine=$work/doctor
	cp -r "$whole" "$machine"
	mkdir -p "$machine/run/systemd/system" "$machine/etc/shield/profiles.d"
	echo '{ "version": 1, "name": "win11", "guest": "2-5" }' >"$machine/etc/shield/profiles.d/win11.json"
	mv "$machine/sys/fs/cgroup" "$machine/sys/fs/unified"
	mkdir "$machine/sys/fs/cgroup"
	mv "$machine/sys/fs/unified" "$machine/sys/fs/cgroup/unified"
	sed -i 's|/sys/fs/cgroup|/sys/fs/cgroup/unified|' "$machine"/proc/self/mount{s,info}
	doctor hybrid 4
	golden "$name/doctor/hybrid.plan" 4 "$binary" plan win11 --sysroot "$machine"
	rm -r "$machine/run/systemd"
	doctor hybrid.plain 0
	rm -r "$machine"
	machine=$whole
fi

# A profile that no host can have: the host is not to blame, and `profile check` says what `on` says.
if [ "$name" = i9-9900k ]; then
	echo '{ "version": 1, "name": "vm", "guest": "0-6,8-14", "smt": "split" }' >"$work/greedy.json"
	echo '{ "version": 1, "name": "vm", "guest": "0-6,8-15", "smt": "split" }' >"$work/greedier.json"
	golden "$name/refused/doctor" 4 "$binary" doctor "$work/greedier.json" --sysroot "$machine"
	golden "$name/refused/plan" 2 "$binary" plan "$work/greedier.json" --sysroot "$machine"
	golden "$name/refused/check" 2 "$binary" profile check "$work/greedy.json" "$work/greedier.json" --sysroot "$machine"
	golden "$name/other/check" 0 "$binary" profile check "$repo/profiles/ryzen-7950x3d.json" --sysroot "$machine"
	# Mistakes are found all the same.
	printf '{ "version": 1, "name": "vm", "machine": { "cpu": "AMD *" }, "guest": "l3:1 - core:99 +",\n  "emulator": "near:0000:99:00.0" }\n' \
		>"$work/other.json"
	golden "$name/other/check.bad" 2 "$binary" profile check "$work/other.json" --sysroot "$machine"
	printf '{ "version": 1, "name": "vm", "machine": { "cpu": "AMD *" }, "guest": "l3:7 - core:99 + p-cores + cores:300 + 400",\n  "vcpus": [ 400, 500 ], "emulator": "near:0000:99:00.0", "housekeeping_cores": 200 }\n' \
		>"$work/other.json"
	golden "$name/other/check.good" 0 "$binary" profile check "$work/other.json" --sysroot "$machine"
fi
