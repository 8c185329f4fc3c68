#include "shield/cgroup/place.h"

char *place_process(const char *name)
{
	return xasprintf("/shield-%s", name);
}

char *place_partition(const char *name)
{
	return xasprintf("/shield-%s/vcpus", name);
}

/* A file of a cgroup that this plan makes. */
static void set(struct plan *plan, const char *dir, const char *file, const char *from,
		const char *to)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

	plan_write(plan, path, from, to)->scoped = true;
}

void place_plan(const struct host *host, const struct placement *p, struct plan *plan)
{
	_cleanup_free_ char *root = xasprintf("%s/cgroup.subtree_control", host->mount);
	_cleanup_free_ char *outer_path = place_process(p->name);
	_cleanup_free_ char *inner_path = place_partition(p->name);
	_cleanup_free_ char *outer = xasprintf("%s%s", host->mount, outer_path);
	_cleanup_free_ char *inner = xasprintf("%s%s", host->mount, inner_path);
	_cleanup_free_ char *guest = cpulist_format(p->guest);
	_cleanup_free_ char *emulator = cpulist_format(p->emulator);
	_cleanup_free_ char *both = NULL;
	_cleanup_cpuset_ struct cpuset all = { 0 };

	cpuset_copy(&all, p->guest);
	cpuset_or(&all, p->emulator);
	both = cpulist_format(&all);

	plan_write(plan, root, host->controllers, "+cpuset");
	plan_dir(plan, outer);
	if (host->remote) {
		if (*emulator)
			set(plan, outer, "cpuset.cpus", "", emulator);
		set(plan, outer, "cpuset.cpus.exclusive", "", guest);
	} else {
		set(plan, outer, "cpuset.cpus", "", both);
		set(plan, outer, "cpuset.cpus.partition", "member", "root");
	}
	set(plan, outer, "cgroup.subtree_control", "-cpuset", "+cpuset");
	plan_dir(plan, inner);
	set(plan, inner, "cgroup.type", "domain", "threaded");
	set(plan, inner, "cpuset.cpus", "", guest);
	if (host->remote)
		set(plan, inner, "cpuset.cpus.exclusive", "", guest);
	set(plan, inner, "cpuset.cpus.partition", "member", p->partition);
	set(plan, inner, "cgroup.subtree_control", "-cpuset", "+cpuset");
}

void place_convert(const struct host *host, const char *name, const char *from, const char *to,
		   struct plan *plan)
{
	_cleanup_free_ char *path = place_partition(name);
	_cleanup_free_ char *dir = xasprintf("%s%s", host->mount, path);

	set(plan, dir, "cpuset.cpus.partition", from, to);
}
