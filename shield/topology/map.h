/* SPDX-License-Identifier: MIT */
/*
 * map: the machine as people draw it, in text: packages, nodes, L3 caches,
 * cores with their siblings and kinds, and who owns each CPU.
 *
 *	package 0, node 0, L3 0 (16 MiB)
 *	    0,8.    1,9.    2,10A   3,11A   4,12A   5,13A   6,14A   7,15A
 *
 *	.  host             0-1,8-9
 *	A  guest of win11   2-7,10-15
 */
#ifndef SHIELD_TOPOLOGY_MAP_H
#define SHIELD_TOPOLOGY_MAP_H

#include "shield/topology/topology.h"

#include <stdio.h>

/* An active shield, as far as a map is concerned. */
struct topo_owner {
	const char *name;
	struct cpuset guest;
	struct cpuset emulator; /* empty: shared with the host */
};

/* "host", "guest:NAME" or "emulator:NAME"; the caller frees. */
char *owner_text(const struct topo_owner *owners, size_t n, unsigned cpu);

/* All CPUs as they are drawn: by package, node, L3, core; free() the array.
 * And whether two of them are drawn in one group. */
const struct topo_cpu **map_order(const struct topology *topo);
bool map_same_group(const struct topo_cpu *x, const struct topo_cpu *y);

/* "package 0, node 0, L3 0 (16 MiB)"; the caller frees. */
char *map_heading(const struct topo_cpu *cpu);

/* width: of the lines, in columns; a core that is wider has one of its own. */
void map_print(const struct topology *topo, const struct topo_owner *owners, size_t n, int width,
	       bool color, FILE *out);

#endif
