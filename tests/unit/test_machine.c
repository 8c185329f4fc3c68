/* SPDX-License-Identifier: MIT */
/* Profiles that extend each other, that machines choose, and what is advised. */
#include "profiles/profile.h"
#include "profiles/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROFILES "root/etc/shield/profiles.d"

/* Two nodes with an L3 each and four cores of two CPUs; node 1 has no memory. */
static struct topology machine;
static struct sys recorded;
static char folder[] = "/tmp/shield-test-machine.XXXXXX";

static void write_file(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void write_profile(const char *name, const char *rest)
{
	_cleanup_free_ char *path = xasprintf(PROFILES "/%s.json", name);
	_cleanup_free_ char *text =
		xasprintf("{\"version\":1,\"name\":\"%s\"%s%s}", name, *rest ? "," : "", rest);

	write_file(path, text);
}

static int setup(void **state)
{
	(void)state;
	mem_init();
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	machine.cpus = xcalloc(16, sizeof(*machine.cpus));
	machine.n = 16;
	for (unsigned c = 0; c < 16; c++) {
		unsigned core = c % 8;

		machine.cpus[c] = (struct topo_cpu){ .cpu = c,
						     .core = (int)core,
						     .node = (int)core / 4,
						     .l3 = (int)core / 4,
						     .l3_bytes = 32 << 20 };
		cpuset_add(&machine.cpus[c].siblings, core);
		cpuset_add(&machine.cpus[c].siblings, core + 8);
	}
	cpuset_add_range(&machine.online, 0, 15);
	cpuset_copy(&machine.present, &machine.online);
	return 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", folder);

	(void)state;
	topology_clear(&machine);
	return chdir("/") < 0 || system(command) != 0;
}

/* A machine without profiles, for each test. */
static int fresh(void **state)
{
	(void)state;
	assert_int_equal(system("rm -rf root; mkdir -p " PROFILES " root/proc "
				"root/sys/class/dmi/id root/sys/bus/pci/devices/0000:01:00.0"),
			 0);
	write_file("root/proc/cpuinfo", "processor\t: 0\nmodel name\t: Intel(R) i9-9900K CPU\n\n");
	write_file("root/sys/class/dmi/id/board_name", "Z390 M GAMING-CF\n");
	write_file("root/sys/class/dmi/id/board_vendor", "Gigabyte\n");
	write_file("root/sys/bus/pci/devices/0000:01:00.0/numa_node", "0\n");
	write_file("root/sys/bus/pci/devices/0000:01:00.0/local_cpulist", "0-3,8-11\n");
	sys_open_real(&recorded, "root");
	return 0;
}

static int stale(void **state)
{
	(void)state;
	sys_close_real(&recorded);
	return 0;
}

static char *guest_of(const char *which, struct strv *warnings, struct err *err)
{
	_cleanup_profile_ struct profile profile = { 0 };

	if (profile_load(&recorded, &machine, which, &profile, warnings, err) < 0)
		return NULL;
	return cpulist_format(&profile.guest);
}

static void expect_guest(const char *which, const char *list)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct err err = { 0 };
	_cleanup_free_ char *guest = guest_of(which, &warnings, &err);

	if (!guest)
		fail_msg("%s: %s", which ? which : "(machine)", err.text);
	assert_string_equal(guest, list);
}

static void expect_error(const char *which, const char *says)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct err err = { 0 };
	_cleanup_free_ char *guest = guest_of(which, &warnings, &err);

	assert_null(guest);
	assert_int_equal(err.kind, ERR_USAGE);
	if (!strstr(err.text, says))
		fail_msg("%s", err.text);
}

/* The warning that has this in it, or "". */
static void expect_warning(const char *rest, const char *says)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct err err = { 0 };
	_cleanup_free_ char *guest = NULL;

	write_profile("w", rest);
	guest = guest_of("w", &warnings, &err);
	if (!guest)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < warnings.n; i++)
		if (says && strstr(warnings.items[i], says))
			return;
	if (says || warnings.n)
		fail_msg("%s: %zu warnings: %s", rest, warnings.n,
			 warnings.n ? warnings.items[0] : "none");
}

static void test_extends(void **state)
{
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	struct err err = { 0 };

	(void)state;
	write_profile("base", "\"guest\":\"core:5-6\",\"user\":\"me\",\"machine\":{\"cpu\":\"x\"}");
	write_profile("middle", "\"extends\":\"base\",\"user\":\"you\"");
	write_profile("top", "\"extends\":\"middle\",\"emulator\":\"core:1\"");
	if (profile_load(&recorded, &machine, "top", &profile, &warnings, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(profile.name, "top");
	assert_string_equal(profile.user, "you");
	assert_true(cpuset_has(&profile.guest, 13));
	assert_true(cpuset_has(&profile.emulator, 9));
	assert_null(strstr(profile.text, "extends"));
	assert_non_null(strstr(profile.text, "core:5-6"));

	/* An error is in the file that has the value. */
	write_profile("base", "\"guest\":\"core:99\"");
	expect_error("top", "/base.json:1:42: guest: core 99");
	write_profile("base", "\"gest\":\"core:5\"");
	expect_error("top", "/base.json:1:28: gest: unknown key");
	write_profile("base", "\"extends\":\"top\"");
	expect_error("top", "in a circle of 3");
	write_profile("base", "\"extends\":\"base\"");
	expect_error("base", "in a circle of 1");
	write_profile("base", "\"extends\":\"bse\"");
	expect_error("base", "extends: there is no profile \"bse\"; did you mean \"base\"?");
}

static void test_depth(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 9; i++) {
		_cleanup_free_ char *name = xasprintf("p%u", i);
		_cleanup_free_ char *rest = xasprintf("\"extends\":\"p%u\"", i + 1);

		write_profile(name, rest);
	}
	write_profile("p9", "\"guest\":\"core:5\"");
	expect_guest("p2", "5,13");
	expect_error("p1", "more than 8 profiles");
}

static void test_match(void **state)
{
	(void)state;
	expect_error(NULL, "no profile is for this machine (CPU \"Intel(R) i9-9900K CPU\", board "
			   "\"Z390 M GAMING-CF\"");
	write_profile("none", "\"guest\":\"core:4\"");
	write_profile("other", "\"guest\":\"core:4\",\"machine\":{\"cpu\":\"*9900\"}");
	expect_error(NULL, "no profile is for this machine");
	write_profile("cpu", "\"guest\":\"core:5\",\"machine\":{\"cpu\":\"*i9-9900K*\"}");
	expect_guest(NULL, "5,13");
	write_profile("both",
		      "\"guest\":\"core:6\",\"machine\":{\"cpu\":\"*i9*\",\"board\":\"Z390*\"}");
	expect_guest(NULL, "6,14");
	write_profile("half",
		      "\"guest\":\"core:7\",\"machine\":{\"cpu\":\"*i9*\",\"board\":\"X570*\"}");
	expect_guest(NULL, "6,14");
	write_profile(
		"twin",
		"\"guest\":\"core:7\",\"machine\":{\"vendor\":\"Giga*\",\"board\":\"Z390*\"}");
	expect_error(NULL, "the profiles both and twin match this machine equally well");
	/* One that is broken does not hide the others. */
	write_profile("twin", "\"guest\":3,\"machine\":{\"vendor\":\"Giga*\",\"board\":\"Z390*\"}");
	expect_guest(NULL, "6,14");
}

static void test_advice(void **state)
{
	(void)state;
	expect_warning("\"guest\":\"core:4-7\"", NULL);
	expect_warning("\"guest\":\"4-7\",\"smt\":\"split\"",
		       "CPU 12-15 stays with the host but shares");
	expect_warning("\"guest\":\"core:5-7\"", "share L3 cache 1");
	expect_warning("\"guest\":\"core:3-4\"", "NUMA nodes 0-1");
	expect_warning("\"guest\":\"core:1-7\"", "fewer than two whole cores");
	expect_warning("\"guest\":\"l3:0\"", "CPU 0,8 stays with the host: core 0");
	cpuset_add(&machine.memoryless, 1);
	expect_warning("\"guest\":\"core:4-7\"", "node 1 of the guest has no memory");
	cpuset_clear(&machine.memoryless);
	assert_int_equal(system("mkdir -p root/sys/devices/system/node/node0/hugepages/x "
				"root/sys/devices/system/node/node1/hugepages/x"),
			 0);
	write_file("root/sys/devices/system/node/node0/hugepages/x/nr_hugepages", "8\n");
	write_file("root/sys/devices/system/node/node1/hugepages/x/nr_hugepages", "0\n");
	expect_warning("\"guest\":\"core:4-7\"", "reserved on node 0 only, the guest is on node 1");
	write_file("root/sys/devices/system/node/node1/hugepages/x/nr_hugepages", "8\n");
	expect_warning("\"guest\":\"core:4-7\"", NULL);
	snprintf(machine.cpus[7].kind, sizeof(machine.cpus[7].kind), "E");
	expect_warning("\"guest\":\"core:4-7\"", "cores of different kinds");
	*machine.cpus[7].kind = '\0';
}

static void suggest_for(unsigned vcpus, const char *gpu, const char *guest, const char *says)
{
	struct suggest_request policy = { .vcpus = vcpus, .iothreads = 2, .gpu = gpu };
	_cleanup_suggestion_ struct suggestion s = { 0 };
	_cleanup_free_ char *list = NULL;
	struct err err = { 0 };

	if (suggest(&recorded, &machine, &policy, &s, &err) < 0) {
		assert_null(guest);
		assert_non_null(strstr(err.text, says));
		return;
	}
	list = cpulist_format(&s.guest);
	assert_non_null(guest);
	assert_string_equal(list, guest);
	assert_int_equal(s.n_vcpus, cpuset_count(&s.guest));
	assert_int_equal(s.threads, 2);
	for (unsigned i = 0; i < s.n_vcpus; i += 2)
		assert_int_equal(s.vcpus[i] + 8, s.vcpus[i + 1]);
	assert_int_equal(s.n_iothreads, 2);
	assert_false(cpuset_intersects(&s.iothreads[0], &s.guest));
	assert_false(cpuset_intersects(&s.iothreads[0], &s.iothreads[1]));
	if (says) {
		for (size_t i = 0; i < s.reasons.n; i++)
			if (strstr(s.reasons.items[i], says))
				return;
		fail_msg("no reason says %s", says);
	}
}

static void test_suggest(void **state)
{
	(void)state;
	suggest_for(0, NULL, "4-7,12-15", "core 0 is not there");
	suggest_for(4, NULL, "6-7,14-15", "node 1");
	suggest_for(3, NULL, "6-7,14-15", NULL);
	suggest_for(4, "0000:01:00.0", "2-3,10-11", "the GPU 0000:01:00.0 is there");
	suggest_for(0, "0000:01:00.0", "1-3,9-11", "node 0");
	suggest_for(10, NULL, "2-3,5-7,10-11,13-15", "nodes 0-1: no single one");
	suggest_for(13, NULL, NULL, "at most 6 of 8 cores");
	suggest_for(4, "0000:02:00.0", NULL, "PCI device does not exist");
	suggest_for(4, "../../../../x", NULL, "expected a PCI address");
	cpuset_add(&machine.memoryless, 1);
	suggest_for(4, NULL, "2-3,10-11", "node 0");
	cpuset_clear(&machine.memoryless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_extends, fresh, stale),
		cmocka_unit_test_setup_teardown(test_depth, fresh, stale),
		cmocka_unit_test_setup_teardown(test_match, fresh, stale),
		cmocka_unit_test_setup_teardown(test_advice, fresh, stale),
		cmocka_unit_test_setup_teardown(test_suggest, fresh, stale),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
