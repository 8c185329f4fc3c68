/* SPDX-License-Identifier: MIT */
/* Start a guard that outlives the command that starts it. */
#include "shield/sys/clock.h"
#include "shield/cgroup/layout.h"
#include "shield/guard/guard.h"
#include "shield/sys/systemd_adapter.h"
#include "shield/task/task.h"
#include "shield/vm/vm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#define READY_SECONDS 20
/* In case that a change of the state file was not heard of. */
#define LOOK_MS 200

struct guard_start {
	struct sys *sys;
	const char *name;
};

/* What ps(1) shows of the command line, if the kernel lets us. */
static void set_title(const char *name)
{
	static const char own[] = "shield\0guard";
	size_t size = sizeof(own) + strlen(name) + 1;
	char *title = xcalloc(size, 1);

	memcpy(title, own, sizeof(own));
	memcpy(title + sizeof(own), name, strlen(name) + 1);
	prctl(PR_SET_MM, PR_SET_MM_ARG_START, (unsigned long)title, 0, 0);
	prctl(PR_SET_MM, PR_SET_MM_ARG_END, (unsigned long)title + size, 0, 0);
}

/* Without an exec: linking the program once more would take longer than all else
 * that `on` does. */
static void be_guard(void *arg)
{
	struct guard_start *start = arg;
	struct err err = { 0 };

	set_title(start->name);
	_exit(guard_main(start->sys, start->name, &err) < 0 ? (int)err.kind : 0);
}

/* PID 1 does not start this one again: the shield's file names it from the
 * beginning. */
static int start_detached(struct txn *txn, const char *name, struct err *err)
{
	struct sys *sys = txn->sys;
	struct guard_start start = { sys, name };
	struct shield *s = state_shield(&txn->state, name);
	struct process guard = { 0 };
	int rc = sys->ops->spawn(sys->ctx, be_guard, &start, NULL);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "the guard of %s could not be started: %s", name,
			       err_errno(rc));
	guard.pid = rc;
	if (s && vm_identity(sys, guard.pid, &guard.start) == 0)
		s->guard = guard;
	return 0;
}

/* The program that we are, or that has taken its place since. */
static int own_path(char **ret)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *deleted;

	if (n < 0)
		return -ENOENT;
	self[n] = '\0';
	deleted = strstr(self, " (deleted)");
	if (deleted)
		*deleted = '\0';
	*ret = xstrdup(self);
	return 0;
}

/* A service of systemd: it is started again when it was killed, and what it
 * leaves is recovered, however it ended. */
static int start_service(struct sys *sys, const char *name, struct err *err)
{
	_cleanup_free_ char *escaped = layout_escape(name);
	_cleanup_free_ char *unit = xasprintf("shield-guard-%s.service", escaped);
	_cleanup_free_ char *description = xasprintf("Guard of the shield %s", name);
	_cleanup_free_ char *self = NULL;
	int rc = sys->ops->service_start ? own_path(&self) : -EOPNOTSUPP;

	if (rc == 0) {
		char *argv[] = { self, (char *)"guard", (char *)name, NULL };
		char *post[] = { self, (char *)"recover", (char *)"--quiet", NULL };

		rc = sys->ops->service_start(sys->ctx,
					     &(struct service){ .unit = unit,
								.description = description,
								.argv = argv,
								.post = post,
								.fine = ERR_INACTIVE });
	}
	if (rc < 0)
		return err_set(
			err, ERR_FAILED,
			"the guard could not be started as %s: %s; is dbus there ('systemctl "
			"start dbus')? 'journalctl -u %s' may say more",
			unit, err_errno(rc), unit);
	return 0;
}

/* sd_booted(3): 1, 0, or a negated errno where that cannot be told. */
static int booted(struct sys *sys)
{
	struct stat st;
	int rc = sys->ops->lstat(sys->ctx, "/run/systemd/system", &st);

	return rc == 0 ? 1 : rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* PID 1 waits for what it runs when a guard has ended (ExecStopPost=, which has
 * this variable), and then starts that guard again: so this must not ask for one. */
static bool called_by_pid1(struct sys *sys)
{
	return getenv("SERVICE_RESULT") && booted(sys) != 0;
}

/* One that is about to end, as after SIGKILL (its sockets take a while), will
 * finish nothing for others. */
static bool guarded(struct sys *sys, const struct shield *s)
{
	_cleanup_task_ struct task guard = { 0 };
	int rc = s->guard.pid ? task_read(sys, s->guard.pid, s->guard.pid, &guard) : -ESRCH;

	return !task_ended(rc) && (rc < 0 || guard.start == s->guard.start);
}

int guard_protect(struct txn *txn, const char *name, struct err *err)
{
	const struct shield *s = state_shield(&txn->state, name);
	int systemd;

	if ((s && guarded(txn->sys, s)) || called_by_pid1(txn->sys))
		return 0;
	systemd = booted(txn->sys);
	if (systemd < 0)
		return err_set(err, ERR_FAILED,
			       "the guard of %s cannot be started: /run/systemd/system: %s", name,
			       err_errno(systemd));
	return systemd ? start_service(txn->sys, name, err) : start_detached(txn, name, err);
}

/*
 * PID 1 starts a guard again that ended by itself, but not one that a user has
 * stopped. One that has never been there is about to be.
 */
void guards_missing(const struct txn *txn, struct strv *names)
{
	bool systemd = booted(txn->sys) != 0;

	if (called_by_pid1(txn->sys))
		return;
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		if (s->phase == PHASE_ACTIVE && !guarded(txn->sys, s) &&
		    (s->guard.pid || (!systemd && !strv_contains(&txn->protected, s->name))))
			strv_add(names, s->name);
	}
}

/* Is there nothing (more) to wait for? */
static bool watched(struct sys *sys, const char *name)
{
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	const struct shield *s;
	struct err ignored;

	if (txn_view(&txn, sys, &ignored) < 0)
		return false;
	s = state_shield(&txn.state, name);
	return !s || guarded(sys, s);
}

int guard_wait(struct sys *sys, const char *name, struct err *err)
{
	_cleanup_(closep)
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	long long deadline = sys_deadline(sys, READY_SECONDS * 1000);
	char events[4096] __attribute__((aligned(8)));

	inotify_add_watch(fd, STATE_DIR, IN_MOVED_TO | IN_DELETE);
	while (!watched(sys, name)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int left = sys_left(sys, deadline);

		if (!left || !booted(sys))
			return err_set(err, ERR_FAILED,
				       "the guard of %s does not run, so the shield may not end "
				       "by itself: 'shield off %s' ends it",
				       name, name);
		sys->ops->poll(sys->ctx, &p, 1, left < LOOK_MS ? left : LOOK_MS);
		(void)!read(fd, events, sizeof(events));
	}
	return 0;
}
