/* SPDX-License-Identifier: MIT */
#include "shield/ops/abandoned.h"

#include "shield/cgroup/layout.h"
#include "shield/task/task.h"

#include <stdlib.h>
#include <string.h>

static bool lives(struct txn *txn, const struct process *p)
{
	return p->pid && task_alive(txn->sys, p->pid, p->start);
}

/* Something still runs in it, started by Shield or by others. */
static bool populated(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.procs", txn->mount, shield->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (sys_read_line(txn->sys, path, &text) < 0)
		return false;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		if ((pid_t)atoi(pid) != shield->anchor.pid)
			return true;
	return false;
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
	       (shield->anchor.pid && !shield->vm.pid && !lives(txn, &shield->anchor) &&
		!populated(txn, shield));
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
		if ((s->vm.pid || s->owner.pid) && !lives(txn, &s->vm) && !lives(txn, &s->owner) &&
		    !populated(txn, s))
			strv_add(names, s->name);
	}
}
