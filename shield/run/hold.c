#include "shield/run/hold.h"

#include "shield/run/vm.h"
#include "shield/task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Has process 1 put us into the scope of a shield? */
static bool placed(void)
{
	char text[8192];
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, "/shield-") && strstr(text, ".scope");
}

/* After fork: system calls only. */
_Noreturn static void be_hold(int fd, int null)
{
	sigset_t none;
	pid_t pid;
	char byte;

	sigemptyset(&none);
	setsid();
	if (fork() != 0)
		_exit(0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "shield-hold");
	/* Its own copy of the transaction's lock has to go, too. */
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(fd, 3) < 0 ||
	    close_range(4, ~0U, 0) < 0 || chdir("/") < 0)
		_exit(1);
	pid = getpid();
	if (write(3, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	sigprocmask(SIG_SETMASK, &none, NULL);
	while (read(3, &byte, 1) < 0 && errno == EINTR)
		;
	close(3);
	if (!placed())
		_exit(0);
	for (;;)
		pause();
}

int hold_start(struct sys *sys, struct hold *hold, struct err *err)
{
	_cleanup_(closep)
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pair[2], subreaper = 0;
	pid_t pid, self = 0;
	ssize_t n = -1;

	*hold = (struct hold){ .fd = -1 };
	if (null < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, ERR_FAILED, "cannot start a process: %s", err_errno(errno));
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	pid = fork();
	if (pid == 0)
		be_hold(pair[1], null);
	close(pair[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	prctl(PR_SET_CHILD_SUBREAPER, subreaper);
	if (pid > 0)
		n = read(pair[0], &self, sizeof(self));
	hold->fd = pair[0];
	hold->process.pid = self;
	if (n == sizeof(self) && vm_identity(sys, self, &hold->process.start) == 0)
		return 0;
	hold_let_go(hold);
	return err_set(err, ERR_FAILED, "cannot start a process to hold the scope with");
}

void hold_let_go(struct hold *hold)
{
	closep(&hold->fd);
	hold->fd = -1;
}

void hold_end(struct sys *sys, const struct process *process)
{
	int fd = process->pid ? (int)syscall(SYS_pidfd_open, process->pid, 0) : -1;

	/* The descriptor first: then it stays the process that was checked. */
	if (fd >= 0 && task_alive(sys, process->pid, process->start))
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	closep(&fd);
}
