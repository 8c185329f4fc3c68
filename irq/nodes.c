/* SPDX-License-Identifier: MIT */
#include "irq/nodes.h"

#include <limits.h>

#define DIRECTORY "/sys/devices/system/node"

void nodes_clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->n; i++) {
		cpuset_clear(&nodes->items[i].cpus);
		free(nodes->items[i].distances);
	}
	free(nodes->items);
	*nodes = (struct nodes){ 0 };
}

static void read_node(struct sys *sys, unsigned number, struct node *node)
{
	_cleanup_free_ char *cpus = xasprintf(DIRECTORY "/node%u/cpulist", number);
	_cleanup_free_ char *path = xasprintf(DIRECTORY "/node%u/distance", number);

	*node = (struct node){ .number = number };
	sys_read_cpulist(sys, cpus, &node->cpus);
	if (sys_read_line(sys, path, &node->distances) < 0)
		node->distances = xstrdup("");
}

void nodes_snapshot(struct sys *sys, struct nodes *nodes)
{
	_cleanup_cpuset_ struct cpuset online = { 0 };

	/* Nodes are listed as CPUs are. */
	if (sys_read_cpulist(sys, DIRECTORY "/online", &online) < 0 || cpuset_count(&online) < 2)
		return;
	nodes->items = xcalloc(cpuset_count(&online), sizeof(*nodes->items));
	for (int node = cpuset_next(&online, -1); node >= 0; node = cpuset_next(&online, node))
		read_node(sys, (unsigned)node, &nodes->items[nodes->n++]);
}

static const struct node *find(const struct nodes *nodes, int number)
{
	for (size_t i = 0; i < nodes->n; i++)
		if (number >= 0 && nodes->items[i].number == (unsigned)number)
			return &nodes->items[i];
	return NULL;
}

void nodes_nearest(const struct nodes *nodes, int node, struct cpuset *cpus)
{
	const struct node *from = find(nodes, node);
	_cleanup_cpuset_ struct cpuset nearest = { 0 };
	unsigned long best = ULONG_MAX;
	char *at = from ? from->distances : NULL;

	for (size_t i = 0; from && i < nodes->n; i++) {
		unsigned long distance = strtoul(at, &at, 10);

		/* Firmware that says nothing at all: only the node itself is close. */
		if (&nodes->items[i] == from)
			distance = 0;
		if (distance > best || !cpuset_intersects(cpus, &nodes->items[i].cpus))
			continue;
		if (distance < best)
			cpuset_clear(&nearest);
		best = distance;
		cpuset_or(&nearest, &nodes->items[i].cpus);
	}
	if (!cpuset_empty(&nearest))
		cpuset_and(cpus, &nearest);
}

void nodes_own(const struct nodes *nodes, int node, struct cpuset *cpus)
{
	const struct node *own = find(nodes, node);

	if (own && cpuset_intersects(cpus, &own->cpus))
		cpuset_and(cpus, &own->cpus);
}
