/* SPDX-License-Identifier: MIT */
/*
 * on_paper: a preview of the host (preview.h) for a transaction, for --dry-run and `plan`.
 */
#ifndef SHIELD_OPS_ON_PAPER_H
#define SHIELD_OPS_ON_PAPER_H

#include "shield/txn/txn.h"

/*
 * Tell the preview what only the state file knows: which CPUs threads had chosen that the
 * kernel narrows, and widens again, by itself. -1: the file cannot be read.
 */
int on_paper_remember(struct sys *preview, struct err *err);

#endif
