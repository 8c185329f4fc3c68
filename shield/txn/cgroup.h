/* SPDX-License-Identifier: MIT */
/*
 * cgroup: making and removing the cgroups of a plan (STEP_DIR).
 *
 * Most are plain directories, made by libcgroup. Where systemd owns the tree
 * the outer ones belong to units (layout.h): PID 1 makes them when a unit
 * is started, and removes them when it is stopped or has no process left.
 */
#ifndef SHIELD_TXN_CGROUP_H
#define SHIELD_TXN_CGROUP_H

#include "shield/txn/txn.h"

/* Is it made by PID 1? */
bool cgroup_is_unit(const struct txn *txn, const struct object *object);

/*
 * Whenever it is told to read its units again PID 1 makes their cgroups what they say:
 * the root loses a controller that no unit needs yet, and a scope is the partition
 * again that it was to be (CPUSetPartition=). Is that of no account, since the unit is
 * about to start, which brings the controller, or to end, with the partition? Both are
 * looked at themselves.
 */
bool cgroup_rewritten(const struct txn *txn, const struct object *object);

/* Both return 0 or a negated errno. */
int cgroup_make(struct txn *txn, const struct object *object);

/* Processes that it still holds go to the cgroup home, except the one that only
 * keeps a scope alive: it ends with it. 0 also when it is gone already. */
int cgroup_remove(struct txn *txn, const struct object *object, const char *home);

/*
 * Wait for what the end of a cgroup brings with it when Shield has not removed
 * it (its last process had ended): PID 1 takes the controller away, and the
 * kernel dissolves the partition, both a while after the cgroup is gone, and
 * both reset affinities (6.1).
 */
void cgroup_settle(struct txn *txn);

#endif
