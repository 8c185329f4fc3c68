ok       cgroups         version 2, with the cpuset controller, on /sys/fs/cgroup
ok       kernel          6.12.0 has remote partitions
ok       CPUs            8 online on 8 cores
ok       command line    nothing on it is in the way
ok       tasks           none has a deadline (SCHED_DEADLINE)
ok       irqbalance      does not run
warning  other managers  LXD is running and writes cpuset.cpus of its instances anew when one starts or stops, or a CPU comes or goes: give instances with limits.cpu other CPUs than the guest's ('lxc config set NAME limits.cpu LIST')
warning  other managers  Incus is running and writes cpuset.cpus of its instances anew when one starts or stops, or a CPU comes or goes: give instances with limits.cpu other CPUs than the guest's ('incus config set NAME limits.cpu LIST')
warning  other managers  numad is running and moves busy processes and VMs to CPUs near their memory: stop it while a VM is shielded ('systemctl stop numad'), or start it with -x PID of QEMU
warning  other managers  Proxmox VE (pvestatd) is running and spreads containers that have "cores" over the CPUs of the host, again and again: these stay off an active shield by themselves, unlike containers with lxc.cgroup2.cpuset.cpus and VMs with "affinity": let those name other CPUs than the guest's
warning  other managers  tuned-ppd is running and sets governors and energy preferences when the power profile changes: choose the profile before the VM starts ('tuned-adm profile NAME'), and leave it
warning  other managers  power-profiles-daemon is running and sets governors and energy preferences when the power profile changes: choose the profile before the VM starts ('powerprofilesctl set performance'), and leave it
warning  other managers  tlp-pd is running and sets governors and energy preferences when the power profile changes: choose the profile before the VM starts ('tlpctl performance'), and leave it
warning  other managers  auto-cpufreq is running and sets governors and energy preferences anew every few seconds: stop it while a VM is shielded ('systemctl stop auto-cpufreq'), or leave "governor" out of the profile
warning  other managers  TLP is in use and sets governors and energy preferences whenever the power supply changes: leave CPU_SCALING_GOVERNOR_ON_AC out of /etc/tlp.conf, or "governor" out of the profile
warning  other managers  the sched_ext scheduler lavd is enabled and decides when vCPUs run: not all of them know isolated CPUs (scx_lavd, scx_bpfland and scx_cake do not read cpuset.cpus.isolated); if vCPUs are late, stop it while the VM runs ('systemctl stop scx', 'scxctl stop')
ok       systemd         is not PID 1: Shield makes cgroups itself, and a guard that is killed stays down until the next command that changes something
ok       libvirt         is not here
warning  passthrough     there is no IOMMU, so VMs cannot have PCI devices: switch it on in the firmware (VT-d, AMD-Vi) and with intel_iommu=on on the kernel command line
ok       state           no shield is active
ok       profile         win11: CPUs 2-5 can be taken
warning  profile         win11: the cgroups /sys/fs/cgroup/docker/abc, /sys/fs/cgroup/docker/def have only CPUs 2-3 set, which the shield takes: tasks there run on CPUs 0-1,6-7 meanwhile, beside all others, unless it gets other CPUs (cpuset-cpus of a container, AllowedCPUs= of a unit)
warning  profile         win11: the cgroup /sys/fs/cgroup/lxc/101/ns/init.scope/deep has only CPUs 5 set, which the shield takes: tasks there run on CPUs 0 meanwhile, beside all others, unless it gets other CPUs (cpuset-cpus of a container, AllowedCPUs= of a unit)
warning  profile         win11: the cgroup /sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/cri-1.scope has CPUs 0-7 set, some of which the shield takes: tasks there run on CPUs 0-1,6-7 meanwhile
warning  profile         win11: the cgroup /sys/fs/cgroup/lxc/101 has CPUs 0-5 set, some of which the shield takes: tasks there run on CPUs 0-1 meanwhile
warning  profile         win11: the cgroup /sys/fs/cgroup/lxc/101/ns/init.scope has CPUs 0,4 set, some of which the shield takes: tasks there run on CPUs 0 meanwhile
warning  profile         win11: VM 100 of Proxmox VE has affinity 2-3,5, all of it CPUs that the shield takes: it cannot start while the shield is active, unless that is its own (the hookscript begins it once the VM runs); 'qm set 100 --delete affinity' removes it

This host is ready: 0 problems, 17 warnings
