/* SPDX-License-Identifier: MIT */
/*
 * layout: where the VM lives in the cgroup tree, as steps of a plan.
 *
 * QEMU's process stays in an ordinary cgroup, so that its main loop, iothreads
 * and workers keep to the emulator CPUs; only vCPU threads enter the threaded
 * child `vcpus` that is the partition. With remote partitions the outer cgroup
 * is an ordinary member that hands the guest CPUs down with
 * cpuset.cpus.exclusive; without, it is a `root` partition of emulator and
 * guest CPUs:
 *
 *	LAYOUT_PLAIN		/shield-NAME/vcpus
 *				no systemd: both are made by us
 *	LAYOUT_SCOPE		/shield.slice/shield-NAME.scope/vcpus
 *				systemd, remote partitions. The slice hands down
 *				the guest CPUs of all shields
 *	LAYOUT_ROOT_SCOPE	/shield-NAME.scope/vcpus
 *				systemd, none: a root partition needs the root
 *				for its parent
 *
 * A scope is a unit: PID 1 makes and removes it, and needs a process to put
 * into it (ops/scope_anchor.h). What systemd knows of it is AllowedCPUs= and that the
 * cpuset controller is delegated; the rest is as on other hosts.
 *
 * The partition has +cpuset in its own subtree_control: as long as it stands,
 * the controller cannot be taken away above it (EBUSY).
 * (Documentation/admin-guide/cgroup-v2.rst, "Threads", "Cpuset")
 */
#ifndef SHIELD_CGROUP_LAYOUT_H
#define SHIELD_CGROUP_LAYOUT_H

#include "shield/cgroup/host_caps.h"
#include "shield/plan/plan.h"

#define LAYOUT_SLICE "shield.slice"

enum layout_kind { LAYOUT_PLAIN, LAYOUT_SCOPE, LAYOUT_ROOT_SCOPE, N_LAYOUTS };

struct layout_request {
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

enum layout_kind layout_kind(const struct host_caps *host);

/* The cgroup of a shield's process, from the cgroup root, and the partition
 * below it; the caller frees them. */
char *layout_cgroup(enum layout_kind kind, const char *name);
char *layout_vcpus(const char *cgroup);

/* Could a shield of this name be placed like that? */
bool layout_is_own(const char *cgroup, const struct partitions *partitions, const char *name);

/* Is the cgroup that of a unit of systemd that Shield starts? Then both names,
 * which the caller frees; slice is NULL for the slice itself. */
bool layout_is_unit(const char *cgroup, char **unit, char **slice);

/* Part of the name of a unit, as systemd-escape(1) has it. */
char *layout_escape(const char *name);

/* Append the steps, outer to inner. */
void layout_plan(const struct host_caps *host, const struct layout_request *request,
		 struct plan *plan);

/* Append the step that makes another kind of partition of it ("isolated",
 * "root"). */
void layout_convert(const struct host_caps *host, const char *cgroup, const char *from,
		    const char *to, struct plan *plan);

#endif
