/*
 * resume: that the machine has slept. Nothing announces the CPUs that went offline
 * and came back on the way (no uevent), and the kernel resets masks when they do.
 */
#ifndef SHIELD_RUN_RESUME_H
#define SHIELD_RUN_RESUME_H

#include <stdbool.h>

/* A descriptor that is readable after each resume, or -1; it also is when somebody
 * sets the clock. */
int resume_open(void);

/* Has the machine slept since the last call with this *slept (0 at first; the first
 * call only notes the time)? Drains the descriptor. */
bool resume_seen(int fd, long long *slept);

#endif
