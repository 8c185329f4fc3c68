/* SPDX-License-Identifier: MIT */
#include "shield/topology/topology.h"

#include "shield/topology/discover.h"
#include "shield/topology/kinds.h"

#include <hwloc.h>
#include <string.h>

static int number(hwloc_obj_t obj)
{
	if (!obj)
		return -1;
	return (int)(obj->os_index != HWLOC_UNKNOWN_INDEX ? obj->os_index : obj->logical_index);
}

/* The node that a CPU belongs to. Memory without CPUs of its own (HBM, CXL) is
 * given its neighbours' CPUs by hwloc: the lowest number is the ordinary one. */
static int node_of(hwloc_topology_t hwloc, unsigned cpu)
{
	hwloc_obj_t node = NULL;
	int found = -1;

	while ((node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node)))
		if (hwloc_bitmap_isset(node->cpuset, cpu) && (found < 0 || number(node) < found))
			found = number(node);
	return found;
}

static void describe(hwloc_topology_t hwloc, hwloc_obj_t pu, struct topo_cpu *cpu)
{
	hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_CORE, pu);
	hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_L3CACHE, pu);

	cpu->cpu = pu->os_index;
	cpu->core = core ? (int)core->logical_index : -1;
	cpu->package = number(hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_PACKAGE, pu));
	cpu->node = node_of(hwloc, cpu->cpu);
	cpu->l3 = l3 ? (int)l3->logical_index : -1;
	cpu->l3_bytes = l3 ? l3->attr->cache.size : 0;
	cpuset_add(&cpu->siblings, cpu->cpu);
	if (core) {
		struct cpuset all = { core->cpuset };

		cpuset_or(&cpu->siblings, &all);
	}
}

static int ascending(const void *a, const void *b)
{
	const struct topo_cpu *x = a, *y = b;

	return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

/* hwloc's complete set holds what is possible on some kernels; the kernel's
 * own list is exact. */
static void read_present(struct sys *sys, hwloc_topology_t hwloc, struct topology *topo)
{
	struct cpuset complete = { hwloc_get_root_obj(hwloc)->complete_cpuset };

	if (sys_read_cpulist(sys, "/sys/devices/system/cpu/present", &topo->present) < 0)
		cpuset_copy(&topo->present, &complete);
	cpuset_or(&topo->present, &topo->online);
}

/* Nodes without memory; all alike means that a recording does not say. */
static void read_memory(hwloc_topology_t hwloc, struct topology *topo)
{
	hwloc_obj_t node = NULL;
	bool known = false;

	while ((node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node))) {
		if (node->attr->numanode.local_memory == 0)
			cpuset_add(&topo->memoryless, (unsigned)number(node));
		else
			known = true;
	}
	if (!known)
		cpuset_clear(&topo->memoryless);
}

int topology_load(struct sys *sys, struct topology *topo, struct err *err)
{
	_cleanup_discover_ hwloc_topology_t hwloc = NULL;
	_cleanup_topology_ struct topology t = { 0 };
	hwloc_obj_t pu = NULL;

	if (discover(sys, false, &hwloc, err) < 0)
		return -1;
	t.cpus = xcalloc((size_t)hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_PU), sizeof(*t.cpus));
	while ((pu = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, pu))) {
		describe(hwloc, pu, &t.cpus[t.n++]);
		cpuset_add(&t.online, pu->os_index);
	}
	read_memory(hwloc, &t);
	if (t.n == 0)
		return err_set(err, ERR_UNSUPPORTED, "no CPU is listed in /sys/devices/system/cpu");
	qsort(t.cpus, t.n, sizeof(*t.cpus), ascending);
	read_present(sys, hwloc, &t);
	kinds_load(sys, hwloc, &t);
	*topo = t;
	t = (struct topology){ 0 };
	return 0;
}

void topology_clear(struct topology *topo)
{
	for (size_t i = 0; i < topo->n; i++)
		cpuset_clear(&topo->cpus[i].siblings);
	free(topo->cpus);
	cpuset_clear(&topo->online);
	cpuset_clear(&topo->present);
	cpuset_clear(&topo->memoryless);
	*topo = (struct topology){ 0 };
}

const struct topo_cpu *topology_cpu(const struct topology *topo, unsigned cpu)
{
	struct topo_cpu key = { .cpu = cpu };

	return topo->n ? bsearch(&key, topo->cpus, topo->n, sizeof(key), ascending) : NULL;
}

void topology_complete(const struct topology *topo, struct cpuset *set)
{
	_cleanup_cpuset_ struct cpuset whole = { 0 };

	for (int c = cpuset_next(set, -1); c >= 0; c = cpuset_next(set, c)) {
		const struct topo_cpu *cpu = topology_cpu(topo, (unsigned)c);

		if (cpu)
			cpuset_or(&whole, &cpu->siblings);
	}
	cpuset_or(set, &whole);
}

unsigned topology_whole_cores(const struct topology *topo, const struct cpuset *set)
{
	unsigned cores = 0;

	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = &topo->cpus[i];

		/* Each core is counted at its first CPU. */
		if (cpuset_next(&cpu->siblings, -1) == (int)cpu->cpu &&
		    cpuset_within(&cpu->siblings, set))
			cores++;
	}
	return cores;
}
