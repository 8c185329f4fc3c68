#include "shield/ops/hold.h"

#include "shield/vm/vm.h"
#include "shield/task/task.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* PID 1 may put us into the scope as late as it likes: what we do depends on
 * nothing but whoever started us. */
static void be_hold(void *arg)
{
	ssize_t n;
	char byte;

	(void)arg;
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "shield-hold");
	do
		n = read(3, &byte, 1);
	while (n < 0 && errno == EINTR);
	close(3);
	if (n == 1)
		for (;;)
			pause();
}

int hold_start(struct sys *sys, struct hold *hold, struct err *err)
{
	int pair[2], rc;

	*hold = (struct hold){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, ERR_FAILED, "cannot start a process: %s", err_errno(errno));
	rc = sys->ops->spawn(sys->ctx, be_hold, NULL, pair[1]);
	close(pair[1]);
	hold->fd = pair[0];
	hold->process.pid = rc < 0 ? 0 : rc;
	if (rc > 0)
		rc = vm_identity(sys, rc, &hold->process.start);
	if (rc >= 0)
		return 0;
	hold_let_go(hold, false);
	return err_set(err, ERR_FAILED, "cannot start a process to hold the scope with: %s",
		       err_errno(rc));
}

void hold_let_go(struct hold *hold, bool needed)
{
	if (needed && hold->fd >= 0)
		(void)!send(hold->fd, "", 1, MSG_NOSIGNAL);
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
