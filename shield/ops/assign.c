/* SPDX-License-Identifier: MIT */
#include "shield/ops/assign.h"

/* Do the vCPUs belong to one core of the guest? */
static bool same_core(const struct vm_vcpu *a, const struct vm_vcpu *b)
{
	return a->core >= 0 && a->core == b->core && a->socket == b->socket && a->die == b->die &&
	       a->cluster == b->cluster;
}

/* The guest's cores one after the other: order[k] is the k-th vCPU, last[k] tells
 * that its core ends there. */
static void by_cores(const struct vm_vcpus *vcpus, size_t *order, bool *last)
{
	_cleanup_free_ bool *done = xcalloc(vcpus->n, sizeof(*done));
	size_t used = 0;

	for (size_t i = 0; i < vcpus->n; i++) {
		if (done[i])
			continue;
		order[used++] = i;
		for (size_t j = i + 1; j < vcpus->n; j++)
			if (!done[j] && same_core(&vcpus->items[i], &vcpus->items[j])) {
				done[j] = true;
				order[used++] = j;
			}
		last[used - 1] = true;
	}
}

/* The guest CPUs of the next core after those already taken out of `left`. */
static void next_core(const struct topology *topo, struct cpuset *left, struct cpuset *core)
{
	int first = cpuset_next(left, -1);
	const struct topo_cpu *t = first < 0 ? NULL : topology_cpu(topo, (unsigned)first);

	cpuset_clear(core);
	if (t) {
		cpuset_copy(core, &t->siblings);
		cpuset_and(core, left);
	} else if (first >= 0) {
		cpuset_add(core, (unsigned)first);
	}
	cpuset_andnot(left, core);
}

/* Each of the guest's cores on one of ours; false if they do not fit. */
static bool core_on_core(const struct topology *topo, const struct cpuset *guest, size_t n,
			 const size_t *order, const bool *last, unsigned *cpus)
{
	_cleanup_cpuset_ struct cpuset left = { 0 }, core = { 0 };
	int cpu = -1;

	cpuset_copy(&left, guest);
	next_core(topo, &left, &core);
	for (size_t k = 0; k < n; k++) {
		cpu = cpuset_next(&core, cpu);
		if (cpu < 0)
			return false;
		cpus[order[k]] = (unsigned)cpu;
		if (last[k]) {
			next_core(topo, &left, &core);
			cpu = -1;
		}
	}
	return true;
}

static void side_by_side(const struct topology *topo, const struct cpuset *guest, size_t n,
			 const size_t *order, unsigned *cpus)
{
	_cleanup_cpuset_ struct cpuset left = { 0 }, core = { 0 };
	int cpu = -1;

	cpuset_copy(&left, guest);
	for (size_t k = 0; k < n;) {
		cpu = cpuset_next(&core, cpu);
		if (cpu >= 0)
			cpus[order[k++]] = (unsigned)cpu;
		else
			next_core(topo, &left, &core);
	}
}

int assign_vcpus(const struct topology *topo, const struct cpuset *guest,
		 const struct vm_vcpus *vcpus, unsigned *cpus, struct err *err)
{
	_cleanup_free_ size_t *order = xcalloc(vcpus->n, sizeof(*order));
	_cleanup_free_ bool *last = xcalloc(vcpus->n, sizeof(*last));

	if (vcpus->n > cpuset_count(guest))
		return err_set(err, ERR_USAGE,
			       "the VM has %zu vCPUs, but the shield only %u guest CPUs; start it "
			       "with -smp %u, or give the profile more guest CPUs",
			       vcpus->n, cpuset_count(guest), cpuset_count(guest));
	by_cores(vcpus, order, last);
	if (!core_on_core(topo, guest, vcpus->n, order, last, cpus))
		side_by_side(topo, guest, vcpus->n, order, cpus);
	return 0;
}

int assign_listed(const unsigned *map, size_t n, const struct vm_vcpus *vcpus, unsigned *cpus,
		  struct err *err)
{
	for (size_t i = 0; i < vcpus->n; i++) {
		if (vcpus->items[i].index >= n)
			return err_set(err, ERR_USAGE,
				       "the VM has a vCPU %u, but \"vcpus\" in the profile names "
				       "only %zu CPUs; name one for each",
				       vcpus->items[i].index, n);
		cpus[i] = map[vcpus->items[i].index];
	}
	return 0;
}
