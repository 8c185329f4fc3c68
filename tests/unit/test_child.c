/* SPDX-License-Identifier: MIT */
/* A command under supervision: statuses, signals, what it inherits. */
#include "shield/vm/child.h"
#include "shield/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sys sys; /* for its clock */

static char *const *shell(const char *script)
{
	static char *argv[4] = { (char *)"/bin/sh", (char *)"-c" };

	argv[2] = (char *)script;
	return argv;
}

/* Run to the end; the status, or what child_release() said. */
static int run(char *const argv[], const struct child_options *options, struct err *err)
{
	struct child_event event;
	struct child c;
	int rc;

	assert_int_equal(child_init(&c, &sys, err), 0);
	assert_int_equal(child_start(&c, argv, options, err), 0);
	rc = child_release(&c, err);
	while (c.running)
		assert_int_equal(child_wait(&c, 10000, &event, err), 1);
	if (rc == 0)
		rc = c.status;
	child_deinit(&c);
	return rc;
}

static int run_shell(const char *script)
{
	struct err err = { 0 };

	return run(shell(script), NULL, &err);
}

static void test_status(void **state)
{
	(void)state;
	assert_int_equal(run_shell("exit 0"), 0);
	assert_int_equal(run_shell("exit 42"), 42);
	assert_int_equal(run_shell("kill -TERM $$"), 128 + SIGTERM);
	assert_int_equal(run_shell("kill -KILL $$"), 128 + SIGKILL);
}

static void test_not_found(void **state)
{
	char dir[] = "/tmp/shield-test-XXXXXX";
	char *nothing[] = { (char *)"no-such-command-at-all", NULL };
	char *path[] = { (char *)"/no/such/file", NULL };
	char *directory[] = { (char *)"/tmp", NULL };
	char *empty[] = { (char *)"", NULL };
	struct err err = { 0 };
	char file[64];
	char *plain[] = { file, NULL };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
	close(open(file, O_CREAT | O_WRONLY, 0644));

	assert_int_equal(run(nothing, NULL, &err), 127);
	assert_non_null(strstr(err.text, "no-such-command-at-all"));
	assert_non_null(strstr(err.text, "PATH"));
	assert_int_equal(run(path, NULL, &err), 127);
	assert_int_equal(run(empty, NULL, &err), 127);
	assert_int_equal(run(plain, NULL, &err), 126);
	assert_non_null(strstr(err.text, "chmod +x"));
	assert_int_equal(run(directory, NULL, &err), 126);

	assert_int_equal(child_find_command("no-such-command-at-all", &err), 127);
	assert_int_equal(child_find_command("", &err), 127);
	assert_int_equal(child_find_command("/no/such/file", &err), 127);
	assert_int_equal(child_find_command(file, &err), 126);
	assert_int_equal(child_find_command("/tmp", &err), 126);
	assert_int_equal(child_find_command("sh", &err), 0);
	assert_int_equal(child_find_command("/bin/sh", &err), 0);

	/* What has no #! is a script of the shell, as execvp(3) has it. */
	chmod(file, 0755);
	assert_int_equal(run(plain, NULL, &err), 0);
	int fd = open(file, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "#!/no/such/interpreter\n", 23), 23);
	close(fd);
	assert_int_equal(run(plain, NULL, &err), 127);
	assert_non_null(strstr(err.text, "interpreter"));
	unlink(file);
	rmdir(dir);
}

static void test_signal_forwarded(void **state)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct child_event event;
		struct child c;

		assert_int_equal(child_init(&c, &sys, &err), 0);
		assert_int_equal(child_start(&c, shell("exec sleep 30"), NULL, &err), 0);
		assert_int_equal(child_release(&c, &err), 0);
		kill(getpid(), numbers[i]);
		assert_int_equal(child_wait(&c, 5000, &event, &err), 1);
		assert_int_equal(event.type, CHILD_SIGNAL);
		assert_int_equal(event.signal, numbers[i]);
		assert_false(event.from_terminal);
		assert_int_equal(c.n_asked, i < 4);
		assert_int_equal(child_wait(&c, 5000, &event, &err), 1);
		assert_int_equal(event.type, CHILD_ENDED);
		assert_int_equal(event.status, 128 + numbers[i]);
		child_deinit(&c);
	}
}

/* A signal that comes before the command was let go ends it, too. */
static void test_signal_early(void **state)
{
	struct child_event event;
	struct err err = { 0 };
	struct child c;

	(void)state;
	assert_int_equal(child_init(&c, &sys, &err), 0);
	assert_int_equal(child_interrupted(&c), 0);
	assert_int_equal(child_start(&c, shell("sleep 30"), NULL, &err), 0);
	kill(getpid(), SIGTERM);
	assert_int_equal(child_release(&c, &err), 0);
	assert_int_equal(c.asked, SIGTERM);
	while (c.running)
		assert_int_equal(child_wait(&c, 5000, &event, &err), 1);
	assert_int_equal(c.status, 128 + SIGTERM);
	child_deinit(&c);

	assert_int_equal(child_init(&c, &sys, &err), 0);
	kill(getpid(), SIGHUP);
	assert_int_equal(child_interrupted(&c), SIGHUP);
	child_deinit(&c);
}

/* Mask and dispositions are the command's as they were ours. */
static void test_inherits(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(run_shell("grep -q '^SigBlk:.0*$' /proc/self/status"), 0);
	assert_int_equal(run_shell("grep -q '^SigIgn:.0*$' /proc/self/status"), 0);
	/* nohup: SIGHUP is bit 0 */
	sigaction(SIGHUP, &ignore, &old);
	assert_int_equal(run_shell("grep -q '^SigIgn:.0*1$' /proc/self/status"), 0);
	struct child c;
	assert_int_equal(child_init(&c, &sys, &err), 0);
	kill(getpid(), SIGHUP);
	assert_int_equal(child_interrupted(&c), 0);
	child_deinit(&c);
	sigaction(SIGHUP, &old, NULL);
	/* A parent that ignores SIGCHLD. */
	sigaction(SIGCHLD, &ignore, &old);
	assert_int_equal(run_shell("exit 7"), 7);
	sigaction(SIGCHLD, &old, NULL);
}

static void test_descriptors(void **state)
{
	int keep = open("/dev/null", O_RDONLY | O_CLOEXEC), shut = dup(keep);
	struct child_options options = { .keep = &keep, .n_keep = 1 };
	struct err err = { 0 };
	char script[200];

	(void)state;
	fcntl(shut, F_SETFD, FD_CLOEXEC);
	snprintf(script, sizeof(script), "test -e /proc/$$/fd/%d && ! test -e /proc/$$/fd/%d", keep,
		 shut);
	assert_int_equal(run(shell(script), &options, &err), 0);
	/* Nothing of ours leaks. */
	assert_int_equal(
		run(shell("! ls -l /proc/self/fd | grep -E 'eventpoll|signalfd'"), &options, &err),
		0);
	close(keep);
	close(shut);
}

static void test_closed_streams(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	pid = fork();
	if (pid == 0) {
		close(0);
		close(1);
		close(2);
		child_std_fds();
		_exit(open("/dev/null", O_RDONLY) == 3 || fcntl(2, F_GETFD) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The parent gives up: the waiting process ends without becoming anything. */
static void test_never_released(void **state)
{
	struct err err = { 0 };
	struct child c;

	(void)state;
	assert_int_equal(child_init(&c, &sys, &err), 0);
	assert_int_equal(child_start(&c, shell("exit 3"), NULL, &err), 0);
	child_kill(&c);
	assert_false(c.running);
	assert_false(child_any());
	child_deinit(&c);
}

/* Read from a terminal until a word comes, or ms have passed. */
static bool see(int fd, const char *word, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	long long deadline = deadline_in(ms);
	static char text[4096];
	static size_t n;

	for (;;) {
		ssize_t more;

		text[n] = '\0';
		if (strstr(text, word))
			return true;
		if (poll(&p, 1, deadline_left(deadline)) <= 0)
			return false;
		more = read(fd, text + n, sizeof(text) - 1 - n);
		if (more <= 0)
			return false;
		n += (size_t)more;
	}
}

/* Ctrl-C reaches the command once, through the terminal; a signal from kill
 * once, through us. The command reads what is typed. */
static void test_terminal(void **state)
{
	int master, status;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run_shell("n=0; trap 'n=$((n+1)); echo got $n' INT; read x; echo $x:$x; "
				"while :; do sleep 0.1; done"));
	assert_int_equal(write(master, "typed\n", 6), 6);
	assert_true(see(master, "typed:typed", 5000));
	assert_int_equal(write(master, "\003", 1), 1);
	assert_true(see(master, "got 1", 5000));
	assert_false(see(master, "got 2", 500));
	kill(pid, SIGINT);
	assert_true(see(master, "got 2", 5000));
	assert_false(see(master, "got 3", 500));
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, (128 + SIGTERM) << 8);
	close(master);
}

/* What the command leaves behind becomes ours, and its end is reported. */
static void test_orphan(void **state)
{
	struct child_event event;
	struct err err = { 0 };
	struct child c;

	(void)state;
	assert_int_equal(child_init(&c, &sys, &err), 0);
	assert_int_equal(child_start(&c, shell("(sleep 0.3; exit 9) & exit 5"), NULL, &err), 0);
	assert_int_equal(child_release(&c, &err), 0);
	assert_int_equal(child_wait(&c, 5000, &event, &err), 1);
	assert_int_equal(event.type, CHILD_ENDED);
	assert_int_equal(event.status, 5);
	assert_true(child_any());
	assert_int_equal(child_wait(&c, 10, &event, &err), 0);
	assert_int_equal(child_wait(&c, 5000, &event, &err), 1);
	assert_int_equal(event.type, CHILD_ORPHAN);
	assert_int_equal(event.status, 9);
	assert_false(child_any());
	child_deinit(&c);
}

static void note_ready(void *ctx, int fd, short events)
{
	(void)events;
	*(int *)ctx = fd;
}

static void test_watch(void **state)
{
	struct child_event event;
	struct err err = { 0 };
	struct child c;
	int ends[2], ready = -1;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(child_init(&c, &sys, &err), 0);
	loop_watch(&c.loop, ends[0], POLLIN, note_ready, &ready);
	assert_int_equal(child_wait(&c, 0, &event, &err), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(child_wait(&c, 1000, &event, &err), 1);
	assert_int_equal(event.type, CHILD_OTHER);
	assert_int_equal(ready, ends[0]);
	loop_unwatch(&c.loop, ends[0]);
	assert_int_equal(child_wait(&c, 0, &event, &err), 0);
	child_deinit(&c);
	close(ends[0]);
	close(ends[1]);
}

static void test_user(void **state)
{
	struct user_account account;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(user_lookup("no-such-user-at-all", &account, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(user_lookup("", &account, &err), -1);
	assert_int_equal(user_lookup("99999999999999999999", &account, &err), -1);
	assert_int_equal(user_lookup("-1", &account, &err), -1);
	assert_int_equal(user_lookup("0", &account, &err), 0);
	assert_string_equal(account.name, "root");
	assert_int_equal(account.uid, 0);
	user_clear(&account);
	assert_int_equal(user_lookup("nobody", &account, &err), 0);
	assert_true(account.uid != 0);
	assert_true(account.n_groups >= 1);
	struct child_options options = { .user = &account };
	if (geteuid() == 0) {
		assert_int_equal(
			run(shell("test $(id -u) = $(id -u nobody) && "
				  "test $(id -g) = $(id -g nobody) && test $USER = nobody && "
				  "test $LOGNAME = nobody && test \"$HOME\" = "
				  "\"$(getent passwd nobody | cut -d: -f6)\" && "
				  "grep -q '^CapEff:.0*$' /proc/self/status"),
			    &options, &err),
			0);
	} else {
		assert_int_equal(run(shell("exit 0"), &options, &err), 126);
		assert_int_equal(err.kind, ERR_UNSUPPORTED);
	}
	user_clear(&account);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_signal_forwarded),
		cmocka_unit_test(test_signal_early),
		cmocka_unit_test(test_inherits),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_closed_streams),
		cmocka_unit_test(test_never_released),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_user),
	};

	sys_open_real(&sys, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
