/* Start a guard that outlives whoever starts it. */
#include "shield/cgroup/place.h"
#include "shield/run/deadline.h"
#include "shield/run/guard.h"
#include "shield/sys/systemd_adapter.h"
#include "shield/task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_SECONDS 60

/* What ps(1) shows of the command line, if the kernel lets us. */
static void set_title(const char *title, size_t size)
{
	prctl(PR_SET_MM, PR_SET_MM_ARG_START, (unsigned long)title, 0, 0);
	prctl(PR_SET_MM, PR_SET_MM_ARG_END, (unsigned long)title + size, 0, 0);
}

/* Without an exec: linking the program once more would take longer than all else
 * that `on` does. Nothing of what was open stays so, the lock least of all. */
_Noreturn static void become_guard(struct sys *sys, const char *name, int ready, int null)
{
	_cleanup_free_ char *title = xasprintf("shield guard %s", name);
	struct err err = { 0 };

	setsid();
	if (fork() != 0)
		_exit(0);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(ready, 3) < 0 ||
	    close_range(4, ~0U, 0) < 0 || chdir("/") < 0)
		_exit(1);
	title[strlen("shield")] = title[strlen("shield guard")] = '\0';
	set_title(title, strlen("shield guard") + 1 + strlen(name) + 1);
	_exit(guard_main(sys, name, 3, &err) < 0 ? (int)err.kind : 0);
}

static int wait_ready(int fd)
{
	long long deadline = deadline_in(READY_SECONDS * 1000);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	while (poll(&p, 1, deadline_left(deadline)) < 0)
		if (errno != EINTR)
			return -1;
	return p.revents && read(fd, &byte, 1) == 1 ? 0 : -1;
}

static int spawn_detached(struct sys *sys, const char *name, struct err *err)
{
	_cleanup_(closep)
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pipe_fd[2], subreaper = 0, rc;
	pid_t pid;

	if (null < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_set(err, ERR_FAILED, "the guard could not be started: %s",
			       err_errno(errno));
	/* It is to be nobody's child but init's. */
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = fork();
	if (pid == 0)
		become_guard(sys, name, pipe_fd[1], null);
	close(pipe_fd[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	prctl(PR_SET_CHILD_SUBREAPER, subreaper);
	rc = pid > 0 ? wait_ready(pipe_fd[0]) : -1;
	close(pipe_fd[0]);
	if (rc < 0)
		return err_set(err, ERR_FAILED,
			       "the guard could not be started, so nobody will end the shield by "
			       "itself: 'shield off %s' does",
			       name);
	return 0;
}

/* A service of systemd: it is started again when it was killed, and whatever
 * becomes of it, what it leaves is recovered. */
static int spawn_service(const char *name, struct err *err)
{
	_cleanup_free_ char *escaped = place_escape(name);
	_cleanup_free_ char *unit = xasprintf("shield-guard-%s.service", escaped);
	_cleanup_free_ char *description = xasprintf("Guard of the shield %s", name);
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *argv[] = { self, (char *)"guard", (char *)name, NULL };
	char *post[] = { self, (char *)"recover", (char *)"--quiet", NULL };
	int rc = n < 0 ? -errno : 0;

	if (n >= 0) {
		self[n] = '\0';
		rc = systemd_adapter_service(unit, description, argv, post, ERR_INACTIVE);
	}
	if (rc < 0)
		return err_set(
			err, ERR_FAILED,
			"the guard could not be started as %s (%s; 'journalctl -u %s' may say "
			"why), so nobody will end the shield by itself: 'shield off %s' does",
			unit, err_errno(rc), unit, name);
	return 0;
}

/* sd_booted(3) */
static bool booted(struct sys *sys)
{
	return sys_exists(sys, "/run/systemd/system");
}

int guard_spawn(struct sys *sys, const char *name, struct err *err)
{
	if (booted(sys))
		return spawn_service(name, err);
	return spawn_detached(sys, name, err);
}

/*
 * Process 1 starts a guard again that ended by itself, but not one that somebody
 * has stopped. It waits for what it runs when a guard ends (ExecStopPost=, which
 * has this variable), so that this must not ask for another. And one that has
 * never been there is about to be.
 */
void guards_missing(const struct txn *txn, struct strv *names)
{
	bool systemd = booted(txn->sys);

	if (systemd && getenv("SERVICE_RESULT"))
		return;
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		if (s->phase == PHASE_ACTIVE && (s->guard.pid || !systemd) &&
		    !(s->guard.pid && task_alive(txn->sys, s->guard.pid, s->guard.start)))
			strv_add(names, s->name);
	}
}
