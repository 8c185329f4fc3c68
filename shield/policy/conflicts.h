/* SPDX-License-Identifier: MIT */
/*
 * conflicts: who else on this host writes the same files as a shield. They are
 * named before it begins; what they change afterwards `status` shows and the
 * guard repairs.
 */
#ifndef SHIELD_POLICY_CONFLICTS_H
#define SHIELD_POLICY_CONFLICTS_H

#include "shield/task/task.h"

/* Append a line for each: daemons that run (tasks), units whose AllowedCPUs=
 * a user or a program has set, and sets of cset. */
void conflicts_find(struct sys *sys, const struct tasks *tasks, struct strv *warnings);

#endif
