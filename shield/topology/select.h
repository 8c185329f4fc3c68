/* SPDX-License-Identifier: MIT */
/*
 * select: the words of CPU expressions, "0-3,8", "l3:1", "p-cores", …
 *
 * Private to expr.c.
 */
#ifndef SHIELD_TOPOLOGY_SELECT_H
#define SHIELD_TOPOLOGY_SELECT_H

#include "shield/topology/expr.h"

struct select {
	struct expr_env *env;
	const char *text, *at; /* the whole, and where the parser stands */
	unsigned depth;
	struct cpuset written, completed; /* the CPUs of number lists, and their cores */
	struct err *err;
};

struct selection {
	struct cpuset cpus;
	struct cpuset named; /* those written as numbers of CPUs or cores */
};

static inline void selection_clear(struct selection *sel)
{
	cpuset_clear(&sel->cpus);
	cpuset_clear(&sel->named);
}

#define _cleanup_selection_ _cleanup_(selection_clear)

/* Parse one selector and the white space after it. */
int select_parse(struct select *s, struct selection *ret);

/* Complain about what stands at s->at; returns -1. */
int select_error(struct select *s, const char *fmt, ...) _printf_(2, 3);

/* Complain about what follows a complete expression. */
int select_trailing(struct select *s);

#endif
