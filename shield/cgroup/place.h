/*
 * place: where the VM lives in the cgroup tree, as steps of a plan.
 *
 * QEMU's process stays in an ordinary cgroup, so that its main loop, iothreads
 * and workers keep to the emulator CPUs; only vCPU threads enter the threaded
 * child `vcpus` that is the partition. With remote partitions the outer cgroup
 * is an ordinary member that hands the guest CPUs down with
 * cpuset.cpus.exclusive; without, it is a `root` partition of emulator and
 * guest CPUs:
 *
 *	PLACE_PLAIN		/shield-NAME/vcpus
 *				no systemd: both are made by us
 *	PLACE_SCOPE		/shield.slice/shield-NAME.scope/vcpus
 *				systemd, remote partitions. The slice hands down
 *				the guest CPUs of all shields
 *	PLACE_ROOT_SCOPE	/shield-NAME.scope/vcpus
 *				systemd, none: a root partition needs the root
 *				for its parent
 *
 * A scope is a unit: PID 1 makes and removes it, and needs a process to put
 * into it (run/hold.h). What systemd knows of it is AllowedCPUs= and that the
 * cpuset controller is delegated; the rest is as on other hosts.
 *
 * The partition has +cpuset in its own subtree_control: as long as it stands,
 * the controller cannot be taken away above it (EBUSY).
 * (Documentation/admin-guide/cgroup-v2.rst, "Threads", "Cpuset")
 */
#ifndef SHIELD_CGROUP_PLACE_H
#define SHIELD_CGROUP_PLACE_H

#include "shield/cgroup/host.h"
#include "shield/plan/plan.h"

#define PLACE_SLICE "shield.slice"

enum place_kind { PLACE_PLAIN, PLACE_SCOPE, PLACE_ROOT_SCOPE, N_PLACES };

struct placement {
	const char *name;
	const struct cpuset *guest;
	const struct cpuset *emulator; /* empty: all CPUs that the host has left */
	const char *partition;	       /* "isolated" or "root" */
};

/* The cgroups of a shield that are partitions, with the CPUs of each. */
struct partition {
	char *cgroup; /* from the cgroup root */
	struct cpuset cpus;
};
struct partitions {
	struct partition *items;
	size_t n, cap;
};

/* Both arguments are copied. */
void partitions_add(struct partitions *partitions, const char *cgroup, const struct cpuset *cpus);
void partitions_clear(struct partitions *partitions);
#define _cleanup_partitions_ _cleanup_(partitions_clear)
/* The one that is this cgroup, or has this CPU; or NULL. */
const struct partition *partitions_find(const struct partitions *partitions, const char *cgroup);
const struct partition *partitions_with(const struct partitions *partitions, unsigned cpu);

enum place_kind place_kind(const struct host *host);

/* The cgroup of a shield's process, from the cgroup root, and the partition
 * below it; the caller frees them. */
char *place_cgroup(enum place_kind kind, const char *name);
char *place_vcpus(const char *cgroup);

/* Could a shield of this name be placed like that? */
bool place_is_own(const char *cgroup, const struct partitions *partitions, const char *name);

/* Is the cgroup that of a unit of systemd that Shield starts? Then both names,
 * which the caller frees; slice is NULL for the slice itself. */
bool place_is_unit(const char *cgroup, char **unit, char **slice);

/* Part of the name of a unit, as systemd-escape(1) has it. */
char *place_escape(const char *name);

/* Append the steps, outer to inner. */
void place_plan(const struct host *host, const struct placement *placement, struct plan *plan);

/* Append the step that makes another kind of partition of it ("isolated",
 * "root"). */
void place_convert(const struct host *host, const char *cgroup, const char *from, const char *to,
		   struct plan *plan);

#endif
