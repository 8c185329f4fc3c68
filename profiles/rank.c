/* SPDX-License-Identifier: MIT */
#include "profiles/rank.h"

#include <string.h>

/* P before E before LP-E; of K0, K1, … the highest number is the strongest. */
static int kind_rank(const char *kind)
{
	static const char *const order[] = { "", "P", "E", "LP-E" };

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (strcmp(kind, order[i]) == 0)
			return (int)i;
	return 1000 - atoi(kind + 1);
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
	return rank_same_sort(x, y) && x->cpu->package == y->cpu->package;
}

bool rank_same_cache(const struct core *x, const struct core *y)
{
	return rank_same_node(x, y) && rank_same_package(x, y) && x->cpu->l3 == y->cpu->l3;
}

static int by_node(const struct core *x, const struct core *y)
{
	int order = x->node_rank - y->node_rank;

	order = order ? order : y->node_size - x->node_size;
	return order ? order : x->cpu->node - y->cpu->node;
}

static int by_package(const struct core *x, const struct core *y)
{
	int order = x->package_rank - y->package_rank;

	order = order ? order : y->package_size - x->package_size;
	return order ? order : x->cpu->package - y->cpu->package;
}

static int compare(const struct core *x, const struct core *y, bool package_first)
{
	int order = x->kind_rank - y->kind_rank;

	order = order ? order : x->thread_rank - y->thread_rank;
	order = order ? order : package_first ? by_package(x, y) : by_node(x, y);
	order = order ? order : package_first ? by_node(x, y) : by_package(x, y);
	order = order ? order : x->l3_rank - y->l3_rank;
	order = order ? order : x->cpu->l3 - y->cpu->l3;
	/* The last cores first: the host keeps the low numbers. */
	return order ? order : (int)y->cpu->cpu - (int)x->cpu->cpu;
}

static int by_package_first(const void *a, const void *b)
{
	return compare(a, b, true);
}

static int by_node_first(const void *a, const void *b)
{
	return compare(a, b, false);
}

unsigned rank_distance(struct sys *sys, int from, int to)
{
	_cleanup_free_ char *path = xasprintf("/sys/devices/system/node/node%d/distance", from);
	_cleanup_free_ char *text = NULL;
	_cleanup_cpuset_ struct cpuset nodes = { 0 };
	char *at;

	if (from == to)
		return 10;
	if (sys_read_cpulist(sys, "/sys/devices/system/node/online", &nodes) < 0 ||
	    sys_read_line(sys, path, &text) < 0)
		return 20;
	at = text;
	for (int n = cpuset_next(&nodes, -1); n >= 0; n = cpuset_next(&nodes, n)) {
		char *end;
		unsigned long distance = strtoul(at, &end, 10);

		if (end == at)
			return 20;
		if (n == to)
			return distance < 1000 ? (unsigned)distance : 1000;
		at = end;
	}
	return 20;
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

/* Has a CPU of this node, or of this package, the number in that field? */
static bool node_has_l3(const struct topology *topo, int node, int l3)
{
	for (size_t i = 0; i < topo->n && l3 >= 0; i++)
		if (topo->cpus[i].node == node && topo->cpus[i].l3 == l3)
			return true;
	return false;
}

static bool package_has_node(const struct topology *topo, int package, int node)
{
	for (size_t i = 0; i < topo->n; i++)
		if (topo->cpus[i].package == package && topo->cpus[i].node == node)
			return true;
	return false;
}

/* The GPU's node, then those near to it; else those with memory, without core 0,
 * whose cache core 0 does not use (nodes within one cache). */
static int node_rank(const struct choice *c, const struct topo_cpu *cpu)
{
	const struct topo_cpu *zero = &c->topo->cpus[0];
	bool memoryless = cpu->node >= 0 && cpuset_has(&c->topo->memoryless, (unsigned)cpu->node);
	int near = 0;

	if (c->base >= 0)
		near = (int)rank_distance(c->sys, c->base, cpu->node);
	if (c->gpu_node >= 0)
		return cpu->node == c->gpu_node ? 0 : 100000 * memoryless + near;
	return 100000 * memoryless + 20000 * (cpu->node == zero->node) +
	       10000 * (!c->sizes_differ && node_has_l3(c->topo, cpu->node, zero->l3)) + near;
}

static int package_rank(const struct choice *c, const struct topo_cpu *cpu)
{
	int near = 0;

	if (c->gpu_node >= 0 && c->packages_hold_nodes)
		near = package_has_node(c->topo, cpu->package, c->gpu_node) ? 0 : 2;
	return near + (cpu->package == c->topo->cpus[0].package);
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
	core->node_rank = node_rank(c, cpu);
	core->package_rank = package_rank(c, cpu);
	core->l3_rank = c->sizes_differ ? cpu->l3_bytes != largest : cpu->l3 == zero->l3;
}

/* Of two that rank alike, that which has more cores to give. */
static void measure(struct choice *c)
{
	for (size_t i = 0; i < c->n; i++) {
		c->cores[i].node_size = c->cores[i].package_size = 0;
		for (size_t k = 0; k < c->n; k++) {
			c->cores[i].node_size += rank_same_node(&c->cores[i], &c->cores[k]);
			c->cores[i].package_size += rank_same_package(&c->cores[i], &c->cores[k]);
		}
	}
}

static void sort(struct choice *c)
{
	for (size_t i = 0; i < c->n; i++)
		rank(c, &c->cores[i]);
	measure(c);
	qsort(c->cores, c->n, sizeof(*c->cores),
	      c->packages_hold_nodes ? by_package_first : by_node_first);
}

static void compare_cpus(struct choice *c)
{
	const struct topo_cpu *zero = &c->topo->cpus[0];

	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];

		c->kinds |= strcmp(cpu->kind, zero->kind) != 0;
		c->nodes |= cpu->node != zero->node;
		c->packages |= cpu->package != zero->package;
		c->caches |= cpu->l3 >= 0 && zero->l3 >= 0 && cpu->l3 != zero->l3;
		c->sizes_differ |= cpu->l3 >= 0 && zero->l3 >= 0 && cpu->l3_bytes != zero->l3_bytes;
		for (size_t k = 0; k < i; k++)
			c->packages_hold_nodes |= c->topo->cpus[k].package == cpu->package &&
						  c->topo->cpus[k].node != cpu->node;
	}
}

void rank_cores(struct choice *c)
{
	c->cores = xcalloc(c->topo->n, sizeof(*c->cores));
	c->base = c->gpu_node;
	compare_cpus(c);
	for (size_t i = 0; i < c->topo->n; i++) {
		const struct topo_cpu *cpu = &c->topo->cpus[i];

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu)
			continue;
		c->total++;
		if (i > 0)
			c->cores[c->n++].cpu = cpu;
	}
	sort(c);
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

/* Move one group among the first `end` cores that holds what is asked for to the
 * front, if it is of the best sort; the order stays otherwise. Returns its size,
 * or end if there is none. */
static size_t prefer_one(struct choice *c, size_t end, unsigned cpus, rank_same_fn *same)
{
	for (size_t from = 0, to; from < end; from = to) {
		const struct core *first = &c->cores[from];
		_cleanup_free_ struct core *moved = NULL;

		if (!rank_same_sort(first, &c->cores[0]))
			return end;
		for (to = from; to < end && same(&c->cores[to], first);)
			to++;
		if (!cores_for(c, from, to, cpus))
			continue;
		moved = xcalloc(to - from, sizeof(*moved));
		memcpy(moved, first, (to - from) * sizeof(*moved));
		memmove(c->cores + (to - from), c->cores, from * sizeof(*moved));
		memcpy(c->cores, moved, (to - from) * sizeof(*moved));
		return to - from;
	}
	return end;
}

/* Give each core the turn of its node; returns how many nodes the first n have. */
static size_t take_turns(struct choice *c, size_t n)
{
	size_t turns = 0, nodes = 0;

	for (size_t i = 0; i < c->n; i++) {
		size_t k = 0;

		while (c->cores[k].cpu->node != c->cores[i].cpu->node)
			k++;
		c->cores[i].turn = k < i ? c->cores[k].turn : turns++;
		if (i < n)
			nodes = turns;
	}
	return nodes;
}

/* Of n cores on several nodes each node gives as many, as far as it has them. */
static void share(struct choice *c, size_t n, size_t nodes)
{
	_cleanup_free_ struct core *cores = xcalloc(c->n, sizeof(*cores));
	_cleanup_free_ bool *taken = xcalloc(c->n, sizeof(*taken));
	size_t have = 0;

	for (size_t turn = 0; have < n; turn = (turn + 1) % nodes)
		for (size_t i = 0; i < c->n; i++) {
			if (taken[i] || c->cores[i].turn != turn ||
			    !rank_same_sort(&c->cores[i], &c->cores[0]))
				continue;
			taken[i] = true;
			cores[have++] = c->cores[i];
			break;
		}
	for (size_t i = 0; i < c->n; i++)
		if (!taken[i])
			cores[have++] = c->cores[i];
	memcpy(c->cores, cores, c->n * sizeof(*cores));
}

/* The groups from the largest to the smallest, each inside the one before. */
static size_t narrow(struct choice *c, unsigned cpus)
{
	rank_same_fn *const groups[] = {
		c->packages_hold_nodes ? rank_same_package : rank_same_node,
		c->packages_hold_nodes ? rank_same_node : rank_same_package,
		rank_same_cache,
	};
	size_t end = c->n;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		end = prefer_one(c, end, cpus, groups[i]);
	return end;
}

size_t rank_choose(struct choice *c, unsigned cpus, size_t most)
{
	size_t n, nodes;

	narrow(c, cpus);
	/* Of several nodes those that are near to each other. */
	if (c->nodes && c->base < 0 && c->cores[0].cpu->node >= 0) {
		c->base = c->cores[0].cpu->node;
		sort(c);
		narrow(c, cpus);
	}
	n = cores_for(c, 0, most, cpus);
	nodes = take_turns(c, n);
	/* Beside a GPU as many as its node has. */
	if (nodes > 1 && c->gpu_node < 0 && rank_same_sort(&c->cores[0], &c->cores[n - 1]))
		share(c, n, nodes);
	return n;
}
