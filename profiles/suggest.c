/* SPDX-License-Identifier: MIT */
#include "profiles/suggest.h"

#include "profiles/explain.h"
#include "profiles/rank.h"
#include "shield/base/pci_address.h"

#include <stdio.h>
#include <string.h>

/* As many cores as fit as well as the best one. */
static size_t reasonable(const struct choice *c)
{
	const struct core *best = &c->cores[0];
	size_t n = 0;

	while (n < c->n && rank_same_package(&c->cores[n], best) &&
	       rank_same_node(&c->cores[n], best) && c->cores[n].l3_rank == best->l3_rank)
		n++;
	return n;
}

static size_t for_host(const struct choice *c)
{
	return c->total >= 4 ? 2 : 1;
}

static int count_cores(struct choice *c, const struct suggest_request *request, size_t *ret,
		       struct err *err)
{
	size_t most = c->total - for_host(c);
	unsigned cpus = 0;

	if (c->total < 3)
		return err_set(
			err, ERR_UNSUPPORTED,
			"this machine has %zu core%s: none can be spared, since the host needs "
			"one and QEMU another",
			c->total, c->total == 1 ? "" : "s");
	if (request->vcpus == 0) {
		size_t fit = reasonable(c);

		*ret = fit > most ? most : fit;
		return 0;
	}
	*ret = rank_choose(c, request->vcpus, most);
	if (*ret)
		return 0;
	for (size_t i = 0; i < most; i++)
		cpus += cpuset_count(&c->cores[i].cpu->siblings);
	return err_set(
		err, ERR_USAGE,
		"--vcpus %u: at most %zu of %zu cores can be given away, which have %u CPUs; "
		"ask for fewer",
		request->vcpus, most, c->total, cpus);
}

static int by_place(const void *a, const void *b)
{
	const struct core *x = a, *y = b;
	int order = (x->turn > y->turn) - (x->turn < y->turn);

	order = order ? order : x->cpu->package - y->cpu->package;
	order = order ? order : x->cpu->l3 - y->cpu->l3;
	return order ? order : (int)x->cpu->cpu - (int)y->cpu->cpu;
}

static void add_to_cell(struct suggestion *s, int node, unsigned vcpus)
{
	if (!s->n_cells || s->cells[s->n_cells - 1].node != node)
		s->cells[s->n_cells++] = (struct suggestion_cell){ .node = node };
	s->cells[s->n_cells - 1].vcpus += vcpus;
}

/* Siblings side by side: that is how guests number theirs. */
static void take_cores(struct choice *c, size_t n)
{
	struct suggestion *s = c->s;

	qsort(c->cores, n, sizeof(*c->cores), by_place);
	s->threads = cpuset_count(&c->cores[0].cpu->siblings);
	s->vcpus = xcalloc(c->topo->n, sizeof(*s->vcpus));
	s->cells = xcalloc(n, sizeof(*s->cells));
	s->bound = c->nodes;
	for (size_t i = 0; i < n; i++) {
		const struct topo_cpu *first = c->cores[i].cpu;
		const struct cpuset *cpus = &first->siblings;

		if (cpuset_count(cpus) != s->threads)
			s->threads = 1;
		if (c->nodes)
			add_to_cell(s, first->node, cpuset_count(cpus));
		s->bound = s->bound && first->node >= 0 &&
			   !cpuset_has(&c->topo->memoryless, (unsigned)first->node);
		cpuset_or(&s->guest, cpus);
		for (int cpu = cpuset_next(cpus, -1); cpu >= 0; cpu = cpuset_next(cpus, cpu))
			s->vcpus[s->n_vcpus++] = (unsigned)cpu;
	}
	cpuset_copy(&s->housekeeping, &c->topo->online);
	cpuset_andnot(&s->housekeeping, &s->guest);
}

static bool has_cell(const struct suggestion *s, int node)
{
	for (size_t i = 0; i < s->n_cells; i++)
		if (s->cells[i].node == node)
			return true;
	return s->n_cells == 0;
}

/* Each I/O thread a core of the host: those of the guest's nodes first, the last
 * ones first, core 0 only at need. */
static void place_iothreads(struct choice *c, unsigned n)
{
	_cleanup_free_ const struct cpuset **cores = xcalloc(c->topo->n, sizeof(*cores));
	size_t have = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = c->topo->n; i-- > 0;) {
			const struct topo_cpu *cpu = &c->topo->cpus[i];
			bool near = has_cell(c->s, cpu->node);

			if (cpuset_next(&cpu->siblings, -1) == (int)cpu->cpu && i > 0 &&
			    near == (pass == 0) && cpuset_has(&c->s->housekeeping, cpu->cpu))
				cores[have++] = &cpu->siblings;
		}
	if (have == 0)
		cores[have++] = &c->topo->cpus[0].siblings;
	if (n == 0)
		return;
	c->s->iothreads = xcalloc(n, sizeof(*c->s->iothreads));
	c->s->n_iothreads = n;
	for (unsigned i = 0; i < n; i++)
		cpuset_copy(&c->s->iothreads[i], cores[i % have]);
	strv_addf(&c->s->reasons, "I/O threads: on %u core%s of the host%s",
		  n < have ? n : (unsigned)have, n == 1 || have == 1 ? "" : "s",
		  cores[0] == &c->topo->cpus[0].siblings
			  ? ""
			  : ", and not on core 0, which has interrupts to serve");
	if (n > have)
		strv_addf(&c->s->warnings, "%u I/O threads share %zu core%s of the host", n, have,
			  have == 1 ? "" : "s");
}

/* Every function of the device: a graphics card brings its sound along. */
static void find_functions(struct sys *sys, const char *address, struct strv *devices)
{
	for (int function = 0; function <= 7; function++) {
		_cleanup_free_ char *other =
			xasprintf("%.*s%d", (int)strlen(address) - 1, address, function);
		_cleanup_free_ char *path = xasprintf("/sys/bus/pci/devices/%s", other);

		if (strcmp(other, address) == 0 || sys_exists(sys, path))
			strv_add(devices, other);
	}
}

static int find_gpu(struct sys *sys, const char *gpu, int *node, struct suggestion *s,
		    struct err *err)
{
	_cleanup_free_ char *address = pci_address_parse(gpu), *path = NULL, *text = NULL;

	if (!address)
		return err_set(err, ERR_USAGE,
			       "--gpu \"%.40s\": expected " PCI_ADDRESS_EXPECTED
			       "; lspci -D lists them",
			       gpu);
	path = xasprintf("/sys/bus/pci/devices/%s/numa_node", address);
	if (sys_read_line(sys, path, &text) < 0)
		return err_set(err, ERR_USAGE,
			       "--gpu %s: PCI device does not exist; lspci -D lists them", gpu);
	*node = atoi(text);
	find_functions(sys, address, &s->devices);
	s->gpu = take_ptr(address);
	return 0;
}

int suggest(struct sys *sys, const struct topology *topo, const struct suggest_request *request,
	    struct suggestion *ret, struct err *err)
{
	_cleanup_suggestion_ struct suggestion s = { 0 };
	struct choice c = { .sys = sys, .topo = topo, .gpu_node = -1, .s = &s };
	size_t n = 0;
	int rc;

	if (request->gpu && find_gpu(sys, request->gpu, &c.gpu_node, &s, err) < 0)
		return -1;
	rank_cores(&c);
	rc = count_cores(&c, request, &n, err);
	if (rc == 0) {
		take_cores(&c, n);
		explain_choice(&c, n, request);
		place_iothreads(&c, request->iothreads);
		explain_doubts(&c, n, request);
		*ret = s;
		s = (struct suggestion){ 0 };
	}
	free(c.cores);
	return rc;
}

void suggestion_clear(struct suggestion *s)
{
	for (unsigned i = 0; i < s->n_iothreads; i++)
		cpuset_clear(&s->iothreads[i]);
	free(s->iothreads);
	free(s->vcpus);
	free(s->cells);
	free(s->gpu);
	cpuset_clear(&s->guest);
	cpuset_clear(&s->housekeeping);
	strv_clear(&s->devices);
	strv_clear(&s->reasons);
	strv_clear(&s->warnings);
	*s = (struct suggestion){ 0 };
}
