/* SPDX-License-Identifier: MIT */
/*
 * host_snapshot: the host as it is now, read once.
 */
#ifndef SHIELD_POLICY_HOST_SNAPSHOT_H
#define SHIELD_POLICY_HOST_SNAPSHOT_H

#include "irq/irq.h"
#include "irq/irqbalance.h"
#include "irq/net.h"
#include "shield/cgroup/host_caps.h"
#include "shield/task/task.h"
#include "shield/topology/topology.h"

struct host_snapshot {
	struct host_caps host;
	struct topology topo;
	struct irqs irqs;
	struct tasks tasks;
	struct irqbalance irqbalance;
	struct net_masks net;
	char *default_irq; /* cpulist of default_smp_affinity */
	char *workqueues;  /* cpulist of the unbound workqueues, or NULL */
};

/* Read all of it. Of the threads whose CPUs the kernel
 * keeps, only those that have others than the shields left them (active: the
 * CPUs that these took). */
int host_snapshot_read(struct sys *sys, const struct cpuset *active, struct host_snapshot *snapshot,
		       struct err *err);
/* Without tasks, interrupts and masks: enough for profiles and preflight. */
int host_snapshot_read_host(struct sys *sys, struct host_snapshot *snapshot, struct err *err);
/* Is there one without a socket among the tasks? */
void host_snapshot_find_irqbalance(struct sys *sys, struct host_snapshot *snapshot);
void host_snapshot_clear(struct host_snapshot *snapshot);
#define _cleanup_host_snapshot_ _cleanup_(host_snapshot_clear)

#endif
