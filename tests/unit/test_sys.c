/* SPDX-License-Identifier: MIT */
/* The table of kernel files: which paths are ours, how values are read and
 * written, and reading and writing through the door. */
#include "shield/sys/kfile.h"
#include "shield/sys/sys_write.h"
#include "shield/sys/systemd_adapter.h"
#include "tests/fake/faulty.h"
#include "tests/fake/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CG "/sys/fs/cgroup"

/* clang-format off */
static const struct {
	const char *path;
	enum kfile_type type;
} ours[] = {
	{ "/proc/irq/0/smp_affinity_list",			KFILE_LIST },
	{ "/proc/irq/123456789/smp_affinity_list",		KFILE_LIST },
	{ "/proc/irq/default_smp_affinity",			KFILE_MASK },
	{ "/sys/devices/virtual/workqueue/cpumask",		KFILE_MASK },
	{ "/proc/sys/vm/stat_interval",				KFILE_VALUE },
	{ "/sys/devices/system/cpu/cpu12/online",		KFILE_VALUE },
	{ CG "/cgroup.subtree_control",				KFILE_CONTROL },
	{ CG "/a/cgroup.subtree_control",			KFILE_CONTROL },
	{ CG "/a/b/c/cgroup.subtree_control",			KFILE_CONTROL },
	{ CG "/a/b/cgroup.type",				KFILE_TYPE },
	{ CG "/shield-win11/cpuset.cpus",			KFILE_LIST },
	{ CG "/shield-win11/vcpus/cpuset.cpus.exclusive",	KFILE_LIST },
	{ CG "/shield-win11/vcpus/cpuset.cpus.partition",	KFILE_PARTITION },
	{ CG "/..a/cpuset.cpus",				KFILE_LIST },
	{ CG "/.a/cpuset.cpus",					KFILE_LIST },
	{ CG "/a b/\xff/cpuset.cpus",				KFILE_LIST },
};

/* What a state file or a profile might want us to write. */
static const char *const foreign[] = {
	"",
	"/",
	"proc/irq/1/smp_affinity_list",
	"/proc/irq/../../etc/passwd",
	"/proc/irq/1/../../../etc/passwd",
	"/proc/irq/1/smp_affinity_list/",
	"/proc/irq/1/smp_affinity_list/x",
	"/proc/irq//1/smp_affinity_list",
	"//proc/irq/1/smp_affinity_list",
	"/proc/irq/./smp_affinity_list",
	"/proc/irq/../smp_affinity_list",
	"/proc/irq/x/smp_affinity_list",
	"/proc/irq/-1/smp_affinity_list",
	"/proc/irq/1x/smp_affinity_list",
	"/proc/irq/ 1/smp_affinity_list",
	"/proc/irq/1234567890/smp_affinity_list",
	"/proc/irq/1/smp_affinity",
	"/proc/irq/1/smp_affinity_list\n",
	"/proc/irq/default_smp_affinity/../1",
	"/proc/sysrq-trigger",
	"/proc/sys/kernel/core_pattern",
	"/etc/passwd",
	"/run/shield/state.json",
	"/sys/devices/virtual/workqueue/writeback/cpumask",
	"/sys/devices/virtual/workqueue/cpumask_requested",
	"/sys/devices/system/cpu/online",
	"/sys/devices/system/cpu/cpu1/hotplug/target",
	"/sys/devices/system/cpu/cpufreq/policy0/scaling_setspeed",
	"/sys/devices/system/cpu/cpufreq/../cpufreq/policy0/scaling_governor",
	"/proc/sys/kernel/core_pattern",
	"/proc/sys/vm/drop_caches",
	"/sys/kernel/mm/ksm/run/",
	CG,
	CG "/",
	CG "/cpuset.cpus",
	CG "/cpuset.cpus.partition",
	CG "/cgroup.procs",
	CG "/a/cgroup.procs",
	CG "/a/cgroup.kill",
	CG "/a/memory.max",
	CG "//cpuset.cpus",
	CG "//x/cpuset.cpus",
	CG "/a//cpuset.cpus",
	CG "/./cpuset.cpus",
	CG "/../cpuset.cpus",
	CG "/a/../b/cpuset.cpus",
	CG "/a/../../../../etc/cpuset.cpus",
	CG "/a/./cpuset.cpus",
	CG "/a/cpuset.cpus/",
	CG "/a/cpuset.cpus/x",
	CG "x/a/cpuset.cpus",
	CG "/a/cpuset.cpus.effective",
	CG "/a/cpuset.mems",
	"/sys/fs/a/cpuset.cpus",
};

static const struct {
	enum kfile_type type;
	bool ok;
	const char *value;
} values[] = {
	{ KFILE_LIST,		true,	"" },
	{ KFILE_LIST,		true,	"0-3,8" },
	{ KFILE_LIST,		false,	"3-0" },
	{ KFILE_LIST,		false,	"0-3; reboot" },
	{ KFILE_LIST,		false,	"ff000000" },
	{ KFILE_MASK,		true,	"0-3" },
	{ KFILE_MASK,		false,	"x" },
	{ KFILE_CONTROL,	true,	"+cpuset" },
	{ KFILE_CONTROL,	true,	"-cpuset" },
	{ KFILE_CONTROL,	false,	"-memory" },
	{ KFILE_CONTROL,	false,	"+cpuset -memory" },
	{ KFILE_CONTROL,	false,	"" },
	{ KFILE_PARTITION,	true,	"member" },
	{ KFILE_PARTITION,	true,	"root" },
	{ KFILE_PARTITION,	true,	"isolated" },
	{ KFILE_PARTITION,	false,	"isolated invalid" },
	{ KFILE_PARTITION,	false,	"" },
	{ KFILE_PARTITION,	false,	"member\n" },
	{ KFILE_TYPE,		true,	"threaded" },
	{ KFILE_TYPE,		true,	"domain" },
	{ KFILE_TYPE,		true,	"domain threaded" },
	{ KFILE_TYPE,		false,	"x" },
	{ KFILE_TYPE,		false,	"" },
	{ KFILE_VALUE,		true,	"-1" },
	{ KFILE_VALUE,		true,	"n/a" },
	{ KFILE_VALUE,		true,	"schedutil" },
	{ KFILE_VALUE,		false,	"" },
	{ KFILE_VALUE,		false,	"a b" },
	{ KFILE_VALUE,		false,	"a\n" },
	{ KFILE_VALUE,		false,	"always [madvise] never" },
};
/* clang-format on */

static void paths_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		const struct kfile *row = kfile_find(ours[i].path, CG);

		if (!row)
			fail_msg("%s is not found", ours[i].path);
		assert_int_equal(row->type, ours[i].type);
		/* Without a mount there are no cgroups. */
		if (strncmp(ours[i].path, CG, strlen(CG)) == 0)
			assert_null(kfile_find(ours[i].path, NULL));
	}
	assert_non_null(kfile_find("/mnt/c2/a/cpuset.cpus", "/mnt/c2"));
	assert_null(kfile_find(CG "/a/cpuset.cpus", "/mnt/c2"));
}

static void paths_foreign(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (kfile_find(foreign[i], CG))
			fail_msg("\"%s\" would be written", foreign[i]);
}

static const struct kfile *row_of(enum kfile_type type)
{
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i].type == type)
			return kfile_find(ours[i].path, CG);
	return NULL;
}

static void values_ok(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (kfile_value_ok(row_of(values[i].type), values[i].value) != values[i].ok)
			fail_msg("\"%s\" is %s", values[i].value,
				 values[i].ok ? "refused" : "taken");
}

/* What a profile may ask for, and how that is put in words. */
static void settings(void **state)
{
	static const struct {
		const char *name, *expected, *word, *bad_word;
		long long number, bad_number;
	} cases[] = {
		{ "governor", "a word like \"performance\"", "schedutil", "a b", 0, 0 },
		{ "ksm", "0 to 1", NULL, "1", 1, 2 },
		{ "sched_rt_runtime_us", "-1 to 1000000", NULL, "max", -1, -2 },
		{ "resume_latency_us", "0 to 1000000 or \"n/a\"", "n/a", "n", 0, -1 },
		{ "stat_interval", "1 to 3600", NULL, "", 3600, 0 },
		{ "transparent_hugepages", "\"always\", \"madvise\" or \"never\"", "madvise",
		  "always|madvise", 0, 0 },
		{ "watchdog", "\"housekeeping\"", "housekeeping", "0-3", 0, 0 },
	};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct kfile *row = kfile_setting(cases[i].name);
		_cleanup_free_ char *expected = NULL;

		assert_non_null(row);
		expected = kfile_setting_expected(row);
		assert_string_equal(expected, cases[i].expected);
		if (cases[i].word)
			assert_true(kfile_setting_word(row, cases[i].word));
		else
			assert_true(kfile_setting_number(row, cases[i].number));
		assert_false(kfile_setting_word(row, cases[i].bad_word));
		assert_false(kfile_setting_word(row, ""));
		assert_false(kfile_setting_number(row, cases[i].bad_number));
	}
	assert_null(kfile_setting("turbo"));
	/* Every one is found as a file. */
	for (; kfile_setting_at(n); n++) {
		_cleanup_free_ char *path = xstrdup(kfile_setting_at(n)->pattern);
		char *hash = strchr(path, '#');

		if (hash)
			*hash = '7';
		assert_ptr_equal(kfile_find(path, NULL), kfile_setting_at(n));
	}
	assert_int_equal(n, 15);
}

static void refusals(void **state)
{
	const struct kfile *irq = kfile_find("/proc/irq/1/smp_affinity_list", CG);
	const struct kfile *cpus = kfile_find(CG "/a/cpuset.cpus", CG);

	(void)state;
	assert_true(kfile_refused(irq, -EIO) && kfile_refused(irq, -EPERM));
	assert_false(kfile_refused(irq, -EINVAL) || kfile_refused(irq, 0));
	assert_false(kfile_refused(cpus, -EIO) || kfile_refused(cpus, -EPERM));
}

static void check(struct sys *sys, const char *path, const char *value, const char *text)
{
	const struct kfile *row = kfile_find(path, CG);
	_cleanup_free_ char *raw = NULL, *read = NULL;

	assert_non_null(row);
	assert_int_equal(kfile_write(sys, row, path, value), 0);
	assert_int_equal(sys_read_line(sys, path, &raw), 0);
	assert_string_equal(raw, text);
	assert_int_equal(kfile_read(sys, row, path, &read), 0);
	assert_string_equal(read, value);
}

/* Written, read back raw, read back as a value. */
static void encoding(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 40);
	char *value = NULL;
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	fake_irq(fake, 9, "acpi", NULL, 0);
	check(&sys, "/proc/irq/9/smp_affinity_list", "0-3,39", "0-3,39");
	check(&sys, "/proc/irq/default_smp_affinity", "0-3,39", "80,0000000f");
	check(&sys, "/proc/irq/default_smp_affinity", "0", "00,00000001");
	check(&sys, "/sys/devices/virtual/workqueue/cpumask", "4-7", "00,000000f0");
	check(&sys, CG "/cgroup.subtree_control", "+cpuset", "cpuset memory pids");
	check(&sys, CG "/cgroup.subtree_control", "-cpuset", "memory pids");
	check(&sys, CG "/cgroup.subtree_control", "+cpuset", "cpuset memory pids");
	assert_int_equal(sys.ops->mkdir(fake, CG "/a"), 0);
	check(&sys, CG "/a/cpuset.cpus", "2-3", "2-3");
	/* An empty value is a line end: zero bytes are not a write. */
	check(&sys, CG "/a/cpuset.cpus", "", "");
	check(&sys, CG "/a/cgroup.type", "threaded", "threaded");
	assert_int_equal(kfile_write(&sys, kfile_find("/proc/irq/default_smp_affinity", CG),
				     "/proc/irq/default_smp_affinity", "x"),
			 -EINVAL);
	fake_file(fake, "/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	assert_int_equal(kfile_read(&sys, kfile_setting("transparent_hugepages"),
				    "/sys/kernel/mm/transparent_hugepage/enabled", &value),
			 0);
	assert_string_equal(value, "madvise");
	free(take_ptr(value));
	check(&sys, "/sys/devices/system/cpu/cpu3/online", "0", "0");
	check(&sys, "/sys/devices/system/cpu/cpu3/online", "1", "1");
	/* A text that the row cannot read is said to be so. */
	fake_file(fake, "/proc/irq/77/smp_affinity_list", "surprise\n");
	assert_int_equal(kfile_read(&sys, kfile_find("/proc/irq/77/smp_affinity_list", CG),
				    "/proc/irq/77/smp_affinity_list", &value),
			 -EBADMSG);
	assert_null(value);
	fake_free(fake);
}

static void reading(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 8);
	struct faulty faulty = { .mode = FAULT_SHORT, .at = 2 };
	_cleanup_free_ char *big = xmalloc(100001), *text = NULL, *line = NULL, *none = NULL;
	struct sys below, sys;

	(void)state;
	fake_sys(fake, &below);
	faulty_sys(&faulty, &below, &sys);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	fake_file(fake, "/proc/big", big);
	fake_file(fake, "/proc/line", "one two \t\n\n");
	/* A short read is continued. */
	assert_int_equal(sys_read(&sys, "/proc/big", 0, &text), 0);
	assert_true(faulty.met);
	assert_string_equal(text, big);
	assert_int_equal(sys_read(&sys, "/proc/big", 99999, &none), -EFBIG);
	assert_int_equal(sys_read_line(&sys, "/proc/line", &line), 0);
	assert_string_equal(line, "one two");
	assert_int_equal(sys_read(&sys, "/proc/none", 0, &none), -ENOENT);
	assert_null(none);
	assert_true(sys_exists(&sys, "/proc/big"));
	assert_false(sys_exists(&sys, "/proc/none"));
	/* An interruption is none. */
	faulty.mode = FAULT_ONCE;
	faulty.at = faulty.count + 2;
	faulty.error = EINTR;
	assert_int_equal(sys_write(&sys, "/proc/irq/default_smp_affinity", "0f"), 0);
	faulty.at = faulty.count + 2;
	faulty.error = EBUSY;
	assert_int_equal(sys_write(&sys, "/proc/irq/default_smp_affinity", "ff"), -EBUSY);
	assert_int_equal(fake_open_fds(fake), 0);
	faulty_clear(&faulty);
	fake_free(fake);
}

/* A recorded machine is never written. */
static void recorded(void **state)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	struct sys sys;

	(void)state;
	sys_open_real(&sys, "/proc/self/cwd");
	cpuset_add(&cpus, 0);
	assert_int_equal(sys_write(&sys, "/file", "ff"), -EROFS);
	assert_int_equal(sys.ops->mkdir(sys.ctx, "/dir"), -EROFS);
	assert_int_equal(sys.ops->rmdir(sys.ctx, "/dir"), -EROFS);
	assert_int_equal(sys.ops->unlink(sys.ctx, "/file"), -EROFS);
	assert_int_equal(sys.ops->rename(sys.ctx, "/file", "/other"), -EROFS);
	assert_int_equal(sys.ops->setaffinity(sys.ctx, getpid(), &cpus), -EROFS);
	assert_int_equal(sys.ops->cgroup_create(sys.ctx, "x"), -EROFS);
	assert_int_equal(sys.ops->cgroup_delete(sys.ctx, "x"), -EROFS);
	assert_int_equal(sys.ops->cgroup_attach(sys.ctx, "x", getpid()), -EROFS);
	sys_close_real(&sys);
}

/* With any umask: others may look into a directory of ours by name, but not
 * open it, which would be enough to lock it; and read the files there. */
static void modes(void **state)
{
	static const mode_t masks[] = { 0, 022, 077 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		char top[] = "/tmp/shield-test-sys.XXXXXX";
		_cleanup_free_ char *dir = NULL, *file = NULL;
		mode_t former = umask(masks[i]);
		struct stat st;
		struct sys sys;
		int fd;

		assert_non_null(mkdtemp(top));
		dir = xasprintf("%s/dir", top);
		file = xasprintf("%s/file", dir);
		sys_open_real(&sys, "");
		assert_int_equal(sys.ops->mkdir(sys.ctx, dir), 0);
		fd = sys.ops->open(sys.ctx, file, O_WRONLY | O_CREAT | O_EXCL);
		assert_true(fd >= 0);
		sys.ops->close(sys.ctx, fd);
		umask(former);
		assert_int_equal(stat(dir, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0711);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0644);
		unlink(file);
		rmdir(dir);
		rmdir(top);
		sys_close_real(&sys);
	}
}

/* No bus is not "no such unit": that is what an ended one answers. */
static void no_bus(void **state)
{
	char *nothing[] = { (char *)"true", NULL };
	const struct service service = {
		.unit = "shield-x.service", .description = "x", .argv = nothing, .post = nothing
	};

	(void)state;
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
	assert_int_equal(systemd_adapter_stop("shield-x.scope"), -ECONNREFUSED);
	assert_int_equal(systemd_adapter_start("shield-x.slice"), -ECONNREFUSED);
	assert_int_equal(systemd_adapter_service(&service), -ECONNREFUSED);
	assert_int_equal(systemd_adapter_partitions(), -ECONNREFUSED);
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

/* What is on a leash ends with it, unless it was let go. */
static void read_leash(void *arg)
{
	char byte;

	(void)arg;
	if (read(3, &byte, 1) == 1)
		for (;;)
			pause();
}

static void leash(void **state)
{
	struct pollfd ended = { .events = POLLIN };
	struct sys sys;
	int fd, pid;

	(void)state;
	sys_open_real(&sys, "");
	for (int kept = 0; kept <= 1; kept++) {
		pid = sys.ops->spawn(sys.ctx, read_leash, NULL, &fd);
		assert_true(pid > 0);
		ended.fd = sys.ops->pidfd(sys.ctx, pid);
		assert_true(ended.fd >= 0);
		assert_int_equal(poll(&ended, 1, 0), 0);
		if (kept)
			assert_int_equal(sys.ops->unleash(sys.ctx, fd), 0);
		sys.ops->close(sys.ctx, fd);
		if (kept) {
			assert_int_equal(poll(&ended, 1, 50), 0);
			assert_int_equal(sys.ops->signal(sys.ctx, ended.fd, SIGKILL), 0);
		}
		assert_int_equal(poll(&ended, 1, 10000), 1);
		sys.ops->close(sys.ctx, ended.fd);
	}
	sys_close_real(&sys);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_ours), cmocka_unit_test(paths_foreign),
		cmocka_unit_test(values_ok),  cmocka_unit_test(refusals),
		cmocka_unit_test(settings),   cmocka_unit_test(encoding),
		cmocka_unit_test(reading),    cmocka_unit_test(modes),
		cmocka_unit_test(recorded),   cmocka_unit_test(no_bus),
		cmocka_unit_test(leash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
