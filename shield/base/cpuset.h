/* SPDX-License-Identifier: MIT */
/*
 * cpuset: a set of CPU numbers, and its two texts.
 *
 *	cpuset		the set
 *	cpulist		its text as a list, "0-3,8"
 *	cpumask		its text as a hexadecimal mask, "00000000,0000010f"
 *
 * The storage is an hwloc bitmap: any number of CPUs. hwloc's own list parser
 * is lenient ("7-3" is empty, "4-" infinite), so parsing is ours, and strict.
 */
#ifndef SHIELD_BASE_CPUSET_H
#define SHIELD_BASE_CPUSET_H

#include "shield/base/err.h"

#include <hwloc/bitmap.h>
#include <stdbool.h>

/* The largest CPU number that text may name; the kernel's own NR_CPUS on any
 * architecture is smaller. */
#define CPUSET_MAX_CPU 65535

struct cpuset {
	hwloc_bitmap_t bits; /* NULL means empty */
};

/* A zeroed struct is a valid empty set. cpuset_clear frees and empties it. */
void cpuset_clear(struct cpuset *set);
#define _cleanup_cpuset_ _cleanup_(cpuset_clear)

void cpuset_copy(struct cpuset *dst, const struct cpuset *src);
/* Bit b of word w is CPU w * 8 * sizeof(long) + b, as in a cpu_set_t. */
void cpuset_from_words(struct cpuset *set, const unsigned long *words, size_t n);
void cpuset_add(struct cpuset *set, unsigned cpu);
void cpuset_add_range(struct cpuset *set, unsigned first, unsigned last);
void cpuset_remove(struct cpuset *set, unsigned cpu);
/* dst |= src, dst &= src, dst &= ~src */
void cpuset_or(struct cpuset *dst, const struct cpuset *src);
void cpuset_and(struct cpuset *dst, const struct cpuset *src);
void cpuset_andnot(struct cpuset *dst, const struct cpuset *src);

bool cpuset_has(const struct cpuset *set, unsigned cpu);
bool cpuset_empty(const struct cpuset *set);
bool cpuset_equal(const struct cpuset *a, const struct cpuset *b);
bool cpuset_intersects(const struct cpuset *a, const struct cpuset *b);
/* Is every CPU of a in b? */
bool cpuset_within(const struct cpuset *a, const struct cpuset *b);
unsigned cpuset_count(const struct cpuset *set);
/* The first CPU, the one after prev, the last one; -1 if there is none.
 * For all of them: for (int c = cpuset_next(s, -1); c >= 0; c = cpuset_next(s, c)) */
int cpuset_next(const struct cpuset *set, int prev);
int cpuset_last(const struct cpuset *set);

/*
 * Read a cpulist as people write it: "0-3,8", also with a stride ("0-10:2")
 * and an exclusion ("0-7,^3", as in libvirt). Surrounding white space is
 * allowed, an empty text is the empty set. Errors (ERR_USAGE) say what is
 * wrong and at which character; set is then untouched. Kernel files are read
 * with it too.
 */
int cpulist_parse(const char *text, struct cpuset *set, struct err *err);

/* The same in two sets, what is listed and what "^" excludes, both of which
 * must be empty before; on failure at is the offset of the offending byte. */
int cpulist_parse_parts(const char *text, struct cpuset *in, struct cpuset *out, size_t *at,
			struct err *err);

/* The canonical cpulist "0-3,8" ("" for none): what the kernel prints and
 * takes. The caller frees it. */
char *cpulist_format(const struct cpuset *set);

/* Read and print a cpumask as in /proc/irq/default_smp_affinity: groups of 32
 * bits, most significant first. */
int cpumask_parse(const char *text, struct cpuset *set, struct err *err);
char *cpumask_format(const struct cpuset *set);

#endif
