/* SPDX-License-Identifier: MIT */
#include "shield/event/resume.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* A timer that never expires (in 2255), but is cancelled when the difference between the real
 * clock and the one that stands still while the machine sleeps changes. */
#define NEVER 9000000000
/* Two clocks are read one after the other. */
#define APART_MS 50

/* How long it has slept since its boot, in ms. A short sleep may not be credited. */
static long long asleep(void)
{
	struct timespec all, awake;

	clock_gettime(CLOCK_MONOTONIC, &awake);
	clock_gettime(CLOCK_BOOTTIME, &all);
	return (all.tv_sec - awake.tv_sec) * 1000 + (all.tv_nsec - awake.tv_nsec) / 1000000;
}

static long long count(struct sys *sys, const char *path)
{
	_cleanup_free_ char *text = NULL;

	return sys_read_line(sys, path, &text) == 0 ? strtoll(text, NULL, 10) : 0;
}

/* A sleep that fails may have taken CPUs, too. */
static long long sleeps(struct sys *sys)
{
	return count(sys, "/sys/power/suspend_stats/success") +
	       count(sys, "/sys/power/suspend_stats/fail");
}

void resume_open(struct resume *r, struct sys *sys)
{
	const struct itimerspec never = { .it_value.tv_sec = NEVER };

	r->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r->fd >= 0)
		timerfd_settime(r->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
	r->slept = asleep();
	r->times = sleeps(sys);
}

void resume_close(struct resume *r)
{
	closep(&r->fd);
}

bool resume_seen(struct resume *r, struct sys *sys)
{
	long long slept = asleep(), times = sleeps(sys);
	bool seen = times != r->times || slept - r->slept > APART_MS;
	uint64_t expired;

	(void)!read(r->fd, &expired, sizeof(expired)); /* ECANCELED */
	r->times = times;
	if (seen)
		r->slept = slept;
	return seen;
}
