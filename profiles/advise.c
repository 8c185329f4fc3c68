/* SPDX-License-Identifier: MIT */
#include "profiles/advise.h"

#include <string.h>

static void add(struct strv *warnings, const struct profile *profile, const char *text)
{
	strv_addf(warnings, "%s: %s", profile->path, text);
}

/* The CPUs outside of the guest that share a core with it. */
static void split_siblings(const struct topology *topo, const struct profile *p,
			   struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset whole = { 0 };
	_cleanup_free_ char *list = NULL;

	cpuset_copy(&whole, &p->guest);
	topology_complete(topo, &whole);
	cpuset_andnot(&whole, &p->guest);
	if (cpuset_empty(&whole))
		return;
	list = cpulist_format(&whole);
	strv_addf(
		warnings,
		"%s: CPU %s stays with the host but shares cores with the guest, which slows both; "
		"\"smt\": \"whole\" takes whole cores",
		p->path, list);
}

typedef int group_fn(const struct topo_cpu *cpu);

static int group_l3(const struct topo_cpu *cpu)
{
	return cpu->l3;
}

static int group_node(const struct topo_cpu *cpu)
{
	return cpu->node;
}

/* The groups (caches, nodes) that the CPUs are in; those with number -1 are
 * not counted. */
static void groups_of(const struct topology *topo, const struct cpuset *cpus, group_fn *group,
		      struct cpuset *ret)
{
	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = &topo->cpus[i];

		if (group(cpu) >= 0 && cpuset_has(cpus, cpu->cpu))
			cpuset_add(ret, (unsigned)group(cpu));
	}
}

/* Core 0 stays with the host wherever it is, and is not mentioned as a
 * neighbour. */
static void shared_l3(const struct topology *topo, const struct profile *p, struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset rest = { 0 }, all = { 0 }, guest = { 0 }, host = { 0 };
	_cleanup_free_ char *list = NULL;

	cpuset_copy(&rest, &topo->online);
	cpuset_andnot(&rest, &p->guest);
	cpuset_andnot(&rest, &topo->cpus[0].siblings);
	groups_of(topo, &topo->online, group_l3, &all);
	groups_of(topo, &p->guest, group_l3, &guest);
	groups_of(topo, &rest, group_l3, &host);
	cpuset_and(&host, &guest);
	/* With one cache there is no choice. */
	if (cpuset_count(&all) < 2)
		return;
	if (!cpuset_empty(&host)) {
		list = cpulist_format(&host);
		strv_addf(warnings,
			  "%s: guest and host share L3 cache %s and push each other's data out; "
			  "choose cores by \"l3:\"",
			  p->path, list);
	}
}

static void across_nodes(const struct topology *topo, const struct profile *p,
			 struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset nodes = { 0 };
	_cleanup_free_ char *list = NULL;

	groups_of(topo, &p->guest, group_node, &nodes);
	if (cpuset_count(&nodes) < 2)
		return;
	list = cpulist_format(&nodes);
	strv_addf(warnings,
		  "%s: the guest spans the NUMA nodes %s, and finds half of its memory far away; "
		  "choose cores of one by \"node:\"",
		  p->path, list);
}

static void without_memory(const struct topology *topo, const struct profile *p,
			   struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset nodes = { 0 };
	_cleanup_free_ char *list = NULL;

	groups_of(topo, &p->guest, group_node, &nodes);
	cpuset_and(&nodes, &topo->memoryless);
	if (cpuset_empty(&nodes))
		return;
	list = cpulist_format(&nodes);
	strv_addf(warnings,
		  "%s: node %s of the guest has no memory of its own, so all of it is on another "
		  "node; choose a node that has",
		  p->path, list);
}

/* How many huge pages, of all sizes, are reserved on a node. */
static unsigned long huge_pages(struct sys *sys, int node)
{
	_cleanup_free_ char *dir = xasprintf("/sys/devices/system/node/node%d/hugepages", node);
	_cleanup_strv_ struct strv sizes = { 0 };
	unsigned long pages = 0;

	if (sys->ops->list(sys->ctx, dir, &sizes) < 0)
		return 0;
	for (size_t i = 0; i < sizes.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/nr_hugepages", dir, sizes.items[i]);
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(sys, path, &text) == 0)
			pages += strtoul(text, NULL, 10);
	}
	return pages;
}

/* A guest on huge pages has its memory where they were reserved. */
static void huge_pages_elsewhere(struct sys *sys, const struct topology *topo,
				 const struct profile *p, struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset nodes = { 0 }, all = { 0 }, with = { 0 };
	_cleanup_free_ char *list = NULL, *there = NULL;

	groups_of(topo, &p->guest, group_node, &nodes);
	groups_of(topo, &topo->online, group_node, &all);
	for (int n = cpuset_next(&all, -1); n >= 0; n = cpuset_next(&all, n))
		if (huge_pages(sys, n) > 0)
			cpuset_add(&with, (unsigned)n);
	if (cpuset_empty(&with) || cpuset_intersects(&with, &nodes))
		return;
	list = cpulist_format(&nodes);
	there = cpulist_format(&with);
	strv_addf(warnings,
		  "%s: huge pages are reserved on node %s only, the guest is on node %s; reserve "
		  "them there: /sys/devices/system/node/node%d/hugepages",
		  p->path, there, list, cpuset_next(&nodes, -1));
}

/* Which words choose cores of one kind here? */
static const char *kind_words(const struct topology *topo)
{
	for (size_t i = 0; i < topo->n; i++)
		if (strcmp(topo->cpus[i].kind, "P") == 0)
			return "p-cores or e-cores";
	return "those of one kind ('shield topology' shows which they are)";
}

static void mixed_kinds(const struct topology *topo, const struct profile *p, struct strv *warnings)
{
	const char *kind = NULL;

	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = &topo->cpus[i];

		if (!cpuset_has(&p->guest, cpu->cpu))
			continue;
		if (kind && strcmp(kind, cpu->kind) != 0) {
			strv_addf(warnings,
				  "%s: the guest has cores of different kinds, and its scheduler "
				  "does not know; choose %s",
				  p->path, kind_words(topo));
			return;
		}
		kind = cpu->kind;
	}
}

static void few_cores(const struct topology *topo, const struct profile *p, struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset rest = { 0 };

	cpuset_copy(&rest, &topo->online);
	cpuset_andnot(&rest, &p->guest);
	if (topology_whole_cores(topo, &rest) < 2)
		add(warnings, p,
		    "fewer than two whole cores are left to the host and to QEMU's own threads; "
		    "expect stutter under load");
}

void advise(struct sys *sys, const struct topology *topo, const struct profile *profile,
	    struct strv *warnings)
{
	split_siblings(topo, profile, warnings);
	shared_l3(topo, profile, warnings);
	across_nodes(topo, profile, warnings);
	without_memory(topo, profile, warnings);
	huge_pages_elsewhere(sys, topo, profile, warnings);
	mixed_kinds(topo, profile, warnings);
	few_cores(topo, profile, warnings);
}
