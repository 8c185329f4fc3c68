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
	doctor ill 4
	rm "$machine/sys/fs/cgroup/cgroup.controllers"
	echo 'cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0' >"$machine/proc/self/mounts"
	doctor no-cgroup 4
	rm -r "$machine"
	machine=$whole
fi
