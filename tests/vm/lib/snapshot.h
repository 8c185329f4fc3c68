/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h: what the parts of the program snapshot share.
 *
 * snapshot.c holds the table of what is left out, and the comparison;
 * snapshot-take.c reads the host, and knows nothing of either.
 */
#ifndef TESTS_VM_LIB_SNAPSHOT_H
#define TESTS_VM_LIB_SNAPSHOT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#define PF_FIXED 0x04000000UL  /* PF_NO_SETAFFINITY */
#define PF_KERNEL 0x00200000UL /* PF_KTHREAD */

struct thread {
	long tid, tgid;
	unsigned long flags, rt_priority, policy;
	long nice;
	unsigned long long start;
	char state, comm[64], allowed[1024], mems[256], cgroup[PATH_MAX];
};

/* Print "snapshot: WHAT: errno" and exit 2. */
void die(const char *what);

/* printf into new memory. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * What a file says, in new memory: without the last newline, others as "|",
 * tabs as blanks. NULL if it cannot be read; errno says why.
 */
char *slurp(const char *path);

bool is_number(const char *name);

/* fn for each entry of a directory but "." and "..", in a stable order. */
void each(const char *dir, void (*fn)(const char *dir, const char *name, void *ctx), void *ctx);

/* Of those that have not ended. */
void with_threads(void (*fn)(const struct thread *t, void *ctx), void *ctx);

/*
 * Write the whole host to OUT, a line an object: "KEY\tVALUE", and behind a
 * second tab what is good to know of it but is not compared.
 */
void take(FILE *out);

/* Does an irqbalance answer? Asked once. */
bool balancer_runs(void);

/* Is this object left out on the kernel that runs? Then it is not even read. */
bool left_out(const char *key);

#endif
