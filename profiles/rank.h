/*
 * rank: the cores of a machine in the order in which a guest would be given
 * them, for suggest.c.
 */
#ifndef SHIELD_PROFILES_RANK_H
#define SHIELD_PROFILES_RANK_H

#include "shield/topology/topology.h"

/* A core that the guest could have. The ranks say how well it fits, the lower
 * the better, in the order in which they count. */
struct core {
	const struct topo_cpu *cpu; /* the first of its CPUs */
	int kind_rank, thread_rank, node_rank, package_rank, l3_rank;
	int node_size, package_size; /* how many there are like it on its node, package */
};

struct choice {
	const struct topology *topo;
	struct core *cores; /* all but core 0, best first */
	size_t n;
	size_t total; /* cores of the machine */
	int gpu_node; /* -1: not said */
	/* what there is to choose from */
	bool kinds, nodes, packages, caches, sizes_differ, halves;
	struct suggestion *s;
};

/* Fill in all but topo, gpu_node and s; free(choice->cores). */
void rank_cores(struct choice *choice);

/* Of one sort (kind, and CPUs online), and on one node, package, cache? */
typedef bool rank_same_fn(const struct core *x, const struct core *y);
bool rank_same_sort(const struct core *x, const struct core *y);
bool rank_same_node(const struct core *x, const struct core *y);
bool rank_same_package(const struct core *x, const struct core *y);
bool rank_same_cache(const struct core *x, const struct core *y);

#endif
