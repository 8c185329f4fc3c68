#include "shield/topology/kinds.h"

#include "shield/sys/sys.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void name(struct topo_cpu *cpu, const char *kind)
{
	snprintf(cpu->kind, sizeof(cpu->kind), "%s", kind);
}

/* The perf units of a hybrid Intel machine each list their CPUs. */
static void from_perf(struct sys *sys, struct topology *topo)
{
	static const struct {
		const char *path, *kind;
	} units[] = {
		{ "/sys/devices/cpu_core/cpus", "P" },
		{ "/sys/devices/cpu_atom/cpus", "E" },
		{ "/sys/devices/cpu_lowpower/cpus", "LP-E" },
	};

	for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(sys, units[u].path, &text) < 0 ||
		    cpulist_parse(text, &cpus, NULL) < 0)
			continue;
		for (size_t i = 0; i < topo->n; i++)
			if (cpuset_has(&cpus, topo->cpus[i].cpu))
				name(&topo->cpus[i], units[u].kind);
	}
}

static int descending(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* ARM: the scheduler's capacity of each CPU, 1024 for the strongest. */
static void from_capacity(struct sys *sys, struct topology *topo)
{
	_cleanup_free_ long *of_cpu = xcalloc(topo->n, sizeof(*of_cpu));
	_cleanup_free_ long *values = xcalloc(topo->n, sizeof(*values));
	size_t n = 0;

	for (size_t i = 0; i < topo->n; i++) {
		_cleanup_free_ char *path =
			xasprintf("/sys/devices/system/cpu/cpu%u/cpu_capacity", topo->cpus[i].cpu);
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(sys, path, &text) < 0 || !isdigit((unsigned char)*text))
			return;
		of_cpu[i] = values[i] = strtol(text, NULL, 10);
	}
	qsort(values, topo->n, sizeof(*values), descending);
	for (size_t i = 0; i < topo->n; i++)
		if (n == 0 || values[n - 1] != values[i])
			values[n++] = values[i];
	for (size_t i = 0; i < topo->n && n > 1; i++) {
		size_t rank = 0;

		while (values[rank] != of_cpu[i])
			rank++;
		if (n == 2)
			name(&topo->cpus[i], rank ? "E" : "P");
		else
			snprintf(topo->cpus[i].kind, sizeof(topo->cpus[i].kind), "K%u",
				 (unsigned)(n - 1 - rank) % 1000);
	}
}

/* The CPUs that share a CPU's L2 cache; empty if the machine does not say. */
static void read_l2(struct sys *sys, unsigned cpu, struct cpuset *set)
{
	for (int index = 0; index < 10; index++) {
		_cleanup_free_ char *dir =
			xasprintf("/sys/devices/system/cpu/cpu%u/cache/index%d", cpu, index);
		_cleanup_free_ char *level = xasprintf("%s/level", dir);
		_cleanup_free_ char *map = xasprintf("%s/shared_cpu_map", dir);
		_cleanup_free_ char *text = NULL, *mask = NULL;

		if (sys_read_line(sys, level, &text) < 0)
			return;
		if (strcmp(text, "2") == 0 && sys_read_line(sys, map, &mask) == 0) {
			cpumask_parse(mask, set, NULL);
			return;
		}
	}
}

/* Have some cores several CPUs, and some only one, as efficiency cores have? */
static bool mixed_siblings(const struct topology *topo)
{
	bool one = false, more = false;

	for (size_t i = 0; i < topo->n; i++) {
		one |= cpuset_count(&topo->cpus[i].siblings) == 1;
		more |= cpuset_count(&topo->cpus[i].siblings) > 1;
	}
	return one && more;
}

/* An older kernel, or a recording, says nothing: efficiency cores come in
 * clusters that share an L2, and never have a sibling; the others have. */
static void from_l2(struct sys *sys, struct topology *topo)
{
	_cleanup_cpuset_ struct cpuset sharing = { 0 };

	if (!mixed_siblings(topo))
		return;
	for (size_t i = 0; i < topo->n; i++) {
		_cleanup_cpuset_ struct cpuset l2 = { 0 };

		read_l2(sys, topo->cpus[i].cpu, &l2);
		cpuset_and(&l2, &topo->online);
		if (cpuset_within(&l2, &topo->cpus[i].siblings))
			continue;
		if (cpuset_count(&topo->cpus[i].siblings) > 1)
			return;
		cpuset_add(&sharing, topo->cpus[i].cpu);
	}
	if (cpuset_empty(&sharing) || cpuset_count(&sharing) == topo->n)
		return;
	for (size_t i = 0; i < topo->n; i++)
		name(&topo->cpus[i], cpuset_has(&sharing, topo->cpus[i].cpu) ? "E" : "P");
}

static bool known(const struct topology *topo)
{
	for (size_t i = 0; i < topo->n; i++)
		if (*topo->cpus[i].kind)
			return true;
	return false;
}

static void find_low_power(struct topology *topo)
{
	bool with = false;

	for (size_t i = 0; i < topo->n; i++)
		with |= topo->cpus[i].l3 >= 0 && strcmp(topo->cpus[i].kind, "E") == 0;
	for (size_t i = 0; i < topo->n && with; i++)
		if (topo->cpus[i].l3 < 0 && strcmp(topo->cpus[i].kind, "E") == 0)
			name(&topo->cpus[i], "LP-E");
}

void kinds_load(const char *root, hwloc_topology_t hwloc, struct topology *topo)
{
	struct sys sys;
	bool alike = true;

	sys_open_real(&sys, root);
	from_perf(&sys, topo);
	if (!known(topo))
		from_capacity(&sys, topo);
	if (!known(topo) && hwloc_cpukinds_get_nr(hwloc, 0) != 1)
		from_l2(&sys, topo);
	sys_close_real(&sys);

	find_low_power(topo);
	for (size_t i = 1; i < topo->n; i++)
		alike &= strcmp(topo->cpus[i].kind, topo->cpus[0].kind) == 0;
	for (size_t i = 0; i < topo->n && alike; i++)
		name(&topo->cpus[i], "");
}
