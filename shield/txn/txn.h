/* SPDX-License-Identifier: MIT */
/*
 * txn: the one place that changes the kernel.
 *
 * What the kernel should hold is a pure function of the originals and the
 * active shields: f(object) is
 *
 *	the value that a shield set,	if one did (guest CPUs and cgroups of
 *					shields do not overlap; what they share,
 *					kfile.h, holds all their CPUs; of a host
 *					setting the oldest shield's counts);
 *	the original without the CPUs taken by the shields that want the object
 *	to stay off them (all housekeeping CPUs if nothing is left),	if any;
 *	the original,			else.
 *
 * A shield in phase releasing counts as absent. So `on`, `off`, the rollback of
 * a failed `on` and the recovery after a crash are one operation, settle: aim
 * every object at f, save, apply, forget what is restored, save.
 *
 *	          on                  all applied
 *	(absent) ----> [applying] --------------------> [active]
 *	    ^              | failed, or found by recover   | off, VM gone
 *	    |              v                               v
 *	    +-------- [releasing] <------------------------+
 *	 all restored
 *
 * Invariants:
 *  1. No kernel object changes before its original is in a state file that has
 *     been renamed into place.
 *  2. Originals are read under the lock, in this transaction; an object already
 *     in the file keeps its first original.
 *  3. A write is compare-and-swap: what the kernel holds must be what we wrote
 *     last (ours) or were writing (next). Anything else was set by someone
 *     else: it is left and reported; `force` takes it back. The kernel itself
 *     rewrites affinities at cpuset changes (up to 6.1 all, up to 6.19 those of
 *     kernel threads), so for these (and files that are late, kfile.h) the
 *     comparison is made before the first write, and they are set again after the
 *     last one. Nor is an object compared that could neither be set nor read.
 *  4. A task is touched only if number and start time match, an interrupt only
 *     if its actions do.
 *  5. Every write is verified by reading back.
 *  6. An object leaves the file only after its restoration was verified, or
 *     when it is gone. No shields and no objects: no file.
 *  7. A file of another boot is void.
 *  8. A pulse (kfile.h: a CPU goes offline and comes back) is one object with
 *     two writes. Its other value stands in the file as next, so that a
 *     recovery knows the way back; and since the kernel rewrites masks
 *     when a CPU goes, no other object is compared while one is in the file.
 *  9. The file is written once before the first change and once after the last.
 *     In between it holds both values of each object, so that a recovery can
 *     go either way; settle is idempotent, and may be killed and repeated.
 * 10. What recovers if we are killed exists before the first change
 *     (txn->protect), and waits for the lock, which our death releases.
 */
#ifndef SHIELD_TXN_TXN_H
#define SHIELD_TXN_TXN_H

#include "shield/txn/state.h"

struct txn {
	struct sys *sys;
	char *mount; /* of cgroup v2, or NULL */
	int lock;
	bool force;	    /* take back what others changed */
	bool reassert;	    /* the kernel changed what it should not have: not drift */
	bool recovering;    /* what is being done was interrupted before */
	bool unanswered;    /* PID 1 may yet do what it was asked for in this one */
	bool vanished;	    /* a cgroup or partition of ours went, and not by us */
	bool kthreads_lost; /* so has this kernel what kernel threads had (apply.c) */
	bool hotplug;	    /* likewise, since CPUs go offline and online in this one */
	struct state state;
	struct cpuset online;
	struct strv report;		 /* left alone, gone, healed: one line each */
	struct strv immovable;		 /* refused by the kernel for good */
	struct strv unmoved;		 /* should have moved, and did not */
	struct strv leftover;		 /* could not be restored; still in the file */
	void (*trace)(const char *line); /* each write as it is done; or NULL */
	/* Called once a shield, before anything changes for its sake: when it
	 * returns, a process exists that finishes or undoes this if we are
	 * killed. NULL: that is us. */
	int (*protect)(struct txn *txn, const char *name, struct err *err);
	struct strv protected; /* the shields for which it was called */
	json_t *former;	       /* the shield that is being changed, as it was; or NULL */
};

/*
 * Take the lock, read the state, and finish or undo what an interrupted
 * transaction left; what could not be restored is in txn->leftover, stays in
 * the file, and keeps new shields from beginning. On -1 nothing is held.
 * txn_end() releases the lock; it may be called on a zeroed struct.
 */
int txn_begin(struct txn *txn, struct sys *sys, bool force, struct err *err);
/* The same in two steps: wait for the lock, which changes nothing; and the rest. */
int txn_lock(struct txn *txn, struct sys *sys, struct err *err);
int txn_enter(struct txn *txn, bool force, struct err *err);
void txn_end(struct txn *txn);
#define _cleanup_txn_ _cleanup_(txn_end)

/* The same without the lock, on a preview (preview.h), for which root is not needed. */
int txn_begin_on_paper(struct txn *txn, struct sys *sys, bool force, struct err *err);
static inline bool txn_on_paper(const struct txn *txn)
{
	return txn->lock < 0;
}

/* The same for reading only: no lock, no root, no recovery. */
int txn_view(struct txn *txn, struct sys *sys, struct err *err);

/* Does the file tell of a transaction that is under way, or was interrupted? */
bool txn_interrupted(const struct txn *txn);

/*
 * Carry out a plan for a shield that the caller has put into txn->state with
 * state_add_shield() in phase applying. On -1 everything is back as it was
 * (ERR_FAILED) or what is left is in txn->leftover (ERR_INCOMPLETE).
 */
int txn_on(struct txn *txn, const char *name, const struct plan *plan, struct err *err);

/* The shield of that name, to set its fields (its VM, vCPUs, CPUs, partitions): part of
 * the txn_extend() that comes next, which puts them back when it fails. */
struct shield *txn_edit(struct txn *txn, const char *name);

/* More steps for an active shield (attach, new threads). On -1 these are undone
 * and the shield is as it was before; pointers to it are not valid any more. */
int txn_extend(struct txn *txn, const char *name, const struct plan *plan, struct err *err);

/* End a shield. keep: affinities that the kernel is going to destroy and that
 * must survive (no claim is made on them); or NULL. -1 with ERR_INCOMPLETE. */
int txn_off(struct txn *txn, const char *name, const struct plan *keep, struct err *err);

/* The next txn_extend() takes the partition down that this cgroup is before it
 * changes anything, and puts it up again. */
void txn_dissolve(struct txn *txn, const char *cgroup);

/*
 * Make an active shield true again after the kernel broke it: CPU hotplug
 * rewrites affinities (6.1: of pinned threads too) and masks of interrupts; and,
 * if partition is set, one that became invalid or leaks (kernels corrupt a
 * partition whose CPUs all went offline and came back). What a user set by hand
 * cannot be told from that, and is taken back. -1: it is still broken.
 */
int txn_repair(struct txn *txn, const char *name, bool partition, struct err *err);

/* Objects of no shield, changed by one that has ended: to step->to. */
int txn_give_back(struct txn *txn, const struct plan *plan, struct err *err);

/* The steps of a shield that no file told of: the caller has put it into
 * txn->state in phase releasing. What the kernel holds of them is ours. */
int txn_undo(struct txn *txn, const char *name, const struct plan *plan, struct err *err);

/* Save what was changed in txn->state beside the objects (pids, vCPUs). */
int txn_save(struct txn *txn, struct err *err);

/* f(object), allocated. */
char *txn_goal(const struct txn *txn, const struct object *object);

/* What a claim comes to that sets it to this, allocated. An interrupt whose CPUs
 * there are all offline is elsewhere until one of them is back. */
char *txn_goal_set(const struct txn *txn, const struct object *object, const char *set);

#endif
