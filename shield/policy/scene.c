/* Reading the host into a snapshot. */
#include "shield/policy/policy.h"

#include "shield/sys/kfile.h"

#include <errno.h>

void scene_clear(struct scene *scene)
{
	host_clear(&scene->host);
	topology_clear(&scene->topo);
	irqs_clear(&scene->irqs);
	net_clear(&scene->net);
	irqbalance_clear(&scene->irqbalance);
	tasks_clear(&scene->tasks);
	free(scene->default_irq);
	free(scene->workqueues);
	*scene = (struct scene){ 0 };
}

int scene_read_host(struct sys *sys, const char *root, struct scene *scene, struct err *err)
{
	if (host_probe(sys, &scene->host, err) < 0)
		return -1;
	return topology_load(root, &scene->topo, err);
}

/* A mask file of the table, as a cpulist; NULL where there is none. */
static int read_mask(struct sys *sys, const char *path, char **ret, struct err *err)
{
	int rc = kfile_read(sys, kfile_find(path, NULL), path, ret);

	if (rc < 0 && rc != -ENOENT)
		return err_set(err, ERR_FAILED, "%s: cannot be read: %s", path, err_errno(rc));
	return 0;
}

int scene_read(struct sys *sys, const char *root, const struct cpuset *active, struct scene *scene,
	       struct err *err)
{
	_cleanup_cpuset_ struct cpuset before = { 0 };
	struct task_filter threads = { 0 };

	/* First of all: it may answer late, having moved interrupts meanwhile. */
	irqbalance_snapshot(sys, &scene->irqbalance);
	if (scene_read_host(sys, root, scene, err) < 0)
		return -1;
	cpuset_copy(&before, &scene->host.online);
	cpuset_andnot(&before, active);
	if (scene->host.remote)
		threads.ordinary = &before;
	if (irqs_snapshot(sys, &scene->irqs, err) < 0 ||
	    tasks_snapshot(sys, &threads, &scene->tasks, err) < 0 ||
	    read_mask(sys, "/proc/irq/default_smp_affinity", &scene->default_irq, err) < 0)
		return -1;
	net_snapshot(sys, &scene->net);
	return read_mask(sys, "/sys/devices/virtual/workqueue/cpumask", &scene->workqueues, err);
}
