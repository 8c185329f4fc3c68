/*
 * wishes: what the active shields want of interrupts, as the state file says it,
 * with the devices that their VMs have open now (which only root can see). What a
 * VM has open is its own, even if the profile of another shield names it.
 */
#ifndef SHIELD_OPS_WISHES_H
#define SHIELD_OPS_WISHES_H

#include "shield/policy/irqs.h"
#include "shield/txn/state.h"

struct wishes {
	struct irq_wish *items; /* one a shield, in the order of the state */
	size_t n;
};

/* They borrow from the state, which must not change meanwhile. */
void wishes_read(struct sys *sys, const struct state *state, struct wishes *wishes);
void wishes_clear(struct wishes *wishes);
#define _cleanup_wishes_ _cleanup_(wishes_clear)

#endif
