/* SPDX-License-Identifier: MIT */
#include "profiles/explain.h"

#include <string.h>

/* A smaller cache is not V-Cache, however much smaller the others are. */
#define VCACHE_MIN ((uint64_t)64 << 20)

/* The numbers of the groups that the first n cores are in. */
typedef int field_fn(const struct topo_cpu *cpu);

static int field_node(const struct topo_cpu *cpu)
{
	return cpu->node;
}

static int field_package(const struct topo_cpu *cpu)
{
	return cpu->package;
}

static void groups_of(const struct choice *c, size_t n, field_fn *field, struct cpuset *ret)
{
	for (size_t i = 0; i < n; i++)
		if (field(c->cores[i].cpu) >= 0)
			cpuset_add(ret, (unsigned)field(c->cores[i].cpu));
}

/* Could all n cores come from one group? */
static bool one_has(const struct choice *c, size_t n, field_fn *field)
{
	for (size_t i = 0; i < c->n; i++) {
		size_t have = 0;

		for (size_t k = 0; k < c->n; k++)
			have += field(c->cores[k].cpu) == field(c->cores[i].cpu);
		if (have >= n)
			return true;
	}
	return false;
}

static void explain_cache(struct choice *c)
{
	_cleanup_cpuset_ struct cpuset caches = { 0 }, host_caches = { 0 };
	_cleanup_free_ char *l3 = NULL;
	bool largest = c->cores[0].l3_rank == 0, shared, one;
	const char *name = c->cores[0].cpu->l3_bytes >= VCACHE_MIN ? " (V-Cache)" : "";

	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];

		if (cpu->l3 >= 0)
			cpuset_add(cpuset_has(&c->s->guest, cpu->cpu) ? &caches : &host_caches,
				   (unsigned)cpu->l3);
	}
	if (!c->caches || cpuset_empty(&caches))
		return;
	l3 = cpulist_format(&caches);
	shared = cpuset_intersects(&caches, &host_caches);
	one = cpuset_count(&caches) == 1;
	if (c->sizes_differ && one && largest)
		strv_addf(&c->s->reasons, "L3 %s: the largest%s, %s", l3, name,
			  shared ? "shared with what the host keeps of it"
				 : "and the guest's alone");
	else if (c->sizes_differ && one)
		strv_addf(&c->s->reasons,
			  "L3 %s: not the largest, which has too few cores to spare", l3);
	else
		strv_addf(&c->s->reasons, "L3 %s: %s", l3,
			  shared ? "the host has the rest of the cores, and shares it"
				 : "the guest's alone, the host pushes nothing out of it");
}

static void explain_kind(struct choice *c, size_t n)
{
	const char *kind = c->cores[0].cpu->kind;

	if (!c->kinds || c->cores[0].kind_rank != c->cores[n - 1].kind_rank)
		return;
	if (strcmp(kind, "P") == 0)
		strv_addf(&c->s->reasons,
			  "kind: performance cores for the guest, which is told that all of "
			  "its cores are alike");
	else if (*kind)
		strv_addf(&c->s->reasons,
			  "kind: cores of kind %s only, for the guest is told that all of its "
			  "cores are alike",
			  kind);
}

/* Of a device whose node the firmware does not tell, or that is alone there. */
static void explain_gpu(struct choice *c, const char *gpu, const struct cpuset *nodes)
{
	struct strv *reasons = &c->s->reasons;
	_cleanup_free_ char *text = cpulist_format(nodes);

	if (!c->nodes)
		strv_addf(reasons, "GPU %s: as near to every core, the machine has one node", gpu);
	else if (c->gpu_node < 0)
		strv_addf(reasons,
			  "GPU %s: its node is unknown (numa_node is -1), so it did not count; the "
			  "manual of the board tells at which CPU its slot is: set it in the "
			  "firmware, or with echo NODE > /sys/bus/pci/devices/%s/numa_node",
			  gpu, gpu);
	else if (cpuset_has(nodes, (unsigned)c->gpu_node))
		strv_addf(reasons, "node %d: the GPU %s is there", c->gpu_node, gpu);
	else
		strv_addf(reasons,
			  "node%s %s: the GPU %s is at node %d, which has too few cores to spare",
			  cpuset_count(nodes) > 1 ? "s" : "", text, gpu, c->gpu_node);
}

static void explain_nodes(struct choice *c, size_t n, const struct suggest_request *request)
{
	_cleanup_cpuset_ struct cpuset nodes = { 0 };
	_cleanup_free_ char *text = NULL;
	const struct topo_cpu *cpu = c->cores[0].cpu, *zero = &c->topo->cpus[0];
	struct strv *reasons = &c->s->reasons;

	groups_of(c, n, field_node, &nodes);
	text = cpulist_format(&nodes);
	if (request->gpu)
		explain_gpu(c, c->s->gpu, &nodes);
	if (c->nodes && cpuset_count(&nodes) > 1)
		strv_addf(reasons, "nodes %s: %s", text,
			  one_has(c, n, field_node) ? "near to each other"
						    : "no single one has so many cores to spare");
	else if (c->nodes && c->gpu_node < 0)
		strv_addf(reasons, "node %s: it has %smemory%s%s", text,
			  cpuset_intersects(&nodes, &c->topo->memoryless) ? "no " : "",
			  cpu->node == zero->node ? ", and core 0 too"
						  : ", and core 0 is not there",
			  request->gpu ? "" : "; --gpu ADDRESS chooses that of a device");
}

static void explain_packages(struct choice *c, size_t n)
{
	_cleanup_cpuset_ struct cpuset packages = { 0 };
	_cleanup_free_ char *text = NULL;
	struct strv *reasons = &c->s->reasons;

	groups_of(c, n, field_package, &packages);
	text = cpulist_format(&packages);
	if (c->packages && cpuset_count(&packages) > 1) {
		if (!one_has(c, n, field_package))
			strv_addf(reasons, "packages %s: no single one has so many cores to spare",
				  text);
	} else if (c->packages && !c->nodes &&
		   c->cores[0].cpu->package != c->topo->cpus[0].package) {
		strv_addf(reasons, "package %s: core 0 is in another one", text);
	}
}

void explain_choice(struct choice *c, size_t n, const struct suggest_request *request)
{
	_cleanup_free_ char *guest = cpulist_format(&c->s->guest);
	_cleanup_free_ char *rest = cpulist_format(&c->s->housekeeping);
	struct strv *reasons = &c->s->reasons;

	strv_addf(reasons, "guest %s: %zu of %zu cores, whole, so that no sibling is shared", guest,
		  n, c->total);
	strv_addf(reasons,
		  "host %s: core 0 has the kernel's boot CPU and what cannot be moved; QEMU's own "
		  "threads run here too",
		  rest);
	explain_kind(c, n);
	explain_nodes(c, n, request);
	explain_packages(c, n);
	if (c->halves)
		strv_addf(reasons,
			  "cores with a CPU offline are the last to be chosen: the guest could not "
			  "have siblings there");
	explain_cache(c);
	if (c->s->bound)
		strv_addf(reasons, "memory: bound to the guest's node%s; the sizes stand for yours",
			  c->s->n_cells > 1 ? "s, of which it is told" : "");
}

static bool alike(const struct suggestion *s)
{
	for (size_t i = 1; i < s->n_cells; i++)
		if (s->cells[i].vcpus != s->cells[0].vcpus)
			return false;
	return true;
}

void explain_doubts(struct choice *c, size_t n, const struct suggest_request *request)
{
	struct strv *warnings = &c->s->warnings;
	bool mixed = false, memoryless = false;

	for (size_t i = 0; i < n; i++) {
		const struct topo_cpu *cpu = c->cores[i].cpu;

		mixed |= strcmp(cpu->kind, c->cores[0].cpu->kind) != 0;
		memoryless |=
			cpu->node >= 0 && cpuset_has(&c->topo->memoryless, (unsigned)cpu->node);
	}
	if (c->total <= 4)
		strv_addf(warnings,
			  "with %zu cores both sides are short of them: expect stutter; a machine "
			  "for this has six cores or more",
			  c->total);
	if (mixed)
		strv_addf(warnings, "the guest has cores of different kinds; ask for fewer vCPUs");
	if (c->s->n_cells > 1)
		strv_addf(warnings, "the guest spans nodes; ask for fewer vCPUs");
	if (!alike(c->s))
		strv_addf(warnings,
			  "the guest's nodes have different numbers of vCPUs, so that it is told "
			  "of one socket; ask for a number that they can share");
	if (memoryless)
		strv_addf(warnings, "a node of the guest has no memory of its own");
	if (request->vcpus && c->s->n_vcpus != request->vcpus)
		strv_addf(warnings, "%u vCPUs, not %u: cores are given away whole", c->s->n_vcpus,
			  request->vcpus);
}
