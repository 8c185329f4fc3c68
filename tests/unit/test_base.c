/* SPDX-License-Identifier: MIT */
/* CPU sets and their texts: what is accepted, what is refused and how. */
#include "shield/base/cpuset.h"
#include "shield/base/pci_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

/* clang-format off */
static const struct {
	const char *text, *canonical;
} good_lists[] = {
	{ "",			"" },
	{ "\n",			"" },
	{ " \t\n",		"" },
	{ "0",			"0" },
	{ "0\n",		"0" },
	{ "  3-5 ",		"3-5" },
	{ "0-3,8",		"0-3,8" },
	{ "8,0-3",		"0-3,8" },
	{ "0,1,2",		"0-2" },
	{ "0-3,2-5",		"0-5" },
	{ "5-5",		"5" },
	{ "007",		"7" },
	{ "0-10:2",		"0,2,4,6,8,10" },
	{ "0-10:100",		"0" },
	{ "1-9:3",		"1,4,7" },
	{ "0-7,^3",		"0-2,4-7" },
	{ "^3,0-7",		"0-2,4-7" },
	{ "0-7,^2-5",		"0-1,6-7" },
	{ "0-7,^0-7:2",		"1,3,5,7" },
	{ "^3",			"" },
	{ "0-1023",		"0-1023" },
	{ "1024-1025,2047",	"1024-1025,2047" },
	{ "65535",		"65535" },
};

/* With the character at which the message must point. */
static const struct {
	const char *text;
	unsigned at;
	const char *says;
} bad_lists[] = {
	{ "5-2",		1, "backwards" },
	{ "0,7-3",		3, "backwards" },
	{ "1,,2",		3, "missing" },
	{ ",1",			1, "missing" },
	{ "1,",			3, "missing" },
	{ "1,\n",		3, "missing" },
	{ "0-3x",		4, "unexpected text" },
	{ "2-",			3, "missing" },
	{ "2-,3",		3, "missing" },
	{ "-1",			1, "negative" },
	{ "1,-1",		3, "negative" },
	{ "1--2",		3, "negative" },
	{ "1-2-3",		4, "unexpected text" },
	{ "99999999999999999999", 1, "too large" },
	{ "4294967296",		1, "too large" },
	{ "4294967297-4294967299", 1, "too large" },
	{ "65536",		1, "too large" },
	{ "0-65536",		3, "too large" },
	{ "1 2",		3, "unexpected text" },
	{ "1, 2",		3, "missing" },
	{ "1\n2",		3, "unexpected text" },
	{ "0x3",		2, "unexpected text" },
	{ "all",		1, "missing" },
	{ "+1",			1, "missing" },
	{ "1.5",		2, "unexpected text" },
	{ "0-6:",		5, "missing" },
	{ "0-6:0",		5, "stride" },
	{ "0-6:-1",		5, "negative" },
	{ "3:2",		2, "unexpected text" },
	{ "^",			2, "missing" },
	{ "^^1",		2, "missing" },
	{ "1^2",		2, "unexpected text" },
	{ "1;2",		2, "unexpected text" },
	{ "\xff",		1, "missing" },
};

static const struct {
	const char *text, *list; /* NULL: refused */
} masks[] = {
	{ "0",			"" },
	{ "1",			"0" },
	{ "ff",			"0-7" },
	{ "FF\n",		"0-7" },
	{ "0000010f",		"0-3,8" },
	{ "00000001,00000000",	"32" },
	{ "80000000,00000000,00000001", "0,95" },
	{ "",			NULL },
	{ "\n",			NULL },
	{ "g",			NULL },
	{ "0-3",		NULL },
	{ "0x1",		NULL },
	{ "f f",		NULL },
	{ "-1",			NULL },
};
/* clang-format on */

static void lists_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_lists); i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		_cleanup_free_ char *text = NULL;
		struct err err = { 0 };

		if (cpulist_parse(good_lists[i].text, &set, &err) < 0)
			fail_msg("\"%s\": %s", good_lists[i].text, err.text);
		text = cpulist_format(&set);
		assert_string_equal(text, good_lists[i].canonical);
	}
}

static void lists_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_lists); i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		_cleanup_free_ char *where = xasprintf(" at character %u;", bad_lists[i].at);
		struct err err = { 0 };

		cpuset_add(&set, 5);
		if (cpulist_parse(bad_lists[i].text, &set, &err) == 0)
			fail_msg("\"%s\" was accepted", bad_lists[i].text);
		assert_int_equal(err.kind, ERR_USAGE);
		if (!strstr(err.text, bad_lists[i].says) || !strstr(err.text, where))
			fail_msg("\"%s\": expected %s%s got: %s", bad_lists[i].text,
				 bad_lists[i].says, where, err.text);
		/* The set is untouched on failure. */
		assert_int_equal(cpuset_count(&set), 1);
		assert_true(cpuset_has(&set, 5));
		/* An error that the caller does not ask for does not crash. */
		assert_int_equal(cpulist_parse(bad_lists[i].text, &set, NULL), -1);
	}
}

/* A message quotes its input, and must not grow with it. */
static void list_enormous(void **state)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_free_ char *text = xmalloc(1 << 20);
	struct err err = { 0 };

	(void)state;
	memset(text, '1', (1 << 20) - 1);
	text[(1 << 20) - 1] = '\0';
	assert_int_equal(cpulist_parse(text, &set, &err), -1);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_non_null(strstr(err.text, "too large"));
}

static void masks_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		_cleanup_free_ char *list = NULL;
		struct err err = { 0 };
		int rc = cpumask_parse(masks[i].text, &set, &err);

		if ((rc == 0) != (masks[i].list != NULL))
			fail_msg("\"%s\": %d %s", masks[i].text, rc, err.text);
		list = cpulist_format(&set);
		assert_string_equal(list, masks[i].list ? masks[i].list : "");
		if (rc < 0)
			assert_int_equal(err.kind, ERR_USAGE);
	}
}

/* A mask as wide as any machine is read; a wider text is refused, not cut. */
static void mask_width(void **state)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_free_ char *text = NULL, *huge = xmalloc(40000);

	(void)state;
	cpuset_add(&set, CPUSET_MAX_CPU);
	text = cpumask_format(&set);
	cpuset_clear(&set);
	assert_int_equal(cpumask_parse(text, &set, NULL), 0);
	assert_int_equal(cpuset_last(&set), CPUSET_MAX_CPU);
	memset(huge, 'f', 39999);
	huge[39999] = '\0';
	assert_int_equal(cpumask_parse(huge, &set, NULL), -1);
}

/* Both texts say the same set, for any set: 2,000 pseudo-random ones of
 * up to 1,100 CPUs. */
static void round_trips(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		_cleanup_cpuset_ struct cpuset set = { 0 }, a = { 0 }, b = { 0 };
		_cleanup_free_ char *list = NULL, *mask = NULL;

		for (unsigned n = i % 50; n > 0; n--) {
			seed = seed * 1664525 + 1013904223;
			unsigned first = (seed >> 8) % 1100;

			cpuset_add_range(&set, first, first + (seed >> 28));
		}
		list = cpulist_format(&set);
		mask = cpumask_format(&set);
		assert_int_equal(cpulist_parse(list, &a, NULL), 0);
		assert_int_equal(cpumask_parse(mask, &b, NULL), 0);
		assert_true(cpuset_equal(&a, &set));
		assert_true(cpuset_equal(&b, &set));
	}
}

static struct cpuset parsed(const char *text)
{
	struct cpuset set = { 0 };

	assert_int_equal(cpulist_parse(text, &set, NULL), 0);
	return set;
}

static void algebra(void **state)
{
	_cleanup_cpuset_ struct cpuset a = parsed("0-3,1500"), b = parsed("2-5");
	_cleanup_cpuset_ struct cpuset none = { 0 }, c = { 0 }, expected = { 0 };

	(void)state;
	cpuset_copy(&c, &a);
	cpuset_or(&c, &b);
	expected = parsed("0-5,1500");
	assert_true(cpuset_equal(&c, &expected));
	cpuset_and(&c, &b);
	assert_true(cpuset_equal(&c, &b));
	cpuset_andnot(&c, &a);
	assert_true(cpuset_has(&c, 4));
	assert_int_equal(cpuset_count(&c), 2);
	assert_true(cpuset_intersects(&a, &b));
	assert_false(cpuset_intersects(&a, &c));
	assert_true(cpuset_within(&c, &b));
	assert_false(cpuset_within(&b, &c));
	assert_int_equal(cpuset_last(&a), 1500);
	assert_int_equal(cpuset_next(&a, -1), 0);
	assert_int_equal(cpuset_next(&a, 3), 1500);
	assert_int_equal(cpuset_next(&a, 1500), -1);
	cpuset_remove(&a, 1500);
	assert_int_equal(cpuset_last(&a), 3);

	/* A zeroed struct and an emptied one are the same set. */
	cpuset_and(&c, &none);
	assert_true(cpuset_empty(&c) && cpuset_empty(&none) && cpuset_equal(&c, &none));
	assert_true(cpuset_within(&none, &a) && cpuset_within(&none, &none));
	assert_false(cpuset_intersects(&none, &a));
	assert_int_equal(cpuset_count(&none), 0);
	assert_int_equal(cpuset_last(&none), -1);
	assert_int_equal(cpuset_next(&none, -1), -1);
}

static void errors(void **state)
{
	struct err err = { 0 };
	char longer[3000];

	(void)state;
	assert_int_equal(err_set(&err, ERR_USAGE, "CPU %d is offline", 5), -1);
	assert_int_equal(err_wrap(&err, "guest"), -1);
	assert_string_equal(err.text, "guest: CPU 5 is offline");
	assert_int_equal(err.kind, ERR_USAGE);
	/* The arguments may lie in the struct itself. */
	err_set(&err, ERR_FAILED, "again: %s", err.text);
	assert_string_equal(err.text, "again: guest: CPU 5 is offline");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	err_set(&err, ERR_FAILED, "%s", longer);
	err_wrap(&err, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(err_set(NULL, ERR_FAILED, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
	assert_string_equal(err_errno(-2), err_errno(2));
}

static void pci_addresses(void **state)
{
	static const struct {
		const char *text, *address;
	} forms[] = {
		{ "0000:01:00.0", "0000:01:00.0" },
		{ "01:00.0", "0000:01:00.0" },
		{ "0A:1F.7", "0000:0a:1f.7" },
		{ "10000:E1:00.0", "10000:e1:00.0" },
		{ "0001000a:e1:00.0", "1000a:e1:00.0" },
		{ "1:00.0", NULL },
		{ "000:01:00.0", NULL },
		{ "123456789:01:00.0", NULL },
		{ "01:20.0", NULL },
		{ "01:00.8", NULL },
		{ "01:00.0 ", NULL },
		{ " 01:00.0", NULL },
		{ "0000:01:00", NULL },
		{ "0000-01-00.0", NULL },
		{ "../../x", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_free_ char *address = pci_address_parse(forms[i].text);

		if (forms[i].address)
			assert_string_equal(address, forms[i].address);
		else
			assert_null(address);
	}
}

/* A stride, held against the loop that it stands for. */
static void strides(void **state)
{
	static const unsigned firsts[] = { 0, 1, 63, 64, 65, 130, 65535 };
	static const unsigned lasts[] = { 0, 5, 63, 64, 127, 128, 200, 4095, 65535 };
	static const unsigned steps[] = { 1, 2, 3, 7, 31, 63, 64, 65, 100, 128, 1000, 65535 };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts) * ARRAY_SIZE(lasts) * ARRAY_SIZE(steps); i++) {
		unsigned first = firsts[i % ARRAY_SIZE(firsts)];
		unsigned last = lasts[i / ARRAY_SIZE(firsts) % ARRAY_SIZE(lasts)];
		unsigned step = steps[i / ARRAY_SIZE(firsts) / ARRAY_SIZE(lasts)];
		_cleanup_free_ char *text = xasprintf("%u-%u:%u", first, last, step);
		_cleanup_cpuset_ struct cpuset set = { 0 }, want = { 0 };

		if (last < first)
			continue;
		for (unsigned cpu = first; cpu <= last; cpu += step)
			cpuset_add(&want, cpu);
		assert_int_equal(cpulist_parse(text, &set, NULL), 0);
		assert_true(cpuset_equal(&set, &want));
		n++;
	}
	assert_true(n > 400);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_good),	 cmocka_unit_test(lists_bad),
		cmocka_unit_test(list_enormous), cmocka_unit_test(masks_table),
		cmocka_unit_test(mask_width),	 cmocka_unit_test(round_trips),
		cmocka_unit_test(algebra),	 cmocka_unit_test(errors),
		cmocka_unit_test(pci_addresses), cmocka_unit_test(strides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
