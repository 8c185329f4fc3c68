/* Reading the host into a scene. */
#include "shield/policy/policy.h"

#include "shield/sys/kfile.h"

void scene_clear(struct scene *scene)
{
	host_clear(&scene->host);
	topology_clear(&scene->topo);
	irqs_clear(&scene->irqs);
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
static char *read_mask(struct sys *sys, const char *path)
{
	char *value;

	return kfile_read(sys, kfile_find(path, NULL), path, &value) < 0 ? NULL : value;
}

int scene_read(struct sys *sys, const char *root, struct scene *scene, struct err *err)
{
	if (scene_read_host(sys, root, scene, err) < 0 ||
	    irqs_snapshot(sys, &scene->irqs, err) < 0 ||
	    tasks_snapshot(sys, NULL, &scene->tasks, err) < 0)
		return -1;
	scene->default_irq = read_mask(sys, "/proc/irq/default_smp_affinity");
	scene->workqueues = read_mask(sys, "/sys/devices/virtual/workqueue/cpumask");
	return 0;
}
