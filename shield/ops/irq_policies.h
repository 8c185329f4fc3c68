/* SPDX-License-Identifier: MIT */
/*
 * irq_policies: what the active shields want of interrupts, as the state file says it,
 * with the devices that their VMs have open now (which only root can see). What a
 * VM has open is its own, even if the profile of another shield names it.
 */
#ifndef SHIELD_OPS_IRQ_POLICIES_H
#define SHIELD_OPS_IRQ_POLICIES_H

#include "shield/policy/irqs.h"
#include "shield/txn/state.h"

struct irq_policies {
	struct irq_policy *items; /* one a shield, in the order of the state */
	size_t n;
};

/* They borrow from the state, which must not change meanwhile. */
void irq_policies_read(struct sys *sys, const struct state *state, struct irq_policies *policies);
void irq_policies_clear(struct irq_policies *policies);
#define _cleanup_irq_policies_ _cleanup_(irq_policies_clear)

#endif
