/* SPDX-License-Identifier: MIT */
/*
 * expr: CPU expressions, the text that people write where a set of CPUs is
 * asked for. The grammar with its meaning is in
 * scripts/shield-profile.5.
 *
 *	2-7,10-15		l3:largest		cores:6@l3:1
 *	p-cores - core:0-1	near:0000:01:00.0	all & node:1
 *
 * Two rules go beyond set algebra:
 *
 *	SMT	a CPU stands for its whole core, on both sides of "-" too,
 *		unless env->split
 *	core 0	the core of the first CPU stays with the host, unless it is
 *		named by number ("0", "core:0"); asked for with keep_first
 *
 * What these add or take away is told as a note.
 */
#ifndef SHIELD_TOPOLOGY_EXPR_H
#define SHIELD_TOPOLOGY_EXPR_H

#include "shield/base/strv.h"
#include "shield/sys/sys.h"
#include "shield/topology/topology.h"

struct expr_env {
	struct sys *sys; /* for near:, the PCI device's files */
	const struct topology *topo;
	const struct cpuset *housekeeping; /* what that word means; NULL: not allowed here */
	bool split;
	bool keep_first;
	bool foreign; /* written for another machine: what this one has not is no
		       * error, and the set may be empty */
	size_t at;    /* out, on failure: the offset of the offending byte */
};

/*
 * Evaluate text to a set of online CPUs, never empty; notes (which may be NULL)
 * gets a line for each CPU set added or taken away. -1 with ERR_USAGE: one line
 * that says what is wrong, then the expression with a caret below the place.
 */
int expr_eval(struct expr_env *env, const char *text, struct cpuset *set, struct strv *notes,
	      struct err *err);

#endif
