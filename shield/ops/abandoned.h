/* SPDX-License-Identifier: MIT */
/*
 * abandoned: shields that are to be ended.
 */
#ifndef SHIELD_OPS_ABANDONED_H
#define SHIELD_OPS_ABANDONED_H

#include "shield/txn/txn.h"

/* The shields whose VM has ended, and whose owner too, so that no other process
 * will end them. */
void shields_abandoned(struct txn *txn, struct strv *names);

#endif
