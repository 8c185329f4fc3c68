/* SPDX-License-Identifier: MIT */
/*
 * overlaps: cgroups of others that are limited to CPUs which a shield takes, such
 * as a container with --cpuset-cpus. The kernel moves their tasks without a word,
 * and back when the shield ends.
 */
#ifndef SHIELD_POLICY_OVERLAPS_H
#define SHIELD_POLICY_OVERLAPS_H

#include "shield/cgroup/host_caps.h"

/*
 * Append a line for each set of CPUs that cgroups, at any depth, have in a
 * cpuset.cpus of their own and that has some of `taken`: which cgroups, and where
 * their tasks run while a shield has these. First those that have no other CPU.
 * active: what other shields have. Our own cgroups are left out, and those of the
 * domain that is shielded: `domain` and what is below it, or NULL.
 */
void overlaps_find(struct sys *sys, const struct host_caps *host, const struct cpuset *active,
		   const struct cpuset *taken, const char *domain, struct strv *warnings);

#endif
