/* SPDX-License-Identifier: MIT */
/* The kernel in memory against the table of kernel behaviour, and what the
 * table cannot say: plain files, /proc, descriptors, snapshots. */
#include "tests/fake/kernel.h"
#include "tests/fake/matrix.h"
#include "shield/sys/sys_write.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static pid_t spawn(void *ctx, const char *name)
{
	pid_t pid = fake_process(ctx, name, "");

	fake_thread(ctx, pid, name);
	return pid;
}

static void end(void *ctx, pid_t pid)
{
	fake_exit(ctx, pid + 1);
	fake_exit(ctx, pid);
}

static int hotplug(void *ctx, unsigned cpu, bool online)
{
	fake_cpu(ctx, cpu, online);
	return 0;
}

static struct fake *machine(enum flavour flavour)
{
	struct fake *fake = fake_new(flavour, 8);

	fake_kthread(fake, "kswapd0", NULL, 0);
	fake_irq(fake, 0, "timer", "0", FAKE_MANAGED);
	fake_irq(fake, 24, "eth0", NULL, 0);
	return fake;
}

/* Every case that names the kernel, each on a machine of its own; afterwards
 * nothing of it may be left. */
static void matrix(enum flavour flavour)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < matrix_count; i++) {
		const struct matrix_case *c = &matrix_cases[i];
		struct fake *fake;
		struct sys sys;
		struct matrix_host host = { &sys, NULL, spawn, end, hotplug, NULL, 24, 0, 0 };

		if (!(c->kernels & (1u << flavour)))
			continue;
		fake = machine(flavour);
		host.ctx = fake;
		fake_sys(fake, &sys);
		_cleanup_free_ char *before = fake_snapshot(fake);
		_cleanup_free_ char *why = matrix_run(&host, c);
		_cleanup_free_ char *after = fake_snapshot(fake);

		if (!why && strcmp(before, after) != 0 && !strstr(c->steps, "kswapd0="))
			why = xasprintf("left behind:\n%s", after);
		if (why) {
			print_error("%s: %s: %s\n", fake_flavour_name(flavour), c->name, why);
			failed++;
		}
		assert_int_equal(fake_open_fds(fake), 0);
		fake_free(fake);
	}
	assert_int_equal(failed, 0);
}

static void matrix_6_1(void **state)
{
	(void)state;
	matrix(FAKE_6_1);
}

static void matrix_6_12(void **state)
{
	(void)state;
	matrix(FAKE_6_12);
}

static void matrix_7(void **state)
{
	(void)state;
	matrix(FAKE_7);
}

static void plain_files(void **state)
{
	struct fake *fake = machine(FAKE_7);
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_free_ char *text = NULL;
	struct stat st;
	struct sys sys;
	int a, b;

	(void)state;
	fake_sys(fake, &sys);
	assert_int_equal(sys.ops->mkdir(fake, "/run/shield"), 0);
	assert_int_equal(sys.ops->mkdir(fake, "/run/shield"), -EEXIST);
	assert_int_equal(sys.ops->mkdir(fake, "/nowhere/shield"), -ENOENT);
	assert_int_equal(sys.ops->open(fake, "/run/shield/a", O_RDONLY), -ENOENT);
	a = sys.ops->open(fake, "/run/shield/a", O_WRONLY | O_CREAT | O_EXCL);
	assert_true(a > 0);
	assert_int_equal(sys.ops->open(fake, "/run/shield/a", O_WRONLY | O_CREAT | O_EXCL),
			 -EEXIST);
	assert_int_equal(sys.ops->write(fake, a, "one ", 4), 4);
	assert_int_equal(sys.ops->write(fake, a, "two", 3), 3);
	assert_int_equal(sys.ops->close(fake, a), 0);
	assert_int_equal(sys.ops->close(fake, a), -EBADF);
	assert_int_equal(sys.ops->rename(fake, "/run/shield/a", "/run/shield/b"), 0);
	assert_int_equal(sys_read(&sys, "/run/shield/b", 0, &text), 0);
	assert_string_equal(text, "one two");
	assert_int_equal(sys_read(&sys, "/run/shield/b", 3, &text), -EFBIG);
	assert_int_equal(sys.ops->list(fake, "/run/shield", &names), 0);
	assert_int_equal(names.n, 1);
	assert_int_equal(sys.ops->rmdir(fake, "/run/shield"), -ENOTEMPTY);

	fake_symlink(fake, "/run/shield/link", "/run/shield/b");
	assert_int_equal(sys.ops->open(fake, "/run/shield/link", O_RDONLY | O_NOFOLLOW), -ELOOP);
	assert_int_equal(sys.ops->lstat(fake, "/run/shield/link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	fake_chattr(fake, "/run/shield/b", S_IFREG | 0664, 1000, 2);
	assert_int_equal(sys.ops->lstat(fake, "/run/shield/b", &st), 0);
	assert_true(st.st_mode == (S_IFREG | 0664) && st.st_uid == 1000 && st.st_nlink == 2);

	/* The second to take the lock would wait for the first, for ever. */
	a = sys.ops->open(fake, "/run/shield", O_RDONLY | O_DIRECTORY);
	b = sys.ops->open(fake, "/run/shield", O_RDONLY | O_DIRECTORY);
	assert_int_equal(sys.ops->flock(fake, a, LOCK_EX), 0);
	assert_int_equal(sys.ops->flock(fake, b, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
	fake_process_dies(fake);
	assert_int_equal(fake_open_fds(fake), 0);
	b = sys.ops->open(fake, "/run/shield", O_RDONLY | O_DIRECTORY);
	assert_int_equal(sys.ops->flock(fake, b, LOCK_EX), 0);
	assert_int_equal(fake_flocks(fake), 2);
	fake_free(fake);
}

static void tasks(void **state)
{
	struct fake *fake = machine(FAKE_6_12);
	pid_t pid = fake_process(fake, "a (b) c", "x/y"), tid = fake_thread(fake, pid, "CPU 0/KVM");
	_cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/stat", (int)pid, (int)tid);
	_cleanup_free_ char *status = xasprintf("/proc/%d/status", (int)pid);
	_cleanup_free_ char *wrong = xasprintf("/proc/%d/task/1/stat", (int)pid);
	_cleanup_free_ char *text = NULL, *stat = NULL, *cgroup = NULL;
	_cleanup_free_ char *name = xasprintf("%d", (int)pid);
	_cleanup_strv_ struct strv names = { 0 };
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	assert_int_equal(sys_read_line(&sys, path, &stat), 0);
	assert_non_null(strstr(stat, "(CPU 0/KVM) S"));
	assert_int_equal(sys_read(&sys, status, 0, &text), 0);
	assert_non_null(strstr(text, "\nCpus_allowed_list:\t0-7\n"));
	assert_int_equal(sys_read_line(&sys, wrong, &cgroup), -ENOENT);
	assert_int_equal(sys_read_line(&sys, "/proc/self/cgroup", &cgroup), 0);
	assert_string_equal(cgroup, "0::/");
	assert_int_equal(sys.ops->list(fake, "/proc", &names), 0);
	assert_true(strv_contains(&names, name) && strv_contains(&names, "1") &&
		    strv_contains(&names, "irq") && strv_contains(&names, "sys"));
	fake_free(fake);
}

/* 1,024 CPUs: masks are as wide as the machine. */
static void wide(void **state)
{
	struct fake *fake = fake_new(FAKE_7, 1024);
	_cleanup_free_ char *text = NULL;
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	assert_int_equal(sys_read_line(&sys, "/proc/irq/default_smp_affinity", &text), 0);
	assert_int_equal(strlen(text), 32 * 8 + 31);
	assert_int_equal(sys_write(&sys, "/proc/irq/default_smp_affinity", text), 0);
	fake_free(fake);
}

/* An interrupt that moves when it next fires. */
static void pending(void **state)
{
	static const char list[] = "/proc/irq/30/effective_affinity_list";
	struct fake *fake = machine(FAKE_7);
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct sys sys;

	(void)state;
	fake_sys(fake, &sys);
	fake_irq(fake, 30, "nvme0q1", "4", FAKE_PENDING);
	assert_int_equal(sys_write(&sys, "/proc/irq/30/smp_affinity_list", "1"), 0);
	assert_int_equal(sys_read_line(&sys, list, &before), 0);
	assert_string_equal(before, "4");
	fake_irq_fire(fake, 30);
	assert_int_equal(sys_read_line(&sys, list, &after), 0);
	assert_string_equal(after, "1");
	fake_free(fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(matrix_6_1), cmocka_unit_test(matrix_6_12),
		cmocka_unit_test(matrix_7),   cmocka_unit_test(plain_files),
		cmocka_unit_test(tasks),      cmocka_unit_test(wide),
		cmocka_unit_test(pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
