/* SPDX-License-Identifier: MIT */
/*
 * CPUs: what a partition takes and gives back, and which threads the kernel then moves by
 * itself. tests/fake/task.c and partition.c are the kernel in full; here is
 * what a transaction reads:
 *
 *	6.1	every thread of a cpuset that loses or gets CPUs has all that are left
 *	6.12	kernel threads likewise, unless a user has set them: those that had not all CPUs
 *		are always written (apply.c); of others the kernel remembers what they
 *		had chosen, and gives it back
 *	7.3	of kernel threads as well (housekeeping_update())
 */
#include "shield/preview/internal.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>

static int by_tid(const void *a, const void *b)
{
	const struct paper_task *one = a, *other = b;

	return one->tid < other->tid ? -1 : one->tid > other->tid;
}

struct paper_task *paper_task_find(const struct preview *p, pid_t tid)
{
	const struct paper_task key = { .tid = tid };
	struct paper_task *const *found = tfind(&key, &p->tasks, by_tid);

	return found ? *found : NULL;
}

struct paper_task *paper_task_get(struct preview *p, pid_t tid)
{
	struct paper_task *task = paper_task_find(p, tid);

	if (!task) {
		task = xcalloc(1, sizeof(*task));
		task->tid = tid;
		if (!tsearch(task, &p->tasks, by_tid))
			abort();
	}
	return task;
}

struct members {
	const char *cgroup;
	bool threads;
	struct strv *lines;
};

static void add_member(const void *at, VISIT visit, void *arg)
{
	const struct paper_task *task = *(struct paper_task *const *)at;
	const struct members *m = arg;
	_cleanup_free_ char *id = NULL;

	if ((visit != postorder && visit != leaf) || !task->cgroup ||
	    strcmp(task->cgroup, m->cgroup) != 0 || (!m->threads && !task->leader))
		return;
	id = xasprintf("%d", (int)task->tid);
	if (!strv_contains(m->lines, id))
		strv_add(m->lines, id);
}

void tasks_in(const struct preview *p, const char *cgroup, bool threads, struct strv *lines)
{
	twalk_r(p->tasks, add_member, &(struct members){ cgroup, threads, lines });
}

static void forget_pin(const void *at, VISIT visit, void *arg)
{
	(void)arg;
	if (visit == postorder || visit == leaf)
		(*(struct paper_task *const *)at)->pinned = false;
}

/* These CPUs go from one of two sets to the other. */
static void pass(struct cpuset *from, struct cpuset *to, const struct cpuset *cpus)
{
	cpuset_andnot(from, cpus);
	cpuset_or(to, cpus);
}

/* Those that it has, or would have, as a partition. */
static int read_own(struct preview *p, const char *dir, struct cpuset *cpus)
{
	static const char *const names[] = { "cpuset.cpus.exclusive", "cpuset.cpus" };
	int rc = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(names) && cpuset_empty(cpus); i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);

		rc = sys_read_cpulist(&p->sys, path, cpus);
	}
	return rc;
}

int cpus_of_partition(struct preview *p, const char *dir, struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset online = { 0 };
	int rc = read_own(p, dir, cpus);

	if (rc == 0)
		rc = sys_read_cpulist(p->below, "/sys/devices/system/cpu/online", &online);
	cpuset_and(cpus, &online);
	return rc;
}

void cpus_partition(struct preview *p, const char *dir, const char *from, const char *to)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	bool was = strcmp(from, "root") == 0 || strcmp(from, "isolated") == 0;
	bool is = strcmp(to, "member") != 0;

	if (read_own(p, dir, &cpus) < 0)
		return;
	if (is && !was)
		pass(&p->freed, &p->taken, &cpus);
	else if (was && !is)
		pass(&p->taken, &p->freed, &cpus);
	if (strcmp(to, "isolated") == 0)
		pass(&p->shared, &p->isolated, &cpus);
	else if (strcmp(from, "isolated") == 0)
		pass(&p->isolated, &p->shared, &cpus);
	/* Before Linux 6.2 the change overwrites what was set. */
	if (!p->remote)
		twalk_r(p->tasks, forget_pin, NULL);
}

void cpus_correct(const struct preview *p, bool isolated, struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset online = { 0 }, freed = { 0 };

	if (isolated) {
		cpuset_andnot(cpus, &p->shared);
		cpuset_or(cpus, &p->isolated);
		return;
	}
	sys_read_cpulist(p->below, "/sys/devices/system/cpu/online", &online);
	cpuset_copy(&freed, &p->freed);
	cpuset_and(&freed, &online);
	cpuset_andnot(cpus, &p->taken);
	cpuset_or(cpus, &freed);
}

/* The CPUs of the cpuset that a thread is in, now or below. */
static int cpuset_of(struct preview *p, struct sys *sys, pid_t tid, struct cpuset *cpus)
{
	_cleanup_free_ char *cgroup = NULL, *dir = NULL;
	int rc = task_cgroup(sys, tid, tid, &cgroup);

	if (rc < 0)
		return rc;
	dir = xasprintf("%s%s", p->mount, strcmp(cgroup, "/") == 0 ? "" : cgroup);
	for (;;) {
		_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.effective", dir);

		rc = sys_read_cpulist(sys, path, cpus);
		if (rc != -ENOENT || strlen(dir) <= strlen(p->mount))
			return rc;
		*strrchr(dir, '/') = '\0';
	}
}

/* Those that Linux 7 leaves to kernel threads: which are not isolated. */
static int not_isolated(struct preview *p, struct sys *sys, struct cpuset *cpus)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.isolated", p->mount);
	_cleanup_cpuset_ struct cpuset isolated = { 0 };
	int rc = sys_read_cpulist(sys, path, &isolated);

	if (rc == 0)
		rc = sys_read_cpulist(sys, "/sys/devices/system/cpu/online", cpus);
	cpuset_andnot(cpus, &isolated);
	return rc;
}

/* What is left of CPUs that a thread has chosen, or all where nothing is. */
static void narrow(struct cpuset *cpus, const struct cpuset *chosen, const struct cpuset *all)
{
	_cleanup_cpuset_ struct cpuset left = { 0 };

	cpuset_copy(&left, chosen);
	cpuset_and(&left, all);
	cpuset_copy(cpus, cpuset_empty(&left) ? all : &left);
}

/* What the kernel has made of a thread's CPUs since the first change. */
static void react(struct preview *p, const struct task *task, struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset before = { 0 }, after = { 0 };
	const struct paper_task *known = paper_task_find(p, task->tid);

	bool kernel = p->own_kthreads && (task->flags & TASK_KTHREAD);

	if ((p->remote && (task->flags & TASK_NO_SETAFFINITY)) ||
	    (kernel ? not_isolated(p, p->below, &before)
		    : cpuset_of(p, p->below, task->tid, &before)) < 0 ||
	    (kernel ? not_isolated(p, &p->sys, &after) : cpuset_of(p, &p->sys, task->tid, &after)) <
		    0 ||
	    (p->remote && cpuset_equal(&before, &after)))
		return;
	if (known && known->remembered && p->remote)
		narrow(cpus, &known->chosen, &after);
	else if (cpuset_equal(cpus, &before) || !p->remote)
		cpuset_copy(cpus, &after);
	else
		narrow(cpus, cpus, &after);
}

/* Can the kernel have changed them? */
static bool changed(const struct preview *p, const struct paper_task *task)
{
	return (task && task->cgroup) || !cpuset_empty(&p->taken) || !cpuset_empty(&p->freed);
}

int paper_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus)
{
	struct preview *p = ctx;
	const struct paper_task *known = paper_task_find(p, tid);
	_cleanup_task_ struct task task = { 0 };
	int rc;

	if (known && known->pinned) {
		cpuset_copy(cpus, &known->cpus);
		return 0;
	}
	rc = p->below->ops->getaffinity(p->below->ctx, tid, cpus);
	if (rc < 0 || !p->mount || !changed(p, known))
		return rc;
	if (task_read(p->below, tid, tid, &task) == 0)
		react(p, &task, cpus);
	return 0;
}

int paper_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus)
{
	struct preview *p = ctx;
	_cleanup_cpuset_ struct cpuset now = { 0 }, online = { 0 };
	_cleanup_free_ char *from = NULL, *to = cpulist_format(cpus);
	_cleanup_task_ struct task task = { 0 };
	struct paper_task *known;
	int rc = paper_getaffinity(p, tid, &now);

	if (rc == 0)
		rc = task_read(&p->sys, tid, tid, &task);
	if (rc < 0)
		return rc;
	from = cpulist_format(&now);
	plan_task(&p->plan, STEP_AFFINITY, tid, task.start, task.comm, from, to);
	known = paper_task_get(p, tid);
	known->pinned = true;
	cpuset_copy(&known->cpus, cpus);
	if (sys_read_cpulist(p->below, "/sys/devices/system/cpu/online", &online) == 0 &&
	    cpuset_intersects(cpus, &online))
		cpuset_and(&known->cpus, &online);
	return 0;
}

void preview_remember(struct sys *sys, pid_t tid, const char *cpulist)
{
	struct paper_task *task = paper_task_get(sys->ctx, tid);

	cpuset_clear(&task->chosen);
	task->remembered = cpulist_parse(cpulist, &task->chosen, NULL) == 0;
}

void cpus_close(struct preview *p)
{
	while (p->tasks) {
		struct paper_task *task = *(struct paper_task **)p->tasks;

		tdelete(task, &p->tasks, by_tid);
		free(task->cgroup);
		cpuset_clear(&task->cpus);
		cpuset_clear(&task->chosen);
		free(task);
	}
	cpuset_clear(&p->taken);
	cpuset_clear(&p->freed);
	cpuset_clear(&p->isolated);
	cpuset_clear(&p->shared);
}
