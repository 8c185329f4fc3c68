/* SPDX-License-Identifier: MIT */
/*
 * conflicts: who else on this host writes the same files as a shield. They are
 * named before it begins; what they change afterwards `status` shows and the
 * guard repairs.
 */
#ifndef SHIELD_POLICY_CONFLICTS_H
#define SHIELD_POLICY_CONFLICTS_H

#include "profiles/profile.h"
#include "shield/cgroup/host_caps.h"
#include "shield/task/task.h"

/* Append a line for each, with what to do: programs that run (tasks), a sched_ext
 * scheduler, units whose AllowedCPUs= a user or a program has set, and sets of cset.
 * profile: of programs that set what few profiles do, only those that meet it; NULL:
 * all of them (`doctor`). */
void conflicts_find(struct sys *sys, const struct tasks *tasks, const struct profile *profile,
		    struct strv *warnings);

/* Likewise for who is limited to CPUs of `taken`: cgroups (overlaps_find()), and VMs
 * of Proxmox VE with an affinity. */
void conflicts_find_cpus(struct sys *sys, const struct host_caps *host, const struct cpuset *active,
			 const struct cpuset *taken, const char *domain, struct strv *warnings);

#endif
