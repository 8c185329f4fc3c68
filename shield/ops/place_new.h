/* SPDX-License-Identifier: MIT */
/*
 * place_new: kernel threads and interrupts that appeared since a shield began.
 */
#ifndef SHIELD_OPS_PLACE_NEW_H
#define SHIELD_OPS_PLACE_NEW_H

#include "shield/txn/txn.h"

/* Move kernel threads and interrupts that appeared since off guest CPUs. *found
 * counts them. */
int shield_place_new(struct txn *txn, size_t *found, struct err *err);

#endif
