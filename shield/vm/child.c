/* SPDX-License-Identifier: MIT */
#include "shield/vm/child.h"

#include "shield/sys/clock.h"
#include "shield/vm/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* What the new process says when it could not become the command. */
struct exec_failure {
	enum { FAILED_USER, FAILED_EXEC } stage;
	int number;
};

static bool asks_to_end(int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

void child_std_fds(void)
{
	/* Open for the other direction, so that reading and writing still fail, and
	 * output that is lost is an error. Inherited, like the others. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_NOCTTY);
}

static int check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(path, X_OK) < 0 ? -errno : 0;
}

/* As execvp: the first that may be executed, else EACCES if one may not. */
static int check_path(const char *name)
{
	const char *path = getenv("PATH");
	int found = -ENOENT;

	if (!path)
		path = "/bin:/usr/bin";
	for (;;) {
		size_t n = strcspn(path, ":");
		_cleanup_free_ char *file =
			xasprintf("%.*s%s%s", (int)n, path, n ? "/" : "./", name);
		int rc = check_file(file);

		if (rc == 0)
			return 0;
		if (rc == -EACCES)
			found = rc;
		if (!path[n])
			return found;
		path += n + 1;
	}
}

/* The line for an errno of exec, and its status. */
static int exec_error(const char *name, int number, struct err *err)
{
	const char *slash = strchr(name, '/');

	number = number < 0 ? -number : number;
	if (number == ENOENT || number == ENOTDIR) {
		if (slash && access(name, F_OK) == 0)
			err_set(err, ERR_FAILED,
				"cannot run %s: its interpreter (the first line \"#!…\", or the "
				"loader of a program for another system) does not exist",
				name);
		else
			err_set(err, ERR_FAILED, "cannot run %s: %s: check the name%s", name,
				slash ? "the file does not exist" : "the command is not in PATH",
				slash ? "" : ", or give the full path");
		return CHILD_NOT_FOUND;
	}
	if (number == EACCES)
		err_set(err, ERR_FAILED,
			"cannot run %s: it may not be executed: check chmod +x, the "
			"directories above it and whether its file system is mounted noexec",
			name);
	else
		err_set(err, ERR_FAILED, "cannot run %s: %s", name, err_errno(number));
	return CHILD_CANNOT;
}

int child_find_command(const char *name, struct err *err)
{
	int rc = !*name ? -ENOENT : strchr(name, '/') ? check_file(name) : check_path(name);

	return rc == 0 ? 0 : exec_error(name, rc, err);
}

/* What wakes us is taken by child_wait(), one after the other. */
static void woken(void *ctx, int fd, short events)
{
	(void)ctx;
	(void)fd;
	(void)events;
}

int child_init(struct child *c, struct sys *sys, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, standard = { .sa_handler = SIG_DFL };
	struct sigaction now;

	*c = (struct child){ .loop = { .sys = sys }, .signal_fd = -1, .go_fd = -1, .exec_fd = -1 };
	sigemptyset(&c->handled);
	sigaddset(&c->handled, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		if (sigaction(forwarded[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&c->handled, forwarded[i]);
	sigprocmask(SIG_BLOCK, &c->handled, &c->old_mask);
	/* With SIGCHLD ignored, as some parents leave it, nothing can be waited for. */
	sigaction(SIGCHLD, &standard, &c->old_chld);
	sigaction(SIGTTOU, &ignore, &c->old_ttou);
	c->signal_fd = signalfd(-1, &c->handled, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) {
		err_set(err, ERR_FAILED, "cannot prepare to wait for the command: %s",
			err_errno(errno));
		child_deinit(c);
		return -1;
	}
	loop_watch(&c->loop, c->signal_fd, POLLIN, woken, c);
	return 0;
}

void child_terminal_leave(struct child *c)
{
	if (c->terminal)
		terminal_leave(c->terminal);
}

void child_terminal_resume(struct child *c)
{
	if (c->terminal)
		terminal_resume(c->terminal);
}

void child_terminal_end(struct child *c)
{
	terminal_free(c->terminal);
	c->terminal = NULL;
}

void child_deinit(struct child *c)
{
	child_terminal_end(c);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	closep(&c->signal_fd);
	closep(&c->go_fd);
	closep(&c->exec_fd);
	c->signal_fd = c->go_fd = c->exec_fd = -1;
	sigaction(SIGCHLD, &c->old_chld, NULL);
	sigaction(SIGTTOU, &c->old_ttou, NULL);
	sigprocmask(SIG_SETMASK, &c->old_mask, NULL);
}

bool child_in_group(const struct child *c, pid_t pid)
{
	if (c->terminal)
		return terminal_in_group(c->terminal, pid);
	return getpgid(pid) == (c->session ? c->pid : getpgrp());
}

/* To the command, unless it has the signal from our terminal already. */
static void forward(const struct child *c, int number, bool from_terminal)
{
	/* Not yet reaped, so the number is still that process. */
	if (!c->running || (!c->session && from_terminal && child_in_group(c, c->pid)))
		return;
	if (!c->session || !from_terminal || kill(-c->pid, number) < 0)
		kill(c->pid, number);
}

/* The command is in another session: stop it, and ourselves as Ctrl-Z would; the
 * shell continues us. Where no shell could, the kernel does not stop us. */
static void suspend(struct child *c)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	kill(-c->pid, SIGSTOP);
	child_terminal_leave(c);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	kill(0, SIGTSTP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	child_terminal_resume(c);
	kill(-c->pid, SIGCONT);
}

/* A signal that is not an event, of a command with a session. */
static bool job_control(struct child *c, int number)
{
	if (number != SIGTSTP && number != SIGCONT && number != SIGWINCH)
		return false;
	if (number == SIGTSTP && c->running)
		suspend(c);
	else
		child_terminal_resume(c);
	return true;
}

/* Take one signal: true if there was one that the caller should hear of. */
static bool take_signal(struct child *c, struct child_event *event)
{
	struct signalfd_siginfo info;

	while (read(c->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int number = (int)info.ssi_signo;

		/* SIGCHLD only wakes us: one may stand for many. */
		if (number == SIGCHLD || job_control(c, number))
			continue;
		*event = (struct child_event){ .type = CHILD_SIGNAL, .signal = number };
		event->from_terminal =
			info.ssi_code == SI_KERNEL && !(number == SIGHUP && getsid(0) == getpid());
		if (asks_to_end(number)) {
			c->asked = number;
			c->n_asked++;
		}
		forward(c, number, event->from_terminal);
		return true;
	}
	return false;
}

/* The same of one that was typed in the command's own terminal. */
static bool take_typed(struct child *c, struct child_event *event)
{
	int number = terminal_typed(c->terminal);

	if (terminal_stopped(c->terminal) && c->running)
		suspend(c);
	if (!number)
		return false;
	*event = (struct child_event){ .type = CHILD_SIGNAL,
				       .signal = number,
				       .from_terminal = true };
	c->asked = number;
	c->n_asked++;
	return true;
}

int child_interrupted(struct child *c)
{
	struct child_event event;

	while (take_signal(c, &event))
		;
	return c->asked;
}

/* Reap one child, if one has ended. Beside a keeper (terminal.h) the command is an
 * ordinary child only once it has become itself. */
static bool reap_one(struct child *c, struct child_event *event)
{
	siginfo_t info = { 0 };

	if (c->terminal && c->running)
		waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | __WALL);
	if (info.si_pid == 0 &&
	    (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0))
		return false;
	*event = (struct child_event){
		.type = CHILD_ORPHAN,
		.pid = info.si_pid,
		.status = info.si_code == CLD_EXITED ? info.si_status
						     : CHILD_SIGNALLED + info.si_status,
	};
	if (c->running && info.si_pid == c->pid) {
		event->type = CHILD_ENDED;
		c->running = false;
		c->status = event->status;
	}
	return true;
}

bool child_any(void)
{
	siginfo_t info = { 0 };

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void child_kill(struct child *c)
{
	siginfo_t info;

	if (!c->running)
		return;
	kill(c->pid, SIGKILL);
	while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	c->running = false;
	c->status = CHILD_SIGNALLED + SIGKILL;
}

/* What is made beforehand for the new process, which must not allocate. */
struct becoming {
	char *const *argv;
	const struct child_options *options;
	struct strv environment; /* of another user */
	bool lock_memory;
	int go, report;
};

/* From root to the user of the VM: 0 or a negated errno. */
static int become_user(const struct becoming *b)
{
	int rc = confine_calls(b->options->privileges);

	return rc < 0 ? rc : user_become(b->options->user, b->lock_memory);
}

/* In the new process: never returns. */
static _Noreturn void become(const struct child *c, const struct becoming *b)
{
	const struct child_options *options = b->options;
	bool user = options && options->user;
	struct exec_failure failure = { FAILED_EXEC, 0 };
	char byte;
	int rc;

	if (c->terminal)
		terminal_streams(c->terminal);
	else if (user)
		setsid();
	sigaction(SIGCHLD, &c->old_chld, NULL);
	sigaction(SIGTTOU, &c->old_ttou, NULL);
	sigprocmask(SIG_SETMASK, &c->old_mask, NULL);
	while ((rc = (int)read(b->go, &byte, 1)) < 0 && errno == EINTR)
		;
	if (rc != 1) /* the parent died or gave up */
		_exit(CHILD_OURS);
	if (user)
		confine_descriptors();
	for (size_t i = 0; options && i < options->n_keep; i++)
		fcntl(options->keep[i], F_SETFD, 0);
	rc = user ? become_user(b) : 0;
	if (rc < 0) {
		failure.stage = FAILED_USER;
		failure.number = -rc;
	} else {
		execvpe(b->argv[0], b->argv, user ? b->environment.items : environ);
		failure.number = errno;
	}
	if (write(b->report, &failure, sizeof(failure)) < 0)
		_exit(CHILD_OURS);
	_exit(CHILD_NOT_FOUND);
}

/* What the new process of another user needs, and the signals of job control. */
static int prepare_user(struct child *c, struct becoming *b, struct err *err)
{
	const struct user_account *user = b->options->user;

	confine_environment(user, &b->environment);
	b->lock_memory = confine_locks_memory(b->argv, user);
	if (terminal_new(&c->terminal, user->uid, &c->loop, err) < 0)
		return -1;
	c->session = true;
	sigaddset(&c->handled, SIGTSTP);
	sigaddset(&c->handled, SIGCONT);
	sigaddset(&c->handled, SIGWINCH);
	sigprocmask(SIG_BLOCK, &c->handled, NULL);
	signalfd(c->signal_fd, &c->handled, 0);
	return 0;
}

static int start(struct child *c, struct becoming *b, struct err *err)
{
	if (b->options && b->options->user && prepare_user(c, b, err) < 0)
		return -1;
	c->pid = c->terminal ? terminal_fork(c->terminal) : fork();
	if (c->pid < 0)
		return err_set(err, ERR_FAILED, "cannot start a process: %s", err_errno(errno));
	if (c->pid == 0) {
		close(c->go_fd); /* or it would wait for itself */
		close(c->exec_fd);
		become(c, b);
	}
	c->running = true;
	return 0;
}

int child_start(struct child *c, char *const argv[], const struct child_options *options,
		struct err *err)
{
	_cleanup_(closep)
	int go = -1;
	_cleanup_(closep)
	int report = -1;
	struct becoming b = { .argv = argv, .options = options };
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_FAILED, "cannot make a pipe: %s", err_errno(errno));
	go = ends[0];
	b.go = go;
	c->go_fd = ends[1];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, ERR_FAILED, "cannot make a pipe: %s", err_errno(errno));
	c->exec_fd = ends[0];
	report = ends[1];
	b.report = report;
	c->name = argv[0];
	rc = start(c, &b, err);
	strv_clear(&b.environment);
	return rc;
}

static int release_error(struct child *c, const struct exec_failure *failure, struct err *err)
{
	child_kill(c); /* reap it: it ends by itself */
	if (failure->stage == FAILED_EXEC) {
		c->status = exec_error(c->name, failure->number, err);
	} else {
		c->status = CHILD_CANNOT;
		err_set(err, ERR_UNSUPPORTED, "cannot run %s as another user: %s%s", c->name,
			err_errno(failure->number),
			failure->number == EPERM ? ": this needs root" : "");
	}
	return c->status;
}

int child_release(struct child *c, struct err *err)
{
	struct pollfd fds[] = { { .fd = c->exec_fd, .events = POLLIN },
				{ .fd = c->signal_fd, .events = POLLIN } };
	struct sys *sys = c->loop.sys;
	struct exec_failure failure;
	struct child_event event;
	ssize_t n;

	/* A signal that came before must be there before exec is. */
	child_interrupted(c);
	if (c->terminal)
		terminal_start(c->terminal, c->pid);
	if (write(c->go_fd, "", 1) < 0 && errno != EPIPE)
		return err_set(err, ERR_FAILED, "cannot let %s start: %s", c->name,
			       err_errno(errno));
	closep(&c->go_fd);
	c->go_fd = -1;
	/* exec may take long (a network file system): stay killable. */
	while (sys->ops->poll(sys->ctx, fds, ARRAY_SIZE(fds), -1) < 0 || !fds[0].revents)
		while (take_signal(c, &event))
			;
	while ((n = read(c->exec_fd, &failure, sizeof(failure))) < 0 && errno == EINTR)
		;
	closep(&c->exec_fd);
	c->exec_fd = -1;
	return n == (ssize_t)sizeof(failure) ? release_error(c, &failure, err) : 0;
}

/* Signals first: once SIGCHLD is read, only a look tells who has ended. */
static bool take(struct child *c, struct child_event *event)
{
	return take_typed(c, event) || take_signal(c, event) || reap_one(c, event);
}

int child_wait(struct child *c, int timeout_ms, struct child_event *event, struct err *err)
{
	long long deadline = timeout_ms < 0 ? LOOP_FOREVER : sys_deadline(c->loop.sys, timeout_ms);
	int rc;

	if (take(c, event))
		return 1;
	rc = loop_turn(&c->loop, deadline);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "cannot wait for events: %s", err_errno(rc));
	if (rc > 0 && !take(c, event))
		*event = (struct child_event){ .type = CHILD_OTHER };
	return rc;
}
