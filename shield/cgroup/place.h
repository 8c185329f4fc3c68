/*
 * place: where the VM lives in the cgroup tree, as steps of a plan.
 *
 * QEMU's process stays in an ordinary cgroup, so that its main loop, iothreads
 * and workers keep to the emulator CPUs; only vCPU threads enter the threaded
 * child that is the partition:
 *
 *	/shield-NAME		the process	(with remote partitions: an
 *				ordinary member that hands the guest CPUs down
 *				with cpuset.cpus.exclusive; without: a `root`
 *				partition of emulator and guest CPUs)
 *	/shield-NAME/vcpus	the threads	the partition, threaded
 *
 * The partition has +cpuset in its own subtree_control: as long as it stands,
 * nobody can take the controller away above it (EBUSY).
 * (Documentation/admin-guide/cgroup-v2.rst, "Threads", "Cpuset")
 */
#ifndef SHIELD_CGROUP_PLACE_H
#define SHIELD_CGROUP_PLACE_H

#include "shield/cgroup/host.h"
#include "shield/plan/plan.h"

struct placement {
	const char *name;
	const struct cpuset *guest;
	const struct cpuset *emulator; /* empty: all CPUs that the host has left */
	const char *partition;         /* "isolated" or "root" */
};

/* The cgroup of the process and of the partition, from the cgroup root; the
 * caller frees them. */
char *place_process(const char *name);
char *place_partition(const char *name);

/* Append the steps, outer to inner. */
void place_plan(const struct host *host, const struct placement *placement, struct plan *plan);

/* Append the step that makes another kind of partition of it ("isolated",
 * "root"). */
void place_convert(const struct host *host, const char *name, const char *from, const char *to,
		   struct plan *plan);

#endif
