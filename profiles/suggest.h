/* SPDX-License-Identifier: MIT */
/*
 * suggest: the split between guest and host that a good engineer would choose.
 *
 * In this order:
 *	core 0 stays with the host, and on machines of four cores and more
 *	another one at least;
 *	one kind of core: performance cores, if there are kinds;
 *	cores all of whose CPUs are online;
 *	one package: the GPU's, else one without core 0;
 *	one node: the GPU's, else one that has memory, not core 0, and a cache
 *	that core 0 does not use;
 *	whole L3 caches: the largest if they differ (V-Cache), else those that
 *	core 0 is not in;
 *	whole cores, the last ones.
 *
 * A guest that needs several nodes has the same share of each, and is told of
 * them; beside a GPU all that its node has, and the rest from the nearest.
 */
#ifndef SHIELD_PROFILES_SUGGEST_H
#define SHIELD_PROFILES_SUGGEST_H

#include "shield/base/strv.h"
#include "shield/sys/sys.h"
#include "shield/topology/topology.h"

struct suggest_request {
	unsigned vcpus; /* 0: as many as is reasonable */
	unsigned iothreads;
	const char *gpu; /* its PCI address, or NULL */
};

/* What the guest has of a node: the vCPUs follow each other, node by node. */
struct suggestion_cell {
	int node;
	unsigned vcpus;
};

struct suggestion {
	struct cpuset guest, housekeeping;
	unsigned *vcpus; /* the CPU of each vCPU, siblings side by side */
	unsigned n_vcpus;
	unsigned threads; /* for each core of the guest */
	struct cpuset *iothreads;
	unsigned n_iothreads;
	struct suggestion_cell *cells; /* none on machines with one node */
	size_t n_cells;
	bool bound;	     /* all of these have memory, which can be bound to them */
	char *gpu;	     /* its address in full, or NULL */
	struct strv devices; /* the GPU's functions */
	struct strv reasons, warnings;
};

/* -1 with ERR_USAGE or ERR_UNSUPPORTED where there is no reasonable split. */
int suggest(struct sys *sys, const struct topology *topo, const struct suggest_request *request,
	    struct suggestion *ret, struct err *err);
void suggestion_clear(struct suggestion *s);
#define _cleanup_suggestion_ _cleanup_(suggestion_clear)

#endif
