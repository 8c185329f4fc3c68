/*
 * hold: a process that does nothing but be in the scope of a shield, which
 * systemd makes around a process and removes when the last one has left.
 *
 * It is started outside, known to the state file before the scope is asked for,
 * and not ours: of its own session and nobody's child. When whoever started it
 * lets go of it, or dies, it looks where it is: in a scope it stays, to be ended
 * with that or by hold_end() once the VM is there; anywhere else it ends.
 */
#ifndef SHIELD_RUN_HOLD_H
#define SHIELD_RUN_HOLD_H

#include "shield/txn/state.h"

struct hold {
	struct process process;
	int fd; /* as long as it is open it waits; or -1 */
};

int hold_start(struct sys *sys, struct hold *hold, struct err *err);
void hold_let_go(struct hold *hold);

/* End one that is no longer needed; pid 0 is none. */
void hold_end(struct sys *sys, const struct process *process);

#endif
