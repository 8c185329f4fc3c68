/* SPDX-License-Identifier: MIT */
/* Profiles: which documents are accepted, and what is said about the others. */
#include "profiles/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct topology machine; /* eight CPUs without siblings */
static struct sys sys;
static char folder[] = "/tmp/shield-test-profile.XXXXXX";

static void write_file(const char *path, const char *text, size_t size)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(text, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
	(void)state;
	mem_init();
	sys_open_real(&sys, "");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	machine.cpus = xcalloc(8, sizeof(*machine.cpus));
	for (unsigned c = 0; c < 8; c++) {
		machine.cpus[machine.n++] = (struct topo_cpu){ .cpu = c, .core = (int)c };
		cpuset_add(&machine.cpus[c].siblings, c);
	}
	cpuset_add_range(&machine.online, 0, 7);
	cpuset_copy(&machine.present, &machine.online);
	return 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = xasprintf("rm -rf '%s'", folder);

	(void)state;
	topology_clear(&machine);
	sys_close_real(&sys);
	return chdir("/") < 0 || system(command) != 0;
}

static int load(const char *which, struct profile *profile, struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 };

	return profile_load(&sys, &machine, which, profile, &warnings, err);
}

static void test_good(void **state)
{
	static const char text[] = "{\"version\":1,\"name\":\"win11\",\"guest\":\"2-5\","
				   "\"emulator\":\"housekeeping\"}";
	static const char full[] =
		"{\n  \"_comment\": [1, {}], \"version\": 1, \"name\": \"w@1.x+y_z\",\n"
		"  \"gu\\u0065st\": \"2-5\", \"emulator\": \"0\", \"user\": \"me\",\n"
		"  \"smt\": \"split\", \"command\": [\"qemu\", \"\"], \"_comment2\": 3 }\n";
	_cleanup_profile_ struct profile profile = { 0 }, other = { 0 };
	_cleanup_free_ char *guest = NULL, *emulator = NULL;
	struct err err = { 0 };

	(void)state;
	write_file("win11.json", text, sizeof(text) - 1);
	if (load("win11.json", &profile, &err) < 0)
		fail_msg("%s", err.text);
	guest = cpulist_format(&profile.guest);
	assert_string_equal(guest, "2-5");
	assert_true(cpuset_empty(&profile.emulator));
	assert_string_equal(profile.name, "win11");
	assert_string_equal(profile.text, text);
	assert_null(profile.user);

	write_file("full.json", full, sizeof(full) - 1);
	if (load("./full.json", &other, &err) < 0)
		fail_msg("%s", err.text);
	emulator = cpulist_format(&other.emulator);
	assert_string_equal(emulator, "0");
	assert_string_equal(other.user, "me");
	assert_true(other.smt_split);
	assert_int_equal(other.command.n, 2);
}

/* What stands in the file, and how the complaint begins after the path. */
static const struct {
	const char *text, *says;
} bad[] = {
	{ "", ":1:1: the file is empty" },
	{ " \n ", ":1:1: the file is empty" },
	{ "[]", ":1:1: expected an object" },
	{ "null", ":1:1: expected an object" },
	{ "{", ":1:2: the file ends in the middle" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":\"2\",}", ":1:36: a comma before the closing" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":\"2\",\n}",
	  ":1:36: a comma before the closing" },
	{ "{\"version\":1 \"name\":\"a\"}", ":1:14: a comma is missing before this" },
	{ "{\"version\":1,\n \"guest\":\"2\",\n \"guest\":\"2\"}",
	  ":3:2: the key \"guest\" is given twice" },
	{ "{\"version\":1} x", ":1:15: not valid JSON" },
	{ "{'version':1}", ":1:2: not valid JSON" },
	{ "{\"name\":\"a\",\"guest\":\"2\"}", ":1:1: version: is missing" },
	{ "{\"version\":1,\"guest\":\"2\"}", ":1:1: name: is missing" },
	{ "{\"version\":1,\"name\":\"a\"}", ":1:1: guest: is missing" },
	{ "{\"version\":2,\"name\":\"a\",\"guest\":\"2\"}",
	  ":1:12: version: expected the number 1, not 2" },
	{ "{\"version\":\"1\"}", ":1:12: version: expected the number 1, not a string" },
	{ "{\"version\":1,\n\t\"gest\": \"2\"}",
	  ":2:2: gest: unknown key; did you mean \"guest\"?" },
	{ "{\"version\":1, \"\xc3\xa9\": 1, \"x\": 1}", ":1:15: \xc3\xa9: unknown key" },
	{ "{\"version\":1, \"n\\u0061me\": \"a\", \"gu\\u0065st\": 3}",
	  ":1:47: guest: expected the guest's" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":[2]}",
	  ":1:33: guest: expected the guest's CPUs as a string" },
	{ "{\"version\":1,\"name\":\"a/b\"}", ":1:21: name: the name \"a/b\" has a \"/\"" },
	{ "{\"version\":1,\"name\":\"\"}", ":1:21: name: a name cannot be empty" },
	{ "{\"version\":1,\"command\":[\"a\",[\"}\"],null]}",
	  ":1:29: command[1]: expected a string" },
	{ "{\"version\":1,\"command\":[]}", ":1:24: command: expected" },
	{ "{\"version\":1,\"smt\":\"hole\"}", ":1:20: smt: expected \"whole\" or \"split\"" },
	{ "{\"version\":1,\"name\":\"a\",\n \"guest\":\"2,99\"}",
	  ":2:13: guest: CPU 99 does not exist" },
	{ "{\"version\":1,\"name\":\"a\",\n \"guest\":\"\\u0032,99\"}",
	  ":2:18: guest: CPU 99 does not" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":\"0-7\"}", ":1:33: guest: takes every CPU" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":\"\"}", ":1:34: guest: it names no CPU" },
	{ "{\"version\":1,\"name\":\"a\",\"guest\":\"2\",\"emulator\":\"2-3\"}",
	  ":1:48: emulator: CPU 2 belongs to the guest" },
	{ "\xef\xbb\xbf{}", ":1:1: the file starts with a byte order mark" },
	{ "{\"version\":1,\"name\":\"\xff\"}", ":1:22: this is not UTF-8" },
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_profile_ struct profile profile = { 0 };
		struct err err = { 0 };

		write_file("bad.json", bad[i].text, strlen(bad[i].text));
		if (load("bad.json", &profile, &err) == 0)
			fail_msg("accepted: %s", bad[i].text);
		assert_int_equal(err.kind, ERR_USAGE);
		if (strncmp(err.text, "bad.json", 8) != 0 ||
		    strncmp(err.text + 8, bad[i].says, strlen(bad[i].says)) != 0)
			fail_msg("%s\n%s", bad[i].text, err.text);
	}
}

/* Cut anywhere, a document is refused, and never crashes the walker. */
static void test_cut(void **state)
{
	static const char text[] =
		"{\"version\": 1, \"name\": \"a\", \"command\": [\"x\", \"\\u00e9\"], "
		"\"guest\": \"2-5\" }";

	(void)state;
	for (size_t n = 0; n + 1 < sizeof(text) - 1; n++) {
		struct profile profile;
		struct err err = { 0 };

		write_file("cut.json", text, n);
		assert_int_equal(load("cut.json", &profile, &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
	}
}

static void expect(const char *which, const char *says)
{
	struct profile profile;
	struct err err = { 0 };

	assert_int_equal(load(which, &profile, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	if (!strstr(err.text, says))
		fail_msg("%s: %s", which, err.text);
}

static void test_files(void **state)
{
	static const char text[] = "{\"version\":1,\"name\":\"win11\",\"guest\":\"2\"}";
	int fd;

	(void)state;
	assert_int_equal(mkdir("dir.json", 0755), 0);
	expect("dir.json", "is a directory");
	assert_int_equal(mkfifo("fifo.json", 0600), 0);
	expect("fifo.json", "is not a regular file");
	assert_int_equal(symlink("loop.json", "loop.json"), 0);
	expect("loop.json", geteuid() == 0 ? "is a symbolic link" : "in a circle");
	expect("missing.json", "the file does not exist");
	expect("dir.json/../missing/x.json", "the file does not exist");
	fd = open("big.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(ftruncate(fd, 100 << 20), 0);
	close(fd);
	expect("big.json", "104857600 bytes");
	write_file("nul.json", "{\"version\":1,\0}", 15);
	expect("nul.json", ":1:14: a NUL byte");
	if (geteuid() != 0)
		fail_msg("what root trusts, only root can try");
	write_file("own.json", text, sizeof(text) - 1);
	assert_int_equal(chmod("own.json", 0666), 0);
	expect("own.json", "it is writable by users other than root (mode 0666)");
	assert_int_equal(chmod("own.json", 0644), 0);
	assert_int_equal(chown("own.json", 1, 0), 0);
	expect("own.json", "belongs to user 1");
	assert_int_equal(symlink("own.json", "link.json"), 0);
	expect("link.json", "it is a symbolic link");
	expect("link.json", "sudo install -D -m 644 'link.json' /etc/shield/profiles.d/link.json");
	assert_int_equal(mkdir("open", 0755), 0);
	write_file("open/win11.json", text, sizeof(text) - 1);
	assert_int_equal(chmod("open", 0777), 0);
	expect("open/win11.json", "/open is writable by users other than root (mode 0777)");
	assert_int_equal(chmod("open", 0775), 0);
	expect("open/win11.json", "(mode 0775)");
	write_file("child.json", "{\"version\":1,\"name\":\"child\",\"extends\":\"own\"}", 44);
	expect("child.json", "child.json:1:39: extends: own.json: it belongs to user 1");
	/* Who owns the folder can replace what is in it, also where it is
	 * another user's. */
	assert_int_equal(chmod("open", 0755), 0);
	assert_int_equal(chown("open", 1, 0), 0);
	expect("open/win11.json", "/open belongs to user 1");
	assert_int_equal(mkdir("open/within", 0755), 0);
	write_file("open/within/win11.json", text, sizeof(text) - 1);
	expect("open/within/win11.json", "/open belongs to user 1");
	expect("open/within/../within/./win11.json", "/open belongs to user 1");
	assert_int_equal(chown("open", 0, 0), 0);
	assert_int_equal(chmod("open", 01777), 0);
	{
		struct profile profile;
		struct err err = { 0 };

		if (load("open/win11.json", &profile, &err) < 0)
			fail_msg("%s", err.text);
		profile_clear(&profile);
	}
}

static void test_names(void **state)
{
	char longest[302];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[300] = '\0';
	expect(longest, "has 300 characters");
	assert_int_equal(profile_check_name(longest + 300 - 64, NULL), 0);
	memset(longest, '-', 64);
	longest[0] = 'x';
	longest[57] = '\0';
	assert_int_equal(profile_check_name(longest, NULL), 0);
	longest[57] = '-';
	longest[64] = '\0';
	expect(longest, "too long for a unit");
	expect("", "cannot be empty");
	expect("..", "starts with");
	expect("-x", "starts with");
	expect("a b", "has a \" \"");
	expect("a\nb", "\\x0a");
	expect("../no-shield-profile", "the file does not exist");
	expect("no-such-profile", "there is no profile \"no-such-profile\"");
}

/* Profiles of a recorded machine: which directory wins, and whose name counts. */
static void test_lookup(void **state)
{
	static const char text[] = "{\"version\":1,\"name\":\"win11\",\"guest\":\"2\"}";
	static const char other[] = "{\"version\":1,\"name\":\"win11\",\"guest\":\"3\"}";
	_cleanup_profile_ struct profile profile = { 0 }, outside = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	struct sys recorded;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		system("mkdir -p root/etc/shield/profiles.d root/usr/lib/shield/profiles.d"), 0);
	write_file("root/etc/shield/profiles.d/win11.json", text, sizeof(text) - 1);
	write_file("root/usr/lib/shield/profiles.d/win11.json", other, sizeof(other) - 1);
	write_file("root/usr/lib/shield/profiles.d/wrong.json", other, sizeof(other) - 1);
	write_file("win11.json", other, sizeof(other) - 1);
	sys_open_real(&recorded, "root");
	if (profile_load(&recorded, &machine, "win11", &profile, &warnings, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(cpuset_has(&profile.guest, 2));
	/* A path is one of the real system. */
	if (profile_load(&recorded, &machine, "win11.json", &outside, &warnings, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(cpuset_has(&outside.guest, 3));
	profile_clear(&outside);
	assert_int_equal(profile_load(&recorded, &machine, "wrong", &outside, &warnings, &err), -1);
	assert_non_null(strstr(err.text, "is in a file that is called wrong.json"));
	assert_int_equal(profile_load(&recorded, &machine, "win12", &outside, &warnings, &err), -1);
	assert_non_null(strstr(err.text, "did you mean \"win11\"?"));
	sys_close_real(&recorded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut),   cmocka_unit_test(test_files),
		cmocka_unit_test(test_names), cmocka_unit_test(test_lookup),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
