/* SPDX-License-Identifier: MIT */
/* CPU expressions: what they mean on a machine, what is refused and where. */
#include "shield/base/similar.h"
#include "shield/topology/expr.h"
#include "tests/fuzz/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* Two L3 caches and nodes: four cores with two CPUs each (n and n + 8) on the
 * first, larger one, four on the other; CPU 7 offline, so core 7 is CPU 15. */
static struct topology machine;

static int make_machine(void **state)
{
	(void)state;
	machine_make(&machine);
	return 0;
}

static int free_machine(void **state)
{
	(void)state;
	topology_clear(&machine);
	return 0;
}

static struct expr_env env_of(bool split)
{
	return (struct expr_env){ .topo = &machine, .split = split, .keep_first = true };
}

/* clang-format off */
static const struct {
	const char *text;
	bool split;
	const char *cpus;
} good[] = {
	{ "2-5",			true,	"2-5" },
	{ "2-5",			false,	"2-5,10-13" },
	{ "2",				false,	"2,10" },
	{ "0",				true,	"0" },
	{ "0-6:2",			true,	"0,2,4,6" },
	{ "2-6,^3",			true,	"2,4-6" },
	{ "2-6,^3",			false,	"2,4-6,10,12-14" },
	{ "2-3,10-11,^10",		false,	"3,11" },
	{ " 2 + 3 ",			true,	"2-3" },
	{ "2+3",			true,	"2-3" },
	{ "2-5 - 3",			false,	"2,4-5,10,12-13" },
	{ "2-5 & 4-6",			true,	"4-5" },
	{ "2 + 3-5 & 4",		true,	"2,4" },
	{ "(2 + 3-5) & 4",		true,	"4" },
	{ "core:1",			false,	"1,9" },
	{ "core:0",			false,	"0,8" },
	{ "core:1-2,5",			true,	"1-2,5,9-10,13" },
	{ "core:7",			false,	"15" },
	{ "l3:1",			false,	"4-6,12-15" },
	{ "l3:0",			false,	"1-3,9-11" },
	{ "l3:largest",			false,	"1-3,9-11" },
	{ "l3:largest + 0",		false,	"0-3,8-11" },
	{ "node:1",			false,	"4-6,12-15" },
	{ "package:0 & e-cores",	false,	"6,14-15" },
	{ "p-cores",			false,	"1-5,9-13" },
	{ "e-cores",			false,	"6,14-15" },
	{ "p-cores - core:1",		false,	"2-5,10-13" },
	{ "all",			false,	"1-6,9-15" },
	{ "all & 0",			false,	"0,8" },
	{ "cores:2",			false,	"6,14-15" },
	{ "cores:2@l3:0",		false,	"2-3,10-11" },
	{ "cores:3@p-cores",		false,	"3-5,11-13" },
	{ "cores:1@l3:0 + cores:1@l3:1", false,	"3,11,15" },
	{ "cores:2@cores:3@p-cores",	false,	"4-5,12-13" },
	{ "cores:7",			false,	"1-6,9-15" },
	{ "cores:4@0-3",		false,	"0-3,8-11" },
	{ "cores:2@core:0-1 - 1",	false,	"0,8" },
	{ "cores:3@l3:0 - core:1",	false,	"2-3,10-11" },
	{ "cores:3@l3:0 + core:0",	false,	"0-3,8-11" },
	{ "all + 8",			true,	"1-6,8-15" },
	{ "all - 9",			true,	"1-6,10-15" },
	{ "l3:1 - 4&5+6",		false,	"4-6,12-15" },
	{ "((2))+(3&(2+3))",		true,	"2-3" },
	{ "\t2\t&\t2-3\t",		true,	"2" },
	{ "2-5 -3",			true,	"2,4-5" },
	{ "^3,2-5",			true,	"2,4-5" },
	{ "0-14:7,^7",			true,	"0,14" },
	{ "5-8,^7",			true,	"5-6,8" },
	{ "02",				true,	"2" },
};

static const struct {
	const char *text;
	size_t at;
	const char *says;
} bad[] = {
	{ "",				0,	"names no CPU" },
	{ "  ",				2,	"names no CPU" },
	{ "5-2",			0,	"backwards" },
	{ "1,,2",			2,	"number is missing" },
	{ "0-3x",			3,	"unexpected \"x\"" },
	{ "2-",				2,	"number is missing" },
	{ "-1",				0,	"negative" },
	{ "99",				0,	"CPU 99 does not exist; this machine has 0-6,8-15" },
	{ "0-3,99",			4,	"CPU 99 does not exist" },
	{ "0-99",			0,	"CPU 7 is offline; bring it online" },
	{ "0-6,^99",			5,	"CPU 99 does not exist" },
	{ "0-7,^99",			5,	"CPU 99 does not exist" },
	{ "1,7",			2,	"CPU 7 is offline; bring it online with: echo 1 >" },
	{ "99999999999999999999",	0,	"too large" },
	{ "2147483648",			0,	"too large" },
	{ "0-6:0",			4,	"stride" },
	{ "^3",				0,	"nothing to exclude from" },
	{ "0-3-1",			3,	"space before" },
	{ "0-3:2:1",			5,	"unexpected \":\"" },
	{ "2 3",			2,	"operator is missing" },
	{ "2 +",			3,	"missing" },
	{ "+ 2",			0,	"expected" },
	{ "2 & ",			4,	"missing" },
	{ "(2",				2,	"\")\" is missing" },
	{ "2)",				1,	"closes nothing" },
	{ "2 ; 3",			2,	"unexpected" },
	{ "p-coers",			0,	"did you mean \"p-cores\"?" },
	{ "P-cores",			0,	"did you mean \"p-cores\"?" },
	{ "frobnicate",			0,	"unknown word" },
	{ "p-cores-2",			7,	"space before" },
	{ "all-2",			3,	"space before" },
	{ "core",			4,	"\":\" and a number" },
	{ "core:",			5,	"number is missing" },
	{ "core:8",			5,	"core 8 does not exist; this machine has 0-7" },
	{ "l3:2",			3,	"does not exist" },
	{ "l3:larges",			3,	"did you mean that" },
	{ "l3:biggest",			3,	"has a number" },
	{ "l3:largest,1",		10,	"only numbers are listed" },
	{ "node:largest",		5,	"number is missing" },
	{ "core:-1",			5,	"negative" },
	{ "core:^3",			5,	"nothing to exclude from" },
	{ "core: 2",			5,	"number is missing" },
	{ "core :2",			4,	"\":\" and a number" },
	{ "all,^3",			3,	"only numbers are listed" },
	{ "()",				1,	"expected" },
	{ "2, 3",			2,	"number is missing" },
	{ "2 ,3",			2,	"unexpected" },
	{ "2.5",			1,	"unexpected" },
	{ "0x2",			1,	"unexpected \"x\"" },
	{ "0-0x3",			3,	"unexpected \"x\"" },
	{ "2-7,^^3",			5,	"number is missing" },
	{ "0-6:-2",			4,	"negative" },
	{ "0-6:99999999999",		4,	"too large" },
	{ "2 + - 3",			4,	"negative" },
	{ "all - (l3:0 - 2",		15,	"\")\" is missing" },
	{ "all & node:0 + 2-core:1",	17,	"number is missing" },
	{ "2147483648-3",		0,	"too large" },
	{ "2-4294967298",		2,	"too large" },
	{ "all:2",			3,	"takes no number" },
	{ "lp-e-cores",			0,	"no lp-e-cores" },
	{ "cores:0",			6,	"how many" },
	{ "cores:9",			6,	"9 whole cores are not there, only 7: core 0 stays" },
	{ "cores:8",			6,	"only 7: core 0 stays" },
	{ "cores:1@near:0000:01:00.0",	13,	"no PCI device" },
	{ "cores:1@(l3:0)",		8,	"expected" },
	{ "cores:1@ l3:0",		8,	"expected" },
	{ "cores:-1",			6,	"how many" },
	{ "cores:99999999999999999999",	6,	"how many" },
	{ "cores:4@l3:0",		6,	"only 3: core 0 stays" },
	{ "cores:2@",			8,	"missing" },
	{ "near",			4,	"PCI address" },
	{ "near:gpu",			5,	"PCI address" },
	{ "near:01:00.0",		5,	"no PCI device" },
	{ "near:0000:0A:1F.7",		5,	"no PCI device" },
	{ "near:01:20.0",		5,	"PCI address" },
	{ "near:../../etc/passwd",	5,	"PCI address" },
	{ "near:0000:01:00.0",		5,	"no PCI device" },
	{ "near:10000:e1:00.0",		5,	"no PCI device" },
	{ "near:000:e1:00.0",		5,	"PCI address" },
	{ "housekeeping",		0,	"cannot be named here" },
	{ "2 - 2",			0,	"no CPU is left" },
	{ "2 \xc3\xa9",			2,	"unexpected" },
};
/* clang-format on */

static int no_open(void *ctx, const char *path, int flags)
{
	(void)ctx;
	(void)path;
	(void)flags;
	return -2;
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		_cleanup_free_ char *list = NULL;
		struct expr_env env = env_of(good[i].split);
		struct err err = { 0 };

		if (expr_eval(&env, good[i].text, &set, NULL, &err) < 0)
			fail_msg("\"%s\": %s", good[i].text, err.text);
		list = cpulist_format(&set);
		if (strcmp(list, good[i].cpus) != 0)
			fail_msg("\"%s\" is %s, not %s", good[i].text, list, good[i].cpus);
	}
}

static void test_bad(void **state)
{
	static const struct sys_ops ops = { .open = no_open };
	struct sys sys = { .ops = &ops };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		struct expr_env env = env_of(false);
		struct err err = { 0 };
		const char *caret;

		env.sys = &sys;
		if (expr_eval(&env, bad[i].text, &set, NULL, &err) == 0)
			fail_msg("\"%s\" was accepted", bad[i].text);
		assert_int_equal(err.kind, ERR_USAGE);
		if (!strstr(err.text, bad[i].says))
			fail_msg("\"%s\": %s", bad[i].text, err.text);
		if (env.at != bad[i].at)
			fail_msg("\"%s\": at %zu, not %zu", bad[i].text, env.at, bad[i].at);
		caret = strrchr(err.text, '\n');
		if (!*bad[i].text) {
			assert_null(caret);
			continue;
		}
		assert_non_null(caret);
		assert_int_equal(strlen(caret), 1 + 4 + bad[i].at + 1);
		assert_true(cpuset_empty(&set));
	}
}

static void test_long(void **state)
{
	char text[5000] = { 0 };
	_cleanup_cpuset_ struct cpuset set = { 0 };
	struct expr_env env = env_of(false);
	struct err err = { 0 };

	(void)state;
	memset(text, '(', 4000);
	assert_int_equal(expr_eval(&env, text, &set, NULL, &err), -1);
	assert_non_null(strstr(err.text, "parentheses"));
	memset(text, '2', sizeof(text) - 1);
	assert_int_equal(expr_eval(&env, text, &set, NULL, &err), -1);
	assert_non_null(strstr(err.text, "longer than"));
	/* The caret is shown even far to the right. */
	memset(text, ' ', 300);
	snprintf(text + 300, 8, "x");
	assert_int_equal(expr_eval(&env, text, &set, NULL, &err), -1);
	assert_int_equal(strcspn(strrchr(err.text, '\n'), "^"), 1 + 4 + 40);
}

static void test_notes(void **state)
{
	_cleanup_strv_ struct strv notes = { 0 };
	_cleanup_cpuset_ struct cpuset set = { 0 }, rest = { 0 };
	struct expr_env env = env_of(false);

	(void)state;
	assert_int_equal(expr_eval(&env, "2-3,10", &set, &notes, NULL), 0);
	assert_int_equal(notes.n, 1);
	assert_memory_equal(notes.items[0], "CPU 11 added", 12);
	assert_int_equal(expr_eval(&env, "2 + 10", &set, &notes, NULL), 0);
	assert_int_equal(notes.n, 1);
	assert_int_equal(expr_eval(&env, "all", &set, &notes, NULL), 0);
	assert_int_equal(notes.n, 2);
	assert_memory_equal(notes.items[1], "CPU 0,8 stays", 13);
	cpuset_add(&rest, 3);
	env.housekeeping = &rest;
	assert_int_equal(expr_eval(&env, "housekeeping", &set, NULL, NULL), 0);
	assert_true(cpuset_equal(&set, &rest));
}

static void test_similar(void **state)
{
	static const char *const words[] = { "guest", "emulator", "user", "smt" };

	(void)state;
	assert_string_equal(similar_find("gest", words, 4), "guest");
	assert_string_equal(similar_find("geust", words, 4), "guest");
	assert_string_equal(similar_find("Emulator", words, 4), "emulator");
	assert_string_equal(similar_find("mst", words, 4), "smt");
	assert_null(similar_find("frobnicate", words, 4));
	assert_null(similar_find("", words, 4));
	assert_null(similar_find("x", words, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long),	cmocka_unit_test(test_notes),
		cmocka_unit_test(test_similar),
	};

	return cmocka_run_group_tests(tests, make_machine, free_machine);
}
