/* SPDX-License-Identifier: MIT */
/*
 * processes: those that are in the cgroup of a shield.
 */
#ifndef SHIELD_OPS_PROCESSES_H
#define SHIELD_OPS_PROCESSES_H

#include "shield/txn/txn.h"

/* Is there a process in the shield's cgroup (cgroup.procs) for which wanted() holds? The
 * first one goes to ret, which may be NULL; it is 0 for a process that is not in our PID
 * namespace (pid_namespaces(7)). false also when the cgroup cannot be read. */
bool shield_find_process(struct txn *txn, const struct shield *shield,
			 bool (*wanted)(struct txn *txn, const struct shield *shield, pid_t pid),
			 pid_t *ret);

#endif
