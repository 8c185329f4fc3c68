/* SPDX-License-Identifier: MIT */
/*
 * plan: a change of the kernel as data.
 *
 * `on` and `attach` compute a plan (policy), print it (`shield plan`), or give
 * it to the transaction (txn), which alone carries it out. A step names one
 * kernel object, its value now and the value wanted:
 *
 *	kind		object				values
 *	STEP_WRITE	path of a kernel file (kfile.h)	its canonical value; a file
 *							that is a pulse goes back
 *							to `from` at once
 *	STEP_DIR	path of a cgroup		"absent", "present"
 *	STEP_AFFINITY	a thread			cpulist
 *	STEP_PROCESS	a process			path of its cgroup, from the
 *	STEP_THREAD	a thread			cgroup root: "/a/b"
 *	STEP_UNIT	a unit of systemd		"active", "inactive"; only in previews,
 *							since a transaction starts the unit
 *							of a cgroup with its STEP_DIR
 */
#ifndef SHIELD_PLAN_PLAN_H
#define SHIELD_PLAN_PLAN_H

#include "shield/base/names.h"
#include "shield/base/strv.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define STEP_KINDS(X)                \
	X(STEP_WRITE, "write")       \
	X(STEP_DIR, "dir")           \
	X(STEP_AFFINITY, "affinity") \
	X(STEP_PROCESS, "process")   \
	X(STEP_THREAD, "thread")     \
	X(STEP_UNIT, "unit")
enum step_kind { STEP_KINDS(NAMES_ITEM) };

struct step {
	enum step_kind kind;
	char *path;		  /* STEP_WRITE, STEP_DIR: absolute; STEP_UNIT: its name */
	pid_t pid;		  /* tasks: the thread, identified by pid and start */
	unsigned long long start; /* clock ticks since boot, /proc/PID/stat field 22 */
	char *identity;		  /* comm of a task, actions of an interrupt; or NULL */
	char *from, *to;
	/* What to restore, where that is not `from`: a thread started under a
	 * shield got less than it would have had. NULL: from. */
	char *original;
	/* The object must stay off guest CPUs: its value is derived from its
	 * original and all active shields. Otherwise it is set to `to`. */
	bool avoid;
	/* Lives inside a cgroup that this plan makes and dies with it: nothing
	 * to restore. */
	bool scoped;
};

struct plan {
	struct step *steps;
	size_t n, cap;
	struct strv warnings;
};

/* Append a step; the strings are copied. identity may be NULL. The pointer is
 * valid until the next call. */
struct step *plan_write(struct plan *plan, const char *path, const char *from, const char *to);
struct step *plan_dir(struct plan *plan, const char *path);
/* The other way: a cgroup that goes. */
struct step *plan_dir_gone(struct plan *plan, const char *path);
struct step *plan_unit(struct plan *plan, const char *unit, const char *from, const char *to);
struct step *plan_task(struct plan *plan, enum step_kind kind, pid_t pid, unsigned long long start,
		       const char *comm, const char *from, const char *to);
/* Drop the steps that keep() does not want. */
void plan_keep(struct plan *plan, bool (*keep)(const struct step *step, void *arg), void *arg);
void plan_clear(struct plan *plan);
#define _cleanup_plan_ _cleanup_(plan_clear)

/* What a kind is called. */
const char *step_kind_name(enum step_kind kind);

/* What a person would call the object: its path, or "thread 12 (kswapd0)". */
char *step_object(enum step_kind kind, const char *path, pid_t pid, const char *identity);

/* One line a step, "path: old -> new"; those that change nothing are left out. */
void plan_print(const struct plan *plan, FILE *out);
/* {"version":2,"steps":[{"kind","object","from","to"}],"warnings":[…]} */
json_t *plan_json(const struct plan *plan);

#endif
