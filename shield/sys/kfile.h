/*
 * kfile: the table of kernel files that Shield may write.
 *
 * Each row says how the file's text is read into one canonical value, how a
 * value is encoded for writing, and what a refusal looks like. A path that
 * matches no row is never written, wherever it comes from: the state file and
 * profiles cannot name any other file.
 *
 *	type		canonical value		in the file
 *	KFILE_LIST	cpulist "0-3,8"		cpulist; cleared by "\n"
 *	KFILE_MASK	cpulist			hexadecimal mask (no list is taken)
 *	KFILE_CONTROL	"+cpuset" "-cpuset"	cgroup.subtree_control; the other
 *						controllers are not ours
 *	KFILE_PARTITION	"member" "root" "isolated" "isolated invalid (…)"
 *	KFILE_BALANCER	cpulist			no file: irqbalance (balancer.h)
 *	KFILE_TYPE	cgroup.type; only "threaded" can be written
 *
 * (Documentation/admin-guide/cgroup-v2.rst, "Cpuset Interface Files" and
 * "Threads"; Documentation/core-api/irq/irq-affinity.rst;
 * Documentation/core-api/workqueue.rst.)
 */
#ifndef SHIELD_SYS_KFILE_H
#define SHIELD_SYS_KFILE_H

#include "shield/sys/sys.h"

enum kfile_type { KFILE_LIST, KFILE_MASK, KFILE_CONTROL, KFILE_PARTITION, KFILE_TYPE,
		  KFILE_BALANCER };

struct kfile {
	const char *pattern; /* segments; "*" is one of any name, "#" in it a number,
			      * "@" the cgroup mount, "**" one or more names */
	enum kfile_type type;
	bool cpus;           /* the value is a CPU set */
	bool merged;         /* shields share it: it holds the CPUs of all of them */
	bool refusable;      /* EIO, EPERM or EACCES on write: cannot be moved */
	bool soft;           /* a failure is reported, and the rest goes on */
	bool delayed;        /* holds what was written only after a while: neither
			      * compared before nor read back after a write */
};

/* The row for an absolute, normalised path; NULL: not ours to write. The
 * mount is that of cgroup v2, or NULL if there is none. */
const struct kfile *kfile_find(const char *path, const char *mount);

/* Read the canonical value; the caller frees it. 0 or a negated errno,
 * -EBADMSG for a text that the row cannot read. */
int kfile_read(struct sys *sys, const struct kfile *row, const char *path, char **ret);

/* Encode and write; 0 or a negated errno. */
int kfile_write(struct sys *sys, const struct kfile *row, const char *path, const char *value);

/* Could Shield have written this value, or read it as an original? */
bool kfile_value_ok(const struct kfile *row, const char *value);

/* Does this errno of a write mean that the object cannot be changed at all, as
 * managed interrupts answer: EIO up to 6.x, later EPERM? */
bool kfile_refused(const struct kfile *row, int rc);

#endif
