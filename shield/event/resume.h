/* SPDX-License-Identifier: MIT */
/*
 * resume: that the machine has slept. Nothing announces the CPUs that went offline
 * and came back on the way (no uevent), and the kernel resets masks when they do.
 */
#ifndef SHIELD_EVENT_RESUME_H
#define SHIELD_EVENT_RESUME_H

#include "shield/sys/sys.h"

#include <stdbool.h>

struct resume {
	int fd; /* readable after a resume, and when the clock is set; or -1 */
	long long slept, times;
};

/* From now on. */
void resume_open(struct resume *r, struct sys *sys);
void resume_close(struct resume *r);

/*
 * Has the machine slept, or tried to, since it was last asked? Drains the
 * descriptor. The kernel counts a sleep only after it has let programs go on: who
 * is woken by one asks again a moment later.
 * (timerfd_create(2); Documentation/ABI/testing/sysfs-power, suspend_stats)
 */
bool resume_seen(struct resume *r, struct sys *sys);

#endif
