/* SPDX-License-Identifier: MIT */
#include "shield/txn/cgroup.h"

#include "shield/cgroup/layout.h"
#include "shield/sys/clock.h"
#include "shield/sys/kfile.h"

#include <errno.h>
#include <string.h>

/* How often a cgroup is emptied before it counts as stuck: a process that
 * forks while it is moved leaves its child behind. */
#define EVACUATE_TRIES 100
/* A unit's cgroup goes a moment after its job has ended. */
#define GONE_TRIES 400
#define PAUSE_MS 5
/* A cgroup that no shield has (layout.h). */
#define LOST "shield.lost"

/* The caller has checked that the path is below the mount (state_json.c). */
static const char *below_mount(const struct txn *txn, const char *path)
{
	return path + strlen(txn->mount);
}

static void rest(struct txn *txn)
{
	sys_pause(txn->sys, PAUSE_MS);
}

/* Move every process that the file names to home. A thread stands for its
 * process: cgroup.procs takes any of them. */
static int empty_once(struct txn *txn, const char *dir, const char *file, const char *home,
		      pid_t keep)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int moved = 0, rc = sys_read(txn->sys, path, 0, &text);

	if (rc < 0)
		return rc == -EOPNOTSUPP ? 0 : rc;
	for (char *id = strtok_r(text, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		pid_t pid = (pid_t)strtol(id, NULL, 10);

		if (pid <= 0 || pid == keep)
			continue;
		rc = txn->sys->ops->cgroup_attach(txn->sys->ctx, home + 1, pid);
		if (rc < 0 && rc != -ESRCH)
			return rc;
		moved++;
	}
	return moved;
}

/* A threaded cgroup lists only threads (cgroup.procs: EOPNOTSUPP). */
static int evacuate(struct txn *txn, const char *dir, const char *home, pid_t keep)
{
	int rc = empty_once(txn, dir, "cgroup.procs", home, keep);

	return rc != 0 ? rc : empty_once(txn, dir, "cgroup.threads", home, keep);
}

/* The shield whose process is, or will be, in this cgroup. */
static const struct shield *owner(const struct txn *txn, const char *cgroup)
{
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		if (strcmp(s->cgroup, cgroup) == 0)
			return s;
	}
	return NULL;
}

/* What the transaction is going to write to a file there: systemd has to know
 * it, or it would clear it the next time that it looks at the unit. NULL:
 * nothing. */
static const char *target(const struct txn *txn, const char *dir, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);
	const struct object *o = state_file_object(&txn->state, path);

	return o ? o->target : NULL;
}

/* PID 1 did not answer, but may do it yet. */
static int asked(struct txn *txn, int rc)
{
	txn->unanswered |= rc < 0 && rc != -EEXIST;
	return rc;
}

static int unit_start(struct txn *txn, const struct object *object, const char *unit,
		      const char *slice)
{
	const char *allowed = target(txn, object->path, "cpuset.cpus");
	const char *partition = target(txn, object->path, "cpuset.cpus.partition");
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	const struct shield *s = owner(txn, below_mount(txn, object->path));

	if (!txn->sys->ops->unit_start)
		return -EOPNOTSUPP;
	if (slice && (!s || !s->anchor.pid))
		return -ESRCH;
	if (slice && allowed)
		cpulist_parse(allowed, &cpus, NULL);
	return asked(txn, txn->sys->ops->unit_start(txn->sys->ctx, unit, slice,
						    slice ? s->anchor.pid : 0, &cpus,
						    partition ? partition : "member"));
}

bool cgroup_is_unit(const struct txn *txn, const struct object *object)
{
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	return layout_is_unit(below_mount(txn, object->path), &unit, &slice);
}

/* The file of that cgroup's own, "cgroup.subtree_control". */
static bool is_file(const char *path, const char *dir, const char *name)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/' && strcmp(path + n + 1, name) == 0;
}

bool cgroup_rewritten(const struct txn *txn, const struct object *object)
{
	if (object->kind != STEP_WRITE || !txn->mount)
		return false;
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];

		if (o->kind != STEP_DIR || !o->target || !cgroup_is_unit(txn, o))
			continue;
		if (strcmp(o->target, "absent") == 0
			    ? is_file(object->path, o->path, "cpuset.cpus.partition")
			    : strcmp(object->target, "+cpuset") == 0 &&
				      is_file(object->path, txn->mount, "cgroup.subtree_control"))
			return true;
	}
	return false;
}

int cgroup_make(struct txn *txn, const struct object *object)
{
	const char *cgroup = below_mount(txn, object->path);
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (layout_is_unit(cgroup, &unit, &slice))
		return unit_start(txn, object, unit, slice);
	return txn->sys->ops->cgroup_create(txn->sys->ctx, cgroup + 1);
}

static int remove_dir(struct txn *txn, const char *dir, const char *home)
{
	int rc = -EBUSY;

	for (int i = 0; i < EVACUATE_TRIES && rc == -EBUSY; i++) {
		int moved = evacuate(txn, dir, home, 0);

		if (moved == -ENOENT || moved == -ENODEV)
			return 0;
		if (moved < 0)
			return moved;
		rc = txn->sys->ops->cgroup_delete(txn->sys->ctx, below_mount(txn, dir) + 1);
		/* What was moved may be forking, or on its way out. */
		if (rc == -EBUSY && i > 1)
			rest(txn);
	}
	return rc == -ENOENT ? 0 : rc;
}

/* Another program may have put units into our slice. */
static bool has_children(struct txn *txn, const char *dir)
{
	_cleanup_strv_ struct strv names = { 0 };

	if (txn->sys->ops->list(txn->sys->ctx, dir, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s/cgroup.procs", dir, names.items[i]);

		if (sys_exists(txn->sys, file))
			return true;
	}
	return false;
}

/* A unit that is stopped has its processes killed: first all of them leave, and
 * what they forked meanwhile, until twice in a row nothing is found. */
static int unit_stop(struct txn *txn, const char *dir, const char *unit, bool scope,
		     const char *home)
{
	const struct shield *s = owner(txn, below_mount(txn, dir));
	int rc, empty = 0;

	if (!scope && has_children(txn, dir))
		return -EBUSY;
	for (int i = 0; scope && i < EVACUATE_TRIES && empty < 2; i++) {
		int moved = evacuate(txn, dir, home, s ? s->anchor.pid : 0);

		if (moved == -ENOENT || moved == -ENODEV)
			break;
		if (moved < 0)
			return moved;
		empty = moved ? 0 : empty + 1;
	}
	if (!txn->sys->ops->unit_stop)
		return -EOPNOTSUPP;
	rc = txn->sys->ops->unit_stop(txn->sys->ctx, unit);
	for (int i = 0; rc == 0 && i < GONE_TRIES && sys_exists(txn->sys, dir); i++)
		rest(txn);
	/* PID 1 has forgotten the unit, but found its cgroup in use. */
	return rc == 0 && sys_exists(txn->sys, dir) ? remove_dir(txn, dir, home) : rc;
}

int cgroup_remove(struct txn *txn, const struct object *object, const char *home)
{
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (layout_is_unit(below_mount(txn, object->path), &unit, &slice))
		return unit_stop(txn, object->path, unit, slice != NULL, home);
	return remove_dir(txn, object->path, home);
}

/* A scope whose last process has ended: PID 1 has forgotten it and taken back the
 * controller before it answers the next call. And a command that was killed, or
 * got no answer, may have asked for a unit that PID 1 has not made yet: it is
 * asked after that to stop it. */
static void await_systemd(struct txn *txn)
{
	for (size_t i = 0; txn->sys->ops->unit_stop && i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];
		_cleanup_free_ char *unit = NULL, *slice = NULL;

		if (o->kind == STEP_DIR && o->target && strcmp(o->target, o->original) == 0 &&
		    layout_is_unit(below_mount(txn, o->path), &unit, &slice) &&
		    (slice || txn->recovering || txn->unanswered) && !sys_exists(txn->sys, o->path))
			txn->sys->ops->unit_stop(txn->sys->ctx, unit);
	}
}

/* Those of the CPUs that the kernel calls isolated, and isolcpus= does not. */
static void keep_isolated(struct txn *txn, struct cpuset *cpus)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.isolated", txn->mount);
	_cleanup_cpuset_ struct cpuset isolated = { 0 }, always = { 0 };

	sys_read_cpulist(txn->sys, path, &isolated);
	sys_read_cpulist(txn->sys, "/sys/devices/system/cpu/isolated", &always);
	cpuset_andnot(&isolated, &always);
	cpuset_and(cpus, &isolated);
}

/* A partition of the root's that has these CPUs, and ends. (Its cgroup goes at the
 * end of cgroup_settle().) */
static void isolate_once(struct txn *txn, const char *cpus)
{
	_cleanup_free_ char *dir = xasprintf("%s/" LOST, txn->mount), *text = NULL;
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", txn->mount);
	_cleanup_free_ char *list = xasprintf("%s/cpuset.cpus", dir);
	_cleanup_free_ char *partition = xasprintf("%s.partition", list);
	bool enabled = sys_read_line(txn->sys, control, &text) == 0 && strstr(text, "cpuset");

	kfile_put(txn->sys, txn->mount, control, "+cpuset");
	txn->sys->ops->cgroup_create(txn->sys->ctx, LOST);
	kfile_put(txn->sys, txn->mount, list, cpus);
	kfile_put(txn->sys, txn->mount, partition, "isolated");
	kfile_put(txn->sys, txn->mount, partition, "member");
	if (!enabled)
		kfile_put(txn->sys, txn->mount, control, "-cpuset");
}

/*
 * Linux 7.3 loses the CPUs of a partition whose cgroup is removed while "isolated"
 * is being written to it (cpuset_css_killed() comes before the writer, who makes a
 * partition of what is not a cgroup any more): no cgroup has them until a reboot. Another
 * partition of them brings them back; the kernel warns once. After a kill here it is done again:
 * the shield is still in the file.
 */
static void reclaim(struct txn *txn, const struct cpuset *cpus)
{
	_cleanup_free_ char *lost = cpulist_format(cpus);

	isolate_once(txn, lost);
	strv_addf(&txn->report, "CPUs %s: the kernel had lost them; taken back", lost);
}

/* The CPUs that are the host's again. */
static void released_cpus(const struct txn *txn, struct cpuset *released)
{
	_cleanup_cpuset_ struct cpuset taken = { 0 };

	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		cpuset_or(released, &s->freed);
		if (s->phase == PHASE_RELEASING)
			cpuset_or(released, &s->taken);
	}
	cpuset_and(released, &txn->online);
	state_taken(&txn->state, &taken);
	cpuset_andnot(released, &taken);
}

/*
 * As partition_again() (apply.c), where the partition has gone since: the
 * command that ended it was killed within the write, and PID 1 has removed its
 * empty scope. The workqueues still stay off CPUs that no partition isolates.
 */
static void tell_workqueues(struct txn *txn)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.isolated", txn->mount);
	_cleanup_free_ char *known = NULL, *list = NULL;
	_cleanup_cpuset_ struct cpuset isolated = { 0 }, stale = { 0 }, released = { 0 };

	if (!txn->recovering || sys_read_cpulist(txn->sys, path, &isolated) < 0 ||
	    sys_read_line(txn->sys, "/sys/devices/virtual/workqueue/cpumask_isolated", &known) <
		    0 ||
	    cpumask_parse(known, &stale, NULL) < 0)
		return;
	released_cpus(txn, &released);
	cpuset_andnot(&stale, &isolated);
	cpuset_and(&stale, &released);
	list = cpulist_format(&stale);
	if (*list)
		isolate_once(txn, list);
}

/* A partition that went with its cgroup is dissolved by a worker of the kernel's,
 * some time later. Nothing announces it. */
static void await_kernel(struct txn *txn)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.effective", txn->mount);
	_cleanup_cpuset_ struct cpuset released = { 0 };

	released_cpus(txn, &released);
	for (int i = 0; i < GONE_TRIES; i++) {
		_cleanup_cpuset_ struct cpuset host = { 0 };

		if (sys_read_cpulist(txn->sys, path, &host) < 0)
			return;
		cpuset_andnot(&released, &host);
		if (cpuset_empty(&released))
			return;
		rest(txn);
	}
	keep_isolated(txn, &released);
	if (!cpuset_empty(&released))
		reclaim(txn, &released);
}

void cgroup_settle(struct txn *txn)
{
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", txn->mount);
	_cleanup_free_ char *lost = xasprintf("%s/" LOST, txn->mount);

	await_systemd(txn);
	await_kernel(txn);
	tell_workqueues(txn);
	if (sys_exists(txn->sys, lost))
		txn->sys->ops->cgroup_delete(txn->sys->ctx, LOST);
	/* Both can be seen before they are done; every write to the tree waits for
	 * the one before, also one of nothing. */
	kfile_put(txn->sys, txn->mount, control, "");
}
