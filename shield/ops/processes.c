/* SPDX-License-Identifier: MIT */
#include "shield/ops/processes.h"

#include <stdlib.h>
#include <string.h>

bool shield_find_process(struct txn *txn, const struct shield *shield,
			 bool (*wanted)(struct txn *txn, const struct shield *shield, pid_t pid),
			 pid_t *ret)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.procs", txn->mount, shield->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (sys_read_line(txn->sys, path, &text) < 0)
		return false;
	for (char *id = strtok_r(text, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		pid_t pid = (pid_t)atoi(id);

		if (!wanted(txn, shield, pid))
			continue;
		if (ret)
			*ret = pid;
		return true;
	}
	return false;
}
