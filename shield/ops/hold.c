#include "shield/ops/hold.h"

#include "shield/vm/vm.h"
#include "shield/task/task.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* PID 1 may put us into the scope as late as it likes: what we do depends only
 * on the command that started us. */
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
	int rc;

	*hold = (struct hold){ .leash = -1 };
	rc = sys->ops->spawn(sys->ctx, be_hold, NULL, &hold->leash);
	hold->process.pid = rc < 0 ? 0 : rc;
	if (rc > 0)
		rc = vm_identity(sys, rc, &hold->process.start);
	if (rc >= 0)
		return 0;
	hold_let_go(sys, hold);
	return err_set(err, ERR_FAILED, "cannot start a process to hold the scope with: %s",
		       err_errno(rc));
}

int hold_keep(struct sys *sys, const struct hold *hold)
{
	return hold->leash < 0 ? 0 : sys->ops->unleash(sys->ctx, hold->leash);
}

void hold_let_go(struct sys *sys, struct hold *hold)
{
	if (hold->leash >= 0)
		sys->ops->close(sys->ctx, hold->leash);
	hold->leash = -1;
}

int hold_end(struct sys *sys, const struct process *process)
{
	/* The descriptor first: then it stays the process that was checked. */
	int fd = process->pid ? sys->ops->pidfd(sys->ctx, process->pid) : -ESRCH, rc;

	if (fd < 0)
		return fd == -ESRCH ? 0 : fd;
	rc = task_same(sys, process->pid, process->start);
	if (rc > 0)
		rc = sys->ops->signal(sys->ctx, fd, SIGKILL);
	sys->ops->close(sys->ctx, fd);
	return rc == -ESRCH ? 0 : rc;
}
