/* SPDX-License-Identifier: MIT */
#include "shield/policy/overlaps.h"

#include <string.h>

/* Deeper than containers in containers are; what is recorded may have links. */
#define DEPTH_MAX 32

/* Cgroups that are limited to the same CPUs, and run on the same meanwhile. */
struct overlap {
	struct cpuset cpus, meanwhile;
	struct strv cgroups;
	bool all; /* every CPU that they have is taken */
};

struct search {
	struct sys *sys;
	const struct host_caps *host;
	const struct cpuset *taken;
	const char *domain;
	struct overlap *items;
	size_t n, cap;
};

static void search_clear(struct search *s)
{
	for (size_t i = 0; i < s->n; i++) {
		cpuset_clear(&s->items[i].cpus);
		cpuset_clear(&s->items[i].meanwhile);
		strv_clear(&s->items[i].cgroups);
	}
	free(s->items);
}

static struct overlap *overlap_of(struct search *s, const struct cpuset *cpus,
				  const struct cpuset *meanwhile)
{
	struct overlap *o;

	for (size_t i = 0; i < s->n; i++)
		if (cpuset_equal(&s->items[i].cpus, cpus) &&
		    cpuset_equal(&s->items[i].meanwhile, meanwhile))
			return &s->items[i];
	GROW(s->items, s->n, s->cap);
	o = &s->items[s->n++];
	*o = (struct overlap){ .all = cpuset_within(cpus, s->taken) };
	cpuset_copy(&o->cpus, cpus);
	cpuset_copy(&o->meanwhile, meanwhile);
	return o;
}

/* A file of the kernel's: no cgroup may be called like that for long, and most
 * names in a cgroup are such. */
static bool is_file(const char *name)
{
	static const char *const of[] = { "cgroup.",  "cpuset.", "cpu.",   "io.",   "memory.",
					  "hugetlb.", "pids.",	 "rdma.",  "misc.", "dmem.",
					  "debug.",   "irq.",	 "cpuacct" };

	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		if (strncmp(name, of[i], strlen(of[i])) == 0)
			return true;
	return false;
}

static bool is_left_out(const struct search *s, const char *path)
{
	size_t n = s->domain ? strlen(s->domain) : 0;

	if (n && strncmp(path, s->domain, n) == 0 && (!path[n] || path[n] == '/'))
		return true;
	return strcmp(path, "/shield.slice") == 0 || strncmp(path, "/shield-", 8) == 0;
}

/* Below a cgroup whose children have no cpuset there is nothing to find. */
static bool may_have_cpus(struct search *s, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/cgroup.subtree_control", dir), *text = NULL;

	return sys_read_line(s->sys, path, &text) < 0 || strstr(text, "cpuset");
}

static void look_below(struct search *s, const char *path, const struct cpuset *above, int depth);

/* above: where the tasks of its parent run meanwhile. As the kernel does: its own
 * CPUs of these, or all of them if that leaves it none. */
static void look_at(struct search *s, const char *path, const struct cpuset *above, int depth)
{
	_cleanup_free_ char *file = xasprintf("%s%s/cpuset.cpus", s->host->mount, path);
	_cleanup_cpuset_ struct cpuset cpus = { 0 }, meanwhile = { 0 };

	if (is_left_out(s, path))
		return;
	if (sys_read_cpulist(s->sys, file, &cpus) < 0)
		cpuset_clear(&cpus);
	cpuset_copy(&meanwhile, &cpus);
	cpuset_and(&meanwhile, above);
	if (cpuset_empty(&meanwhile))
		cpuset_copy(&meanwhile, above);
	if (cpuset_intersects(&cpus, s->taken))
		strv_addf(&overlap_of(s, &cpus, &meanwhile)->cgroups, "%s%s", s->host->mount, path);
	look_below(s, path, &meanwhile, depth);
}

static void look_below(struct search *s, const char *path, const struct cpuset *above, int depth)
{
	_cleanup_free_ char *dir = xasprintf("%s%s", s->host->mount, path);
	_cleanup_strv_ struct strv names = { 0 };

	if (depth > DEPTH_MAX || (depth && !may_have_cpus(s, dir)) ||
	    s->sys->ops->list(s->sys->ctx, dir, &names) < 0)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *child = xasprintf("%s/%s", path, names.items[i]);

		if (!is_file(names.items[i]))
			look_at(s, child, above, depth + 1);
	}
}

static void warn(const struct overlap *o, struct strv *warnings)
{
	_cleanup_free_ char *cpus = cpulist_format(&o->cpus), *names = xstrdup("");
	_cleanup_free_ char *meanwhile = cpulist_format(&o->meanwhile);
	bool many = o->cgroups.n > 1;

	for (size_t i = 0; i < o->cgroups.n; i++) {
		_cleanup_free_ char *before = names;

		names = xasprintf("%s%s%s", before, i ? ", " : "", o->cgroups.items[i]);
	}
	strv_addf(warnings,
		  o->all ? "the cgroup%s %s %s only CPUs %s set, which the shield takes: tasks "
			   "there run on CPUs %s meanwhile, beside all others, unless it gets "
			   "other CPUs (cpuset-cpus of a container, AllowedCPUs= of a unit)"
			 : "the cgroup%s %s %s CPUs %s set, some of which the shield takes: "
			   "tasks there run on CPUs %s meanwhile",
		  many ? "s" : "", names, many ? "have" : "has", cpus, meanwhile);
}

void overlaps_find(struct sys *sys, const struct host_caps *host, const struct cpuset *active,
		   const struct cpuset *taken, const char *domain, struct strv *warnings)
{
	_cleanup_(search_clear)
	struct search s = { .sys = sys, .host = host, .taken = taken, .domain = domain };
	_cleanup_cpuset_ struct cpuset left = { 0 };

	cpuset_copy(&left, &host->online);
	cpuset_andnot(&left, active);
	cpuset_andnot(&left, taken);
	look_below(&s, "", &left, 0);
	for (size_t i = 0; i < s.n; i++)
		if (s.items[i].all)
			warn(&s.items[i], warnings);
	for (size_t i = 0; i < s.n; i++)
		if (!s.items[i].all)
			warn(&s.items[i], warnings);
}
