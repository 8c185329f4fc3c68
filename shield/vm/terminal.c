/* SPDX-License-Identifier: MIT */
#include "shield/vm/terminal.h"

#include "shield/sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define DRAIN_MS 1000 /* for what is still to be shown in the end */
#define QUIET_MS 50   /* so long nothing more: that was all */

struct buffer {
	char bytes[8192];
	size_t n;
};

struct terminal {
	int master, slave; /* the new one */
	int tty;	   /* ours; -1 once it has hung up */
	bool is_terminal[3];
	bool input; /* what is typed is for the command */
	bool raw, stop;
	struct termios saved;
	struct buffer typed, shown; /* on their way */
	int signal;
	struct loop *loop;
	int life; /* the keeper lives as long as the other end is open */
	pid_t keeper, pid;
};

/* A description of its own, so that O_NONBLOCK does not reach the shell; where it
 * cannot be opened again, the same. */
static int open_again(int fd)
{
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
	int again = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return again >= 0 ? again : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int open_pair(struct terminal *t, uid_t owner)
{
	char name[64];

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (t->master < 0 || grantpt(t->master) < 0 || unlockpt(t->master) < 0 ||
	    ptsname_r(t->master, name, sizeof(name)) != 0)
		return -1;
	t->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return t->slave < 0 || fchown(t->slave, owner, (gid_t)-1) < 0 ? -1 : 0;
}

static void copy_size(const struct terminal *t)
{
	struct winsize size;

	if (t->tty >= 0 && ioctl(t->tty, TIOCGWINSZ, &size) == 0)
		ioctl(t->master, TIOCSWINSZ, &size);
}

int terminal_new(struct terminal **ret, uid_t owner, struct loop *loop, struct err *err)
{
	struct terminal *t = xcalloc(1, sizeof(*t));
	int stream = -1;

	*ret = NULL;
	t->master = t->slave = t->tty = t->life = -1;
	t->loop = loop;
	for (int fd = 2; fd >= 0; fd--) {
		t->is_terminal[fd] = isatty(fd);
		stream = t->is_terminal[fd] ? fd : stream;
	}
	if (stream < 0) {
		free(t);
		return 0;
	}
	t->input = t->is_terminal[STDIN_FILENO];
	t->tty = open_again(stream);
	if (t->tty < 0 || tcgetattr(t->tty, &t->saved) < 0 || open_pair(t, owner) < 0) {
		err_set(err, ERR_FAILED,
			"cannot make a terminal for the user's command: %s; is devpts mounted on "
			"/dev/pts? Without a terminal (</dev/null, | cat) none is needed",
			err_errno(errno));
		terminal_free(t);
		return -1;
	}
	tcsetattr(t->slave, TCSANOW, &t->saved);
	copy_size(t);
	*ret = t;
	return 0;
}

/* fork(2), whose child sends no signal when it ends. */
static pid_t plain_clone(unsigned long flags)
{
	return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

/* We were killed: what is shown goes nowhere, but the VM goes on. */
static void outlive(const struct terminal *t)
{
	struct pollfd fd = { .fd = t->master, .events = POLLIN };
	char bytes[512];

	while (poll(&fd, 1, -1) > 0)
		if (read(t->master, bytes, sizeof(bytes)) <= 0 && errno != EAGAIN)
			return;
}

/* Unless the shell was faster, which has its own idea of them. */
static void give_back(const struct terminal *t)
{
	struct termios now;

	if (t->input && tcgetattr(t->tty, &now) == 0 && !(now.c_lflag & (ICANON | ECHO | ISIG)) &&
	    !(now.c_oflag & OPOST))
		tcsetattr(t->tty, TCSANOW, &t->saved);
}

static _Noreturn void keep(const struct terminal *t, int life)
{
	char byte;

	/* Nothing of ours shall stay open for its sake. */
	for (int fd = 0; fd < life; fd++)
		if (fd != t->tty && fd != t->master)
			close(fd);
	close_range((unsigned)life + 1, ~0U, 0);
	while (read(life, &byte, 1) < 0 && errno == EINTR)
		;
	give_back(t);
	close(t->tty);
	outlive(t);
	_exit(0);
}

/* In the keeper: lead a session with that terminal, and have the command in it. */
static pid_t begin_session(const struct terminal *t)
{
	pid_t pid;

	if (setsid() < 0 || ioctl(t->slave, TIOCSCTTY, 0) < 0)
		_exit(1);
	pid = plain_clone(CLONE_PARENT);
	if (pid == 0) {
		setpgid(0, 0);
		tcsetpgrp(t->slave, getpid()); /* SIGTTOU is ignored still */
	}
	return pid;
}

pid_t terminal_fork(struct terminal *t)
{
	int ends[2], told[2];
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(told, O_CLOEXEC) < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	t->keeper = plain_clone(0);
	if (t->keeper == 0) {
		int life = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);

		close(ends[1]);
		pid = begin_session(t);
		if (pid == 0) {
			close(life);
			close(ends[0]);
			close(told[0]);
			close(told[1]);
			return 0;
		}
		if (write(told[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
			_exit(1);
		keep(t, life);
	}
	close(ends[0]);
	close(told[1]);
	t->life = ends[1];
	if (t->keeper < 0 || read(told[0], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		pid = -1;
	close(told[0]);
	return pid;
}

void terminal_streams(const struct terminal *t)
{
	for (int fd = 0; fd < 3; fd++)
		if (t->is_terminal[fd])
			dup2(t->slave, fd);
}

static loop_fn tty_ready, master_ready;

/* Each side is read only while there is room, and written while there is something:
 * data that cannot be passed on must not wake us. */
static void watch_both(struct terminal *t)
{
	short tty = 0, master = 0;

	if (t->raw && t->input && !t->typed.n)
		tty |= POLLIN;
	if (t->shown.n)
		tty |= POLLOUT;
	if (t->shown.n < sizeof(t->shown.bytes) / 2)
		master |= POLLIN;
	if (t->typed.n)
		master |= POLLOUT;
	loop_watch(t->loop, t->tty, tty, tty_ready, t);
	loop_watch(t->loop, t->master, master, master_ready, t);
}

static bool foreground(const struct terminal *t)
{
	return t->tty >= 0 && tcgetpgrp(t->tty) == getpgrp();
}

void terminal_leave(struct terminal *t)
{
	if (t->raw && foreground(t))
		tcsetattr(t->tty, TCSANOW, &t->saved);
	t->raw = false;
	watch_both(t);
}

void terminal_resume(struct terminal *t)
{
	struct termios raw;

	copy_size(t);
	if (!t->pid || !t->input || t->raw || !foreground(t))
		return;
	tcgetattr(t->tty, &t->saved);
	raw = t->saved;
	cfmakeraw(&raw);
	t->raw = tcsetattr(t->tty, TCSANOW, &raw) == 0;
	watch_both(t);
}

void terminal_start(struct terminal *t, pid_t pid)
{
	t->pid = pid;
	terminal_resume(t);
	watch_both(t);
}

static void drop(struct buffer *b, size_t n)
{
	b->n -= n;
	memmove(b->bytes, b->bytes + n, b->n);
}

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void hung_up(struct terminal *t)
{
	loop_unwatch(t->loop, t->tty);
	closep(&t->tty);
	t->tty = -1;
	t->raw = false;
	t->shown.n = 0;
}

/* What the command would do with SIGTSTP: nothing special? */
static bool takes_stop(pid_t pid, const char *what)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)pid);
	char text[4096];
	const char *line;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	line = strstr(text, what);
	return line && strtoull(line + strlen(what), NULL, 16) & (1ULL << (SIGTSTP - 1));
}

/* Ctrl-Z in a shell of the user's is for the shell, and one that is caught or
 * ignored is the command's affair. */
static bool stops(const struct terminal *t)
{
	return tcgetpgrp(t->master) == t->pid && !takes_stop(t->pid, "\nSigIgn:") &&
	       !takes_stop(t->pid, "\nSigCgt:");
}

static void look_for_signals(struct terminal *t, const char *bytes, size_t n)
{
	struct termios now;

	if (tcgetattr(t->slave, &now) < 0 || !(now.c_lflag & ISIG))
		return;
	for (size_t i = 0; i < n; i++) {
		cc_t c = (cc_t)bytes[i];

		if (c == now.c_cc[VINTR])
			t->signal = SIGINT;
		else if (c == now.c_cc[VQUIT])
			t->signal = SIGQUIT;
		else if (c == now.c_cc[VSUSP] && stops(t))
			t->stop = true;
	}
}

static void read_tty(struct terminal *t)
{
	size_t room = sizeof(t->typed.bytes) - t->typed.n;
	ssize_t n = read(t->tty, t->typed.bytes + t->typed.n, room);

	if (n > 0) {
		look_for_signals(t, t->typed.bytes + t->typed.n, (size_t)n);
		t->typed.n += (size_t)n;
	} else if (n == 0 || !again()) {
		hung_up(t);
	}
}

static void write_tty(struct terminal *t)
{
	/* Not more than it surely takes, where it may block. */
	ssize_t n = write(t->tty, t->shown.bytes, t->shown.n < 512 ? t->shown.n : 512);

	if (n > 0)
		drop(&t->shown, (size_t)n);
	else if (n < 0 && !again())
		hung_up(t);
}

/* 1, 0: nothing now, -1: never again. */
static int read_master(struct terminal *t)
{
	ssize_t n =
		read(t->master, t->shown.bytes + t->shown.n, sizeof(t->shown.bytes) - t->shown.n);

	if (n <= 0)
		return n < 0 && again() ? 0 : -1;
	t->shown.n = t->tty < 0 ? 0 : t->shown.n + (size_t)n;
	return 1;
}

static void write_master(struct terminal *t)
{
	ssize_t n = write(t->master, t->typed.bytes, t->typed.n);

	if (n > 0)
		drop(&t->typed, (size_t)n);
	else if (n < 0 && !again())
		t->typed.n = 0;
}

static void master_ready(void *ctx, int fd, short events)
{
	struct terminal *t = ctx;

	(void)fd;
	if (events & POLLOUT && t->typed.n)
		write_master(t);
	if (events & (POLLIN | POLLHUP | POLLERR))
		read_master(t);
	watch_both(t);
}

static void tty_ready(void *ctx, int fd, short events)
{
	struct terminal *t = ctx;

	(void)fd;
	if (events & POLLOUT && t->shown.n)
		write_tty(t);
	else if (events & (POLLIN | POLLHUP | POLLERR))
		read_tty(t);
	watch_both(t);
}

int terminal_typed(struct terminal *t)
{
	int signal = t ? t->signal : 0;

	if (t)
		t->signal = 0;
	return signal;
}

bool terminal_stopped(struct terminal *t)
{
	bool stop = t && t->stop;

	if (t)
		t->stop = false;
	return stop;
}

bool terminal_in_group(const struct terminal *t, pid_t pid)
{
	return getpgid(pid) == tcgetpgrp(t->master);
}

/* Until the master has nothing more: with the last descriptor of the other side
 * it says so, else it has been quiet. */
static void drain(struct terminal *t)
{
	struct sys *sys = t->loop->sys;
	long long deadline = sys_deadline(sys, DRAIN_MS);

	closep(&t->slave);
	t->slave = -1;
	while (t->tty >= 0 && sys_left(sys, deadline)) {
		struct pollfd fds[] = { { .fd = t->shown.n ? -1 : t->master, .events = POLLIN },
					{ .fd = t->shown.n ? t->tty : -1, .events = POLLOUT } };

		if (sys->ops->poll(sys->ctx, fds, 2,
				   t->shown.n ? sys_left(sys, deadline) : QUIET_MS) <= 0)
			return;
		if (t->shown.n)
			write_tty(t);
		else if (read_master(t) < 0)
			return;
	}
}

void terminal_free(struct terminal *t)
{
	if (!t)
		return;
	if (t->pid)
		drain(t);
	terminal_leave(t);
	if (t->keeper > 0) {
		kill(t->keeper, SIGKILL);
		waitpid(t->keeper, NULL, __WALL);
	}
	loop_unwatch(t->loop, t->tty);
	loop_unwatch(t->loop, t->master);
	closep(&t->life);
	closep(&t->tty);
	closep(&t->slave);
	closep(&t->master);
	free(t);
}
