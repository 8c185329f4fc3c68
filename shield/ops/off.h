/* SPDX-License-Identifier: MIT */
/*
 * off: end a shield.
 */
#ifndef SHIELD_OPS_OFF_H
#define SHIELD_OPS_OFF_H

#include "shield/txn/txn.h"

/* End it; 0 also when it is not active. */
int shield_off(struct txn *txn, const char *name, struct err *err);

#endif
