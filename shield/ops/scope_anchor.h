/* SPDX-License-Identifier: MIT */
/*
 * scope_anchor: a process that does nothing but be in the scope of a shield, which
 * systemd makes around a process and removes when the last one has left.
 *
 * It is started outside, known to the state file before the scope is asked for,
 * and not ours: of its own session, and a child of PID 1. When the command that
 * started it lets go of it, it stays, to be ended with its scope or by
 * scope_anchor_end() once the VM is there. When that command fails, or dies before, it
 * ends.
 */
#ifndef SHIELD_OPS_SCOPE_ANCHOR_H
#define SHIELD_OPS_SCOPE_ANCHOR_H

#include "shield/txn/state.h"

struct scope_anchor {
	struct process process;
	int leash; /* as long as it is open it waits; or -1 */
};

int scope_anchor_start(struct sys *sys, struct scope_anchor *anchor, struct err *err);
/* It is needed: it stays when it is let go of. 0, or a negated errno: it has ended. */
int scope_anchor_keep(struct sys *sys, const struct scope_anchor *anchor);
void scope_anchor_let_go(struct sys *sys, struct scope_anchor *anchor);

/* End one that is no longer needed; pid 0 is none. 0, also when it has ended, or a
 * negated errno: then it stays until its scope ends. */
int scope_anchor_end(struct sys *sys, const struct process *process);

#endif
