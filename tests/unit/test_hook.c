/* SPDX-License-Identifier: MIT */
/* What the hook of libvirt is given: its settings, and the names of domains. */
#include "profiles/domain.h"
#include "profiles/profile.h"
#include "shield/cmd/hook_conf.h"
#include "tests/fake/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *text; /* NULL: there is no file */
	bool all, required;
	const char *complaint; /* the first one, without the path; NULL: none */
} cases[] = {
	{ NULL, false, false, NULL },
	{ "", false, false, NULL },
	{ "SHIELD_DOMAINS=all\nSHIELD_ON_ERROR=fail\n", true, true, NULL },
	{ "SHIELD_DOMAINS=all", true, false, NULL },
	{ "SHIELD_DOMAINS=\nSHIELD_ON_ERROR=ignore\n", false, false, NULL },
	{ "SHIELD_DOMAINS=\"all\"\r\n\tSHIELD_ON_ERROR='fail'  # really\n\n", true, true, NULL },
	{ "# SHIELD_DOMAINS=all\n", false, false, NULL },
	{ "SHIELD_ON_ERROR=fail\nSHIELD_ON_ERROR=ignore\n", false, false, NULL },
	/* What cannot be understood does not count, and is said. */
	{ "SHIELD_DOMAINS=All\n", false, false, "1: SHIELD_DOMAINS: expected \"all\" or nothing" },
	{ "\nSHIELD_ON_ERROR=\"fail\n", false, false,
	  "2: SHIELD_ON_ERROR: expected \"ignore\" or \"fail\"" },
	{ "SHIELD_ON_ERROR=fail now\n", false, false,
	  "1: SHIELD_ON_ERROR: expected \"ignore\" or \"fail\"" },
	{ "SHIELD_ON_ERRORS=fail\nSHIELD_DOMAINS=all\n", true, false,
	  "1: SHIELD_ON_ERRORS: unknown setting; known are SHIELD_DOMAINS and SHIELD_ON_ERROR" },
	{ "if [ -x\nSHIELD_DOMAINS=all\n", true, false, "1: expected KEY=VALUE" },
	{ "SHIELD_DOMAINS=$(reboot)\n", false, false,
	  "1: SHIELD_DOMAINS: expected \"all\" or nothing" },
};

static void test_conf(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strv_ struct strv complaints = { 0 };
		struct fake *fake = fake_new(FAKE_7, 2);
		struct hook_conf conf;
		struct sys sys;

		fake_sys(fake, &sys);
		if (cases[i].text)
			fake_file(fake, HOOK_CONF, cases[i].text);
		hook_conf_read(&sys, &conf, &complaints);
		assert_int_equal(conf.all, cases[i].all);
		assert_int_equal(conf.required, cases[i].required);
		assert_int_equal(complaints.n, cases[i].complaint != NULL);
		if (cases[i].complaint)
			assert_string_equal(complaints.items[0] + strlen(HOOK_CONF ":"),
					    cases[i].complaint);
		fake_free(fake);
	}
}

/* Every domain has a name that a shield may have. */
static void test_names(void **state)
{
	static const struct {
		const char *domain, *shield;
	} names[] = {
		{ "win11", "win11" },
		{ "Windows 11", "Windows_11" },
		{ "--all", "_-all" },
		{ ".hidden", "_hidden" },
		{ "a\nb", "a_b" },
		{ "caf\xc3\xa9", "caf__" },
		{ "100%/../etc", "100__.._etc" },
		{ "", "_" },
	};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *name = domain_shield_name(names[i].domain);

		assert_string_equal(name, names[i].shield);
		assert_int_equal(profile_check_name(name, NULL), 0);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t n = 1; n < sizeof(longest); n++) {
		_cleanup_free_ char *name = domain_shield_name(longest + n);

		assert_int_equal(profile_check_name(name, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
