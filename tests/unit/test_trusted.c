/* SPDX-License-Identifier: MIT */
/*
 * Files that root obeys: every way to have another one in their place is refused, as root and on
 * real file systems. The attackers are this program itself.
 */
#include "shield/sys/trusted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sys sys;
static char top[] = "/tmp/shield-trusted-XXXXXX";

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0644), 0);
}

/* The text; or the errno, and why. */
static int get(const char *path, char **text, char **why)
{
	*text = *why = NULL;
	return trusted_read(&sys, path, 0, text, why);
}

static void good(const char *path)
{
	char *text, *why;
	int rc = get(path, &text, &why);

	if (rc < 0)
		fail_msg("%s: %s", path, why ? why : strerror(-rc));
	assert_string_equal(text, "good");
	free(text);
}

static void refused(const char *path, const char *says)
{
	char *text, *why;
	int rc = get(path, &text, &why);

	if (rc != -EKEYREJECTED || !why || !strstr(why, says))
		fail_msg("%s: expected \"%s\", is %d (%s)", path, says, rc, why ? why : "");
	free(why);
}

static void fails(const char *path, int number)
{
	char *text, *why;
	int rc = get(path, &text, &why);

	assert_null(why);
	if (rc != -number)
		fail_msg("%s: expected %d, is %d", path, number, -rc);
}

static void plain(void **state)
{
	_cleanup_free_ char *long_way = xasprintf("../../../..//.%s/a/b/file", top);

	(void)state;
	assert_int_equal(mkdir("a", 0755) | mkdir("a/b", 0711), 0);
	put("a/b/file", "good");
	good("a/b/file");
	good("./a/../a//b/./file");
	good(long_way);
	fails("a/b/none", ENOENT);
	fails("a/none/file", ENOENT);
	fails("a/b", EISDIR);
	fails("/", EISDIR);
	fails("a/b/file/x", ENOTDIR);
}

static void links(void **state)
{
	_cleanup_free_ char *self = xasprintf("/proc/%d/root%s/a/b/file", (int)getpid(), top);
	_cleanup_free_ char *magic = NULL;
	int fd = open("a/b/file", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(symlink("b/file", "a/link"), 0);
	refused("a/link", "it is a symbolic link");
	assert_int_equal(symlink("a", "dir"), 0);
	refused("dir/b/file", "/dir is a symbolic link");
	/* Its owner is root wherever it leads to. */
	assert_int_equal(symlink("/proc/self/cmdline", "a/cmdline"), 0);
	refused("a/cmdline", "it is a symbolic link");
	refused("/proc/self/cmdline", "symbolic link");
	magic = xasprintf("/proc/%d/fd/%d", (int)getpid(), fd);
	refused(magic, "symbolic link");
	refused(self, "symbolic link");
	close(fd);
}

static void made_up_files(void **state)
{
	_cleanup_free_ char *cmdline = xasprintf("/proc/%d/cmdline", (int)getpid());

	(void)state;
	refused(cmdline, "a file system of type proc");
	refused("/proc/version", "a file system of type proc");
	refused("/sys/kernel/mm/transparent_hugepage/enabled", "a file system of type sysfs");
}

/* FUSE, as root would see it. */
static int fuse(void *ctx, int fd, unsigned long *type)
{
	(void)ctx;
	(void)fd;
	*type = 0x65735546;
	return 0;
}

static void a_server(void **state)
{
	struct sys_ops ops = *sys.ops;
	struct sys served = { &ops, sys.ctx, false };
	char *why = NULL;

	(void)state;
	ops.fstatfs = fuse;
	assert_int_equal(trusted_open(&served, "a/b/file", &why), -EKEYREJECTED);
	assert_non_null(strstr(why, "FUSE"));
	free(why);
}

static void owners(void **state)
{
	(void)state;
	assert_int_equal(chown("a", 1000, 0), 0);
	refused("a/b/file", "/a belongs to user 1000");
	assert_int_equal(chown("a", 0, 0) | chown("a/b", 1000, 0), 0);
	refused("a/b/file", "/a/b belongs to user 1000");
	assert_int_equal(chown("a/b", 0, 1000) | chmod("a/b", 0755), 0);
	good("a/b/file");
	assert_int_equal(chown("a/b/file", 1000, 0), 0);
	refused("a/b/file", "it belongs to user 1000");
	assert_int_equal(chown("a/b/file", 0, 1000), 0);
	good("a/b/file");
}

static void modes(void **state)
{
	static const mode_t open[] = { 0775, 0757, 0777, 02775 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		assert_int_equal(chmod("a", open[i]), 0);
		refused("a/b/file", "/a is writable by users other than root");
		assert_int_equal(chmod("a", 0755) | chmod("a/b", open[i]), 0);
		refused("a/b/file", "/a/b is writable by users other than root");
		assert_int_equal(chmod("a/b", 0755), 0);
	}
	assert_int_equal(chmod("a/b/file", 0664), 0);
	refused("a/b/file", "it is writable by users other than root (mode 0664)");
	assert_int_equal(chmod("a/b/file", 0644), 0);
	good("a/b/file");
}

static void sticky(void **state)
{
	(void)state;
	assert_int_equal(chmod("a/b", 01777), 0);
	good("a/b/file");
	assert_int_equal(link("a/b/file", "a/b/other"), 0);
	refused("a/b/other", "hard link");
	assert_int_equal(unlink("a/b/other"), 0);
	/* The owner of such a directory may rename all in it. */
	assert_int_equal(chown("a/b", 1000, 0), 0);
	refused("a/b/file", "/a/b belongs to user 1000");
	assert_int_equal(chown("a/b", 0, 0), 0);
	assert_int_equal(mkdir("a/b/theirs", 0755) | chown("a/b/theirs", 1000, 0), 0);
	put("a/b/theirs/file", "evil");
	refused("a/b/theirs/file", "/a/b/theirs belongs to user 1000");
	assert_int_equal(chmod("a/b", 0755), 0);
}

/* None of these is waited for, and none is opened: that alone would do something. */
static void no_files(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "a/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(mkfifo("a/fifo", 0600), 0);
	fails("a/fifo", EBADF);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fails("a/socket", EBADF);
	fails("/dev/null", EBADF);
	/* There is no such device: only an attempt to open it would say so. */
	if (mknod("a/device", S_IFCHR | 0600, makedev(249, 77)) == 0)
		fails("a/device", EBADF);
	close(fd);
}

static _Noreturn void swap(const char *a, const char *b)
{
	for (;;)
		renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

/* A name that is root's directory, and the attacker's the next moment; or root's file,
 * and a link. */
static void races(void **state)
{
	static const struct {
		const char *a, *b, *file;
	} pairs[] = { { "a/root", "a/user", "a/root/file" },
		      { "a/real", "a/led", "a/real" },
		      { "a/way", "a/kept", "a/way/file" } };

	(void)state;
	assert_int_equal(mkdir("a/root", 0755) | mkdir("a/user", 0755) | mkdir("a/kept", 0755), 0);
	put("a/root/file", "good");
	put("a/kept/file", "good");
	put("a/user/file", "evil");
	assert_int_equal(chown("a/user", 1000, 0), 0);
	put("a/real", "good");
	assert_int_equal(symlink("user/file", "a/led") | symlink("user", "a/way"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		unsigned n_good = 0, n_refused = 0;
		time_t end = time(NULL) + 30;
		pid_t attacker = fork();

		if (attacker == 0)
			swap(pairs[i].a, pairs[i].b);
		/* On a busy machine the attacker's turn may come late. */
		for (unsigned n = 0; n < 2000 || ((!n_good || !n_refused) && time(NULL) < end);
		     n++) {
			char *text, *why;
			int rc = get(pairs[i].file, &text, &why);

			if (rc == 0 && strcmp(text, "good") != 0)
				fail_msg("%s: read what the attacker wrote", pairs[i].file);
			n_good += rc == 0;
			n_refused += rc < 0;
			free(text);
			free(why);
		}
		kill(attacker, SIGKILL);
		waitpid(attacker, NULL, 0);
		print_message("%s: %u times good, %u refused\n", pairs[i].file, n_good, n_refused);
		assert_true(n_good > 0 && n_refused > 0);
	}
}

/* Users other than root may read any file. */
static void others(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		char *text, *why;

		_exit(setresuid(1000, 1000, 1000) == 0 && get("a/link", &text, &why) == 0 &&
				      strcmp(text, "good") == 0
			      ? 0
			      : 1);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),	 cmocka_unit_test(links),
		cmocka_unit_test(made_up_files), cmocka_unit_test(a_server),
		cmocka_unit_test(owners),	 cmocka_unit_test(modes),
		cmocka_unit_test(others),	 cmocka_unit_test(sticky),
		cmocka_unit_test(no_files),	 cmocka_unit_test(races),
	};
	_cleanup_free_ char *clean = NULL;
	int rc;

	mem_init();
	if (geteuid() != 0) {
		fputs("this needs root: it plays other users\n", stderr);
		return 1;
	}
	sys_open_real(&sys, "");
	if (!mkdtemp(top) || chmod(top, 0755) < 0 || chdir(top) < 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	clean = xasprintf("rm -rf %s", top);
	if (chdir("/") == 0 && system(clean) != 0)
		rc = 1;
	sys_close_real(&sys);
	return rc;
}
