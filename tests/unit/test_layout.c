/* SPDX-License-Identifier: MIT */
/* Where a shield lives: paths, names of units, and what is not ours. */
#include "profiles/domain.h"
#include "shield/cgroup/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool own(const char *cgroup, const char *below, const char *name)
{
	_cleanup_partitions_ struct partitions partitions = { 0 };
	_cleanup_free_ char *path = xasprintf("%s%s", cgroup, below);

	partitions_add(&partitions, path, &(struct cpuset){ 0 });
	return layout_is_own(cgroup, &partitions, name);
}

static void test_paths(void **state)
{
	static const struct {
		enum layout_kind kind;
		const char *name, *path;
	} cases[] = {
		{ LAYOUT_PLAIN, "win11", "/shield-win11" },
		{ LAYOUT_PLAIN, "a-b+c", "/shield-a-b+c" },
		{ LAYOUT_SCOPE, "win11", "/shield.slice/shield-win11.scope" },
		{ LAYOUT_SCOPE, "a-b@c+d.e_f",
		  "/shield.slice/shield-a\\x2db\\x40c\\x2bd.e_f.scope" },
		{ LAYOUT_ROOT_SCOPE, "a-b", "/shield-a\\x2db.scope" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *path = layout_cgroup(cases[i].kind, cases[i].name);

		assert_string_equal(path, cases[i].path);
		assert_true(own(path, "/vcpus", cases[i].name));
		assert_false(own(path, "", cases[i].name));
		assert_false(own(path, "/vcpus", "other"));
	}
	assert_false(own("/shield.slice/shield-a.scope/vcpus", "", "a"));
	assert_false(own("/shield.slice/shield-a.scope", "/../vcpus", "a"));
	assert_false(own("/system.slice/shield-a.scope", "/vcpus", "a"));
}

static void test_units(void **state)
{
	static const struct {
		const char *cgroup, *unit, *slice;
	} cases[] = {
		{ "/shield.slice", "shield.slice", NULL },
		{ "/shield.slice/shield-a.scope", "shield-a.scope", "shield.slice" },
		{ "/shield-a\\x2db.scope", "shield-a\\x2db.scope", "-.slice" },
		{ "/shield-a", NULL, NULL },
		{ "/shield-.scope/vcpus", NULL, NULL },
		{ "/shield.slice/shield-a.scope/vcpus", NULL, NULL },
		{ "/shield.slice2/shield-a.scope", NULL, NULL },
		{ "/system.slice/shield-a.scope", NULL, NULL },
		{ "/system.slice", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *unit = NULL, *slice = NULL;

		assert_int_equal(layout_is_unit(cases[i].cgroup, &unit, &slice),
				 cases[i].unit != NULL);
		if (cases[i].unit)
			assert_string_equal(unit, cases[i].unit);
		if (cases[i].slice)
			assert_string_equal(slice, cases[i].slice);
		else
			assert_null(slice);
	}
}

static void test_domain(void **state)
{
	static const char xml[] =
		"<domain type='kvm'><name>w</name><vcpu cpuset='0-7,^1'>3</vcpu>\n"
		"<iothreads>1</iothreads><cputune><vcpupin vcpu='1' cpuset='3'/>\n"
		"<vcpupin vcpu='9' cpuset='4'/><emulatorpin cpuset='0'/>\n"
		"<iothreadpin iothread='1' cpuset='5'/></cputune></domain>";
	_cleanup_domain_ struct domain d = { 0 };
	_cleanup_free_ char *first = NULL, *second = NULL, *io = NULL;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(domain_parse(xml, &d, &err), 0);
	first = cpulist_format(&d.vcpus[0]);
	second = cpulist_format(&d.vcpus[1]);
	io = cpulist_format(&d.iothreads[0]);
	assert_int_equal(d.n_vcpus, 3);
	assert_string_equal(first, "0,2-7");
	assert_string_equal(second, "3");
	assert_string_equal(io, "5");
}

/* What looks like more than libvirt writes, and is not. */
static void test_odd_domain(void **state)
{
	static const char xml[] =
		"<?xml version='1.0' encoding='utf-8'?>\n<!-- it's virsh's; <!DOCTYPE d \" -->\n"
		"<domain type='kvm' xmlns:q='a'><name>w</name><title>it's &lt;!DOCTYPE</title>"
		"<description><![CDATA[<!DOCTYPE \"]]></description><a b='>' c=\"'>'\"/>"
		"<cputune><vcpupin vcpu='0' cpuset='3'/></cputune></domain>";
	_cleanup_domain_ struct domain d = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(domain_parse(xml, &d, &err), 0);
	assert_true(cpuset_has(&d.vcpus[0], 3));
}

static void test_demands(void **state)
{
	(void)state;
	assert_true(domain_demands("<a:b xmlns:a='urn:shield:domain' on-error=\"fail\"/>"));
	assert_true(domain_demands("<a:b on-error = 'fail' xmlns:a='urn:shield:domain'"));
	assert_true(domain_demands("on-error='ignore' urn:shield:domain on-error='fail'"));
	assert_false(domain_demands("<a:b xmlns:a='urn:shield:domain' on-error='ignore'/>"));
	assert_false(domain_demands("<a:b xmlns:a='urn:shield:domain'/> fail"));
	assert_false(domain_demands("<a:b xmlns:a='urn:other' on-error='fail'/>"));
	assert_false(domain_demands(""));
}

static void test_bad_domain(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"<domain>",
		"<domain/>",
		"<pool><name>a</name></pool>",
		"<domain><name>a</name><vcpu>0</vcpu></domain>",
		"<domain><name>a</name><vcpu>99999999999999999999</vcpu></domain>",
		"<domain><name>a</name><vcpu>-1</vcpu></domain>",
		"<domain><name>a</name><cputune><vcpupin cpuset='1'/></cputune></domain>",
		"<domain><name>a</name><cputune><vcpupin vcpu='0' cpuset='1-'/></cputune></domain>",
		"<domain><name>a</name><cputune><emulatorpin cpuset='x'/></cputune></domain>",
		"<domain><name>a</name><cputune><emulatorpin cpuset='0-6:2'/></cputune></domain>",
		"<!DOCTYPE d><domain><name>a</name></domain>",
		"<domain><name>a</name></domain><!-- ",
		/* "<!DOCTYPE d>" in UTF-7 */
		"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE d><domain><name>a</name></domain>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct domain d = { 0 };
		struct err err = { 0 };

		assert_int_equal(domain_parse(bad[i], &d, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),	cmocka_unit_test(test_units),
		cmocka_unit_test(test_domain),	cmocka_unit_test(test_odd_domain),
		cmocka_unit_test(test_demands), cmocka_unit_test(test_bad_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
