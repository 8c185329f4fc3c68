/* SPDX-License-Identifier: MIT */
/*
 * deadline: a moment on the monotonic clock, in milliseconds, so that a wait
 * that is interrupted and taken up again still ends when it should.
 */
#ifndef SHIELD_BASE_DEADLINE_H
#define SHIELD_BASE_DEADLINE_H

#include <limits.h>
#include <time.h>

static inline long long deadline_in(long long ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
}

/* What is left of it, 0 when it has passed: a timeout for poll(2). */
static inline int deadline_left(long long deadline)
{
	long long left = deadline - deadline_in(0);

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

#endif
