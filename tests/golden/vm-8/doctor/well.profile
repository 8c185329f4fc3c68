ok       cgroups         version 2, with the cpuset controller, on /sys/fs/cgroup
ok       kernel          6.12.0 has remote partitions
ok       CPUs            8 online on 8 cores
ok       command line    nothing on it is in the way
ok       tasks           none has a deadline (SCHED_DEADLINE)
ok       irqbalance      runs, and can be told what to leave alone
ok       other managers  no other program writes the same files
ok       systemd         is PID 1
ok       libvirt         its hook is installed
ok       passthrough     the host has an IOMMU; vfio-pci has 0000:03:00.0
ok       state           no shield is active
ok       profile         win11: CPUs 2-5 can be taken

This host is ready: 0 problems, 0 warnings
