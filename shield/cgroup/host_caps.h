/* SPDX-License-Identifier: MIT */
/*
 * host_caps: what this host offers, and who else uses it. A snapshot; features are
 * probed, never guessed from a version.
 */
#ifndef SHIELD_CGROUP_HOST_CAPS_H
#define SHIELD_CGROUP_HOST_CAPS_H

#include "shield/sys/sys.h"

/* A cgroup below the root that has CPUs of its own. */
struct sibling {
	char *path;		 /* "/machine.slice" */
	struct cpuset cpus;	 /* cpuset.cpus */
	struct cpuset exclusive; /* cpuset.cpus.exclusive, or those of a partition */
	bool partition;		 /* a valid or invalid partition root */
};

struct host_caps {
	char *mount;	   /* of cgroup v2 with cpuset */
	char *controllers; /* "+cpuset" or "-cpuset": the root's subtree_control */
	/* Linux 6.7: cpuset.cpus.exclusive, remote partitions, and affinities of
	 * user tasks survive cpuset changes. Seen by cpuset.cpus.isolated in the
	 * root (visible from 6.8). Without it affinities are lost at every cpuset
	 * write (6.1), or treated so. */
	bool remote;
	/* Linux 6.8: unbound workqueues leave isolated CPUs by themselves. Seen
	 * by /sys/devices/virtual/workqueue/cpumask_isolated. */
	bool workqueues;
	bool systemd; /* PID 1 owns the cgroup tree (sd_booted(3)) */
	struct cpuset online, present;
	struct cpuset isolcpus; /* isolcpus= of the command line */
	struct sibling *siblings;
	size_t n_siblings, cap_siblings;
	char *home; /* the caller's cgroup, from the root */
};

/* -1 with ERR_UNSUPPORTED, saying why and what to do, when there is no cpuset
 * controller on cgroup v2, when systemd manages cgroups of v1 (hybrid), and in a
 * container. Release with host_caps_clear(). */
int host_caps_probe(struct sys *sys, struct host_caps *host, struct err *err);
void host_caps_clear(struct host_caps *host);

/* host_caps.remote alone, for whom no more is of interest: false also where it cannot
 * be told. */
bool host_caps_remote(struct sys *sys, const char *mount);
/* Linux 7: the kernel keeps its threads off isolated CPUs by itself, and gives them back
 * what they had. Seen by /sys/devices/system/cpu/housekeeping; likewise. */
bool host_caps_housekeeping(struct sys *sys);
#define _cleanup_host_caps_ _cleanup_(host_caps_clear)

#endif
