/* SPDX-License-Identifier: MIT */
#include "shield/guard/look.h"

#include "shield/cgroup/libvirt.h"
#include "shield/ops/abandoned.h"
#include "shield/ops/audit.h"
#include "shield/ops/domain.h"
#include "shield/ops/new_threads.h"
#include "shield/ops/off.h"
#include "shield/ops/place_new.h"
#include "shield/ops/take_over.h"
#include "shield/sys/journal.h"
#include "shield/task/task.h"
#include "shield/vm/vm.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* A QEMU whose supervisor is killed while it starts has no monitor for a while. */
#define TAKE_OVER_TRIES 60

void guard_look_in(struct guard *g, int ms)
{
	long long at = sys_deadline(g->sys, ms);

	if (at < g->look_at)
		g->look_at = at;
}

/* An ended process stays readable: watch it no more. */
static void ended(void *ctx, int fd, short events)
{
	struct guard *g = ctx;

	(void)events;
	loop_unwatch(&g->loop, fd);
	close(fd);
	*(fd == g->vm_fd ? &g->vm_fd : &g->owner_fd) = -1;
	guard_look_in(g, 0);
}

/* In place of the process that *fd is of. */
static void watch_process(struct guard *g, const struct process *p, int *fd)
{
	loop_unwatch(&g->loop, *fd);
	closep(fd);
	*fd = p->pid ? g->sys->ops->pidfd(g->sys->ctx, p->pid) : -1;
	loop_watch(&g->loop, *fd, POLLIN, ended, g);
}

static void watch_file(struct guard *g, const char *mount, const char *cgroup, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s%s/%s", mount, cgroup, file);

	inotify_add_watch(g->inotify_fd, path, IN_MODIFY);
}

/* Watching what is watched already changes nothing. */
static void watch_partitions(struct guard *g, const struct txn *txn)
{
	const struct shield *s = state_shield(&txn->state, g->name);

	for (size_t i = 0; s && i < s->partitions.n; i++)
		watch_file(g, txn->mount, s->partitions.items[i].cgroup, "cpuset.cpus.partition");
	/* vCPUs of libvirt that are plugged in. (Not their cpuset.cpus: a
	 * change amid libvirt's own steps loses CPUs on Linux 7.3.) */
	if (s && libvirt_is_cgroup(s->cgroup, &s->partitions)) {
		_cleanup_free_ char *dir = xasprintf("%s%s/..", txn->mount, s->cgroup);

		inotify_add_watch(g->inotify_fd, dir, IN_CREATE | IN_DELETE);
	}
}

/* A socket in there is an irqbalance that has to be told. */
static void watch_irqbalance(struct guard *g)
{
	g->run_wd = inotify_add_watch(g->inotify_fd, "/run", IN_CREATE);
	inotify_add_watch(g->inotify_fd, "/run/irqbalance", IN_CREATE);
}

unsigned guard_thread_events(const struct guard *g)
{
	return PROCEVENTS_KTHREAD | (g->vm.pid ? PROCEVENTS_THREAD : 0);
}

/* Take over what the state file says; false: the shield is gone, or another
 * guard has it. */
static bool follow(struct guard *g, const struct shield *s)
{
	if (!s || s->guard.pid != getpid())
		return false;
	if (g->vm.pid != s->vm.pid || g->vm.start != s->vm.start) {
		g->vm = s->vm;
		watch_process(g, &g->vm, &g->vm_fd);
		if (g->procevents.fd >= 0)
			procevents_choose(&g->procevents, guard_thread_events(g), g->vm.pid, NULL);
	}
	return true;
}

/* Its cgroups go with it: no fault, and nothing is to be put up again there (txn's
 * reclaim() says what would become of that). */
static bool ended_vm(const struct guard *g)
{
	return g->vm.pid && !task_alive(g->sys, g->vm.pid, g->vm.start);
}

/*
 * The kernel broke it: the partition became invalid or leaks, a vCPU or an I/O
 * thread lost its CPUs, or CPUs came and went (hotplug), which rewrites masks of
 * kernel threads and interrupts too. What does not last is repaired less and
 * less often (backoff.h).
 */
static void repair(struct guard *g, struct txn *txn)
{
	const struct shield *s = state_shield(&txn->state, g->name);
	_cleanup_problems_ struct problems partition = { 0 }, threads = { 0 };
	const struct problem *p;
	struct err err = { 0 };
	long long soon;
	bool invalid;

	if (!s || s->phase != PHASE_ACTIVE || !cpuset_intersects(&s->guest, &txn->online) ||
	    ended_vm(g))
		return;
	audit_partition(txn, s, &partition);
	audit_vm(txn, s, &threads);
	/* It cannot be valid while its CPUs are offline. */
	invalid = partition.n && cpuset_within(&s->guest, &txn->online);
	if (!invalid && !threads.n && !g->hotplug)
		return;
	if (!backoff_allows(&g->backoff, sys_deadline(g->sys, 0))) {
		guard_look_in(g, sys_left(g->sys, g->backoff.next));
		return;
	}
	backoff_try(&g->backoff, sys_deadline(g->sys, 0));
	p = invalid ? &partition.items[0] : threads.n ? &threads.items[0] : NULL;
	if (txn_repair(txn, g->name, invalid, &err) == 0) {
		g->failed = g->hotplug = false;
		journal(LOG_NOTICE, g->name, "shield %s: repaired%s%s%s", g->name, p ? ": " : "",
			p ? p->object : "",
			backoff_worn(&g->backoff) ? " (again and again: from now on after "
						    "longer and longer pauses)"
						  : "");
		return;
	}
	if (ended_vm(g)) /* meanwhile */
		return;
	if (!g->failed)
		journal(LOG_ERR, g->name, "shield %s: is broken: %s", g->name, err.text);
	g->failed = true;
	soon = sys_deadline(g->sys, BACKOFF_PAUSE_MS);
	if (g->backoff.next < soon)
		g->backoff.next = soon;
	guard_look_in(g, sys_left(g->sys, g->backoff.next));
}

/* Before this guard listened, CPUs may have come and gone and the machine may have
 * slept: the first look is at everything. */
static void audit_once(struct guard *g, struct txn *txn)
{
	const struct shield *s = state_shield(&txn->state, g->name);
	_cleanup_problems_ struct problems found = { 0 };
	struct err ignored;

	if (g->audited || !s || s->phase != PHASE_ACTIVE || ended_vm(g) ||
	    audit_masks(txn, s, &found, &ignored) < 0)
		return;
	g->audited = true;
	g->hotplug |= problems_broken(&found, 0);
	if (g->hotplug)
		guard_look_in(g, 0);
}

/* Its supervisor was killed: what that had still to do for the VM is ours. */
static void take_over(struct guard *g, struct txn *txn)
{
	struct err err = { 0 };
	int rc = g->taken_over ? 0 : shield_take_over(txn, g->name, &err);

	if (rc < 0 && g->tries++ < TAKE_OVER_TRIES) {
		guard_look_in(g, AGAIN_MS);
	} else if (rc < 0) {
		journal(LOG_ERR, g->name,
			"shield %s: the command that started its VM was killed, and the guard "
			"cannot place the VM: %s",
			g->name, err.text);
		g->taken_over = true;
	}
	g->taken_over |= rc > 0;
}

/* Where its vCPUs are is libvirt's to say, at any time. */
static void follow_libvirt(struct guard *g, struct txn *txn)
{
	struct err err = { 0 };

	if (shield_follow(txn, g->name, &err) < 0 && strcmp(err.text, g->complaint.text) != 0)
		journal(LOG_ERR, g->name, "shield %s: does not follow libvirt: %s", g->name,
			err.text);
	g->complaint = err;
	watch_partitions(g, txn);
}

/* At once: they take the time of vCPUs. */
static void move_threads(struct guard *g, struct txn *txn)
{
	struct err err = { 0 };

	if (shield_new_threads(txn, g->name, &err) < 0 && strcmp(err.text, g->stuck.text) != 0)
		journal(LOG_ERR, g->name, "%s", err.text);
	g->stuck = err;
}

void guard_complain(struct guard *g, const struct err *err)
{
	if (strcmp(err->text, g->complaint.text) != 0)
		journal(LOG_ERR, g->name, "shield %s: %s", g->name, err->text);
	g->complaint = *err;
}

/* Its VM, or all that was in its scope, is gone. */
static void end(struct guard *g, struct txn *txn)
{
	struct err err = { 0 };

	if (shield_off(txn, g->name, &err) == 0)
		journal(LOG_INFO, g->name,
			"shield %s: its VM has ended; the CPUs are the host's again", g->name);
	else if (strcmp(err.text, g->complaint.text) != 0)
		journal(LOG_ERR, g->name,
			"shield %s: its VM has ended, but the shield cannot be ended: %s", g->name,
			err.text);
	g->complaint = err;
}

static void irqs_ready(void *ctx, int fd, short events)
{
	struct guard *g = ctx;

	(void)fd;
	(void)events;
	irqevents_drain(&g->irqs);
	guard_look_in(g, IRQ_MS);
}

/* Once; where nothing is announced there is nothing to come. */
static void hear_irqs(struct guard *g)
{
	struct err err;

	if (g->heard)
		return;
	g->heard = true;
	if (irqevents_open(&g->irqs, g->sys, &err) < 0)
		journal(LOG_NOTICE, g->name, "shield %s: %s", g->name, err.text);
	loop_watch(&g->loop, g->irqs.fd, POLLIN, irqs_ready, g);
}

/* The last repair failed, and the next one has to wait: every transaction would be
 * another try. Nothing else has happened that would be worth one? */
static bool waits(struct guard *g, bool *stay)
{
	_cleanup_strv_ struct strv dead = { 0 };
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err ignored;

	if (!g->failed || g->hotplug || backoff_allows(&g->backoff, sys_deadline(g->sys, 0)) ||
	    txn_view(&txn, g->sys, &ignored) < 0 || txn_interrupted(&txn))
		return false;
	shields_abandoned(&txn, &dead);
	*stay = follow(g, state_shield(&txn.state, g->name));
	if (strv_contains(&dead, g->name))
		return false;
	guard_look_in(g, sys_left(g->sys, g->backoff.next));
	return true;
}

static void note_cpus(struct guard *g, const struct state *state)
{
	const struct shield *s = state_shield(state, g->name);

	cpuset_clear(&g->taken);
	cpuset_clear(&g->guest);
	state_taken(state, &g->taken);
	if (s)
		cpuset_copy(&g->guest, &s->guest);
}

bool guard_look(struct guard *g)
{
	_cleanup_strv_ struct strv dead = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	bool stay = true;
	size_t found;

	/* Interrupts are moved on the way to sleep, which brings us here, too. */
	g->hotplug |= resume_seen(&g->resume, g->sys);
	if (waits(g, &stay))
		return stay;
	if (txn_begin(&txn, g->sys, false, &err) < 0) {
		guard_complain(g, &err);
		guard_look_in(g, AGAIN_MS);
		return true;
	}
	if (txn.leftover.n)
		guard_look_in(g, AGAIN_MS);
	if (!follow(g, state_shield(&txn.state, g->name))) {
		txn_end(&txn);
		return false;
	}
	move_threads(g, &txn);
	hear_irqs(g);
	watch_irqbalance(g);
	shields_abandoned(&txn, &dead);
	if (strv_contains(&dead, g->name)) {
		end(g, &txn);
	} else {
		follow_libvirt(g, &txn);
		take_over(g, &txn);
		repair(g, &txn);
		shield_place_new(&txn, &found, &err);
		audit_once(g, &txn);
	}
	stay = follow(g, state_shield(&txn.state, g->name));
	note_cpus(g, &txn.state);
	txn_end(&txn);
	return stay;
}

/* The file names us. */
static int enlist(struct guard *g, struct txn *txn, struct shield *s, struct err *err)
{
	struct process self = { .pid = getpid() };

	vm_identity(g->sys, self.pid, &self.start);
	if (s->guard.pid == self.pid && s->guard.start == self.start)
		return 0;
	s->guard = self;
	return txn_save(txn, err);
}

int guard_begin(struct guard *g, struct err *err)
{
	struct txn txn = { .lock = -1 };
	struct shield *s;
	int rc;

	if (txn_begin(&txn, g->sys, false, err) < 0)
		return -1;
	s = state_shield(&txn.state, g->name);
	if (!s) {
		txn_end(&txn);
		return err_set(err, ERR_INACTIVE, "the shield %s is not active", g->name);
	}
	rc = enlist(g, &txn, s, err);
	if (rc == 0) {
		g->owner = s->owner;
		watch_process(g, &g->owner, &g->owner_fd);
		follow(g, s);
		note_cpus(g, &txn.state);
		watch_file(g, txn.mount, s->cgroup, "cgroup.events");
		watch_partitions(g, &txn);
		/* Only now, so as not to be woken by that; the lock is still ours. */
		inotify_add_watch(g->inotify_fd, STATE_DIR, IN_MOVED_TO | IN_DELETE);
	}
	txn_end(&txn);
	return rc;
}
