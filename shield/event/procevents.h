/* SPDX-License-Identifier: MIT */
/*
 * procevents: hear of new processes and threads from the kernel.
 *
 * The kernel's process connector announces every fork, exec and exit of the
 * machine; a socket filter lets only those through that are wanted, so a busy
 * host does not wake us. It needs root, the initial PID namespace and
 * CONFIG_PROC_EVENTS. Where it is missing (ERR_UNSUPPORTED) the caller looks
 * for itself at intervals. (linux/cn_proc.h, drivers/connector/cn_proc.c;
 * before 6.6 a listener that is killed leaves the kernel announcing to no
 * listener, which costs a little but harms nothing.)
 */
#ifndef SHIELD_EVENT_PROCEVENTS_H
#define SHIELD_EVENT_PROCEVENTS_H

#include "shield/sys/sys.h"

#include <sys/types.h>

enum {
	PROCEVENTS_EXEC = 1,	/* a process became another program */
	PROCEVENTS_KTHREAD = 2, /* a kernel thread was started (by kthreadd, PID 2) */
	PROCEVENTS_THREAD = 4,	/* a thread was started in the process `of` */
};

struct procevents {
	int fd; /* -1: closed; for poll(2), POLLIN */
};

struct procevent {
	unsigned what; /* one of the above */
	pid_t pid;     /* the process */
	pid_t tid;     /* the thread: differs from pid for PROCEVENTS_THREAD */
};

/* Start listening for the kinds in `what`. On failure p->fd is -1. sys: whose clock counts. */
int procevents_open(struct procevents *p, struct sys *sys, unsigned what, pid_t of,
		    struct err *err);
void procevents_close(struct procevents *p);

/* Listen for something else from now on. What is queued already still comes. */
int procevents_choose(struct procevents *p, unsigned what, pid_t of, struct err *err);

/*
 * Read without waiting: the number of events, 0 if there is nothing (more) now,
 * -EOVERFLOW when events were lost and the caller must look for itself, or
 * another negated errno.
 */
int procevents_read(struct procevents *p, struct procevent *events, size_t max);

#endif
