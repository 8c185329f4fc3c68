ok       cgroups         version 2, with the cpuset controller, on /sys/fs/cgroup
ok       kernel          6.12.0 has remote partitions
ok       CPUs            8 online on 8 cores
ok       command line    nothing on it is in the way
ok       tasks           none has a deadline (SCHED_DEADLINE)
warning  irqbalance      irqbalance is running and has no socket in /run/irqbalance, so it cannot be told to leave the guest CPUs alone and moves interrupts back; set IRQBALANCE_BANNED_CPULIST=GUEST_CPUS in its configuration (/etc/default/irqbalance) and restart it, or stop it
warning  other managers  intel_lpmd is running and sets AllowedCPUs= of system.slice, user.slice and machine.slice: keep it from low power mode while a VM runs ('intel_lpmd_control OFF'), or stop it
warning  other managers  tuned is running and may set affinities, IRQ masks and governors: choose a profile without isolated cores ('tuned-adm active' names yours)
warning  other managers  kubelet is running and gives containers CPUs of their own when its CPU manager policy is static: name the guest CPUs in its reservedSystemCPUs
warning  other managers  gamemoded is running and may pin games to cores and park others: set pin_cores=no and park_cores=no in gamemode.ini
warning  other managers  /etc/systemd/system/build.service limits build.service to CPUs 2 4-6; a shield that has some of them takes them from it meanwhile, one of all of them is refused, and before Linux 6.7 one of any ('systemctl revert build.service' forgets the limit)
warning  other managers  /etc/systemd/system/user.slice.d/mine.conf limits user.slice to CPUs 0-5; a shield that has some of them takes them from it meanwhile, one of all of them is refused, and before Linux 6.7 one of any ('systemctl revert user.slice' forgets the limit)
warning  other managers  cset has made sets in /sys/fs/cgroup: 'cset shield --reset' removes them
warning  other managers  the cgroup /sys/fs/cgroup/docker has CPUs 5-6 set, which no guest can have then: take them out of its cpuset.cpus (AllowedCPUs= of a systemd unit, cpuset-cpus of a container)
ok       systemd         is PID 1
warning  libvirt         its hook cannot be executed: chmod +x /etc/libvirt/hooks/qemu.d/50-shield
ok       passthrough     the host has an IOMMU; vfio-pci has 0000:03:00.0
ok       state           no shield is active
problem  profile         win11: the cgroup /sys/fs/cgroup/docker has CPUs 5-6 set, which overlaps: take these CPUs out of its cpuset.cpus (AllowedCPUs= of a systemd unit, cpuset-cpus of a container)

This host is ready, but not for this profile: 1 problem, 10 warnings
