/* SPDX-License-Identifier: MIT */
/* f(object): what the kernel should hold, from the originals and the shields. */
#include "shield/txn/settle.h"

#include "irq/irq.h"

#include "shield/txn/apply.h"

bool claim_counts(const struct txn *txn, const struct claim *claim)
{
	const struct shield *shield = state_shield(&txn->state, claim->shield);

	return shield && shield->phase != PHASE_RELEASING;
}

/* Does it hold what all shields want, and what was there before, too? */
static bool merged(const struct txn *txn, const struct object *o)
{
	const struct kfile *row = object_row(txn, o);

	return row && row->merged;
}

/* Of the CPUs that are left to the host those that are closest to the interrupt; if
 * none is, what it had. */
static char *host_cpus(const struct txn *txn, const struct object *o)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 }, taken = { 0 };
	unsigned irq;

	state_taken(&txn->state, &taken);
	cpuset_copy(&cpus, &txn->online);
	cpuset_andnot(&cpus, &taken);
	if (o->path && irq_path_number(o->path, &irq))
		irq_near(txn->sys, irq, &cpus);
	return cpuset_empty(&cpus) ? xstrdup(o->original) : cpulist_format(&cpus);
}

char *txn_goal_set(const struct txn *txn, const struct object *o, const char *set)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	unsigned irq;

	if (!o->path || !irq_path_number(o->path, &irq) || cpulist_parse(set, &cpus, NULL) < 0 ||
	    cpuset_intersects(&cpus, &txn->online))
		return xstrdup(set);
	return host_cpus(txn, o);
}

char *txn_goal(const struct txn *txn, const struct object *o)
{
	_cleanup_cpuset_ struct cpuset avoid = { 0 }, cpus = { 0 }, taken = { 0 };
	bool merge = merged(txn, o);

	for (size_t i = 0; i < o->n_claims && !o->refused; i++) {
		if (!claim_counts(txn, &o->claims[i]))
			continue;
		if (o->claims[i].set && !merge)
			return txn_goal_set(txn, o, o->claims[i].set);
		if (o->claims[i].set && cpulist_parse(o->claims[i].set, &taken, NULL) == 0)
			cpuset_or(&cpus, &taken);
		else
			cpuset_or(&avoid, &state_shield(&txn->state, o->claims[i].shield)->taken);
	}
	if (!cpuset_empty(&cpus)) {
		if (cpulist_parse(o->original, &avoid, NULL) == 0)
			cpuset_or(&cpus, &avoid);
		return cpulist_format(&cpus);
	}
	if (cpuset_empty(&avoid) || cpulist_parse(o->original, &cpus, NULL) < 0)
		return xstrdup(o->original);
	cpuset_andnot(&cpus, &avoid);
	if (!cpuset_intersects(&cpus, &txn->online))
		return host_cpus(txn, o);
	return cpulist_format(&cpus);
}
