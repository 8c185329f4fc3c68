/* SPDX-License-Identifier: MIT */
/*
 * matrix: what kernels do, as one table of cases that runs on the kernel in
 * memory (tests/unit/test_fake.c) and on real ones (tests/vm/matrix.c). The
 * fake is believed only as far as both agree.
 *
 * A case is a line of steps on a machine with 8 CPUs whose cgroup tree is
 * empty and whose root has no controller enabled:
 *
 *	mk:A/B rm:A/B		make, remove a cgroup
 *	A:cpus=2-3		write a file of cgroup A ("." is the root):
 *				cpus excl part ctl type procs threads
 *	A:part?isolated		read one: those, eff, xcpus, iso. A partition
 *				that is not valid reads "isolated:invalid"; of
 *				ctl only cpuset shows
 *	t@A			start process t and put it into A. It has a
 *				second thread, t.2
 *	t>A t.2~A		move the process; move the one thread
 *	t=2-3 t?2-3		sched_setaffinity, sched_getaffinity; also of
 *				kernel threads by name: kswapd0=…
 *	cpu3=0 cpu3=1		CPU hotplug
 *	irq=… irq?…		the mask of an interrupt that can be moved;
 *	irq0=…			of one that cannot; default=…, wq=…: hexadecimal
 *				masks of new interrupts, of workqueues
 *	STEP!EBUSY		the step fails so; all others must succeed
 *
 * The expected values are the kernels', not the fake's; see kernel's
 * Documentation/admin-guide/cgroup-v2.rst and tools/testing/selftests/cgroup.
 */
#ifndef TESTS_FAKE_MATRIX_H
#define TESTS_FAKE_MATRIX_H

#include "shield/sys/sys.h"

#define K61 1u
#define K612 2u
#define K7 4u
#define KALL 7u
#define KLATER (K612 | K7)
#define KOLDER (K61 | K612)

struct matrix_case {
	unsigned kernels;
	const char *name;
	const char *steps;
};

extern const struct matrix_case matrix_cases[];
extern const unsigned matrix_count;

/* What sys.h cannot do. */
struct matrix_host {
	struct sys *sys;
	void *ctx;
	/* A process in the root cgroup with two threads. */
	pid_t (*spawn)(void *ctx, const char *name);
	void (*kill)(void *ctx, pid_t pid);
	int (*cpu)(void *ctx, unsigned cpu, bool online);
	/* Told of each step before it is done, and of a case's end with NULL;
	 * may be NULL. */
	void (*tell)(void *ctx, const char *name, const char *step);
	unsigned irq, fixed_irq;
	/* How often to look again, at 10 ms, for what the kernel does later:
	 * 6.1 returns the CPUs of a cgroup that is gone asynchronously. */
	unsigned backoff;
};

/* Run one case and clean up behind it. NULL, or what went wrong: the caller
 * frees it. */
char *matrix_run(struct matrix_host *host, const struct matrix_case *c);

#endif
