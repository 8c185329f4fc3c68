/* SPDX-License-Identifier: MIT */
#include "shield/sys/spawn.h"

#include "shield/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEEP = 3, READY, REST };

/* Out of the way of the numbers that these are going to have. */
static int aside(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, REST);
}

static int arrange(int null, int keep, int ready)
{
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (dup2(keep < 0 ? null : keep, KEEP) < 0 || dup2(ready, READY) < 0)
		return -1;
	if (close_range(REST, ~0U, 0) < 0)
		return -1;
	if (keep < 0)
		close(KEEP);
	return chdir("/");
}

_Noreturn static void descend(void (*work)(void *arg), void *arg, int keep, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;
	pid_t pid;

	setsid();
	if (fork() != 0)
		_exit(0);
	/* The command that started it may have ended by now: it goes on. */
	signal(SIGPIPE, SIG_IGN);
	if (arrange(aside(null), keep < 0 ? -1 : aside(keep), aside(ready)) < 0)
		_exit(1);
	pid = getpid();
	(void)!write(READY, &pid, sizeof(pid));
	close(READY);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	work(arg);
	_exit(0);
}

static pid_t read_number(int fd)
{
	pid_t pid;
	ssize_t n;

	do
		n = read(fd, &pid, sizeof(pid));
	while (n < 0 && errno == EINTR);
	return n == sizeof(pid) ? pid : -ECHILD;
}

pid_t spawn(void (*work)(void *arg), void *arg, int keep)
{
	int ready[2], subreaper = 0, error;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	/* It is to be a child of init. */
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = fork();
	error = errno;
	if (pid == 0)
		descend(work, arg, keep, ready[1]);
	close(ready[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	prctl(PR_SET_CHILD_SUBREAPER, subreaper);
	pid = pid < 0 ? -error : read_number(ready[0]);
	close(ready[0]);
	return pid;
}
