/* SPDX-License-Identifier: MIT */
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
 *	KFILE_BANS	list of interrupts	those that irqbalance leaves alone; it
 *						is the socket's path and "/irqs"
 *	KFILE_TYPE	cgroup.type; only "threaded" can be written
 *	KFILE_THREAD	cgroup.threads: the number of a thread; only written
 *	KFILE_VALUE	a number or word	the same; of "always [madvise] never"
 *						the one in brackets
 *
 * Rows with a name in `setting` are the host settings that a profile may ask
 * for: this table is also what the loader checks them against, and the only
 * list of them beside the JSON schema.
 *
 * (Documentation/admin-guide/cgroup-v2.rst, "Cpuset Interface Files" and
 * "Threads"; Documentation/core-api/irq/irq-affinity.rst;
 * Documentation/core-api/workqueue.rst.)
 */
#ifndef SHIELD_SYS_KFILE_H
#define SHIELD_SYS_KFILE_H

#include "shield/base/doc.h"
#include "shield/sys/sys.h"

enum kfile_type {
	KFILE_LIST,
	KFILE_MASK,
	KFILE_CONTROL,
	KFILE_PARTITION,
	KFILE_TYPE,
	KFILE_BALANCER,
	KFILE_BANS,
	KFILE_THREAD,
	KFILE_VALUE
};

struct kfile {
	const char *pattern; /* segments; "*" is one of any name, "#" in it a number,
			      * "@" the cgroup mount, "**" one or more names */
	enum kfile_type type;
	bool cpus;	   /* the value is a CPU set */
	bool merged;	   /* shields share it: it holds the CPUs of all of them */
	bool refusable;	   /* EIO, EPERM or EACCES on write: cannot be moved */
	bool soft;	   /* a failure is reported, and the rest goes on */
	bool delayed;	   /* holds what was written only after a while: neither
			    * compared before nor read back after a write */
	bool pulse;	   /* set to what was asked and back at once (a CPU goes
			    * offline); the kernel rewrites masks on the way */
	bool late;	   /* the kernel rewrites it when others are written: it is
			    * set after these, and compared before them */
	const char *drags; /* the file that it rewrites, or NULL */
	/* Of host settings: what a profile may ask for. */
	const char *setting; /* its name there */
	const char *about;   /* what it means (doc.h) */
	long min, max;	     /* numbers; none if both are 0 */
	const char *words;   /* "always|never"; "*": any one word */
	const char *choices; /* the file beside it that lists the words, or NULL */
};

/* The row for an absolute, normalised path; NULL: not ours to write. The
 * mount is that of cgroup v2, or NULL if there is none. */
const struct kfile *kfile_find(const char *path, const char *mount);

/* Read the canonical value; the caller frees it. 0 or a negated errno,
 * -EBADMSG for a text that the row cannot read. */
int kfile_read(struct sys *sys, const struct kfile *row, const char *path, char **ret);

/* Write it, if it has a row; -EPERM if not. */
int kfile_put(struct sys *sys, const char *mount, const char *path, const char *value);

/* Encode and write; 0 or a negated errno. */
int kfile_write(struct sys *sys, const struct kfile *row, const char *path, const char *value);

/* Could Shield have written this value, or read it as an original? */
bool kfile_value_ok(const struct kfile *row, const char *value);

/* The host setting of that name, or NULL; the i-th one, or NULL after the last. */
const struct kfile *kfile_setting(const char *name);
const struct kfile *kfile_setting_at(size_t i);

/* May a profile ask for this number; for this word? */
bool kfile_setting_number(const struct kfile *row, long long number);
bool kfile_setting_word(const struct kfile *row, const char *word);
/* Both in words, for messages: "0 to 3", "\"always\" or \"never\""; allocated. */
char *kfile_setting_expected(const struct kfile *row);

/* Does this errno of a write mean that the object cannot be changed at all, as
 * managed interrupts answer: EIO up to 6.x, later EPERM? */
bool kfile_refused(const struct kfile *row, int rc);

#endif
