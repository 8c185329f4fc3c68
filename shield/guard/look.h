/* SPDX-License-Identifier: MIT */
/*
 * look: what the guard does under the lock, and what it remembers between two looks.
 * guard.c is how it waits; no other file includes this one.
 */
#ifndef SHIELD_GUARD_LOOK_H
#define SHIELD_GUARD_LOOK_H

#include "shield/base/backoff.h"
#include "shield/event/irqevents.h"
#include "shield/event/loop.h"
#include "shield/event/procevents.h"
#include "shield/event/resume.h"
#include "shield/txn/txn.h"

#define NEW_THREADS_MAX 256
/* What could not be done is tried again this often. */
#define AGAIN_MS 1000
/* An interrupt is aimed before its driver has named it, and comes with others;
 * it is placed within a second. */
#define IRQ_MS 100

struct guard {
	struct sys *sys;
	struct loop loop;
	const char *name;
	struct process vm, owner;
	int vm_fd, owner_fd, inotify_fd, uevent_fd;
	int run_wd; /* of /run, in which irqbalance's directory comes and goes */
	struct resume resume;
	struct procevents procevents;
	struct irqevents irqs;
	struct new_thread {
		pid_t tid;
		bool vm; /* a thread of the VM's, not of the kernel's */
	} new_threads[NEW_THREADS_MAX];
	size_t n_new_threads;
	unsigned looks;		/* at these new threads */
	struct backoff backoff; /* with repairs */
	bool failed;		/* the last one did not help */
	bool taken_over;	/* from the command that started the VM */
	int tries;		/* of that */
	long long look_at, new_threads_at;
	bool hotplug; /* CPUs came or went */
	bool audited; /* what it was before we listened is seen to */
	bool heard;   /* of interrupts, if that is possible */
	struct cpuset taken, guest;
	struct err complaint; /* made already */
	struct err stuck;     /* likewise, of threads */
};

/* Look in ms milliseconds, or earlier if that is planned already. */
void guard_look_in(struct guard *g, int ms);

/*
 * Once, at first. The command that started us holds the lock until it is done, or dead;
 * what it left is recovered then. -1 with ERR_INACTIVE: the shield does not exist.
 */
int guard_begin(struct guard *g, struct err *err);

/* Do what is to be done. false: there is nothing to guard any more. */
bool guard_look(struct guard *g);

/* Into the journal, once, until something else goes wrong. */
void guard_complain(struct guard *g, const struct err *err);

/* Which threads to hear of. */
unsigned guard_thread_events(const struct guard *g);

#endif
