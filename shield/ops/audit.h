/* SPDX-License-Identifier: MIT */
/*
 * audit: does the kernel still hold what the shields say? Read only, and without
 * root: an independent look at every thread, interrupt and partition, not a
 * reading of our own file back.
 */
#ifndef SHIELD_OPS_AUDIT_H
#define SHIELD_OPS_AUDIT_H

#include "shield/base/names.h"
#include "shield/txn/txn.h"

/* The shield does not hold here; it will by itself, such as an interrupt that moves the
 * next time it fires; it is as the user asked for, and may not be what they want; or it
 * never can, and the reason says why. */
#define SEVERITIES(X)                  \
	X(SEVERITY_BROKEN, "broken")   \
	X(SEVERITY_PENDING, "pending") \
	X(SEVERITY_CHOSEN, "chosen")   \
	X(SEVERITY_IMMOVABLE, "immovable")
enum severity { SEVERITIES(NAMES_ITEM) };

struct problem {
	enum severity severity;
	char *object, *expected, *actual;
	const char *reason; /* static text */
};

struct problems {
	struct problem *items;
	size_t n, cap;
};

void problems_clear(struct problems *problems);
#define _cleanup_problems_ _cleanup_(problems_clear)

/* Is any of them, from number `from` on, SEVERITY_BROKEN? */
bool problems_broken(const struct problems *problems, size_t from);

/* "broken", "pending", "immovable" */
const char *severity_name(enum severity severity);

/*
 * Look at everything that a shield promises. txn: zeroed but for sys, mount,
 * state and online (txn_view()). Without the lock a change that is under way looks
 * like something broken: look again.
 */
int audit_shield(struct txn *txn, const struct shield *shield, struct problems *problems,
		 struct err *err);

/* Part of it: the masks of interrupts and threads, which the kernel rewrites when
 * CPUs come and go. */
int audit_masks(struct txn *txn, const struct shield *shield, struct problems *problems,
		struct err *err);

/* Two parts of it, that the guard looks at: nothing added means that they
 * hold. */
void audit_partition(struct txn *txn, const struct shield *shield, struct problems *problems);
void audit_vm(struct txn *txn, const struct shield *shield, struct problems *problems);

#endif
