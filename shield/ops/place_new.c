/* SPDX-License-Identifier: MIT */
/* What appeared since a shield began. */
#include "shield/ops/place_new.h"

#include "shield/cgroup/layout.h"
#include "shield/ops/new_irqs.h"
#include "shield/policy/policy.h"

/* What is recorded already and has moved was moved by another program: `status`
 * tells. */
static void forget_known(const struct txn *txn, struct plan *plan)
{
	_cleanup_plan_ struct plan known = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++) {
		if (!state_object(&txn->state, &plan->steps[i])) {
			plan->steps[n++] = plan->steps[i];
		} else {
			GROW(known.steps, known.n, known.cap);
			known.steps[known.n++] = plan->steps[i];
		}
	}
	plan->n = n;
}

int shield_place_new(struct txn *txn, size_t *found, struct err *err)
{
	_cleanup_cpuset_ struct cpuset taken = { 0 };
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_strv_ struct strv inside = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	size_t irqs;

	*found = 0;
	if (!txn->state.n_shields)
		return 0;
	state_taken(&txn->state, &taken);
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		strv_add(&inside, s->cgroup);
		for (size_t k = 0; k < s->partitions.n; k++)
			strv_add(&inside, s->partitions.items[k].cgroup);
	}
	if (host_caps_probe(txn->sys, &host, err) < 0 ||
	    policy_new_threads(txn->sys, &host, &taken, &inside, &plan, err) < 0)
		return -1;
	forget_known(txn, &plan);
	if (plan.n && txn_extend(txn, txn->state.shields[0].name, &plan, err) < 0)
		return -1;
	if (shield_new_irqs(txn, &irqs, err) < 0)
		return -1;
	*found = plan.n + irqs;
	return 0;
}
