/* SPDX-License-Identifier: MIT */
/* Finding QEMU and its vCPUs, and having them pinned. */
#include "shield/sys/clock.h"
#include "shield/vm/supervise_state.h"
#include "shield/vm/vm_vcpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The monitor of a QEMU that is not ours may belong to another client: ask
 * shortly. */
#define ASK_MS 1000
/* How often to look: for a QEMU's vCPUs while it starts, and later; for a QEMU,
 * and for new threads, where no event announces them. */
#define STARTING_MS 100
#define STARTING_LOOKS 20
#define SLOW_MS 1000
#define THREADS_MS 5000
/* A new thread gets its name, and QEMU its list, a moment after it is started;
 * on a busy host the moment is long, so look once more, and once more. */
#define SETTLE_MS 1000
#define SETTLED_LOOKS 3
/* For a QEMU whose monitor closed to be seen ending. */
#define ENDING_MS 2000
#define QMP_MS 5000

static long long timeout_ms(const struct supervision *s)
{
	return 1000LL * (s->options->qmp_timeout ? s->options->qmp_timeout : 30);
}

void supervise_look_in(struct supervision *s, int ms)
{
	long long at = sys_deadline(s->sys, ms);

	if (!s->look_at || at < s->look_at)
		s->look_at = at;
}

void supervise_new_thread(struct supervision *s)
{
	supervise_look_in(s, SETTLE_MS);
}

void supervise_candidate(struct supervision *s, pid_t pid)
{
	if (s->vm || s->abandoned || pid == s->candidate)
		return;
	s->candidate = pid;
	s->candidate_until = sys_deadline(s->sys, timeout_ms(s));
	s->looks = 0;
	vm_vcpus_clear(&s->seen);
	supervise_look_in(s, STARTING_MS);
}

static void vm_ended(void *ctx, int fd, short events)
{
	struct supervision *s = ctx;
	pid_t vm = s->vm;

	(void)fd;
	(void)events;
	supervise_forget_vm(s);
	if (s->hooks->vm_ended)
		s->hooks->vm_ended(s->ctx, vm);
	supervise_look_in(s, 0); /* a script may have started the next */
}

int supervise_watch_vm(struct supervision *s, pid_t pid, struct err *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return err_set(err, ERR_FAILED, "cannot watch QEMU (process %d): %s", (int)pid,
			       err_errno(errno));
	supervise_forget_vm(s);
	loop_watch(&s->c->loop, fd, POLLIN, vm_ended, s);
	s->vm = s->last_vm = pid;
	s->vm_status = -1;
	s->vm_fd = fd;
	s->candidate = 0;
	return 0;
}

void supervise_forget_vm(struct supervision *s)
{
	loop_unwatch(&s->c->loop, s->vm_fd);
	closep(&s->vm_fd);
	s->vm_fd = -1;
	s->vm = 0;
	vm_vcpus_clear(&s->vcpus);
	strv_clear(&s->threads);
}

/* Which events matter: execs while there may be a QEMU to come, its threads. */
static void choose_events(struct supervision *s)
{
	unsigned what = (s->direct ? 0 : PROCEVENTS_EXEC) | (s->vm ? PROCEVENTS_THREAD : 0);

	if (s->events.fd >= 0)
		procevents_choose(&s->events, what, s->vm, NULL);
	if (s->events.fd < 0)
		supervise_look_in(s, THREADS_MS);
}

/* What the hooks say is not for a raw terminal. */
static int place_vm(struct supervision *s, pid_t pid, struct err *err)
{
	int rc;

	if (s->direct)
		return 0;
	child_terminal_leave(s->c);
	rc = s->hooks->is_vm(s->ctx, pid, err);
	child_terminal_resume(s->c);
	return rc;
}

static int pin(struct supervision *s, pid_t pid, const struct vm_vcpus *vcpus, struct err *err)
{
	int rc;

	child_terminal_leave(s->c);
	rc = s->hooks->pin(s->ctx, pid, vcpus, err);
	child_terminal_resume(s->c);
	return rc;
}

/* Pin a VM that has just been found. The list moves into s. */
static int place_late(struct supervision *s, pid_t pid, struct vm_vcpus *vcpus, struct err *err)
{
	/* The pidfd first: then it is the process that the threads belong to. */
	if (supervise_watch_vm(s, pid, err) < 0 || vm_vcpus_verify(s->sys, pid, vcpus, err) < 0)
		return -1;
	if (place_vm(s, pid, err) < 0 || pin(s, pid, vcpus, err) < 0)
		return -1;
	s->vcpus = *vcpus;
	*vcpus = (struct vm_vcpus){ 0 };
	choose_events(s);
	/* More may have come since they were listed, before any event told. */
	s->looks = 0;
	supervise_look_in(s, SETTLE_MS);
	return 0;
}

/* Its events are of no interest, but must not pile up. */
static void monitor_ready(void *ctx, int fd, short events)
{
	struct supervision *s = ctx;

	(void)events;
	qmp_drain(&s->qmp);
	if (s->qmp.fd < 0)
		loop_unwatch(&s->c->loop, fd);
}

void supervise_watch_monitor(struct supervision *s)
{
	loop_watch(&s->c->loop, s->qmp.fd, POLLIN, monitor_ready, s);
}

/* What QEMU's own monitor says. A daemon's process is not the one we started:
 * the threads tell whose they are. */
static int ask_own_monitor(struct supervision *s, long long deadline, pid_t *pid,
			   struct vm_vcpus *vcpus, struct err *err)
{
	int rc = qmp_vcpus(&s->qmp, deadline, vcpus, err);

	if (rc < 0)
		return -1;
	/* Refused, or empty: -preconfig, -machine none. They may come. */
	if (rc > 0 || vcpus->n == 0)
		return 0;
	if (qmp_iothreads(&s->qmp, deadline, vcpus, err) < 0)
		return -1;
	rc = vm_process_of(s->sys, vcpus->items[0].tid, pid);
	if (rc == 0 && (*pid == s->c->pid || vm_is_descendant(s->sys, *pid, getpid())))
		return 1;
	return err_set(err, ERR_FAILED,
		       "QEMU names thread %d as its vCPU, which is not one of its threads",
		       (int)vcpus->items[0].tid);
}

/* The connection may be closed then. */
static int ask_again(struct supervision *s, pid_t *pid, struct vm_vcpus *vcpus, struct err *err)
{
	int rc;

	loop_unwatch(&s->c->loop, s->qmp.fd);
	rc = ask_own_monitor(s, sys_deadline(s->sys, QMP_MS), pid, vcpus, err);
	supervise_watch_monitor(s);
	return rc;
}

static int start(struct supervision *s, struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	long long deadline = sys_deadline(s->sys, timeout_ms(s));
	pid_t pid = 0;
	int rc;

	if (qmp_connect(&s->qmp, s->sys, s->launch.path, supervise_wait_fd, s, deadline, err) < 0)
		return -1;
	rc = ask_own_monitor(s, deadline, &pid, &vcpus, err);
	if (rc < 0 || (rc > 0 && place_late(s, pid, &vcpus, err) < 0))
		return -1;
	if (rc == 0)
		supervise_look_in(s, SLOW_MS);
	if (s->launch.frozen && qmp_cont(&s->qmp, deadline, err) != 0)
		return -1;
	supervise_watch_monitor(s);
	return 0;
}

int supervise_start_vm(struct supervision *s, struct err *err)
{
	struct err cause = { 0 };
	long long deadline;

	if (start(s, &cause) == 0)
		return 0;
	deadline = sys_deadline(s->sys, ENDING_MS);
	/* An end is not a failure of ours: it has a status of its own. Where
	 * the connection is closed, it is about to come. */
	qmp_drain(&s->qmp);
	while ((s->qmp.fd < 0 || s->c->n_asked) && !supervise_gone(s) && sys_left(s->sys, deadline))
		if (supervise_pump(s, sys_left(s->sys, deadline), err) < 0)
			return -1;
	if (supervise_gone(s))
		return 1;
	return err_set(err, cause.kind, "%s", cause.text);
}

/* More vCPUs? A failure is told, but the VM runs on. */
static void look_at_vm(struct supervision *s)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	_cleanup_strv_ struct strv threads = { 0 };
	struct err err = { 0 };
	bool fresh = false;
	pid_t pid = s->vm;
	int rc;

	if (s->events.fd < 0)
		supervise_look_in(s, THREADS_MS);
	if (vm_threads(s->sys, s->vm, &threads) < 0)
		return;
	for (size_t i = 0; i < threads.n && !fresh; i++)
		fresh = !strv_contains(&s->threads, threads.items[i]);
	strv_clear(&s->threads);
	s->threads = threads;
	threads = (struct strv){ 0 };
	if (fresh)
		s->looks = 0;
	if (s->looks == SETTLED_LOOKS)
		return;
	if (++s->looks < SETTLED_LOOKS)
		supervise_look_in(s, SETTLE_MS << s->looks);
	rc = s->qmp.fd >= 0
		     ? ask_again(s, &pid, &vcpus, &err)
		     : vm_vcpus_find(s->sys, pid, ASK_MS, supervise_wait_fd, s, &vcpus, &err);
	/* Meanwhile it may have ended, or the monitor may have told of another. */
	if (rc <= 0 || pid != s->vm || vm_vcpus_within(&vcpus, &s->vcpus))
		return;
	if (vm_vcpus_verify(s->sys, pid, &vcpus, &err) == 0 && pin(s, pid, &vcpus, &err) == 0) {
		vm_vcpus_clear(&s->vcpus);
		s->vcpus = vcpus;
		vcpus = (struct vm_vcpus){ 0 };
		return;
	}
	err_wrap(&err, "a vCPU was added to the VM, but could not be pinned");
	child_terminal_leave(s->c);
	s->hooks->note(s->ctx, err.text);
	child_terminal_resume(s->c);
}

/* The candidate's vCPUs, if they can be told by now: 1, 0 if not. */
static int find_vcpus(struct supervision *s, pid_t *pid, struct vm_vcpus *vcpus)
{
	bool same;
	int rc;

	if (s->qmp.fd >= 0)
		return ask_again(s, pid, vcpus, NULL) > 0;
	rc = vm_vcpus_find(s->sys, *pid, ASK_MS, supervise_wait_fd, s, vcpus, NULL);
	if (rc != 1)
		return rc == 2;
	/* Names come one after the other while QEMU starts. */
	same = s->seen.n == vcpus->n && vm_vcpus_within(vcpus, &s->seen);
	vm_vcpus_clear(&s->seen);
	for (size_t i = 0; i < vcpus->n; i++)
		vm_vcpus_add(&s->seen, vcpus->items[i].index, vcpus->items[i].tid);
	return same;
}

static int look_at_candidate(struct supervision *s, struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	pid_t pid = s->candidate;

	supervise_look_in(s, s->looks++ < STARTING_LOOKS ? STARTING_MS : SLOW_MS);
	if (find_vcpus(s, &pid, &vcpus))
		return place_late(s, pid, &vcpus, err);
	if (s->direct || sys_left(s->sys, s->candidate_until) || !vm_is_qemu(s->sys, s->candidate))
		return 0;
	return err_set(
		err, ERR_FAILED,
		"QEMU (process %d) is running, but does not say which of its threads are vCPUs: "
		"start it with a QMP socket (-qmp unix:PATH,server=on,wait=off) or with named "
		"threads (-name NAME,debug-threads=on)",
		(int)s->candidate);
}

int supervise_look(struct supervision *s, struct err *err)
{
	pid_t pid = 0;

	s->look_at = 0;
	if (s->abandoned)
		return 0;
	if (s->vm) {
		look_at_vm(s);
		return 0;
	}
	if (s->candidate && !vm_is_qemu(s->sys, s->candidate))
		s->candidate = 0; /* it was asked for its version, say */
	if (!s->candidate && s->direct && s->c->running)
		supervise_candidate(s, s->c->pid);
	else if (!s->candidate && vm_find_descendant(s->sys, getpid(), &pid) > 0)
		supervise_candidate(s, pid);
	if (s->candidate)
		return look_at_candidate(s, err);
	if (s->events.fd < 0)
		supervise_look_in(s, SLOW_MS);
	return 0;
}
