/* SPDX-License-Identifier: MIT */
/*
 * task: the threads of the system and what CPUs they may use.
 *
 * Affinity belongs to each thread, so the unit is the thread, identified by
 * its number and start time (numbers are reused).
 */
#ifndef SHIELD_TASK_TASK_H
#define SHIELD_TASK_TASK_H

#include "shield/sys/sys.h"

/* Bits of /proc/PID/stat field 9, the same from 6.1 to 7.3
 * (include/linux/sched.h). */
#define TASK_EXITING 0x00000004u	/* PF_EXITING */
#define TASK_WQ_WORKER 0x00000020u	/* PF_WQ_WORKER */
#define TASK_KTHREAD 0x00200000u	/* PF_KTHREAD */
#define TASK_NO_SETAFFINITY 0x04000000u /* PF_NO_SETAFFINITY: affinity is fixed */

/* SCHED_DEADLINE of linux/sched.h, which libc's sched.h lacks. */
#define TASK_DEADLINE 6u

struct task {
	pid_t tid, tgid;
	unsigned long long start; /* clock ticks since boot */
	unsigned flags;
	unsigned policy; /* SCHED_DEADLINE, or another */
	char *comm;	 /* escaped, see text.h */
	struct cpuset allowed;
};

struct tasks {
	struct task *items;
	size_t n, cap;
};

/*
 * Which threads to read; all zero: every one. A thread that is left out costs a
 * system call or two, one that is read some ten times as much.
 */
struct task_filter {
	bool kernel;		       /* only kernel threads */
	const struct cpuset *touching; /* only what may run on one of these CPUs */
	/* Leave out the threads of user processes, but for the first of each, that
	 * may run on just these CPUs and have no deadline. */
	const struct cpuset *ordinary;
};

/* Read the threads. Those that end meanwhile are left out. -1 if anything else
 * cannot be read: it could not be restored. */
int tasks_snapshot(struct sys *sys, const struct task_filter *filter, struct tasks *tasks,
		   struct err *err);
void tasks_clear(struct tasks *tasks);
#define _cleanup_tasks_ _cleanup_(tasks_clear)

/* Does this failure (-errno) of reading a thread mean that it has ended? Then it
 * is left out. Anything else is an error: what is not recorded could not be
 * restored. */
bool task_ended(int rc);

/*
 * Read one thread's identity and flags (allowed is left empty). 0 or a negated
 * errno, -ESRCH when it has ended. Release with task_clear().
 */
int task_read(struct sys *sys, pid_t tgid, pid_t tid, struct task *task);
void task_clear(struct task *task);
#define _cleanup_task_ _cleanup_(task_clear)

/* Does the thread with this start time still live (a zombie does not)? 0: no; or
 * a negated errno. task_alive() takes what cannot be told for alive. */
int task_same(struct sys *sys, pid_t tid, unsigned long long start);
bool task_alive(struct sys *sys, pid_t tid, unsigned long long start);

/* The handler thread of a passed-through card's interrupt ("irq/37-vfio-msi", on
 * real-time kernels and with threadirqs): it is where its interrupt is, which
 * may be a guest CPU. */
bool task_vfio_handler(const struct task *task);

/* The CPUs in Cpus_allowed: unlike sched_getaffinity(2) with those that are
 * offline. 0 or a negated errno. */
int task_allowed(struct sys *sys, pid_t tid, struct cpuset *cpus);

/* The CPUs that it may use: those that are online, as sched_getaffinity(2) tells
 * quickly; or, when none of them is, all of them. Never none. 0 or a negated errno. */
int task_affinity(struct sys *sys, pid_t tid, struct cpuset *cpus);

/* The path of the thread's cgroup v2, "/" or "/a/b"; the caller frees it. */
int task_cgroup(struct sys *sys, pid_t tgid, pid_t tid, char **ret);

#endif
