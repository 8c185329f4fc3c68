/* SPDX-License-Identifier: MIT */
#include "shield/ops/convert.h"

#include "shield/cgroup/layout.h"

#include <stdlib.h>
#include <string.h>

int shield_convert(struct txn *txn, const char *name, const char *partition, struct err *err)
{
	struct shield *shield = state_shield(&txn->state, name);
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };

	if (!shield)
		return err_set(err, ERR_INACTIVE, "the shield %s is not active", name);
	if (strcmp(shield->partition, partition) == 0)
		return 0;
	if (host_caps_probe(txn->sys, &host, err) < 0)
		return -1;
	for (size_t i = 0; i < shield->partitions.n; i++)
		layout_convert(&host, shield->partitions.items[i].cgroup, shield->partition,
			       partition, &plan);
	shield = txn_edit(txn, name);
	free(shield->partition);
	shield->partition = xstrdup(partition);
	return txn_extend(txn, name, &plan, err) < 0 ? err_wrap(err, "shield %s", name) : 0;
}
