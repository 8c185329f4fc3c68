/* SPDX-License-Identifier: MIT */
#include "tests/fake/clock.h"

#include "shield/base/mem.h"
#include "shield/base/strv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A test that hangs, fails: nothing takes so long in real time. */
#define STUCK_LOOKS 60000
/* One that has ended is heard of a moment later, if at all. */
#define ENDED_LOOKS 20

struct sleeper {
	pid_t tid; /* 0: free */
	long long until;
};

static struct shared {
	long long now;
	unsigned moves; /* a futex */
	struct sleeper sleepers[64];
} * shared;

void clock_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || ftruncate(fd, sizeof(*shared)) < 0)
		abort();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		abort();
	close(fd);
}

long long clock_now(void)
{
	return __atomic_load_n(&shared->now, __ATOMIC_SEQ_CST);
}

static struct sleeper *lie_down(long long until)
{
	const pid_t self = (pid_t)syscall(SYS_gettid);

	for (size_t i = 0; i < ARRAY_SIZE(shared->sleepers); i++) {
		struct sleeper *s = &shared->sleepers[i];
		pid_t none = 0;

		if (!__atomic_compare_exchange_n(&s->tid, &none, self, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			continue;
		__atomic_store_n(&s->until, until, __ATOMIC_SEQ_CST);
		return s;
	}
	abort();
}

void clock_sleep(long long ms)
{
	long long until = clock_now() + ms;
	struct sleeper *s = lie_down(until);

	for (;;) {
		unsigned moves = __atomic_load_n(&shared->moves, __ATOMIC_SEQ_CST);

		if (clock_now() >= until)
			break;
		syscall(SYS_futex, &shared->moves, FUTEX_WAIT, moves, NULL, NULL, 0);
	}
	__atomic_store_n(&s->tid, 0, __ATOMIC_SEQ_CST);
}

/* When the first of them wakes; those that were killed do not. */
static long long next_waking(void)
{
	long long next = LLONG_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(shared->sleepers); i++) {
		struct sleeper *s = &shared->sleepers[i];
		pid_t tid = __atomic_load_n(&s->tid, __ATOMIC_SEQ_CST);
		long long until = __atomic_load_n(&s->until, __ATOMIC_SEQ_CST);

		if (tid && kill(tid, 0) < 0)
			__atomic_store_n(&s->tid, 0, __ATOMIC_SEQ_CST);
		else if (tid && until < next)
			next = until;
	}
	return next;
}

static void move_to(long long now)
{
	__atomic_store_n(&shared->now, now, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&shared->moves, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &shared->moves, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static char *read_text(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* Is it in a system call, and off the CPU? "running" also who is about to sleep. */
static bool waits(const char *thread)
{
	_cleanup_free_ char *path = xasprintf("%s/syscall", thread);

	return isdigit((unsigned char)*read_text(path));
}

/* Does it sleep, or has it ended? How often it has run is added. */
static bool sleeps(const char *thread, bool ended, unsigned long long *times)
{
	_cleanup_free_ char *path = xasprintf("%s/status", thread);
	const char *text = read_text(path), *state = strstr(text, "\nState:\t");
	const char *voluntary = strstr(text, "\nvoluntary_ctxt_switches:\t");
	const char *others = strstr(text, "\nnonvoluntary_ctxt_switches:\t");

	if (!state || !voluntary || !others)
		return false;
	*times += strtoull(voluntary + 26, NULL, 10) + strtoull(others + 29, NULL, 10);
	if (state[8] == 'Z')
		return ended;
	return state[8] == 'S' && waits(thread);
}

static bool all_sleep(pid_t pid, bool self, bool ended, unsigned long long *times)
{
	_cleanup_free_ char *dir = xasprintf("/proc/%d/task", (int)pid);
	_cleanup_strv_ struct strv tids = { 0 };
	struct sys sys;
	bool yes = true;

	sys_open_real(&sys, "");
	sys.ops->list(sys.ctx, dir, &tids);
	for (size_t i = 0; i < tids.n && yes; i++) {
		_cleanup_free_ char *thread = xasprintf("%s/%s", dir, tids.items[i]);
		_cleanup_free_ char *path = xasprintf("%s/children", thread);
		_cleanup_free_ char *children = xstrdup(read_text(path));
		char *save = NULL;

		yes = self || sleeps(thread, ended, times);
		*times += 1000003ULL * (unsigned long long)atoi(tids.items[i]);
		for (char *c = strtok_r(children, " ", &save); c && yes;
		     c = strtok_r(NULL, " ", &save))
			yes = all_sleep((pid_t)atoi(c), false, ended, times);
	}
	sys_close_real(&sys);
	return yes;
}

/* A thread that sleeps in both looks, and has not done anything in between,
 * slept between them, and so did all others. */
static bool quiet(bool ended)
{
	unsigned long long first = 0, second = 0;

	return all_sleep(getpid(), true, ended, &first) &&
	       all_sleep(getpid(), true, ended, &second) && first == second;
}

static int clock_poll(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const long long until = timeout_ms < 0 ? LLONG_MAX : clock_now() + timeout_ms;

	(void)ctx;
	for (int looks = 0; looks < STUCK_LOOKS; looks++) {
		bool still = timeout_ms && quiet(looks >= ENDED_LOOKS);
		int rc = poll(fds, n, 0);
		long long next = next_waking();

		if (rc)
			return rc < 0 ? -errno : rc;
		/* Who wakes at the same moment does so first. */
		if (!timeout_ms || (still && clock_now() >= until))
			return 0;
		next = next < until ? next : until;
		if (still && next < LLONG_MAX)
			move_to(next);
		else
			poll(fds, n, 1); /* for what they do */
	}
	fprintf(stderr, "clock: nothing happens\n");
	abort();
}

static long long clock_now_of(void *ctx)
{
	(void)ctx;
	return clock_now();
}

void clock_sys(struct sys *sys)
{
	static struct sys_ops ops;

	ops = *sys->ops;
	ops.now = clock_now_of;
	ops.poll = clock_poll;
	sys->ops = &ops;
}
