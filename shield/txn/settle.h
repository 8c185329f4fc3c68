/* SPDX-License-Identifier: MIT */
/*
 * settle: the four parts of every transaction (txn.h), in their order.
 *
 * For txn.c alone, as goal.c is but for what txn.h has of it.
 */
#ifndef SHIELD_TXN_SETTLE_H
#define SHIELD_TXN_SETTLE_H

#include "shield/txn/txn.h"

/* Is it the claim of a shield that stays? */
bool claim_counts(const struct txn *txn, const struct claim *claim);

/* Give every object its target, f(object). Where the kernel holds an affinity
 * that someone else set, that is the target, and reported. */
void settle_aim(struct txn *txn);

/* Note the targets as next, to be saved before the first write. */
void settle_announce(struct txn *txn);

/* Nothing of that was begun. */
void settle_withdraw(struct txn *txn);

/* Write what differs: forward in the order of the objects, backward against it,
 * affinities last. -1 with err only forward, when the transaction must fail. */
int settle_apply(struct txn *txn, bool forward, struct err *err);

/* Forget what is restored; applying becomes active, what was released goes,
 * unless something is left over. To be saved afterwards. */
void settle_conclude(struct txn *txn);

#endif
