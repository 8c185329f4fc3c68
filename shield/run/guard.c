#include "shield/run/guard.h"

#include "shield/cgroup/place.h"
#include "shield/run/audit.h"
#include "shield/run/procevents.h"
#include "shield/run/session.h"
#include "shield/run/vm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

/* What no event announces is looked for this often. */
#define SLOW_MS 10000
/* A newborn kernel thread sets its own affinity first; give it that time. */
#define SETTLE_MS 30
#define SETTLED_MS 300
/* A broken partition is repaired so many times in a row, at SLOW_MS; then only
 * when something happens to it again. */
#define REPAIRS_MAX 3
#define NEWBORN_MAX 256

struct guard {
	struct sys *sys;
	const char *name;
	struct process vm, owner;
	int vm_fd, owner_fd, inotify_fd;
	struct procevents births;
	pid_t newborn[NEWBORN_MAX];
	size_t n_newborn;
	unsigned looks;   /* at these newborns */
	unsigned repairs; /* in a row that did not help */
	bool rescan; /* look at everything */
	struct cpuset taken;
};

static int watch_process(const struct process *p)
{
	return p->pid ? (int)syscall(SYS_pidfd_open, p->pid, 0) : -1;
}

static void watch_file(struct guard *g, const char *mount, const char *cgroup, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s%s/%s", mount, cgroup, file);

	inotify_add_watch(g->inotify_fd, path, IN_MODIFY);
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
	}
	return true;
}

/* The kernel broke it: the partition became invalid or leaks, a vCPU lost its
 * CPU. Nothing can be done while guest CPUs are offline. */
static void repair(struct guard *g, struct txn *txn)
{
	const struct shield *s = state_shield(&txn->state, g->name);
	_cleanup_problems_ struct problems partition = { 0 }, vcpus = { 0 };
	struct err err = { 0 };

	if (!s || s->phase != PHASE_ACTIVE || !cpuset_within(&s->guest, &txn->online))
		return;
	audit_partition(txn, s, &partition);
	audit_vcpus(txn, s, &vcpus);
	if (!partition.n && !vcpus.n) {
		g->repairs = 0;
		return;
	}
	if (g->repairs++ >= REPAIRS_MAX)
		return;
	if (txn_repair(txn, g->name, partition.n > 0, &err) == 0)
		syslog(LOG_NOTICE, "shield %s: repaired: %s was %s", g->name,
		       partition.n ? partition.items[0].object : vcpus.items[0].object,
		       partition.n ? partition.items[0].actual : vcpus.items[0].actual);
	else
		syslog(LOG_ERR, "shield %s: cannot be repaired: %s", g->name, err.text);
}

/* Under the lock: what is to do is done. false: there is nothing to guard. */
static bool look(struct guard *g, bool adopt)
{
	_cleanup_strv_ struct strv dead = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	bool stay = true;
	size_t found;

	if (txn_begin(&txn, g->sys, false, &err) < 0)
		return true; /* perhaps next time */
	session_abandoned(&txn, &dead);
	if (strv_contains(&dead, g->name))
		session_off(&txn, g->name, &err);
	else
		repair(g, &txn);
	if (adopt)
		session_adopt(&txn, &found, &err);
	stay = follow(g, state_shield(&txn.state, g->name));
	cpuset_clear(&g->taken);
	state_taken(&txn.state, &g->taken);
	txn_end(&txn);
	return stay;
}

static int begin(struct guard *g, struct err *err)
{
	struct txn txn = { .lock = -1 };
	struct shield *s;
	_cleanup_free_ char *outer = NULL;
	int rc;

	if (txn_begin(&txn, g->sys, false, err) < 0)
		return -1;
	s = state_shield(&txn.state, g->name);
	if (!s) {
		txn_end(&txn);
		return err_set(err, ERR_INACTIVE, "the shield %s is not active", g->name);
	}
	s->guard.pid = getpid();
	vm_identity(g->sys, getpid(), &s->guard.start);
	g->owner = s->owner;
	g->owner_fd = watch_process(&g->owner);
	follow(g, s);
	state_taken(&txn.state, &g->taken);
	g->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	inotify_add_watch(g->inotify_fd, STATE_DIR, IN_MOVED_TO | IN_DELETE);
	outer = place_process(s->cgroup);
	watch_file(g, txn.mount, outer, "cgroup.events");
	watch_file(g, txn.mount, s->cgroup, "cpuset.cpus.partition");
	rc = txn_save(&txn, err);
	txn_end(&txn);
	return rc;
}

/* Did any of the newborn threads come to rest on a guest CPU? */
static bool misplaced(struct guard *g)
{
	bool found = false;

	for (size_t i = 0; i < g->n_newborn; i++) {
		_cleanup_cpuset_ struct cpuset allowed = { 0 };

		if (g->sys->ops->getaffinity(g->sys->ctx, g->newborn[i], &allowed) == 0 &&
		    cpuset_intersects(&allowed, &g->taken))
			found = true;
	}
	/* A slow one may not have come to rest yet: look again. */
	if (found || g->looks++) {
		g->looks = 0;
		g->n_newborn = 0;
	}
	return found;
}

static void read_births(struct guard *g)
{
	struct procevent events[32];
	int n;

	while ((n = procevents_read(&g->births, events, ARRAY_SIZE(events))) > 0)
		for (int i = 0; i < n; i++) {
			if (g->n_newborn == NEWBORN_MAX)
				g->rescan = true;
			else
				g->newborn[g->n_newborn++] = events[i].tid;
		}
	if (n == -EOVERFLOW)
		g->rescan = true;
}

/* Drain the queue; what happened is looked up, not believed. */
static void read_inotify(struct guard *g)
{
	char buffer[4096];

	while (read(g->inotify_fd, buffer, sizeof(buffer)) > 0)
		;
}

int guard_main(struct sys *sys, const char *name, int ready_fd, struct err *err)
{
	struct guard g = {
		.sys = sys, .name = name, .vm_fd = -1, .owner_fd = -1, .inotify_fd = -1, .births = { -1 },
	};
	struct err ignored;
	sigset_t none;
	bool stay = true;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (begin(&g, err) < 0)
		return -1;
	procevents_open(&g.births, PROCEVENTS_KTHREAD, 0, &ignored);
	if (ready_fd >= 0) {
		(void)!write(ready_fd, "", 1);
		close(ready_fd);
	}
	/* What was born before we listened. */
	stay = look(&g, true);
	while (stay) {
		struct pollfd fds[] = {
			{ .fd = g.vm_fd, .events = POLLIN },
			{ .fd = g.owner_fd, .events = POLLIN },
			{ .fd = g.inotify_fd, .events = POLLIN },
			{ .fd = g.births.fd, .events = POLLIN },
		};
		int n = poll(fds, ARRAY_SIZE(fds), !g.n_newborn ? SLOW_MS : g.looks ? SETTLED_MS : SETTLE_MS);

		if (n < 0)
			continue;
		if (fds[3].revents)
			read_births(&g);
		if (n == 0 && g.n_newborn && !g.rescan) {
			if (misplaced(&g))
				stay = look(&g, true);
			continue;
		}
		if (fds[2].revents)
			read_inotify(&g);
		if (n == 0 || g.rescan || fds[0].revents || fds[1].revents || fds[2].revents)
			stay = look(&g, n == 0 || g.rescan);
		g.rescan = false;
		/* An ended process stays readable. */
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				closep(i ? &g.owner_fd : &g.vm_fd), *(i ? &g.owner_fd : &g.vm_fd) = -1;
	}
	closep(&g.vm_fd);
	closep(&g.owner_fd);
	closep(&g.inotify_fd);
	procevents_close(&g.births);
	cpuset_clear(&g.taken);
	return 0;
}
