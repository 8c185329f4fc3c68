/* SPDX-License-Identifier: MIT */
/*
 * A command of another user: its terminal, and what else it gets of root's. This program is the
 * shell in whose terminal all that happens, and, called again, the command that attacks it.
 */
#include "shield/vm/child.h"
#include "shield/vm/confine.h"
#include "shield/base/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tiocl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct sys sys; /* for its clock */

static struct user_account nobody;
static char self[4096];

/* The command: try all that a terminal could be attacked with. */
static int attack(void)
{
	static const unsigned long requests[] = { TIOCSTI, 0xdeadbeef00000000UL | TIOCSTI,
						  TIOCLINUX, 0x100000000UL | TIOCLINUX };
	char what[] = { TIOCL_PASTESEL, '\n' };
	int failed = 0, fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (syscall(SYS_ioctl, fd < 0 ? 0 : fd, requests[i], what) != -1 || errno != EPERM)
			failed++;
	printf("attacks that were not refused: %d\n", failed);
	return failed;
}

static int run_as(char *const argv[], const struct child_options *given)
{
	struct child_options options = given ? *given : (struct child_options){ 0 };
	struct child_event event;
	struct err err = { 0 };
	struct child c;
	int rc;

	options.user = &nobody;
	if (child_init(&c, &sys, &err) < 0 || child_start(&c, argv, &options, &err) < 0 ||
	    child_release(&c, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 99;
	}
	while (c.running)
		if (child_wait(&c, 30000, &event, &err) < 0)
			return 98;
	rc = c.status;
	/* What it left behind may have something to say. */
	for (int i = 0; i < 20 && child_any(); i++)
		child_wait(&c, 100, &event, &err);
	child_deinit(&c);
	return rc;
}

static int run_shell(const char *script)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };

	return run_as(argv, NULL);
}

/* A terminal in which such a script runs; in a job of its own, as shells do it. */
struct screen {
	int master;
	pid_t pid, job;
	char text[1 << 18];
	size_t n;
};

static struct screen screen;

static _Noreturn void be_the_shell(const char *script)
{
	int status, told = 0;
	struct termios modes;
	pid_t job = fork();

	signal(SIGTTOU, SIG_IGN);
	if (job == 0) {
		setpgid(0, 0);
		tcsetpgrp(0, getpid());
		signal(SIGTTOU, SIG_DFL);
		_exit(run_shell(script));
	}
	while (waitpid(job, &status, WUNTRACED) == job && !WIFEXITED(status)) {
		tcsetpgrp(0, getpgrp());
		/* The keeper of one that was killed needs a moment. */
		for (int i = 0; i < 1000 && tcgetattr(0, &modes) == 0; i++) {
			if (modes.c_lflag & ECHO || WIFSTOPPED(status))
				break;
			usleep(10000);
		}
		printf("job %s, echo %s\n", WIFSTOPPED(status) ? "stopped" : "killed",
		       modes.c_lflag & ECHO ? "on" : "off");
		fflush(stdout);
		if (!WIFSTOPPED(status))
			break;
		told = getchar();
		tcsetpgrp(0, job);
		kill(-job, SIGCONT);
	}
	tcgetattr(0, &modes);
	printf("end %d, echo %s%s\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       modes.c_lflag & ECHO ? "on" : "off", told == EOF ? ", hung up" : "");
	fflush(stdout);
	usleep(100000);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
}

static void begin(const char *script)
{
	struct winsize size = { .ws_row = 33, .ws_col = 77 };

	memset(&screen, 0, sizeof(screen));
	screen.pid = forkpty(&screen.master, NULL, NULL, &size);
	assert_true(screen.pid >= 0);
	if (screen.pid == 0)
		be_the_shell(script);
}

static bool see(const char *word, int ms)
{
	struct pollfd p = { .fd = screen.master, .events = POLLIN };
	long long deadline = deadline_in(ms);

	while (!strstr(screen.text, word)) {
		ssize_t n;

		if (poll(&p, 1, deadline_left(deadline)) <= 0)
			return false;
		n = read(screen.master, screen.text + screen.n, sizeof(screen.text) - 1 - screen.n);
		if (n <= 0)
			return false;
		screen.n += (size_t)n;
	}
	return true;
}

static void expect(const char *word)
{
	if (!see(word, 20000))
		fail_msg("\"%s\" was not shown, but:\n%s", word, screen.text);
}

static void type(const char *keys)
{
	assert_int_equal(write(screen.master, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void ends(int status)
{
	int is;

	while (see("never shown", 5000))
		;
	assert_int_equal(waitpid(screen.pid, &is, 0), screen.pid);
	if (is != status << 8)
		fail_msg("ended with %#x, expected %d:\n%s", (unsigned)is, status, screen.text);
	close(screen.master);
}

static void is_its_own(void **state)
{
	_cleanup_free_ char *own = NULL;
	struct winsize size = { .ws_row = 44, .ws_col = 99 };
	char outer[64];

	(void)state;
	begin("trap 'echo new size; stty size' WINCH; echo in $(tty); stty size </dev/tty; "
	      "read a; echo $a:$a; while ! read b; do :; done; exit 7");
	expect("33 77");
	assert_int_equal(ptsname_r(screen.master, outer, sizeof(outer)), 0);
	own = xasprintf("in %s\r", outer);
	assert_null(strstr(screen.text, own));
	type("typed\n");
	expect("typed:typed");
	ioctl(screen.master, TIOCSWINSZ, &size);
	kill(-tcgetpgrp(screen.master), SIGWINCH);
	usleep(300000);
	type("\n");
	expect("end 7, echo on");
	ends(7);
}

static void new_size(void **state)
{
	struct winsize size = { .ws_row = 44, .ws_col = 99 };

	(void)state;
	begin("trap 'echo new $(stty size); exit 0' WINCH; echo ready; "
	      "while :; do sleep 0.05; done");
	expect("ready");
	ioctl(screen.master, TIOCSWINSZ, &size);
	expect("new 44 99");
	ends(0);
}

static void cannot_be_attacked(void **state)
{
	_cleanup_free_ char *script = xasprintf("%s attack; echo attacked $?", self);

	(void)state;
	begin(script);
	expect("attacked 0");
	expect("end 0");
	ends(0);
}

/* Without any stream that is a terminal it has none. */
static void has_none(void **state)
{
	(void)state;
	begin("echo $(ps -o tty= -p $$ 2>/dev/null)");
	expect("end 0");
	ends(0);
	screen.pid = forkpty(&screen.master, NULL, NULL, NULL);
	if (screen.pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		_exit(run_shell("(: </dev/tty) 2>/dev/null && exit 1; exit 0"));
	}
	ends(0);
}

static void interrupted(void **state)
{
	(void)state;
	begin("trap 'echo got it' INT; trap 'echo quit; exit 3' QUIT; echo ready; "
	      "while :; do sleep 0.1; done");
	expect("ready");
	type("\003");
	expect("got it");
	type("\034");
	expect("quit");
	expect("end 3, echo on");
	ends(3);
	begin("echo ready; exec sleep 30");
	expect("ready");
	type("\003");
	expect("end 130, echo on");
	ends(130);
}

static void stopped(void **state)
{
	(void)state;
	begin("echo ready; read x; echo again:$x; exit 4");
	expect("ready");
	type("\032");
	expect("job stopped, echo on");
	type("\n"); /* fg */
	usleep(300000);
	type("here\n");
	expect("again:here");
	expect("end 4, echo on");
	ends(4);
	/* One that takes it as it likes. */
	begin("trap 'echo not now' TSTP; echo ready; while :; do read x && exit 5; done");
	expect("ready");
	type("\032\n");
	expect("not now");
	expect("end 5, echo on");
	assert_null(strstr(screen.text, "job stopped"));
	ends(5);
}

static void killed(void **state)
{
	(void)state;
	begin("echo ready; kill -KILL $$");
	expect("end 137, echo on");
	ends(137);
	/* And we: the keeper gives the modes back, and the command goes on. */
	begin("echo ready; read x; echo $x; sleep 0.3; echo x; : >/tmp/shield-alive");
	expect("ready");
	type("typed\n");
	expect("typed\r\ntyped");
	kill(tcgetpgrp(screen.master), SIGKILL);
	expect("job killed, echo on");
	for (int i = 0; i < 500 && access("/tmp/shield-alive", F_OK) < 0; i++)
		usleep(10000);
	assert_int_equal(unlink("/tmp/shield-alive"), 0);
	close(screen.master);
	waitpid(screen.pid, NULL, 0);
}

/* A script that leaves something behind: it is not hung up on. */
static void left_behind(void **state)
{
	(void)state;
	begin("(trap 'echo hung up' HUP; sleep 0.3; echo left alone) & exit 6");
	expect("left alone");
	expect("end 6");
	assert_null(strstr(screen.text, "hung up"));
	ends(6);
}

/* All of it comes, to the last byte, and nothing turns in circles. */
static void much(void **state)
{
	struct rusage before, after;
	const char *at;
	long ms;

	(void)state;
	begin("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; exit 9");
	expect("end 9");
	at = screen.text;
	for (unsigned i = 1; i <= 20000; i++) {
		char line[16];

		snprintf(line, sizeof(line), "%u\r\n", i);
		if (strncmp(at, line, strlen(line)) != 0)
			fail_msg("line %u is missing", i);
		at += strlen(line);
	}
	ends(9);
	getrusage(RUSAGE_CHILDREN, &before);
	begin("exec sleep 1");
	expect("end 0");
	ends(0);
	getrusage(RUSAGE_CHILDREN, &after);
	ms = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
	      before.ru_stime.tv_sec) *
		     1000 +
	     (after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
	      before.ru_stime.tv_usec) /
		     1000;
	if (ms > 400)
		fail_msg("%ld ms of CPU time to wait for 1 s", ms);
}

static int quiet_shell(const char *script, const struct child_options *options)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };

	return run_as(argv, options);
}

static void environment(void **state)
{
	static const char *const given[] = { "WAYLAND_DISPLAY", "PULSE_SERVER",
					     "PIPEWIRE_REMOTE", "DBUS_SESSION_BUS_ADDRESS",
					     "LC_ALL",		"XAUTHORITY",
					     "XDG_SESSION_ID" };
	static const char *const secret[] = { "AWS_SECRET",    "SUDO_COMMAND", "LD_PRELOADED",
					      "NOTIFY_SOCKET", "XAUTHORITYX",  "LANGX" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		_cleanup_free_ char *script = xasprintf("test \"$%s\" = kept", given[i]);

		setenv(given[i], "kept", 1);
		if (quiet_shell(script, NULL) != 0)
			fail_msg("%s is lost", given[i]);
		unsetenv(given[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		_cleanup_free_ char *script = xasprintf("test -z \"${%s+x}\"", secret[i]);

		setenv(secret[i], "secret", 1);
		if (quiet_shell(script, NULL) != 0)
			fail_msg("%s is passed on", secret[i]);
		unsetenv(secret[i]);
	}
	assert_int_equal(
		quiet_shell("test $USER = nobody && test $LOGNAME = nobody && "
			    "test -n \"$SHELL\" && test $HOME != /root && test -n \"$PATH\"",
			    NULL),
		0);
}

static void privileges(void **state)
{
	struct child_options allowed = { .privileges = true };

	(void)state;
	assert_int_equal(quiet_shell("grep -q '^NoNewPrivs:.1' /proc/self/status && "
				     "grep -q '^Seccomp:.2' /proc/self/status && "
				     "grep -q '^CapEff:.0*$' /proc/self/status",
				     NULL),
			 0);
	assert_int_equal(quiet_shell("grep -q '^NoNewPrivs:.0' /proc/self/status && "
				     "grep -q '^Seccomp:.2' /proc/self/status && "
				     "grep -q '^CapEff:.0*$' /proc/self/status",
				     &allowed),
			 0);
}

static void descriptors(void **state)
{
	int open_ones[2] = { open("/dev/null", O_RDWR), open("/dev/zero", O_RDWR) };
	struct child_options options = { .keep = &open_ones[1], .n_keep = 1 };
	_cleanup_free_ char *script = xasprintf(
		"test ! -e /proc/$$/fd/%d && test -e /proc/$$/fd/%d", open_ones[0], open_ones[1]);
	char *const qemu[] = { (char *)"qemu-system-x86_64", (char *)"-netdev", script, NULL };

	(void)state;
	assert_int_equal(quiet_shell(script, &options), 0);
	free(script);
	script = xasprintf("tap,id=n,fd=%d,vhost=on", open_ones[0]);
	((char **)qemu)[2] = script;
	assert_int_equal(confine_missing_fd(qemu, options.keep, 1), open_ones[0]);
	assert_int_equal(confine_missing_fd(qemu, open_ones, 1), -1);
	free(script);
	script = xasprintf("tap,id=n,fds=%d:%d", open_ones[1], open_ones[0]);
	((char **)qemu)[2] = script;
	assert_int_equal(confine_missing_fd(qemu, options.keep, 1), open_ones[0]);
	close(open_ones[0]);
	assert_int_equal(confine_missing_fd(qemu, options.keep, 1), -1);
	close(open_ones[1]);
}

static void locked_memory(void **state)
{
	static const struct {
		const char *arg;
		bool locks;
	} rows[] = { { "vfio-pci,host=01:00.0", true },
		     { "vhost-vdpa,vhostdev=/dev/vhost-vdpa-0,id=v", true },
		     { "mem-lock=on", true },
		     { "virtio-net-pci,netdev=n", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *const argv[] = { (char *)"/usr/bin/qemu-system-x86_64", (char *)"-device",
				       (char *)rows[i].arg, NULL };

		assert_int_equal(confine_locks_memory(argv, &nobody), rows[i].locks);
	}
	assert_int_equal(quiet_shell("test $(ulimit -l) != unlimited || exit 8", NULL),
			 quiet_shell("exit 0", NULL) +
				 (system("test $(ulimit -l) != unlimited") == 0 ? 0 : 8));
}

static void needed(void **state)
{
	char *const sudo[] = { (char *)"/usr/bin/sudo", (char *)"x", NULL };
	char *const bridge[] = { (char *)"qemu-system-x86_64", (char *)"-netdev",
				 (char *)"bridge,id=n,br=br0", NULL };
	char *const named[] = { (char *)"qemu-system-x86_64", (char *)"-name", (char *)"bridge",
				NULL };

	(void)state;
	assert_string_equal(confine_needs_privileges(sudo), "sudo");
	assert_string_equal(confine_needs_privileges(bridge), "qemu-bridge-helper");
	assert_null(confine_needs_privileges(named));
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_its_own),
		cmocka_unit_test(new_size),
		cmocka_unit_test(cannot_be_attacked),
		cmocka_unit_test(has_none),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(stopped),
		cmocka_unit_test(killed),
		cmocka_unit_test(left_behind),
		cmocka_unit_test(much),
		cmocka_unit_test(environment),
		cmocka_unit_test(privileges),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(locked_memory),
		cmocka_unit_test(needed),
	};
	struct err err = { 0 };

	mem_init();
	if (argc > 1 && strcmp(argv[1], "attack") == 0)
		return attack();
	if (geteuid() != 0 || user_lookup("nobody", &nobody, &err) < 0 ||
	    readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		fputs("this needs root, and a user nobody\n", stderr);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	sys_open_real(&sys, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
