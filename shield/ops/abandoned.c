/* SPDX-License-Identifier: MIT */
#include "shield/ops/abandoned.h"

#include "shield/cgroup/layout.h"
#include "shield/ops/processes.h"

static bool not_anchor(struct txn *txn, const struct shield *shield, pid_t pid)
{
	(void)txn;
	return pid != shield->anchor.pid;
}

/* Something still runs in it, started by Shield or by others. */
static bool populated(struct txn *txn, const struct shield *shield)
{
	return shield_find_process(txn, shield, not_anchor, NULL);
}

/* Nothing is in its scope any more, not even what was to hold it, so systemd has
 * removed it, and the CPUs are the host's again already; or is about to. */
static bool dissolved(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *dir = xasprintf("%s%s", txn->mount, shield->cgroup);
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (!layout_is_unit(shield->cgroup, &unit, &slice))
		return false;
	return !sys_exists(txn->sys, dir) ||
	       (shield->anchor.pid && !shield->vm.pid &&
		!process_alive(txn->sys, &shield->anchor) && !populated(txn, shield));
}

void shields_abandoned(struct txn *txn, struct strv *names)
{
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		/* `on` without a VM has no owner, and stays until `off`. */
		if (dissolved(txn, s)) {
			strv_add(names, s->name);
			continue;
		}
		if ((s->vm.pid || s->owner.pid) && !process_alive(txn->sys, &s->vm) &&
		    !process_alive(txn->sys, &s->owner) && !populated(txn, s))
			strv_add(names, s->name);
	}
}
