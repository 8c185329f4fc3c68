/* SPDX-License-Identifier: MIT */
/* The machine as hwloc tells it, on generated machines. */
#include "shield/topology/map.h"
#include "shield/topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* In memory: these are 50,000 files. */
static char folder[] = "/dev/shm/shield-test-topology.XXXXXX";

static int setup(void **state)
{
	_cleanup_free_ char *command = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	command = xasprintf("'%s/machines/generate' '%s' i9-9900k i7-13700k ultra7-155h rk3588 "
			    "ryzen-7950x3d threadripper-2990wx gaps one-cpu xeon-1024 "
			    "arm-two-sorts arm-four-sorts amd-dense",
			    TESTS_DIR, folder);
	return system(command);
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", folder);

	(void)state;
	return system(command);
}

static int load_below(const char *root, struct topology *topo, struct err *err)
{
	struct sys sys;
	int rc;

	sys_open_real(&sys, root);
	rc = topology_load(&sys, topo, err);
	sys_close_real(&sys);
	return rc;
}

static void load(const char *name, struct topology *topo)
{
	_cleanup_free_ char *root = xasprintf("%s/%s", folder, name);
	struct err err = { 0 };

	if (load_below(root, topo, &err) < 0)
		fail_msg("%s: %s", name, err.text);
}

static void expect_set(const struct cpuset *set, const char *list)
{
	_cleanup_free_ char *text = cpulist_format(set);

	assert_string_equal(text, list);
}

static void test_siblings(void **state)
{
	_cleanup_topology_ struct topology topo = { 0 };
	_cleanup_cpuset_ struct cpuset set = { 0 };
	const struct topo_cpu *cpu;

	(void)state;
	load("i9-9900k", &topo);
	assert_int_equal(topo.n, 16);
	expect_set(&topo.online, "0-15");
	cpu = topology_cpu(&topo, 10);
	assert_non_null(cpu);
	assert_int_equal(cpu->core, 2);
	assert_int_equal(cpu->l3_bytes, 16 << 20);
	assert_string_equal(cpu->kind, "");
	expect_set(&cpu->siblings, "2,10");
	assert_null(topology_cpu(&topo, 16));

	cpuset_add_range(&set, 2, 5);
	assert_int_equal(topology_whole_cores(&topo, &set), 0);
	topology_complete(&topo, &set);
	expect_set(&set, "2-5,10-13");
	assert_int_equal(topology_whole_cores(&topo, &set), 4);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *machine;
		unsigned cpu;
		const char *kind;
	} expected[] = {
		{ "i7-13700k", 0, "P" },       { "i7-13700k", 15, "P" },
		{ "i7-13700k", 16, "E" },      { "ultra7-155h", 11, "P" },
		{ "ultra7-155h", 12, "E" },    { "ultra7-155h", 20, "LP-E" },
		{ "rk3588", 0, "E" },	       { "rk3588", 7, "P" },
		{ "ryzen-7950x3d", 0, "" },    { "arm-two-sorts", 0, "E" },
		{ "arm-two-sorts", 5, "P" },   { "arm-two-sorts", 10, "E" },
		{ "arm-two-sorts", 19, "P" },  { "arm-four-sorts", 2, "K0" },
		{ "arm-four-sorts", 4, "K1" }, { "arm-four-sorts", 5, "K1" },
		{ "arm-four-sorts", 7, "K2" }, { "amd-dense", 3, "P" },
		{ "amd-dense", 4, "E" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		_cleanup_topology_ struct topology topo = { 0 };

		load(expected[i].machine, &topo);
		assert_string_equal(topology_cpu(&topo, expected[i].cpu)->kind, expected[i].kind);
	}
}

static void test_caches_and_nodes(void **state)
{
	_cleanup_topology_ struct topology x3d = { 0 }, many = { 0 };

	(void)state;
	load("ryzen-7950x3d", &x3d);
	assert_int_equal(topology_cpu(&x3d, 7)->l3_bytes, 96 << 20);
	assert_int_equal(topology_cpu(&x3d, 8)->l3_bytes, 32 << 20);
	assert_int_equal(topology_cpu(&x3d, 23)->l3, topology_cpu(&x3d, 0)->l3);
	load("threadripper-2990wx", &many);
	assert_int_equal(topology_cpu(&many, 8)->node, 2);
	assert_int_equal(topology_cpu(&many, 16)->node, 1);
}

static void test_sizes(void **state)
{
	_cleanup_topology_ struct topology one = { 0 }, many = { 0 }, gaps = { 0 };

	(void)state;
	load("one-cpu", &one);
	assert_int_equal(one.n, 1);
	assert_int_equal(topology_whole_cores(&one, &one.online), 1);
	load("xeon-1024", &many);
	assert_int_equal(many.n, 1024);
	assert_int_equal(topology_whole_cores(&many, &many.online), 512);
	expect_set(&topology_cpu(&many, 1023)->siblings, "511,1023");
	load("gaps", &gaps);
	expect_set(&gaps.online, "0-2,4-7,12-15");
	expect_set(&gaps.present, "0-7,12-15");
	assert_null(topology_cpu(&gaps, 3));
	expect_set(&topology_cpu(&gaps, 13)->siblings, "13");
}

static void test_no_machine(void **state)
{
	_cleanup_topology_ struct topology topo = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(load_below("/tmp", &topo, &err), -1);
	assert_int_equal(err.kind, ERR_UNSUPPORTED);
	assert_int_equal(topo.n, 0);
	/* The machine that runs this. */
	assert_int_equal(load_below("", &topo, &err), 0);
	assert_true(topo.n >= 1);
}

static void test_map(void **state)
{
	_cleanup_topology_ struct topology topo = { 0 };
	struct topo_owner owners[2] = { { .name = "win11" }, { .name = "other" } };
	_cleanup_free_ char *text = NULL, *guest = NULL, *emulator = NULL, *host = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	load("i9-9900k", &topo);
	cpuset_add_range(&owners[0].guest, 2, 5);
	cpuset_add_range(&owners[0].guest, 10, 13);
	cpuset_add(&owners[0].emulator, 1);
	cpuset_add(&owners[1].guest, 7);
	map_print(&topo, owners, 2, 96, false, out);
	fclose(out);
	assert_string_equal(
		text, "package 0, node 0, L3 0 (16 MiB)\n"
		      "       0. 8.   1a 9.   2A 10A  3A 11A  4A 12A  5A 13A  6. 14.  7B 15.\n"
		      "\n"
		      ".  host                      0,6,8-9,14-15\n"
		      "A  guest of win11            2-5,10-13\n"
		      "a  emulator of win11         1\n"
		      "B  guest of other            7\n");
	guest = owner_text(owners, 2, 7);
	emulator = owner_text(owners, 2, 1);
	host = owner_text(owners, 2, 0);
	assert_string_equal(guest, "guest:other");
	assert_string_equal(emulator, "emulator:win11");
	assert_string_equal(host, "host");
	for (size_t i = 0; i < 2; i++) {
		cpuset_clear(&owners[i].guest);
		cpuset_clear(&owners[i].emulator);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siblings),	 cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_caches_and_nodes), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_machine),	 cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
