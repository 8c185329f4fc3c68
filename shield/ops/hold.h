/*
 * hold: a process that does nothing but be in the scope of a shield, which
 * systemd makes around a process and removes when the last one has left.
 *
 * It is started outside, known to the state file before the scope is asked for,
 * and not ours: of its own session, and a child of PID 1. When the command that
 * started it lets go of it, it stays, to be ended with its scope or by
 * hold_end() once the VM is there. When that command fails, or dies before, it
 * ends.
 */
#ifndef SHIELD_OPS_HOLD_H
#define SHIELD_OPS_HOLD_H

#include "shield/txn/state.h"

struct hold {
	struct process process;
	int leash; /* as long as it is open it waits; or -1 */
};

int hold_start(struct sys *sys, struct hold *hold, struct err *err);
/* It is needed: it stays when it is let go of. 0, or a negated errno: it has ended. */
int hold_keep(struct sys *sys, const struct hold *hold);
void hold_let_go(struct sys *sys, struct hold *hold);

/* End one that is no longer needed; pid 0 is none. 0, also when it has ended, or a
 * negated errno: then it stays until its scope ends. */
int hold_end(struct sys *sys, const struct process *process);

#endif
