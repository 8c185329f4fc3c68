/* SPDX-License-Identifier: MIT */
/*
 * orphans: partitions without a state file.
 */
#ifndef SHIELD_OPS_ORPHANS_H
#define SHIELD_OPS_ORPHANS_H

#include "shield/txn/txn.h"

/* The shields that no state file tells of any more, but which have a partition;
 * and end one: its CPUs are the host's again. What else it changed only the file
 * could tell: that stays. (shields_orphaned.c) */
void shields_orphaned(struct txn *txn, struct strv *names);
int shield_end_orphan(struct txn *txn, const char *name, struct err *err);

#endif
