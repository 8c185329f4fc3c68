/* SPDX-License-Identifier: MIT */
/*
 * apply: bring one kernel object to its target: compare, write, read back.
 */
#ifndef SHIELD_TXN_APPLY_H
#define SHIELD_TXN_APPLY_H

#include "shield/txn/txn.h"

enum applied {
	APPLIED,	 /* the kernel holds the target */
	APPLIED_DRIFT,	 /* someone else changed it: left alone */
	APPLIED_GONE,	 /* the object does not exist any more, or another one has its number */
	APPLIED_REFUSED, /* the kernel refuses any change of it */
	APPLIED_UNMOVED, /* the kernel takes any value but this one (EINVAL) */
	APPLIED_RETRY,	 /* a task or interrupt: failed this time */
	APPLIED_FAILED,	 /* err says why */
};

/* What is known of its file (kfile.h); NULL if it is none. */
const struct kfile *object_row(const struct txn *txn, const struct object *object);

/* The canonical value that the kernel holds now. 0, or a negated errno:
 * -ENOENT and -ESRCH when the object is gone. The caller frees it. */
int object_read(struct txn *txn, const struct object *object, char **ret);

/* Is it still the object that was recorded (start time, actions)? 0: no, it is
 * gone; or a negated errno: that cannot be told now. */
int object_same(struct txn *txn, const struct object *object);

/* The affinity that someone else gave a thread since we wrote ours, allocated; or
 * NULL, also when it is the target. */
char *object_drift(struct txn *txn, const struct object *object);

/* Bring it to object->target. compare: leave it alone unless it holds ours or
 * next. home: where processes go that a removed cgroup still holds. */
enum applied object_apply(struct txn *txn, const struct object *object, bool compare,
			  const char *home, struct err *err);

#endif
