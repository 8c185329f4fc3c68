/* SPDX-License-Identifier: MIT */
#include "shield/vm/supervise.h"

#include "shield/sys/clock.h"
#include "shield/vm/supervise_state.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long a VM that the command left to start by itself may take to show. */
#define LINGER_MS 2000
/* Between SIGTERM and SIGKILL for a VM that cannot be pinned. */
#define TERM_MS 5000

bool supervise_gone(const struct supervision *s)
{
	/* QEMU that starts a daemon ends with 0 and leaves it behind; a script may
	 * leave anything behind. */
	return !s->c->running && ((s->direct && s->c->status != 0) || !child_any());
}

static void signal_vm(const struct supervision *s, int number)
{
	if (s->vm)
		syscall(SYS_pidfd_send_signal, s->vm_fd, number, NULL, 0);
}

/* The command got the signal already (child.h): see whether the VM should. */
static void pass_on(const struct supervision *s, const struct child_event *event)
{
	bool ends = event->signal != SIGUSR1 && event->signal != SIGUSR2;

	if (!s->vm || s->vm == s->c->pid || !ends ||
	    (event->from_terminal && child_in_group(s->c, s->vm)))
		return;
	if (!s->c->running || s->c->n_asked > 1)
		signal_vm(s, event->signal);
}

static void command_ended(struct supervision *s)
{
	pid_t pid = 0;

	if (s->c->asked && !s->vm && !s->abandoned) {
		/* It may have died before we knew of the VM, which is only to be
		 * ended now. */
		s->abandoned = true;
		if (vm_find_descendant(s->sys, getpid(), &pid) > 0)
			supervise_watch_vm(s, pid, NULL);
	}
	if (s->c->asked)
		signal_vm(s, s->c->asked);
	if (!s->c->asked && !(s->direct && s->c->status != 0))
		s->linger = sys_deadline(s->sys, LINGER_MS);
	supervise_look_in(s, 0);
}

static void events_ready(void *ctx, int fd, short ignored)
{
	struct supervision *s = ctx;
	struct procevent events[32];
	int n;

	(void)ignored;
	while ((n = procevents_read(&s->events, events, ARRAY_SIZE(events))) > 0)
		for (int i = 0; i < n; i++) {
			if (events[i].what == PROCEVENTS_THREAD)
				supervise_new_thread(s);
			else if (vm_is_qemu_below(s->sys, events[i].pid, getpid()))
				supervise_candidate(s, events[i].pid);
		}
	if (n == 0)
		return;
	if (n != -EOVERFLOW) { /* never seen; looking at intervals does as well */
		loop_unwatch(&s->c->loop, fd);
		procevents_close(&s->events);
	}
	supervise_look_in(s, 0);
}

static void awaited(void *ctx, int fd, short events)
{
	struct supervision *s = ctx;

	(void)fd;
	(void)events;
	s->fd_ready = true;
}

int supervise_pump(struct supervision *s, int timeout_ms, struct err *err)
{
	struct child_event event;
	int rc = child_wait(s->c, timeout_ms, &event, err);

	if (rc <= 0)
		return rc;
	if (event.type == CHILD_SIGNAL)
		pass_on(s, &event);
	else if (event.type == CHILD_ENDED)
		command_ended(s);
	else if (event.type == CHILD_ORPHAN && event.pid == s->last_vm)
		s->vm_status = event.status;
	return 1;
}

int supervise_wait_fd(void *ctx, int fd, short events, int timeout_ms, struct err *err)
{
	struct supervision *s = ctx;
	long long deadline = sys_deadline(s->sys, timeout_ms);

	s->fd_ready = false;
	loop_watch(&s->c->loop, fd, events, awaited, s);
	while (!s->fd_ready && sys_left(s->sys, deadline) && !supervise_gone(s))
		if (supervise_pump(s, sys_left(s->sys, deadline), err) < 0)
			break;
	loop_unwatch(&s->c->loop, fd);
	if (s->fd_ready)
		return 1;
	if (sys_left(s->sys, deadline) == 0)
		return 0;
	return err_set(err, ERR_FAILED, "QEMU has ended");
}

/* End everything we know of, first gently; what it leaves behind is not ours. */
static void end_all(struct supervision *s)
{
	long long deadline = sys_deadline(s->sys, TERM_MS);
	pid_t pid = 0;

	if (!s->vm && vm_find_descendant(s->sys, getpid(), &pid) > 0)
		supervise_watch_vm(s, pid, NULL);
	s->abandoned = true; /* no more looking */
	if (s->c->running)
		kill(s->c->pid, SIGTERM);
	if (s->vm != s->c->pid)
		signal_vm(s, SIGTERM);
	while ((s->c->running || s->vm) && sys_left(s->sys, deadline))
		if (supervise_pump(s, sys_left(s->sys, deadline), NULL) < 0)
			break;
	signal_vm(s, SIGKILL);
	child_kill(s->c);
	deadline = sys_deadline(s->sys, TERM_MS);
	while (s->vm && sys_left(s->sys, deadline))
		if (supervise_pump(s, sys_left(s->sys, deadline), NULL) < 0)
			break;
}

/* The VM cannot be pinned: as the user chose, it ends (-1) or goes on (0). */
static int give_up(struct supervision *s, struct err *err)
{
	pid_t pid = s->vm ? s->vm : s->candidate;

	if (!s->options->keep) {
		end_all(s);
		return -1;
	}
	if (!pid && !s->c->running)
		vm_find_descendant(s->sys, getpid(), &pid);
	if (!pid)
		pid = s->c->pid;
	s->abandoned = true;
	if (!s->vm)
		supervise_watch_vm(s, pid, NULL);
	child_terminal_leave(s->c);
	s->hooks->abandon(s->ctx, pid, err);
	loop_unwatch(&s->c->loop, s->qmp.fd);
	/* Frozen by us and never let go, it would be of no use. */
	if (s->launch.frozen &&
	    (s->qmp.fd < 0 || qmp_cont(&s->qmp, sys_deadline(s->sys, TERM_MS), NULL) != 0))
		s->hooks->note(s->ctx,
			       "warning: QEMU stays frozen: it was started with -S, and its "
			       "monitor does not take \"cont\"");
	child_terminal_resume(s->c);
	supervise_watch_monitor(s);
	return 0;
}

static int start_command(struct supervision *s, int *status, struct err *err)
{
	const struct supervise_options *o = s->options;
	_cleanup_free_ int *keep =
		xcalloc(o->n_keep_fds + ARRAY_SIZE(s->launch.keep), sizeof(*keep));
	struct child_options options = { .user = o->user,
					 .privileges = o->privileges,
					 .keep = keep };
	char *const *argv = o->argv;
	int rc;

	for (size_t i = 0; i < o->n_keep_fds; i++)
		keep[options.n_keep++] = o->keep_fds[i];
	if (s->direct) {
		if (qmp_launch_prepare(&s->launch, o->argv, o->socket, err) < 0)
			return -1;
		for (size_t i = 0; i < ARRAY_SIZE(s->launch.keep); i++)
			keep[options.n_keep++] = s->launch.keep[i];
		argv = s->launch.argv.items;
	}
	/* Before exec, or its event is missed. */
	procevents_open(&s->events, s->sys, s->direct ? 0 : PROCEVENTS_EXEC, 0, NULL);
	loop_watch(&s->c->loop, s->events.fd, POLLIN, events_ready, s);
	if (s->events.fd < 0 && !s->direct)
		supervise_look_in(s, 0);
	if (child_start(s->c, argv, &options, err) < 0)
		return -1;
	qmp_launch_started(&s->launch);
	if (s->hooks->place(s->ctx, s->c->pid, s->direct, err) < 0) {
		child_kill(s->c);
		return -1;
	}
	rc = child_release(s->c, err);
	if (rc > 0)
		*status = rc;
	return rc ? -1 : 0;
}

/* Is there anything left to wait for? */
static bool waiting(const struct supervision *s)
{
	if (s->c->running || s->vm)
		return true;
	return !s->abandoned && s->linger && child_any() &&
	       (s->candidate || sys_left(s->sys, s->linger));
}

static int next_timeout(const struct supervision *s)
{
	int look = s->look_at ? sys_left(s->sys, s->look_at) : -1;
	int linger = s->linger && !s->vm ? sys_left(s->sys, s->linger) : -1;

	if (linger == 0) /* over: a candidate is what we wait for */
		return look;
	if (look < 0 || linger < 0)
		return look < 0 ? linger : look;
	return look < linger ? look : linger;
}

static int wait_for_end(struct supervision *s, struct err *err)
{
	while (waiting(s)) {
		int rc = supervise_pump(s, next_timeout(s), err);

		if (rc < 0)
			return -1;
		if (s->look_at && sys_left(s->sys, s->look_at) == 0 && supervise_look(s, err) < 0 &&
		    give_up(s, err) < 0)
			return -1;
	}
	return 0;
}

int supervise(struct child *c, struct sys *sys, const struct supervise_options *options,
	      const struct supervise_hooks *hooks, void *ctx, int *status, struct err *err)
{
	struct supervision s = {
		.c = c,
		.sys = sys,
		.options = options,
		.hooks = hooks,
		.ctx = ctx,
		.direct = vm_is_qemu_command(options->argv[0]),
		.launch = { .keep = { -1, -1 } },
		.qmp = { .fd = -1 },
		.events = { .fd = -1 },
		.vm_fd = -1,
		.vm_status = -1,
	};
	int rc;

	*status = CHILD_OURS;
	rc = start_command(&s, status, err);
	if (rc == 0 && s.direct && supervise_start_vm(&s, err) < 0)
		rc = give_up(&s, err);
	if (rc == 0)
		rc = wait_for_end(&s, err);
	child_terminal_end(c);
	/* What has ended is still to be reaped; the VM for its status. */
	for (int i = 0; i < 1000 && supervise_pump(&s, 0, NULL) > 0; i++)
		;
	if (rc == 0)
		*status = c->status == 0 && s.vm_status > 0 ? s.vm_status : c->status;
	supervise_forget_vm(&s);
	vm_vcpus_clear(&s.seen);
	loop_unwatch(&c->loop, s.qmp.fd);
	qmp_close(&s.qmp);
	qmp_launch_clear(&s.launch);
	loop_unwatch(&c->loop, s.events.fd);
	procevents_close(&s.events);
	return rc;
}
