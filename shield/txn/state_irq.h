/* SPDX-License-Identifier: MIT */
/*
 * state_irq: what an active shield wants of interrupts, as its profile said it.
 * The guard has no profile: it finds this in the state file.
 *
 *	"irq": { "vfio": "spread", "devices": ["0000:01:00.0"],
 *		 "rules": [ { "match": "driver:nvme", "cpus": "0-1" } ] }
 */
#ifndef SHIELD_TXN_STATE_IRQ_H
#define SHIELD_TXN_STATE_IRQ_H

#include "profiles/profile.h"
#include "shield/txn/state_fields.h"

struct state_irq {
	enum profile_vfio vfio;
	struct profile_rule *rules;
	size_t n_rules;
	struct strv devices; /* beside those that the VM has open */
};

void state_irq_clear(struct state_irq *irq);
/* Copy it from a profile into a zeroed struct. */
void state_irq_take(struct state_irq *irq, const struct profile *profile);

extern const struct field state_irq_fields[];

#endif
