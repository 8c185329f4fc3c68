/* SPDX-License-Identifier: MIT */
/*
 * rank: the cores of a machine in the order in which a guest would be given
 * them, for suggest.c.
 *
 * Groups stand together in that order: the cores of a package, its nodes, their
 * caches. Where packages are inside nodes (virtual machines, old firmware) it is
 * nodes, packages, caches.
 */
#ifndef SHIELD_PROFILES_RANK_H
#define SHIELD_PROFILES_RANK_H

#include "shield/sys/sys.h"
#include "shield/topology/topology.h"

/* A core that the guest could have. The ranks say how well it fits, the lower
 * the better, in the order in which they count. */
struct core {
	const struct topo_cpu *cpu; /* the first of its CPUs */
	int kind_rank, thread_rank, package_rank, node_rank, l3_rank;
	int node_size, package_size; /* how many there are like it on its node, package */
	size_t turn;		     /* of its node, in the order of the choice */
};

struct choice {
	struct sys *sys;
	const struct topology *topo;
	struct core *cores; /* all but core 0, best first */
	size_t n;
	size_t total; /* cores of the machine */
	int gpu_node; /* -1: unknown, or there is no GPU */
	int base;     /* the node that others are to be near to; -1: none */
	/* what there is to choose from */
	bool kinds, nodes, packages, caches, sizes_differ, halves;
	bool packages_hold_nodes;
	struct suggestion *s;
};

/* Fill in all but sys, topo, gpu_node and s; free(choice->cores). */
void rank_cores(struct choice *choice);

/* Move cores for so many CPUs to the front: all from the smallest group that
 * has them, in equal shares from its nodes. Returns how many cores; 0: `most` of
 * them have less. */
size_t rank_choose(struct choice *choice, unsigned cpus, size_t most);

/* Of one sort (kind, and CPUs online), and on one node, package, cache? */
typedef bool rank_same_fn(const struct core *x, const struct core *y);
bool rank_same_sort(const struct core *x, const struct core *y);
bool rank_same_node(const struct core *x, const struct core *y);
bool rank_same_package(const struct core *x, const struct core *y);
bool rank_same_cache(const struct core *x, const struct core *y);

/* How far node `to` is from node `from`: 10 for itself, 20 if the machine does
 * not say. */
unsigned rank_distance(struct sys *sys, int from, int to);

#endif
