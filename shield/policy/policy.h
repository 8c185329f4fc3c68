/* SPDX-License-Identifier: MIT */
/*
 * policy: from what the user wants and what the host is, to a plan. It knows
 * everything and touches nothing.
 */
#ifndef SHIELD_POLICY_POLICY_H
#define SHIELD_POLICY_POLICY_H

#include "shield/plan/plan.h"
#include "shield/policy/host_snapshot.h"
#include "shield/policy/spec.h"

/* The steps of `on`, in their order. active as above: what stays off these CPUs
 * already was given less than it would have without them. */
void policy_on(const struct host_snapshot *snapshot, const struct shield_spec *spec,
	       const struct cpuset *active, struct plan *plan);

/*
 * The steps for threads that appeared since, may use CPUs of `taken` and can be
 * moved (interrupts: irqs.h). inside: the cgroups that may ("/shield-x/vcpus").
 */
int policy_new_threads(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		       const struct strv *inside, struct plan *plan, struct err *err);

/* On hosts whose kernel destroys affinities at cpuset changes: the threads that
 * hold one that must survive the end of a shield. taken: by all shields. */
int policy_survivors(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		     struct plan *plan, struct err *err);

#endif
