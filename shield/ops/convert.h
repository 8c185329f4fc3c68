/* SPDX-License-Identifier: MIT */
/*
 * convert: another kind of partition for a shield that is up.
 */
#ifndef SHIELD_OPS_CONVERT_H
#define SHIELD_OPS_CONVERT_H

#include "shield/txn/txn.h"

/* Make it another kind of partition, "isolated" or "root". */
int shield_convert(struct txn *txn, const char *name, const char *partition, struct err *err);

#endif
