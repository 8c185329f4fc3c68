/* SPDX-License-Identifier: MIT */
/*
 * take_over: finish what a killed `run` had begun.
 */
#ifndef SHIELD_OPS_TAKE_OVER_H
#define SHIELD_OPS_TAKE_OVER_H

#include "shield/txn/txn.h"

/*
 * `run` was killed before it had placed its VM, or before it had let it start: do
 * that for it. 1: nothing is left to do; 0: there is no such VM (yet); -1: to be
 * tried again.
 */
int shield_take_over(struct txn *txn, const char *name, struct err *err);

#endif
