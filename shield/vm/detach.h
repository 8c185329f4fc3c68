/* SPDX-License-Identifier: MIT */
/*
 * detach: work that may not keep its caller waiting.
 */
#ifndef SHIELD_VM_DETACH_H
#define SHIELD_VM_DETACH_H

#include "shield/sys/sys.h"

/*
 * Call work(ctx, answer) in a process of its own, with no terminal and no
 * standard streams. What it writes to the descriptor `answer` and closes is
 * copied, cut if need be and with a NUL, if it comes before the deadline
 * (clock.h); then the work goes on alone. Returns its length, or -1: there is
 * no answer (yet).
 */
int detach(struct sys *sys, void (*work)(void *ctx, int answer), void *ctx, long long deadline,
	   char *text, size_t size);

#endif
