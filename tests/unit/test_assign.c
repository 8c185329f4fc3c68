/* SPDX-License-Identifier: MIT */
/* Which CPU each vCPU gets. */
#include "shield/ops/assign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* 8 cores of two CPUs, i and i + 8. */
static void machine(struct topology *topo)
{
	*topo = (struct topology){ .n = 16, .cpus = xcalloc(16, sizeof(*topo->cpus)) };
	for (unsigned cpu = 0; cpu < 16; cpu++) {
		topo->cpus[cpu] = (struct topo_cpu){ .cpu = cpu, .core = (int)(cpu % 8) };
		cpuset_add(&topo->cpus[cpu].siblings, cpu % 8);
		cpuset_add(&topo->cpus[cpu].siblings, cpu % 8 + 8);
		cpuset_add(&topo->online, cpu);
	}
}

/*
 * The guest as socket.die.core.thread of each vCPU, as QEMU numbers them ("-": QMP
 * does not say), the guest CPUs, and the CPU of each.
 */
static const struct {
	const char *name, *vcpus, *guest, *cpus;
} cases[] = {
	{ "threads=2: siblings on siblings", "0.0.0.0 0.0.0.1 0.0.1.0 0.0.1.1", "2-3,10-11",
	  "2 10 3 11" },
	{ "threads=2, cores to spare: still siblings", "0.0.0.0 0.0.0.1 0.0.1.0 0.0.1.1",
	  "2-7,10-15", "2 10 3 11" },
	{ "threads=2, numbered otherwise", "0.0.0.0 0.0.1.0 0.0.0.1 0.0.1.1", "2-3,10-11",
	  "2 3 10 11" },
	{ "threads=1, cores enough: a core each", "0.0.0.0 0.0.1.0 0.0.2.0 0.0.3.0", "2-7,10-15",
	  "2 3 4 5" },
	{ "threads=1, too few cores: side by side", "0.0.0.0 0.0.1.0 0.0.2.0 0.0.3.0", "2-3,10-11",
	  "2 10 3 11" },
	{ "two sockets with the same core numbers", "0.0.0.0 0.0.0.1 1.0.0.0 1.0.0.1", "2-3,10-11",
	  "2 10 3 11" },
	{ "two dies with the same core numbers", "0.0.0.0 0.1.0.0", "2-7,10-15", "2 3" },
	{ "threads=4 on cores of two", "0.0.0.0 0.0.0.1 0.0.0.2 0.0.0.3", "2-3,10-11",
	  "2 10 3 11" },
	{ "split siblings: half a core cannot hold two", "0.0.0.0 0.0.0.1 0.0.1.0 0.0.1.1", "2-5",
	  "2 3 4 5" },
	{ "unknown, cores enough", "- - -", "2-7,10-15", "2 3 4" },
	{ "unknown, too few cores", "- - - -", "2-3,10-11", "2 10 3 11" },
	{ "one vCPU", "0.0.0.0", "7", "7" },
	{ "three of four, a core and a half", "0.0.0.0 0.0.0.1 0.0.1.0", "2-3,10-11", "2 10 3" },
};

static void read_vcpus(const char *text, struct vm_vcpus *vcpus)
{
	_cleanup_free_ char *copy = xstrdup(text);
	char *save = NULL;
	unsigned index = 0;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save), index++) {
		struct vm_vcpu *v = vm_vcpus_add(vcpus, index, (pid_t)(100 + index));

		if (*w != '-')
			assert_int_equal(
				sscanf(w, "%d.%d.%d.%d", &v->socket, &v->die, &v->core, &v->thread),
				4);
	}
}

static void pairs(void **state)
{
	_cleanup_topology_ struct topology topo = { 0 };

	(void)state;
	machine(&topo);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
		_cleanup_cpuset_ struct cpuset guest = { 0 };
		_cleanup_free_ char *got = xstrdup("");
		struct err err = { 0 };
		unsigned cpus[16];

		read_vcpus(cases[i].vcpus, &vcpus);
		assert_int_equal(cpulist_parse(cases[i].guest, &guest, NULL), 0);
		assert_int_equal(assign_vcpus(&topo, &guest, &vcpus, cpus, &err), 0);
		for (size_t v = 0; v < vcpus.n; v++) {
			char *longer = xasprintf("%s%s%u", got, v ? " " : "", cpus[v]);

			free(got);
			got = longer;
		}
		if (strcmp(got, cases[i].cpus) != 0)
			fail_msg("%s: %s instead of %s", cases[i].name, got, cases[i].cpus);
	}
}

static void too_many(void **state)
{
	_cleanup_topology_ struct topology topo = { 0 };
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	_cleanup_cpuset_ struct cpuset guest = { 0 };
	struct err err = { 0 };
	unsigned cpus[4];

	(void)state;
	machine(&topo);
	read_vcpus("- - -", &vcpus);
	cpuset_add(&guest, 2);
	cpuset_add(&guest, 10);
	assert_int_equal(assign_vcpus(&topo, &guest, &vcpus, cpus, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, "3 vCPUs"));
}

static void listed(void **state)
{
	static const unsigned map[] = { 11, 2, 10 };
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };
	unsigned cpus[4];

	(void)state;
	vm_vcpus_add(&vcpus, 0, 100);
	vm_vcpus_add(&vcpus, 2, 102); /* 1 is not plugged in */
	assert_int_equal(assign_listed(map, 3, &vcpus, cpus, &err), 0);
	assert_int_equal(cpus[0], 11);
	assert_int_equal(cpus[1], 10);
	vm_vcpus_add(&vcpus, 3, 103);
	assert_int_equal(assign_listed(map, 3, &vcpus, cpus, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_non_null(strstr(err.text, "vCPU 3"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(too_many),
		cmocka_unit_test(listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
