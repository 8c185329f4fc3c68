/* SPDX-License-Identifier: MIT */
/*
 * guard: the process that keeps a shield true, even if the command that started it dies, from
 * before its first change on. One a shield, detached (its own session, no
 * terminal), on housekeeping CPUs. It sleeps on file descriptors and wakes when
 *
 *	the VM ends (pidfd)		-> once its owner is gone too, end the shield
 *	a kernel thread is started	-> move it off guest CPUs (kernels before
 *					   7.0 let it run anywhere)
 *	a thread of the VM is started	-> if it is in a partition, and not a vCPU, move
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
#ifndef SHIELD_GUARD_GUARD_H
#define SHIELD_GUARD_GUARD_H

#include "shield/txn/txn.h"

/*
 * What undoes or finishes a transaction if we are killed: for txn->protect. Unless
 * the shield has a guard that lives, one is started, and it lives when this
 * returns, or PID 1 has been told to start it, even if we die. It waits for
 * the lock, which we hold until we are done, or dead: what it finds then it
 * recovers and guards, or, if there is no such shield, it ends.
 */
int guard_protect(struct txn *txn, const char *name, struct err *err);

/* The active shields whose guard is gone. */
void guards_missing(const struct txn *txn, struct strv *names);

/* Without the lock: until the guard of this shield has it, or the shield is gone. */
int guard_wait(struct sys *sys, const char *name, struct err *err);

/* The guard itself: returns when the shield has ended. -1 with ERR_INACTIVE: the
 * shield does not exist. */
int guard_main(struct sys *sys, const char *name, struct err *err);

#endif
