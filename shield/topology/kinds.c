/* SPDX-License-Identifier: MIT */
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

		if (sys_read_cpulist(sys, units[u].path, &cpus) < 0)
			continue;
		for (size_t i = 0; i < topo->n; i++)
			if (cpuset_has(&cpus, topo->cpus[i].cpu))
				name(&topo->cpus[i], units[u].kind);
	}
}

/* A CPU and how strong it is. */
struct strength {
	struct topo_cpu *cpu;
	unsigned long value;
	unsigned long type; /* what it was built as; 0: unknown */
	size_t group;
};

static int descending(const void *a, const void *b)
{
	const struct strength *x = a, *y = b;

	return x->value < y->value ? 1 : x->value > y->value ? -1 : 0;
}

/* The group of a stronger CPU of the same type, or n. */
static size_t same_type(const struct strength *all, size_t n)
{
	for (size_t i = 0; i < n && all[n].type; i++)
		if (all[i].type == all[n].type)
			return all[i].group;
	return n;
}

/* Cores of one sort differ a little, each from the next: by their turbo, or by
 * what the firmware measured. Another sort begins where more than a tenth is
 * missing. Sorts the array; returns how many groups there are, 0 the strongest. */
static size_t group(struct strength *all, size_t n)
{
	size_t groups = 0;

	qsort(all, n, sizeof(*all), descending);
	for (size_t i = 0; i < n; i++) {
		size_t same = same_type(all, i);

		if (same < i)
			all[i].group = same;
		else if (i && all[i].value * 10 >= all[i - 1].value * 9)
			all[i].group = all[i - 1].group;
		else
			all[i].group = groups++;
	}
	return groups;
}

static void name_groups(const struct strength *all, size_t n, size_t groups)
{
	for (size_t i = 0; i < n && groups > 1; i++)
		if (groups == 2)
			name(all[i].cpu, all[i].group ? "E" : "P");
		else
			snprintf(all[i].cpu->kind, sizeof(all[i].cpu->kind), "K%u",
				 (unsigned)(groups - 1 - all[i].group) % 1000);
}

static bool read_number(struct sys *sys, unsigned cpu, const char *file, int base,
			unsigned long *ret)
{
	_cleanup_free_ char *path = xasprintf("/sys/devices/system/cpu/cpu%u/%s", cpu, file);
	_cleanup_free_ char *text = NULL;

	if (sys_read_line(sys, path, &text) < 0 || !isdigit((unsigned char)*text))
		return false;
	*ret = strtoul(text, NULL, base);
	return true;
}

/* By a number that a file of every CPU has; where one has none, nothing is said. */
static void from_strength(struct sys *sys, const char *file, struct topology *topo)
{
	/* Of MIDR_EL1 implementer and part number: not the revision. */
	const unsigned long part = 0xff00fff0;
	_cleanup_free_ struct strength *all = xcalloc(topo->n, sizeof(*all));

	for (size_t i = 0; i < topo->n; i++) {
		all[i].cpu = &topo->cpus[i];
		if (!read_number(sys, topo->cpus[i].cpu, file, 10, &all[i].value))
			return;
		if (read_number(sys, topo->cpus[i].cpu, "regs/identification/midr_el1", 16,
				&all[i].type))
			all[i].type &= part;
	}
	name_groups(all, topo->n, group(all, topo->n));
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

void kinds_load(struct sys *sys, hwloc_topology_t hwloc, struct topology *topo)
{
	static const char *const dense[] = { "cpufreq/cpuinfo_max_freq", "acpi_cppc/highest_perf" };
	bool alike = true;

	from_perf(sys, topo);
	if (!known(topo))
		from_strength(sys, "cpu_capacity", topo);
	if (!known(topo) && hwloc_cpukinds_get_nr(hwloc, 0) != 1)
		from_l2(sys, topo);
	for (size_t i = 0; i < ARRAY_SIZE(dense) && !known(topo); i++)
		from_strength(sys, dense[i], topo);
	find_low_power(topo);
	for (size_t i = 1; i < topo->n; i++)
		alike &= strcmp(topo->cpus[i].kind, topo->cpus[0].kind) == 0;
	for (size_t i = 0; i < topo->n && alike; i++)
		name(&topo->cpus[i], "");
}
