/* SPDX-License-Identifier: MIT */
#include "shield/ops/scope_anchor.h"

#include "shield/task/task.h"
#include "shield/vm/vm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* PID 1 may put us into the scope as late as it likes: what we do depends only
 * on the command that started us. */
static void be_anchor(void *arg)
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

int scope_anchor_start(struct sys *sys, struct scope_anchor *anchor, struct err *err)
{
	int rc;

	*anchor = (struct scope_anchor){ .leash = -1 };
	rc = sys->ops->spawn(sys->ctx, be_anchor, NULL, &anchor->leash);
	anchor->process.pid = rc < 0 ? 0 : rc;
	if (rc > 0)
		rc = vm_identity(sys, rc, &anchor->process.start);
	if (rc >= 0)
		return 0;
	scope_anchor_let_go(sys, anchor);
	return err_set(err, ERR_FAILED, "cannot start a process to hold the scope with: %s",
		       err_errno(rc));
}

int scope_anchor_keep(struct sys *sys, const struct scope_anchor *anchor)
{
	return anchor->leash < 0 ? 0 : sys->ops->unleash(sys->ctx, anchor->leash);
}

void scope_anchor_let_go(struct sys *sys, struct scope_anchor *anchor)
{
	if (anchor->leash >= 0)
		sys->ops->close(sys->ctx, anchor->leash);
	anchor->leash = -1;
}

int scope_anchor_end(struct sys *sys, const struct process *process)
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
