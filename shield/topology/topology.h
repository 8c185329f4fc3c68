/* SPDX-License-Identifier: MIT */
/*
 * topology: the machine as Shield needs it, from hwloc, behind plain structs.
 *
 * hwloc is told to see every CPU (INCLUDE_DISALLOWED), not only those that the
 * caller may use, and its x86 backend is kept off: it would run on each CPU in
 * turn, guest CPUs included. A --sysroot directory is read with HWLOC_FSROOT.
 */
#ifndef SHIELD_TOPOLOGY_TOPOLOGY_H
#define SHIELD_TOPOLOGY_TOPOLOGY_H

#include "shield/sys/sys.h"
#include "shield/base/cpuset.h"

#include <stddef.h>
#include <stdint.h>

/* Numbers are the operating system's where it has any, else hwloc's logical
 * ones. -1: the machine does not say. */
struct topo_cpu {
	unsigned cpu;
	int core; /* logical number of the core, counted over the machine */
	int package;
	int node;		/* NUMA node */
	int l3;			/* logical number of its L3 cache */
	char kind[8];		/* "" where all are alike, else "P", "E", "LP-E" or "K<n>" */
	uint64_t l3_bytes;	/* the size of its L3 cache; 0: unknown or none */
	struct cpuset siblings; /* the whole core, this CPU included */
};

struct topology {
	struct topo_cpu *cpus; /* the online CPUs, ascending */
	size_t n;
	struct cpuset online;
	struct cpuset present;	  /* online or not */
	struct cpuset memoryless; /* numbers of nodes without memory */
};

/* -1 with ERR_UNSUPPORTED if the machine cannot be read. Release with topology_clear(). */
int topology_load(struct sys *sys, struct topology *topo, struct err *err);
void topology_clear(struct topology *topo);
#define _cleanup_topology_ _cleanup_(topology_clear)

/* The entry of an online CPU, or NULL. */
const struct topo_cpu *topology_cpu(const struct topology *topo, unsigned cpu);

/* Add the siblings of every member: the smallest set of whole cores. */
void topology_complete(const struct topology *topo, struct cpuset *set);

/* How many whole cores does the set hold? */
unsigned topology_whole_cores(const struct topology *topo, const struct cpuset *set);

#endif
