/* SPDX-License-Identifier: MIT */
/*
 * clock: deadlines and pauses on the clock of a struct sys, in milliseconds, so
 * that a test's clock moves when it says so. Else as deadline.h, whose deadlines
 * these are on a real one.
 */
#ifndef SHIELD_SYS_CLOCK_H
#define SHIELD_SYS_CLOCK_H

#include "shield/sys/sys.h"

#include <limits.h>

static inline long long sys_deadline(struct sys *sys, long long ms)
{
	return sys->ops->now(sys->ctx) + ms;
}

/* What is left of it, 0 when it has passed: a timeout for sys->ops->poll. */
static inline int sys_left(struct sys *sys, long long deadline)
{
	long long left = deadline - sys_deadline(sys, 0);

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static inline void sys_pause(struct sys *sys, int ms)
{
	sys->ops->poll(sys->ctx, NULL, 0, ms);
}

#endif
