#include "profiles/suggest.h"

#include "profiles/rank.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* As many cores as fit as well as the best one. */
static size_t reasonable(const struct choice *c)
{
	const struct core *best = &c->cores[0];
	size_t n = 0;

	while (n < c->n && rank_same_package(&c->cores[n], best) &&
	       c->cores[n].l3_rank == best->l3_rank)
		n++;
	return n;
}

/* How many cores from this one on, and before `end`, have so many CPUs; 0 if
 * they do not. */
static size_t cores_for(const struct choice *c, size_t from, size_t end, unsigned cpus)
{
	unsigned have = 0;

	for (size_t i = from; i < end; i++) {
		have += cpuset_count(&c->cores[i].cpu->siblings);
		if (have >= cpus)
			return i + 1 - from;
	}
	return 0;
}

/* Move the cores of one group that hold what is asked for to the front, if they
 * are of the best sort; the order stays otherwise. */
static void prefer_one(struct choice *c, unsigned cpus, rank_same_fn *same)
{
	for (size_t from = 0, to; from < c->n; from = to) {
		const struct core *first = &c->cores[from];
		_cleanup_free_ struct core *moved = NULL;

		if (!rank_same_sort(first, &c->cores[0]))
			return;
		for (to = from; to < c->n && same(&c->cores[to], first);)
			to++;
		if (!cores_for(c, from, to, cpus))
			continue;
		moved = xcalloc(to - from, sizeof(*moved));
		memcpy(moved, first, (to - from) * sizeof(*moved));
		memmove(c->cores + (to - from), c->cores, from * sizeof(*moved));
		memcpy(c->cores, moved, (to - from) * sizeof(*moved));
		return;
	}
}

static size_t for_host(const struct choice *c)
{
	return c->total >= 4 ? 2 : 1;
}

static int count_cores(struct choice *c, const struct wish *wish, size_t *ret, struct err *err)
{
	size_t most = c->total - for_host(c);
	unsigned cpus = 0;

	if (c->total < 3)
		return err_set(
			err, ERR_UNSUPPORTED,
			"this machine has %zu core%s: none can be spared, since the host needs "
			"one and QEMU another",
			c->total, c->total == 1 ? "" : "s");
	if (wish->vcpus == 0) {
		size_t fit = reasonable(c);

		*ret = fit > most ? most : fit;
		return 0;
	}
	prefer_one(c, wish->vcpus, rank_same_node);
	prefer_one(c, wish->vcpus, rank_same_package);
	prefer_one(c, wish->vcpus, rank_same_cache);
	*ret = cores_for(c, 0, most, wish->vcpus);
	if (*ret)
		return 0;
	for (size_t i = 0; i < most; i++)
		cpus += cpuset_count(&c->cores[i].cpu->siblings);
	return err_set(
		err, ERR_USAGE,
		"--vcpus %u: at most %zu of %zu cores can be given away, which have %u CPUs; "
		"ask for fewer",
		wish->vcpus, most, c->total, cpus);
}

static int by_number(const void *a, const void *b)
{
	const struct core *x = a, *y = b;

	return (int)x->cpu->cpu - (int)y->cpu->cpu;
}

/* Siblings side by side: that is how guests number theirs. */
static void take_cores(struct choice *c, size_t n)
{
	struct suggestion *s = c->s;

	qsort(c->cores, n, sizeof(*c->cores), by_number);
	s->threads = cpuset_count(&c->cores[0].cpu->siblings);
	s->vcpus = xcalloc(c->topo->n, sizeof(*s->vcpus));
	s->node = c->nodes ? c->cores[0].cpu->node : -1;
	for (size_t i = 0; i < n; i++) {
		const struct cpuset *cpus = &c->cores[i].cpu->siblings;

		if (cpuset_count(cpus) != s->threads)
			s->threads = 1;
		if (c->cores[i].cpu->node != s->node)
			s->node = -1;
		cpuset_or(&s->guest, cpus);
		for (int cpu = cpuset_next(cpus, -1); cpu >= 0; cpu = cpuset_next(cpus, cpu))
			s->vcpus[s->n_vcpus++] = (unsigned)cpu;
	}
	cpuset_copy(&s->housekeeping, &c->topo->online);
	cpuset_andnot(&s->housekeeping, &s->guest);
}

/* Each I/O thread a core of the host: those of the guest's node first, the last
 * ones first, core 0 only at need. */
static void place_iothreads(struct choice *c, unsigned n)
{
	_cleanup_free_ const struct cpuset **cores = xcalloc(c->topo->n, sizeof(*cores));
	size_t have = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = c->topo->n; i-- > 0;) {
			const struct topo_cpu *cpu = &c->topo->cpus[i];
			bool near = c->s->node < 0 || cpu->node == c->s->node;

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

static void give_cache_reason(struct choice *c, const struct cpuset *caches,
			      const struct cpuset *host_caches)
{
	_cleanup_free_ char *l3 = cpulist_format(caches);
	bool shared = cpuset_intersects(caches, host_caches), one = cpuset_count(caches) == 1;
	const char *what;

	if (!c->caches)
		return;
	if (c->sizes_differ && one && c->cores[0].l3_rank == 0)
		what = shared ? "the largest (V-Cache), shared with what the host keeps of it"
			      : "the largest (V-Cache), and the guest's alone";
	else if (c->sizes_differ && one)
		what = "not the largest, which has too few cores to spare";
	else if (shared)
		what = "the host has the rest of the cores, and shares it";
	else
		what = "the guest's alone, the host pushes nothing out of it";
	strv_addf(&c->s->reasons, "L3 %s: %s", l3, what);
}

/* The groups of the guest's cores, and whether the host has cores there too. */
static void give_reasons(struct choice *c, size_t n, const struct wish *wish)
{
	_cleanup_free_ char *guest = cpulist_format(&c->s->guest);
	_cleanup_free_ char *rest = cpulist_format(&c->s->housekeeping);
	_cleanup_cpuset_ struct cpuset caches = { 0 }, host_caches = { 0 }, nodes = { 0 },
				       packages = { 0 };
	_cleanup_free_ char *node = NULL, *package = NULL;
	struct strv *reasons = &c->s->reasons;

	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];
		bool given = cpuset_has(&c->s->guest, cpu->cpu);

		if (cpu->l3 >= 0)
			cpuset_add(given ? &caches : &host_caches, (unsigned)cpu->l3);
		if (cpu->node >= 0 && given)
			cpuset_add(&nodes, (unsigned)cpu->node);
	}
	for (size_t i = 0; i < n; i++)
		if (c->cores[i].cpu->package >= 0)
			cpuset_add(&packages, (unsigned)c->cores[i].cpu->package);
	node = cpulist_format(&nodes);
	package = cpulist_format(&packages);
	strv_addf(reasons, "guest %s: %zu of %zu cores, whole, so that no sibling is shared", guest,
		  n, c->total);
	strv_addf(reasons,
		  "host %s: core 0 has the kernel's boot CPU and what cannot be moved; QEMU's own "
		  "threads run here too",
		  rest);
	if (c->kinds && c->cores[0].kind_rank == c->cores[n - 1].kind_rank)
		strv_addf(reasons,
			  "kind: performance cores for the guest, which is told that all of "
			  "its cores are alike");
	if (cpuset_count(&nodes) > 1)
		strv_addf(reasons, "nodes %s: no single one has so many cores to spare", node);
	else if (c->nodes && wish->gpu)
		strv_addf(reasons, "node %s: the GPU %s is there", node, wish->gpu);
	else if (c->nodes)
		strv_addf(reasons,
			  "node %s: it has memory, and core 0 is not there; --gpu ADDRESS chooses "
			  "that of a device",
			  node);
	else if (wish->gpu)
		strv_addf(reasons, "GPU %s: as near to every core, the machine has one node",
			  wish->gpu);
	if (c->packages && cpuset_count(&packages) > 1)
		strv_addf(reasons, "packages %s: no single one has so many cores to spare",
			  package);
	else if (c->packages && !c->nodes)
		strv_addf(reasons, "package %s: core 0 is in another one", package);
	if (c->halves)
		strv_addf(reasons,
			  "cores with a CPU offline are the last to be chosen: the guest could not "
			  "have siblings there");
	give_cache_reason(c, &caches, &host_caches);
}

static void give_warnings(struct choice *c, size_t n, const struct wish *wish)
{
	struct strv *warnings = &c->s->warnings;
	bool mixed = false, nodes = false, memoryless = false;

	for (size_t i = 0; i < n; i++) {
		const struct topo_cpu *cpu = c->cores[i].cpu;

		mixed |= strcmp(cpu->kind, c->cores[0].cpu->kind) != 0;
		nodes |= cpu->node != c->cores[0].cpu->node;
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
	if (nodes)
		strv_addf(warnings, "the guest spans nodes; ask for fewer vCPUs");
	if (memoryless)
		strv_addf(warnings, "a node of the guest has no memory of its own");
	if (wish->vcpus && c->s->n_vcpus != wish->vcpus)
		strv_addf(warnings, "%u vCPUs, not %u: cores are given away whole", c->s->n_vcpus,
			  wish->vcpus);
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
	_cleanup_free_ char *address = xstrdup(gpu), *path = NULL, *text = NULL;
	unsigned domain, bus, device, function;
	int end = 0;

	for (char *at = address; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	if (sscanf(address, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 ||
	    address[end] || end != 12 || function > 7)
		return err_set(
			err, ERR_USAGE,
			"--gpu \"%.40s\": expected a PCI address like 0000:01:00.0; lspci -D "
			"lists them",
			gpu);
	path = xasprintf("/sys/bus/pci/devices/%s/numa_node", address);
	if (sys_read_line(sys, path, &text) < 0)
		return err_set(err, ERR_USAGE,
			       "--gpu %s: there is no such PCI device; lspci -D lists them", gpu);
	*node = atoi(text);
	find_functions(sys, address, &s->devices);
	return 0;
}

int suggest(struct sys *sys, const struct topology *topo, const struct wish *wish,
	    struct suggestion *ret, struct err *err)
{
	_cleanup_suggestion_ struct suggestion s = { .node = -1 };
	struct choice c = { .topo = topo, .gpu_node = -1, .s = &s };
	size_t n = 0;
	int rc;

	if (wish->gpu && find_gpu(sys, wish->gpu, &c.gpu_node, &s, err) < 0)
		return -1;
	rank_cores(&c);
	rc = count_cores(&c, wish, &n, err);
	if (rc == 0) {
		take_cores(&c, n);
		give_reasons(&c, n, wish);
		place_iothreads(&c, wish->iothreads);
		give_warnings(&c, n, wish);
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
	cpuset_clear(&s->guest);
	cpuset_clear(&s->housekeeping);
	strv_clear(&s->devices);
	strv_clear(&s->reasons);
	strv_clear(&s->warnings);
	*s = (struct suggestion){ 0 };
}
