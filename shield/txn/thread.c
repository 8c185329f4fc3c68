/* SPDX-License-Identifier: MIT */
/* A thread that was started in a partition, and goes to the cgroup of its
 * process. */
#include "shield/txn/thread.h"

#include "shield/plan/plan.h"
#include "shield/sys/kfile.h"

#include <errno.h>
#include <string.h>

struct move {
	struct txn *txn;
	const struct task *task;
	const char *from, *to; /* cgroups */
	char *name;
};

static void trace(const struct move *m, const char *from, const char *to)
{
	_cleanup_free_ char *line = xasprintf("%s: %s -> %s", m->name, from, to);

	if (m->txn->trace)
		m->txn->trace(line);
}

/* EINVAL also when a cpuset changed at the same moment: once more. */
static int set_cpus(const struct move *m, const struct cpuset *cpus)
{
	_cleanup_free_ char *from = NULL, *to = cpulist_format(cpus);
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	struct sys *sys = m->txn->sys;
	int rc = task_affinity(sys, m->task->tid, &allowed);

	if (rc == 0)
		rc = sys->ops->setaffinity(sys->ctx, m->task->tid, cpus);
	if (rc == -EINVAL)
		rc = sys->ops->setaffinity(sys->ctx, m->task->tid, cpus);
	if (rc < 0)
		return rc;
	from = cpulist_format(&allowed);
	trace(m, from, to);
	return 0;
}

static int set_cgroup(const struct move *m)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.threads", m->txn->mount, m->to);
	_cleanup_free_ char *tid = xasprintf("%d", (int)m->task->tid);
	int rc = kfile_put(m->txn->sys, m->txn->mount, path, tid);

	if (rc == 0)
		trace(m, m->from, m->to);
	return rc;
}

/* The kernel takes only CPUs of which the partition has one. */
static int leave(const struct move *m, const struct partition *partition, const struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset more = { 0 };
	bool possible = cpuset_intersects(cpus, &partition->cpus);
	int rc;

	cpuset_copy(&more, cpus);
	if (!possible)
		cpuset_or(&more, &partition->cpus);
	rc = set_cpus(m, &more);
	if (rc == 0)
		rc = set_cgroup(m);
	if (rc == 0 && !possible)
		rc = set_cpus(m, cpus);
	return rc;
}

static int verify(const struct move *m)
{
	_cleanup_free_ char *cgroup = NULL;
	int rc = task_cgroup(m->txn->sys, m->task->tgid, m->task->tid, &cgroup);

	return rc < 0 ? rc : strcmp(cgroup, m->to) == 0 ? 0 : -EBUSY;
}

int txn_thread_leaves(struct txn *txn, const struct shield *shield,
		      const struct partition *partition, const struct task *task,
		      const struct cpuset *cpus, struct err *err)
{
	_cleanup_free_ char *name = step_object(STEP_THREAD, NULL, task->tid, task->comm);
	struct move m = { txn, task, partition->cgroup, shield->cgroup, name };
	int rc;

	rc = leave(&m, partition, cpus);
	if (rc == 0)
		rc = verify(&m);
	if (rc == 0 || task_same(txn->sys, task->tid, task->start) == 0)
		return 0;
	/* It may have got its CPUs, and not the cgroup: to be tried again. */
	return err_set(err, ERR_INCOMPLETE, "%s: cannot be moved from the cgroup %s to %s: %s",
		       name, m.from, m.to, err_errno(rc));
}
