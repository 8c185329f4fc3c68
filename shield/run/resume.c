#include "shield/run/resume.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* A timer that never expires (in 2255), but is cancelled when the difference between the real
 * clock and the one that stands still while the machine sleeps changes. */
#define NEVER 9000000000

int resume_open(void)
{
	const struct itimerspec never = { .it_value.tv_sec = NEVER };
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
	return fd;
}

/* How long it has slept since its boot, in ms; never 0. */
static long long asleep(void)
{
	struct timespec all, awake;

	clock_gettime(CLOCK_MONOTONIC, &awake);
	clock_gettime(CLOCK_BOOTTIME, &all);
	return 1 + (all.tv_sec - awake.tv_sec) * 1000 + (all.tv_nsec - awake.tv_nsec) / 1000000;
}

bool resume_seen(int fd, long long *slept)
{
	long long before = *slept;
	uint64_t count;

	(void)!read(fd, &count, sizeof(count)); /* ECANCELED */
	*slept = asleep();
	/* The two are read one after the other. */
	return before && *slept - before > 50;
}
