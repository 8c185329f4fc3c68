#include "profiles/rank.h"

#include <string.h>

static int kind_rank(const char *kind)
{
	static const char *const order[] = { "", "P", "K9", "K2", "K1", "E", "K0", "LP-E" };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (strcmp(kind, order[i]) == 0)
			return (int)i;
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct core *x = a, *y = b;
	int order = x->kind_rank - y->kind_rank;

	order = order ? order : x->thread_rank - y->thread_rank;
	order = order ? order : x->node_rank - y->node_rank;
	order = order ? order : y->node_size - x->node_size;
	order = order ? order : x->cpu->node - y->cpu->node;
	order = order ? order : x->package_rank - y->package_rank;
	order = order ? order : y->package_size - x->package_size;
	order = order ? order : x->cpu->package - y->cpu->package;
	order = order ? order : x->l3_rank - y->l3_rank;
	order = order ? order : x->cpu->l3 - y->cpu->l3;
	/* The last cores first: the host keeps the low numbers. */
	return order ? order : (int)y->cpu->cpu - (int)x->cpu->cpu;
}

bool rank_same_sort(const struct core *x, const struct core *y)
{
	return x->kind_rank == y->kind_rank && x->thread_rank == y->thread_rank;
}

bool rank_same_node(const struct core *x, const struct core *y)
{
	return rank_same_sort(x, y) && x->cpu->node == y->cpu->node;
}

bool rank_same_package(const struct core *x, const struct core *y)
{
	return rank_same_node(x, y) && x->cpu->package == y->cpu->package;
}

bool rank_same_cache(const struct core *x, const struct core *y)
{
	return rank_same_package(x, y) && x->cpu->l3 == y->cpu->l3;
}

/* What the machine has the most of, over all of its cores. */
static void find_most(const struct topology *topo, const char *kind, unsigned *threads,
		      uint64_t *cache)
{
	*threads = 0;
	*cache = 0;
	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = &topo->cpus[i];
		unsigned n = cpuset_count(&cpu->siblings);

		if (n > *threads && strcmp(cpu->kind, kind) == 0)
			*threads = n;
		if (cpu->l3_bytes > *cache)
			*cache = cpu->l3_bytes;
	}
}

static void rank(struct choice *c, struct core *core)
{
	const struct topo_cpu *zero = &c->topo->cpus[0], *cpu = core->cpu;
	unsigned threads;
	uint64_t largest;

	find_most(c->topo, cpu->kind, &threads, &largest);
	core->kind_rank = kind_rank(cpu->kind);
	core->thread_rank = cpuset_count(&cpu->siblings) != threads;
	c->halves |= core->thread_rank;
	if (c->gpu_node >= 0)
		core->node_rank = cpu->node != c->gpu_node;
	else
		core->node_rank = 2 * (cpu->node >= 0 &&
				       cpuset_has(&c->topo->memoryless, (unsigned)cpu->node)) +
				  (cpu->node == zero->node);
	core->package_rank = cpu->package == zero->package;
	core->l3_rank = c->sizes_differ ? cpu->l3_bytes != largest : cpu->l3 == zero->l3;
}

/* Of two that rank alike, that which has more cores to give. */
static void measure(struct choice *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < c->n; k++) {
			c->cores[i].node_size += rank_same_node(&c->cores[i], &c->cores[k]);
			c->cores[i].package_size += rank_same_package(&c->cores[i], &c->cores[k]);
		}
}

void rank_cores(struct choice *c)
{
	const struct topo_cpu *zero = &c->topo->cpus[0];

	c->cores = xcalloc(c->topo->n, sizeof(*c->cores));
	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];

		c->kinds |= strcmp(cpu->kind, zero->kind) != 0;
		c->nodes |= cpu->node != zero->node;
		c->packages |= cpu->package != zero->package;
		c->caches |= cpu->l3 >= 0 && zero->l3 >= 0 && cpu->l3 != zero->l3;
		c->sizes_differ |= cpu->l3 >= 0 && zero->l3 >= 0 && cpu->l3_bytes != zero->l3_bytes;
	}
	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu)
			continue;
		c->total++;
		if (cpu == zero)
			continue;
		c->cores[c->n].cpu = cpu;
		rank(c, &c->cores[c->n++]);
	}
	measure(c);
	qsort(c->cores, c->n, sizeof(*c->cores), compare);
}
