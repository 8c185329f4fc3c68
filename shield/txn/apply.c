/* SPDX-License-Identifier: MIT */
#include "shield/txn/apply.h"

#include "irq/irq.h"
#include "irq/net.h"
#include "shield/sys/kfile.h"
#include "shield/task/task.h"
#include "shield/txn/cgroup.h"

#include <errno.h>
#include <string.h>

int object_same(struct txn *txn, const struct object *object)
{
	unsigned irq;

	if (object->task.pid)
		return task_same(txn->sys, object->task.pid, object->task.start);
	if (object->identity && object->path && net_path(object->path))
		return net_is(txn->sys, object->path, object->identity);
	if (!object->identity || !irq_path_number(object->path, &irq))
		return 1;
	return irq_is(txn->sys, irq, object->identity);
}

const struct kfile *object_row(const struct txn *txn, const struct object *object)
{
	return object->kind == STEP_WRITE ? kfile_find(object->path, txn->mount) : NULL;
}

int object_read(struct txn *txn, const struct object *object, char **ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	const struct kfile *row;
	struct stat st;
	int rc;

	switch (object->kind) {
	case STEP_WRITE:
		row = kfile_find(object->path, txn->mount);
		return row ? kfile_read(txn->sys, row, object->path, ret) : -EPERM;
	case STEP_DIR:
		rc = txn->sys->ops->lstat(txn->sys->ctx, object->path, &st);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		*ret = xstrdup(rc < 0 ? "absent" : "present");
		return 0;
	case STEP_AFFINITY:
		rc = task_affinity(txn->sys, object->task.pid, &cpus);
		if (rc < 0)
			return rc;
		*ret = cpulist_format(&cpus);
		return 0;
	default:
		return task_cgroup(txn->sys, object->task.pid, object->task.pid, ret);
	}
}

static int set_affinity(struct txn *txn, const struct object *object)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int rc;

	if (cpulist_parse(object->target, &cpus, NULL) < 0)
		return -EINVAL;
	/* EINVAL also when a cpuset changed at the same moment, since 6.2: once
	 * more. */
	rc = txn->sys->ops->setaffinity(txn->sys->ctx, object->task.pid, &cpus);
	if (rc == -EINVAL)
		rc = txn->sys->ops->setaffinity(txn->sys->ctx, object->task.pid, &cpus);
	return rc;
}

static int move_thread(struct txn *txn, const struct object *object)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.threads", txn->mount, object->target);
	_cleanup_free_ char *tid = xasprintf("%d", (int)object->task.pid);

	return kfile_put(txn->sys, txn->mount, path, tid);
}

static int object_write(struct txn *txn, const struct object *object, const char *home)
{
	switch (object->kind) {
	case STEP_WRITE:
		return kfile_write(txn->sys, kfile_find(object->path, txn->mount), object->path,
				   object->target);
	case STEP_DIR:
		if (strcmp(object->target, "absent") == 0)
			return cgroup_remove(txn, object, home);
		return cgroup_make(txn, object);
	case STEP_AFFINITY:
		return set_affinity(txn, object);
	case STEP_PROCESS:
		return txn->sys->ops->cgroup_attach(txn->sys->ctx, object->target + 1,
						    object->task.pid);
	case STEP_THREAD:
		return move_thread(txn, object);
	case STEP_UNIT: /* only in previews */
		break;
	}
	return -EINVAL;
}

/* Does the kernel hold this value? Affinities are shown without offline CPUs,
 * an invalid partition with its reason. */
static bool holds(const struct txn *txn, const struct object *object, const char *current,
		  const char *value)
{
	_cleanup_cpuset_ struct cpuset have = { 0 }, want = { 0 };

	if (strcmp(current, value) == 0)
		return true;
	if (object->kind != STEP_AFFINITY || cpulist_parse(current, &have, NULL) < 0 ||
	    cpulist_parse(value, &want, NULL) < 0)
		return false;
	cpuset_and(&want, &txn->online);
	return cpuset_equal(&have, &want);
}

/* "isolated invalid (…)" is still ours where we wrote "isolated". */
static bool is_ours(const struct txn *txn, const struct object *object, const char *current,
		    const char *value)
{
	size_t n = value ? strlen(value) : 0;

	if (!value)
		return false;
	return holds(txn, object, current, value) ||
	       (strncmp(current, value, n) == 0 && strncmp(current + n, " invalid", 8) == 0);
}

/* A kernel thread between what we left it and what it had: some of a shield's
 * partitions were invalid, and the kernel gave it their CPUs back. */
static bool widened(struct txn *txn, const struct object *object, const char *current)
{
	_cleanup_cpuset_ struct cpuset have = { 0 }, least = { 0 }, most = { 0 };
	_cleanup_task_ struct task task = { 0 };

	return cpulist_parse(current, &have, NULL) == 0 &&
	       cpulist_parse(object->ours, &least, NULL) == 0 &&
	       cpulist_parse(object->original, &most, NULL) == 0 && cpuset_within(&least, &have) &&
	       cpuset_within(&have, &most) &&
	       task_read(txn->sys, object->task.pid, object->task.pid, &task) == 0 &&
	       (task.flags & TASK_KTHREAD);
}

/* Our partition went, and the kernel gave its CPUs to a thread, not knowing any more
 * what that had chosen itself. */
static bool given_back(const struct txn *txn, const struct object *object, const char *current)
{
	_cleanup_cpuset_ struct cpuset have = { 0 }, known = { 0 };

	if (!txn->vanished || object->kind != STEP_AFFINITY)
		return false;
	if (cpulist_parse(current, &have, NULL) < 0 ||
	    cpulist_parse(object->ours, &known, NULL) < 0 || !cpuset_within(&known, &have))
		return false;
	for (size_t i = 0; i < txn->state.n_shields; i++)
		cpuset_or(&known, &txn->state.shields[i].taken);
	return cpuset_within(&have, &known);
}

char *object_drift(struct txn *txn, const struct object *object)
{
	_cleanup_free_ char *current = NULL;

	if (object_read(txn, object, &current) < 0 || holds(txn, object, current, object->ours) ||
	    holds(txn, object, current, object->target) || !object_same(txn, object) ||
	    widened(txn, object, current) || given_back(txn, object, current))
		return NULL;
	return take_ptr(current);
}

static bool gone(int rc)
{
	return rc == -ENOENT || rc == -ESRCH || rc == -ENODEV;
}

static enum applied failed(const struct txn *txn, const struct object *object, int rc,
			   struct err *err)
{
	_cleanup_free_ char *name =
		step_object(object->kind, object->path, object->task.pid, object->identity);
	const struct kfile *row = object_row(txn, object);
	const char *hint = "";
	unsigned irq;
	bool is_irq = row && irq_path_number(object->path, &irq);

	if (is_irq)
		hint = irq_write_hint(rc);
	else if (rc == -ENOENT && object->kind == STEP_WRITE)
		hint = "; the cgroup has no cpuset controller, or the kernel is older than "
		       "Linux 6.1: 'shield doctor' tells which";
	else if (rc == -EROFS)
		hint = "; it is mounted read-only, as in a container: run shield on the host";
	else if (object->kind == STEP_DIR && cgroup_is_unit(txn, object))
		hint = "; it is a unit of systemd, which is asked for it by D-Bus ('systemctl "
		       "start dbus', if that does not run)";
	err_set(err, ERR_FAILED, "%s: cannot be set to \"%s\": %s%s", name, object->target,
		err_errno(rc), hint);
	/* None of these CPUs is online: then nothing else can be done. */
	if (rc == -EINVAL &&
	    (object->kind == STEP_AFFINITY || (row && row->soft && row->cpus && !row->setting)))
		return APPLIED_UNMOVED;
	if (object->kind == STEP_AFFINITY || (row && row->soft))
		return APPLIED_RETRY;
	return APPLIED_FAILED;
}

/* What a write, not a read, may also mean. */
static enum applied write_failed(const struct txn *txn, const struct object *object, int rc,
				 struct err *err)
{
	const struct kfile *row = object_row(txn, object);

	if (row && kfile_refused(row, rc))
		return APPLIED_REFUSED;
	/* Another cgroup has come to depend on the controller. */
	if (rc == -EBUSY && row && strcmp(object->target, "-cpuset") == 0)
		return APPLIED_DRIFT;
	return failed(txn, object, rc, err);
}

/* The kernel takes the move of a thread that is about to end, and does nothing. */
static bool ends_unmoved(const struct txn *txn, const struct object *object)
{
	_cleanup_task_ struct task task = { 0 };
	pid_t tid = object->task.pid;

	return (object->kind == STEP_THREAD || object->kind == STEP_PROCESS) &&
	       task_read(txn->sys, tid, tid, &task) == -ESRCH;
}

/* Read back; a mask that the cgroup of the thread narrows further is fine. */
static enum applied verify(struct txn *txn, const struct object *object, struct err *err)
{
	_cleanup_free_ char *current = NULL, *name = NULL;
	_cleanup_cpuset_ struct cpuset have = { 0 }, want = { 0 };
	const struct kfile *row;
	int rc = object_read(txn, object, &current);

	if (rc == 0 && holds(txn, object, current, object->target))
		return APPLIED;
	if (gone(rc) || object_same(txn, object) == 0 || ends_unmoved(txn, object))
		return APPLIED_GONE;
	if (rc < 0)
		return failed(txn, object, rc, err);
	if (cgroup_rewritten(txn, object))
		return APPLIED;
	row = object_row(txn, object);
	if ((object->kind == STEP_AFFINITY || (row && row->soft)) &&
	    cpulist_parse(current, &have, NULL) == 0 &&
	    cpulist_parse(object->target, &want, NULL) == 0 && !cpuset_empty(&have) &&
	    cpuset_within(&have, &want))
		return APPLIED;
	name = step_object(object->kind, object->path, object->task.pid, object->identity);
	err_set(err, ERR_FAILED, "%s: wrote \"%s\", but it reads \"%s\"", name, object->target,
		current);
	if (row && row->soft)
		return APPLIED_RETRY; /* a driver, or irqbalance, was quicker */
	return object->kind == STEP_AFFINITY ? APPLIED_UNMOVED : APPLIED_FAILED;
}

/* All CPUs of the interrupt's former mask are offline: the nearest ones instead,
 * as the kernel itself does when the last one goes. */
static int write_near(struct txn *txn, const struct object *object)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *near = NULL;
	unsigned irq;
	int rc;

	if (object->kind != STEP_WRITE || !irq_path_number(object->path, &irq) ||
	    cpulist_parse(object->target, &cpus, NULL) < 0 ||
	    cpuset_intersects(&cpus, &txn->online))
		return -EINVAL;
	cpuset_copy(&cpus, &txn->online);
	irq_near(txn->sys, irq, &cpus);
	near = cpulist_format(&cpus);
	rc = kfile_put(txn->sys, txn->mount, object->path, near);
	if (rc == 0)
		strv_addf(&txn->report, "%s: its CPUs %s are offline; set to %s", object->path,
			  object->target, near);
	return rc;
}

/* Taking the controller away from the root would silently destroy what others
 * have set in their cgroups meanwhile. */
static bool controller_in_use(struct txn *txn, const struct object *object)
{
	_cleanup_strv_ struct strv names = { 0 };

	if (object->kind != STEP_WRITE || strcmp(object->target, "-cpuset") != 0 ||
	    txn->sys->ops->list(txn->sys->ctx, txn->mount, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path =
			xasprintf("%s/%s/cpuset.cpus", txn->mount, names.items[i]);
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(txn->sys, path, &text) == 0 && *text)
			return true;
	}
	return false;
}

/* The program that was told has not answered, but may have heard it, or be
 * about to. */
static bool perhaps(int rc)
{
	return rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -EPIPE;
}

/* What it holds now says nothing about what it was told. If that is not known either,
 * it is told the original when the shield ends, and until it has heard that. */
static enum applied apply_delayed(struct txn *txn, const struct object *object, struct err *err)
{
	int rc = !object->next && strcmp(object->ours, object->target) == 0
			 ? 0
			 : object_write(txn, object, NULL);

	if (perhaps(rc) && strcmp(object->target, object->original) != 0) {
		strv_addf(&txn->unmoved, "%s: may not know that it is to use CPUs %s only: %s",
			  object->path, object->target, err_errno(rc));
		return APPLIED;
	}
	return rc == 0 ? APPLIED : gone(rc) ? APPLIED_GONE : failed(txn, object, rc, err);
}

/*
 * A SIGKILL that comes while the kernel carries out a change of a partition
 * keeps it from starting workers (-ENOMEM, and a WARN: 6.12 in
 * remote_partition_disable, 7.3 in housekeeping_update): the partition is changed then, but the
 * workqueues still stay off its CPUs, or on them. They are told again only when what is isolated
 * changes: so there and back. Only a recovery meets this.
 */
static bool partition_again(struct txn *txn, const struct object *object)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.isolated", txn->mount);
	_cleanup_free_ char *known = NULL;
	_cleanup_cpuset_ struct cpuset isolated = { 0 }, workqueues = { 0 };
	const struct kfile *row = kfile_find(object->path, txn->mount);

	if (row->type != KFILE_PARTITION || sys_read_cpulist(txn->sys, path, &isolated) < 0 ||
	    sys_read_line(txn->sys, "/sys/devices/virtual/workqueue/cpumask_isolated", &known) <
		    0 ||
	    cpumask_parse(known, &workqueues, NULL) < 0 || cpuset_equal(&isolated, &workqueues))
		return false;
	return kfile_write(txn->sys, row, object->path,
			   strcmp(object->target, "member") == 0 ? "isolated" : "member") == 0;
}

/* It went away. A missing file of a cgroup that should be there is an error. */
static bool went(const struct object *object, int rc)
{
	return gone(rc) && !(object->scoped && strcmp(object->ours, object->original) == 0 &&
			     strcmp(object->target, object->original) != 0);
}

/*
 * Linux 6.7 to 6.19 gives a kernel thread all CPUs that are left when a partition changes,
 * unless a user had set it; which of both it was, nothing shows. So one that had not all
 * CPUs is written in any case, and a preview knows that (preview/cpus.c).
 */
static bool unforeseen(struct txn *txn, const struct object *object)
{
	_cleanup_cpuset_ struct cpuset original = { 0 };
	_cleanup_task_ struct task task = { 0 };

	return txn->kthreads_lost && object->kind == STEP_AFFINITY &&
	       cpulist_parse(object->original, &original, NULL) == 0 &&
	       !cpuset_within(&txn->online, &original) &&
	       task_read(txn->sys, object->task.pid, object->task.pid, &task) == 0 &&
	       (task.flags & TASK_KTHREAD);
}

enum applied object_apply(struct txn *txn, const struct object *object, bool compare,
			  const char *home, struct err *err)
{
	_cleanup_free_ char *current = NULL;
	const struct kfile *row = object_row(txn, object);
	bool delayed = row && row->delayed;
	int rc = delayed ? 0 : object_read(txn, object, &current), same;

	/* An interrupt that is freed at this moment answers EIO; it may be there
	 * again, as is seen the second time. */
	if (rc == -EIO)
		rc = object_read(txn, object, &current);
	/* Where nothing is to be written it does not matter whose it is now. */
	if (current && holds(txn, object, current, object->target) && !unforeseen(txn, object) &&
	    !(row && object->next && partition_again(txn, object)))
		return APPLIED;
	same = object_same(txn, object);
	if (same == 0)
		return APPLIED_GONE;
	if (same < 0)
		return failed(txn, object, same, err);
	if (delayed)
		return apply_delayed(txn, object, err);
	if (went(object, rc))
		return APPLIED_GONE;
	if (!current)
		return failed(txn, object, rc, err);
	if (compare && !txn->force && !is_ours(txn, object, current, object->ours) &&
	    !is_ours(txn, object, current, object->next))
		return APPLIED_DRIFT;
	if (controller_in_use(txn, object))
		return APPLIED_DRIFT;
	rc = object_write(txn, object, home);
	if (rc == -EIO)
		rc = object_write(txn, object, home);
	if (rc == -EINVAL && write_near(txn, object) == 0)
		return APPLIED;
	if (rc < 0 && object_same(txn, object) == 0)
		return APPLIED_GONE;
	/* systemd removes a scope the moment that it is empty: ENODEV. */
	if (row && went(object, rc) && !sys_exists(txn->sys, object->path))
		return APPLIED_GONE;
	if (rc < 0)
		return write_failed(txn, object, rc, err);
	if (txn->trace) {
		_cleanup_free_ char *name =
			step_object(object->kind, object->path, object->task.pid, object->identity);
		_cleanup_free_ char *line =
			xasprintf("%s: %s -> %s", name, current && *current ? current : "(empty)",
				  *object->target ? object->target : "(empty)");

		txn->trace(line);
	}
	return verify(txn, object, err);
}
