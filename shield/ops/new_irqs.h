/* SPDX-License-Identifier: MIT */
/*
 * new_irqs: interrupts and receive queues that appear while a shield is up.
 */
#ifndef SHIELD_OPS_NEW_IRQS_H
#define SHIELD_OPS_NEW_IRQS_H

#include "shield/txn/txn.h"

/* Interrupts: put those that appeared, and those whose masks a program has
 * changed since, where they belong. */
int shield_new_irqs(struct txn *txn, size_t *found, struct err *err);
/* Before the end of a shield: what programs have changed of our masks is ours to
 * restore, and what its VM had keeps off the guest CPUs of the others. */
void shield_reclaim_irqs(struct txn *txn, const char *name);

/* Interrupts and receive queues that were made under a shield, and that no look
 * has found yet when it ends: _begin before its end, _end after it. */
struct new_irqs {
	/* The default mask under it, and before: of interrupts, of queues; or NULL. */
	struct born {
		char *mask, *original;
	} irq, net;
	struct strv older; /* recorded: "PATH ORIGINAL IDENTITY" */
};
void new_irqs_begin(struct txn *txn, struct new_irqs *new_irqs);
int new_irqs_end(struct txn *txn, const struct new_irqs *new_irqs, struct err *err);
void new_irqs_clear(struct new_irqs *new_irqs);
#define _cleanup_new_irqs_ _cleanup_(new_irqs_clear)

#endif
