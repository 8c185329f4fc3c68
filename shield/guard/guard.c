/* SPDX-License-Identifier: MIT */
#include "shield/guard/guard.h"

#include "shield/base/backoff.h"
#include "shield/base/deadline.h"
#include "shield/cgroup/libvirt.h"
#include "shield/event/irqevents.h"
#include "shield/event/procevents.h"
#include "shield/event/resume.h"
#include "shield/event/uevents.h"
#include "shield/ops/abandoned.h"
#include "shield/ops/audit.h"
#include "shield/ops/domain.h"
#include "shield/ops/new_threads.h"
#include "shield/ops/off.h"
#include "shield/ops/place_new.h"
#include "shield/ops/take_over.h"
#include "shield/sys/journal.h"
#include "shield/sys/libsystemd.h"
#include "shield/task/task.h"
#include "shield/vm/vm.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What no event announces is looked for this often. */
#define SLOW_MS 10000
/* What could not be done is tried again this often. */
#define AGAIN_MS 1000
/* A QEMU whose supervisor is killed while it starts has no monitor for a while. */
#define TAKE_OVER_TRIES 60
/* Interrupts and threads that nothing announces (irqevents.h, procevents.h) are
 * looked for this often. */
#define UNHEARD_MS 1000
/* An interrupt is aimed before its driver has named it, and comes with others;
 * it is placed within a second. */
#define IRQ_MS 100
/* A new kernel thread sets its own affinity first; give it that time. */
#define SETTLE_MS 30
#define SETTLED_MS 300
/* Another program breaks it again and again: not looked at more often than
 * this. */
#define WORN_MS 1000
/* CPUs that come and go come and go together. */
#define HOTPLUG_MS 200
#define NEW_THREADS_MAX 256

struct guard {
	struct sys *sys;
	const char *name;
	struct process vm, owner;
	int vm_fd, owner_fd, inotify_fd, uevent_fd;
	int run_wd; /* of /run, in which irqbalance's directory comes and goes */
	struct resume resume;
	struct procevents procevents;
	struct irqevents irqs;
	struct new_thread {
		pid_t tid;
		bool vm; /* a thread of the VM's, not of the kernel's */
	} new_threads[NEW_THREADS_MAX];
	size_t n_new_threads;
	unsigned looks;		/* at these new threads */
	struct backoff backoff; /* with repairs */
	bool failed;		/* the last one did not help */
	bool taken_over;	/* from the command that started the VM */
	int tries;		/* of that */
	long long look_at, new_threads_at;
	bool hotplug; /* CPUs came or went */
	bool audited; /* what it was before we listened is seen to */
	bool rescan;  /* look at everything */
	bool heard;   /* of interrupts, if that is possible */
	struct cpuset taken, guest;
	struct err complaint; /* made already */
	struct err stuck;     /* likewise, of threads */
};

static void look_in(struct guard *g, int ms)
{
	long long at = deadline_in(ms);

	if (at < g->look_at)
		g->look_at = at;
}

static int watch_process(const struct process *p)
{
	return p->pid ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
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

/* Which threads to hear of. */
static unsigned thread_events_of(const struct guard *g)
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
		closep(&g->vm_fd);
		g->vm = s->vm;
		g->vm_fd = watch_process(&g->vm);
		if (g->procevents.fd >= 0)
			procevents_choose(&g->procevents, thread_events_of(g), g->vm.pid, NULL);
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
	if (!backoff_allows(&g->backoff, deadline_in(0))) {
		look_in(g, deadline_left(g->backoff.next));
		return;
	}
	backoff_try(&g->backoff, deadline_in(0));
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
	soon = deadline_in(BACKOFF_PAUSE_MS);
	if (g->backoff.next < soon)
		g->backoff.next = soon;
	look_in(g, deadline_left(g->backoff.next));
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
		look_in(g, 0);
}

/* Its supervisor was killed: what that had still to do for the VM is ours. */
static void take_over(struct guard *g, struct txn *txn)
{
	struct err err = { 0 };
	int rc = g->taken_over ? 0 : shield_take_over(txn, g->name, &err);

	if (rc < 0 && g->tries++ < TAKE_OVER_TRIES) {
		look_in(g, AGAIN_MS);
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

/* Once, until something else goes wrong. */
static void complain(struct guard *g, const struct err *err)
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

/* Once; where nothing is announced there is nothing to come. */
static void hear_irqs(struct guard *g)
{
	struct err err;

	if (g->heard)
		return;
	g->heard = true;
	if (irqevents_open(&g->irqs, g->sys, &err) < 0)
		journal(LOG_NOTICE, g->name, "shield %s: %s", g->name, err.text);
}

/* The last repair failed, and the next one has to wait: every transaction would be
 * another try. Nothing else has happened that would be worth one? */
static bool waits(struct guard *g, bool *stay)
{
	_cleanup_strv_ struct strv dead = { 0 };
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err ignored;

	if (!g->failed || g->hotplug || backoff_allows(&g->backoff, deadline_in(0)) ||
	    txn_view(&txn, g->sys, &ignored) < 0 || txn_interrupted(&txn))
		return false;
	shields_abandoned(&txn, &dead);
	*stay = follow(g, state_shield(&txn.state, g->name));
	if (strv_contains(&dead, g->name))
		return false;
	g->rescan = false; /* the next try looks at everything */
	look_in(g, deadline_left(g->backoff.next));
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

/* Under the lock: what is to do is done. false: there is nothing to guard. */
static bool look(struct guard *g)
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
		complain(g, &err);
		look_in(g, AGAIN_MS);
		return true;
	}
	if (txn.leftover.n)
		look_in(g, AGAIN_MS);
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
	g->rescan = false;
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

/* The command that started us holds the lock until it is done, or dead; what it
 * left is recovered then. */
static int begin(struct guard *g, struct err *err)
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
		g->owner_fd = watch_process(&g->owner);
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

/* Did any of the new threads end up on a guest CPU? */
static bool misplaced(struct guard *g)
{
	bool found = false;

	for (size_t i = 0; i < g->n_new_threads; i++) {
		_cleanup_cpuset_ struct cpuset allowed = { 0 };
		const struct new_thread *t = &g->new_threads[i];

		if (task_affinity(g->sys, t->tid, &allowed) == 0 &&
		    cpuset_intersects(&allowed, t->vm ? &g->guest : &g->taken))
			found = true;
	}
	/* A slow one may not have come to rest yet: look again. */
	if (found || g->looks++) {
		g->looks = 0;
		g->n_new_threads = 0;
	}
	return found;
}

static void read_procevents(struct guard *g)
{
	struct procevent events[32];
	int n;

	while ((n = procevents_read(&g->procevents, events, ARRAY_SIZE(events))) > 0)
		for (int i = 0; i < n; i++) {
			if (g->n_new_threads == NEW_THREADS_MAX)
				g->rescan = true;
			else
				g->new_threads[g->n_new_threads++] =
					(struct new_thread){ events[i].tid,
							     events[i].what == PROCEVENTS_THREAD };
		}
	if (n == -EOVERFLOW)
		g->rescan = true;
}

/* What happened is looked up, not believed. (Other things are made in /run, too;
 * and who makes a socket does not listen to it at once.) */
static void read_inotify(struct guard *g)
{
	char buffer[4096] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(g->inotify_fd, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buffer + at);
			bool named = e->len && strncmp(e->name, "irqbalance", 10) == 0;

			at += (ssize_t)sizeof(*e) + e->len;
			if (named)
				look_in(g, IRQ_MS);
			else if (e->wd != g->run_wd)
				look_in(g, backoff_worn(&g->backoff) ? WORN_MS : 0);
		}
}

/* An ended process stays readable: watch it no more. */
static void ended(struct guard *g, int *fd)
{
	close(*fd);
	*fd = -1;
	look_in(g, 0);
}

static void wait_for_event(struct guard *g)
{
	struct pollfd fds[] = {
		{ .fd = g->vm_fd, .events = POLLIN },
		{ .fd = g->owner_fd, .events = POLLIN },
		{ .fd = g->inotify_fd, .events = POLLIN },
		{ .fd = g->procevents.fd, .events = POLLIN },
		{ .fd = g->uevent_fd, .events = POLLIN },
		{ .fd = g->irqs.fd, .events = POLLIN },
		{ .fd = g->resume.fd, .events = POLLIN },
	};
	long long until =
		g->n_new_threads && g->new_threads_at < g->look_at ? g->new_threads_at : g->look_at;

	if (poll(fds, ARRAY_SIZE(fds), deadline_left(until)) <= 0)
		return;
	if (fds[0].revents)
		ended(g, &g->vm_fd);
	if (fds[1].revents)
		ended(g, &g->owner_fd);
	if (fds[2].revents)
		read_inotify(g);
	if (fds[3].revents) {
		read_procevents(g);
		g->new_threads_at = deadline_in(SETTLE_MS);
	}
	if (fds[5].revents) {
		irqevents_drain(&g->irqs);
		look_in(g, IRQ_MS);
	}
	if (fds[4].revents && uevents_cpu(g->uevent_fd)) {
		g->hotplug = true;
		look_in(g, HOTPLUG_MS);
	}
	if (fds[6].revents) {
		g->hotplug |= resume_seen(&g->resume, g->sys);
		look_in(g, HOTPLUG_MS);
	}
}

/* New threads that did not end up on guest CPUs are looked at once more. */
static void look_at_new_threads(struct guard *g)
{
	if (g->n_new_threads && !deadline_left(g->new_threads_at)) {
		if (misplaced(g))
			g->rescan = true;
		g->new_threads_at = deadline_in(SETTLED_MS);
	}
	if (g->rescan)
		look_in(g, 0);
}

static void say_ready(void)
{
	if (getenv("NOTIFY_SOCKET") && libsystemd_load() == 0)
		sd_notify(0, "READY=1");
}

/* It may be the only process that can: it is tried until it works. */
static int begin_at_last(struct guard *g, struct err *err)
{
	while (begin(g, err) < 0) {
		if (err->kind == ERR_INACTIVE)
			return -1;
		complain(g, err);
		poll(NULL, 0, AGAIN_MS);
	}
	return 0;
}

static void watch(struct guard *g)
{
	struct err ignored;
	bool stay = true;

	/* Not before the lock is ours: `on` itself takes CPUs offline for a flush. */
	g->uevent_fd = uevents_open();
	resume_open(&g->resume, g->sys);
	procevents_open(&g->procevents, thread_events_of(g), g->vm.pid, &ignored);
	malloc_trim(0); /* of what `on` needed */
	/* First what was started before we listened, once it has set its
	 * affinity. */
	g->look_at = deadline_in(IRQ_MS);
	while (stay) {
		if (!deadline_left(g->look_at)) {
			g->look_at = deadline_in(
				g->irqs.fd >= 0 && g->procevents.fd >= 0 ? SLOW_MS : UNHEARD_MS);
			stay = look(g);
		} else {
			wait_for_event(g);
			look_at_new_threads(g);
		}
	}
	procevents_close(&g->procevents);
}

int guard_main(struct sys *sys, const char *name, struct err *err)
{
	struct guard g = {
		.sys = sys,
		.name = name,
		.vm_fd = -1,
		.uevent_fd = -1,
		.resume = { .fd = -1 },
		.owner_fd = -1,
		.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.procevents = { -1 },
		.irqs = { .fd = -1 },
	};
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* The command that started us goes on as soon as PID 1 is known to look
	 * after us. */
	say_ready();
	rc = begin_at_last(&g, err);
	if (rc == 0)
		watch(&g);
	closep(&g.vm_fd);
	closep(&g.owner_fd);
	closep(&g.inotify_fd);
	irqevents_close(&g.irqs);
	closep(&g.uevent_fd);
	resume_close(&g.resume);
	cpuset_clear(&g.taken);
	cpuset_clear(&g.guest);
	return rc;
}
