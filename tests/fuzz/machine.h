/* SPDX-License-Identifier: MIT */
/*
 * The machine of the fuzz targets and of unit/test_expr.c: 8 cores of two CPUs (n and n + 8) on two
 * L3 caches and nodes, of two kinds, CPU 7 offline.
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "shield/topology/topology.h"

#include <stdio.h>

static void machine_make(struct topology *topo)
{
	*topo = (struct topology){ .cpus = xcalloc(16, sizeof(*topo->cpus)) };
	cpuset_add_range(&topo->present, 0, 15);
	for (unsigned c = 0; c < 16; c++) {
		struct topo_cpu *cpu = &topo->cpus[topo->n];
		unsigned core = c % 8;

		if (c == 7)
			continue;
		topo->n++;
		cpuset_add(&topo->online, c);
		*cpu = (struct topo_cpu){ .cpu = c,
					  .core = (int)core,
					  .node = (int)core / 4,
					  .l3 = (int)core / 4,
					  .l3_bytes = core < 4 ? 96 << 20 : 32 << 20 };
		snprintf(cpu->kind, sizeof(cpu->kind), "%s", core < 6 ? "P" : "E");
		if (core != 7)
			cpuset_add(&cpu->siblings, core);
		cpuset_add(&cpu->siblings, core + 8);
	}
}

#endif
