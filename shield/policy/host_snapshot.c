/* SPDX-License-Identifier: MIT */
/* Reading the host into a snapshot. */
#include "shield/policy/host_snapshot.h"

#include "shield/sys/kfile.h"

#include <errno.h>

void host_snapshot_clear(struct host_snapshot *snapshot)
{
	host_caps_clear(&snapshot->host);
	topology_clear(&snapshot->topo);
	irqs_clear(&snapshot->irqs);
	net_clear(&snapshot->net);
	irqbalance_clear(&snapshot->irqbalance);
	tasks_clear(&snapshot->tasks);
	free(snapshot->default_irq);
	free(snapshot->workqueues);
	*snapshot = (struct host_snapshot){ 0 };
}

int host_snapshot_read_host(struct sys *sys, struct host_snapshot *snapshot, struct err *err)
{
	if (host_caps_probe(sys, &snapshot->host, err) < 0)
		return -1;
	return topology_load(sys, &snapshot->topo, err);
}

/* A mask file of the table, as a cpulist; NULL where there is none. */
static int read_mask(struct sys *sys, const char *path, char **ret, struct err *err)
{
	int rc = kfile_read(sys, kfile_find(path, NULL), path, ret);

	if (rc < 0 && rc != -ENOENT)
		return err_set(err, ERR_FAILED, "%s: cannot be read: %s", path, err_errno(rc));
	return 0;
}

void host_snapshot_find_irqbalance(struct sys *sys, struct host_snapshot *snapshot)
{
	const struct tasks *tasks = &snapshot->tasks;

	for (size_t i = 0; i < tasks->n && !snapshot->irqbalance.pid; i++)
		if (strcmp(tasks->items[i].comm, "irqbalance") == 0 &&
		    irqbalance_is(sys, tasks->items[i].tgid) > 0)
			snapshot->irqbalance.without_socket = true;
}

int host_snapshot_read(struct sys *sys, const struct cpuset *active, struct host_snapshot *snapshot,
		       struct err *err)
{
	_cleanup_cpuset_ struct cpuset before = { 0 };
	struct task_filter threads = { 0 };

	/* First of all: it may answer late, having moved interrupts meanwhile. */
	irqbalance_snapshot(sys, &snapshot->irqbalance);
	if (host_snapshot_read_host(sys, snapshot, err) < 0)
		return -1;
	cpuset_copy(&before, &snapshot->host.online);
	cpuset_andnot(&before, active);
	if (snapshot->host.remote)
		threads.ordinary = &before;
	if (irqs_snapshot(sys, &snapshot->irqs, err) < 0 ||
	    tasks_snapshot(sys, &threads, &snapshot->tasks, err) < 0 ||
	    read_mask(sys, "/proc/irq/default_smp_affinity", &snapshot->default_irq, err) < 0)
		return -1;
	host_snapshot_find_irqbalance(sys, snapshot);
	net_snapshot(sys, &snapshot->net);
	return read_mask(sys, "/sys/devices/virtual/workqueue/cpumask", &snapshot->workqueues, err);
}
