/* SPDX-License-Identifier: MIT */
/*
 * nodes: which CPUs are close to a device.
 *
 * A machine of several NUMA nodes tells how far they are from each other, as
 * its firmware says (the SLIT): 10 is the node itself.
 * (Documentation/ABI/stable/sysfs-devices-node)
 */
#ifndef SHIELD_IRQ_NODES_H
#define SHIELD_IRQ_NODES_H

#include "shield/sys/sys.h"

struct node {
	unsigned number;
	struct cpuset cpus;
	char *distances; /* to all nodes in their order, "10 21" */
};

struct nodes {
	struct node *items; /* ascending by number */
	size_t n;	    /* 0: one node, or none; then nothing is closer */
};

void nodes_snapshot(struct sys *sys, struct nodes *nodes);
void nodes_clear(struct nodes *nodes);
#define _cleanup_nodes_ _cleanup_(nodes_clear)

/* Narrow a set to its CPUs that are closest to a node; a node that is not known
 * (-1) is close to none. */
void nodes_nearest(const struct nodes *nodes, int node, struct cpuset *cpus);

/* Narrow a set to the CPUs of a node if any are in it, as the kernel does with
 * the mask that a new interrupt is given (irq_setup_affinity()). */
void nodes_own(const struct nodes *nodes, int node, struct cpuset *cpus);

#endif
