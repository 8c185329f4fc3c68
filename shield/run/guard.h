/*
 * guard: the process that keeps a shield true, whatever becomes of whoever
 * started it. One a shield, detached (its own session, no terminal), on
 * housekeeping CPUs. It sleeps on file descriptors and wakes when
 *
 *	the VM ends (pidfd)		-> once its owner is gone too, end the shield
 *	a kernel thread is born		-> move it off guest CPUs (kernels before
 *					   7.0 let it run anywhere)
 *	a thread of the VM is born	-> if it is in a partition, and no vCPU, move
 *	in a partition			   it out (txn/thread.h), within a second
 *	the state file is replaced	-> the shield may be gone: so is the guard
 *	the partition changes (inotify)	-> look whether it is still valid
 *	an interrupt gets a vector	-> put it where it belongs, within a second
 *	or a mask			   (irqevents.h; a device of the VM, too)
 *	irqbalance starts (inotify)	-> tell it to leave guest CPUs alone
 *	CPUs come or go (uevents), or the machine has slept (resume.h)
 *					-> put back what that changed
 *	a slow timer fires		-> look for what no event announces, such
 *					   as a mask of a network queue
 */
#ifndef SHIELD_RUN_GUARD_H
#define SHIELD_RUN_GUARD_H

#include "shield/txn/txn.h"

/* Start the guard of a shield, detached, and wait until it watches. -1 when it
 * could not be started (the shield stands without it). */
int guard_spawn(struct sys *sys, const char *name, struct err *err);

/* The active shields whose guard is gone, for guard_spawn() once the lock is. */
void guards_missing(const struct txn *txn, struct strv *names);

/* The guard itself: returns when the shield has ended. ready_fd: a byte is
 * written to it, and it is closed, when it watches; or -1. */
int guard_main(struct sys *sys, const char *name, int ready_fd, struct err *err);

#endif
