/* SPDX-License-Identifier: MIT */
/*
 * clock: the time of a test that has real processes. It moves only when they all
 * sleep and nothing has come of it: then to the moment for which the first of them,
 * or the test itself, waits. So what waits for seconds takes none, and a busy
 * machine makes nothing late: times are exact.
 *
 * The processes are those that descend from the test. They sleep with
 * clock_sleep(), and in no other way that ends by itself: for that they, too, are
 * programs that call clock_open() on the same file.
 */
#ifndef TESTS_FAKE_CLOCK_H
#define TESTS_FAKE_CLOCK_H

#include "shield/sys/sys.h"

/* The file is made if need be. */
void clock_open(const char *path);
/* sys->ops->now and ->poll are those of this clock from now on. */
void clock_sys(struct sys *sys);

/* In a process of the test's; its parent is the one that polls. */
long long clock_now(void);
void clock_sleep(long long ms);

#endif
