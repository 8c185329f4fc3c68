/* SPDX-License-Identifier: MIT */
/* PCI addresses: all that take one take the same texts, and make the same address of them. */
#include "profiles/domain.h"
#include "profiles/profile.h"
#include "profiles/suggest.h"
#include "shield/base/pci_address.h"
#include "shield/topology/expr.h"
#include "tests/fuzz/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct topology machine;
static struct sys sys;
static char folder[] = "/tmp/shield-test-addresses.XXXXXX";

/* clang-format off */
static const struct {
	const char *text, *address; /* NULL: it is not one */
} texts[] = {
	{ "0000:01:00.0",	"0000:01:00.0" },
	{ "01:00.0",		"0000:01:00.0" },
	{ "0000:0A:1F.7",	"0000:0a:1f.7" },
	{ "0a:1f.7",		"0000:0a:1f.7" },
	{ "FF:1F.7",		"0000:ff:1f.7" },
	{ "10000:e1:00.0",	"10000:e1:00.0" },
	{ "00000000:e1:00.0",	"0000:e1:00.0" },
	{ "00010000:e1:00.0",	"10000:e1:00.0" },
	{ "ffffffff:e1:00.0",	"ffffffff:e1:00.0" },
	{ "", NULL },
	{ ":", NULL },
	{ ".", NULL },
	{ "1", NULL },
	{ "gpu", NULL },
	{ "01:00", NULL },
	{ "01:00.", NULL },
	{ "1:00.0", NULL },
	{ "01:0.0", NULL },
	{ "01:00.8", NULL },
	{ "01:20.0", NULL },
	{ "01:00.00", NULL },
	{ "01:00.0:", NULL },
	{ "01:00.0x", NULL },
	{ "01.00.0", NULL },
	{ "001:00.0", NULL },
	{ "0000:01:00", NULL },
	{ "0000:01:00.8", NULL },
	{ "0000:01:20.0", NULL },
	{ "0000:1:00.0", NULL },
	{ "0000::01:00.0", NULL },
	{ ":01:00.0", NULL },
	{ "000:01:00.0", NULL },
	{ "123456789:01:00.0", NULL },
	{ "0000:0g:00.0", NULL },
	{ "0000:0000:01:00.0", NULL },
	{ "0x0000:01:00.0", NULL },
	{ "-000:01:00.0", NULL },
	{ "+000:01:00.0", NULL },
	{ "0000-01-00.0", NULL },
	{ "pci0000:01:00.0", NULL },
	{ "../../01:00.0", NULL },
};
/* clang-format on */

static int setup(void **state)
{
	(void)state;
	mem_init();
	machine_make(&machine);
	assert_non_null(mkdtemp(folder));
	sys_open_real(&sys, folder); /* a machine without devices */
	return chdir(folder);
}

static int teardown(void **state)
{
	(void)state;
	topology_clear(&machine);
	sys_close_real(&sys);
	unlink("vm.json");
	return chdir("/") < 0 || rmdir(folder) < 0;
}

/* Each of these: what it makes of a text; NULL: it does not take it. */
static char *by_parser(const char *text)
{
	return pci_address_parse(text);
}

static char *after(const char *text, const char *words)
{
	const char *at = strstr(text, words);

	return at ? xstrndup(at + strlen(words), strcspn(at + strlen(words), ";")) : NULL;
}

/* What a selector looks for here is not there: it says what that was. */
static char *by_near(const char *text)
{
	struct expr_env env = { .sys = &sys, .topo = &machine }, foreign = env;
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *expr = xasprintf("near:%s", text);
	_cleanup_strv_ struct strv notes = { 0 };
	struct err err = { 0 };
	char *address;

	assert_int_equal(expr_eval(&env, expr, &cpus, &notes, &err), -1);
	address = after(err.text, "there is no PCI device ");
	foreign.foreign = true;
	if (expr_eval(&foreign, expr, &cpus, &notes, &err) < 0)
		free(take_ptr(address)); /* it goes on */
	return address;
}

/* Likewise; it says what was written. */
static bool by_gpu(const char *text)
{
	struct suggest_request request = { .gpu = text };
	_cleanup_suggestion_ struct suggestion s = { 0 };
	struct err err = { 0 };

	assert_int_equal(suggest(&sys, &machine, &request, &s, &err), -1);
	return strstr(err.text, "does not exist") != NULL;
}

static char *by_devices(const char *text)
{
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	FILE *out = fopen("vm.json", "w");
	struct err err = { 0 };
	struct sys real;
	int rc;

	assert_non_null(out);
	fprintf(out,
		"{\"version\":1,\"name\":\"vm\",\"guest\":\"3-5\",\"irq\":{\"devices\":[\"%s\"]}}",
		text);
	assert_int_equal(fclose(out), 0);
	sys_open_real(&real, "");
	rc = profile_load(&real, &machine, "vm.json", &profile, &warnings, &err);
	sys_close_real(&real);
	if (rc < 0)
		assert_non_null(strstr(err.text, "expected a PCI address"));
	return rc < 0 ? NULL : xstrdup(profile.devices.items[0]);
}

/* libvirt has an address in four parts; its own schema limits each. */
static char *by_import(const char *text)
{
	const char *slot = strrchr(text, ':'), *bus = slot;
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_free_ char *xml = NULL;
	struct err err = { 0 };

	while (bus > text && bus[-1] != ':')
		bus--;
	xml = xasprintf("<domain><name>vm</name><vcpu>1</vcpu><devices><hostdev type='pci'><source>"
			"<address domain='0x%.*s' bus='0x%.*s' slot='0x%.*s' function='0x%s'/>"
			"</source></hostdev></devices></domain>",
			bus == text ? 1 : (int)(bus - text - 1), bus == text ? "0" : text,
			(int)(slot - bus), bus, (int)strcspn(slot + 1, "."), slot + 1,
			strchr(slot, '.') + 1);
	if (domain_parse(xml, &domain, &err) < 0)
		fail_msg("%s: %s", xml, err.text);
	return domain.devices.n ? xstrdup(domain.devices.items[0]) : NULL;
}

static void check(const char *who, size_t i, char *address)
{
	_cleanup_free_ char *got = address;

	if ((got == NULL) != (texts[i].address == NULL))
		fail_msg("%s: \"%s\" is %s", who, texts[i].text, got ? got : "refused");
	if (got)
		assert_string_equal(got, texts[i].address);
}

static void same_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		check("parser", i, by_parser(texts[i].text));
		check("near:", i, by_near(texts[i].text));
		check("devices", i, by_devices(texts[i].text));
		if (by_gpu(texts[i].text) != (texts[i].address != NULL))
			fail_msg("--gpu: \"%s\"", texts[i].text);
		if (texts[i].address)
			check("import", i, by_import(texts[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_everywhere) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
