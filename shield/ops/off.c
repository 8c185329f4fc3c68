/* SPDX-License-Identifier: MIT */
#include "shield/ops/off.h"

#include "shield/ops/new_irqs.h"
#include "shield/ops/new_threads.h"
#include "shield/policy/policy.h"

int shield_off(struct txn *txn, const char *name, struct err *err)
{
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_cpuset_ struct cpuset taken = { 0 };
	_cleanup_plan_ struct plan keep = { 0 };
	_cleanup_new_irqs_ struct new_irqs new_irqs = { 0 };

	if (!state_shield(&txn->state, name))
		return 0;
	state_taken(&txn->state, &taken);
	shield_reclaim_irqs(txn, name);
	new_irqs_begin(txn, &new_irqs);
	if (host_caps_probe(txn->sys, &host, err) < 0 ||
	    policy_survivors(txn->sys, &host, &taken, &keep, err) < 0 ||
	    shield_new_threads_end(txn, name, &keep, err) < 0)
		return -1;
	if (txn_off(txn, name, &keep, err) < 0)
		return -1;
	return new_irqs_end(txn, &new_irqs, err);
}
