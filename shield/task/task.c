/* SPDX-License-Identifier: MIT */
#include "shield/task/task.h"

#include "shield/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void task_clear(struct task *task)
{
	free(task->comm);
	cpuset_clear(&task->allowed);
	*task = (struct task){ 0 };
}

void tasks_clear(struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->n; i++)
		task_clear(&tasks->items[i]);
	free(tasks->items);
	*tasks = (struct tasks){ 0 };
}

/* The fields after the name, which may itself hold spaces and parentheses
 * (proc(5)): state is field 3, flags 9, start time 22, policy 41. */
static int parse_stat(char *text, struct task *task, char *state)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	unsigned field = 2;

	if (!open || !close || close < open)
		return -ESRCH;
	*close = '\0';
	task->comm = text_escape(open + 1);
	for (const char *at = close + 1; at; at = strchr(at, ' ')) {
		at++;
		field++;
		if (field == 3)
			*state = *at;
		else if (field == 9)
			task->flags = (unsigned)strtoul(at, NULL, 10);
		else if (field == 22)
			task->start = strtoull(at, NULL, 10);
		else if (field == 41)
			task->policy = (unsigned)strtoul(at, NULL, 10);
	}
	return field >= 22 ? 0 : -ESRCH;
}

static int read_stat(struct sys *sys, const char *path, struct task *task, char *state)
{
	_cleanup_free_ char *text = NULL;
	int rc = sys_read(sys, path, 0, &text);

	if (rc < 0)
		return rc == -ENOENT ? -ESRCH : rc;
	return parse_stat(text, task, state);
}

bool task_ended(int rc)
{
	return rc == -ENOENT || rc == -ESRCH;
}

int task_read(struct sys *sys, pid_t tgid, pid_t tid, struct task *task)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/stat", (int)tgid, (int)tid);
	_cleanup_task_ struct task read = { .tid = tid, .tgid = tgid };
	char state = 'X';
	int rc = read_stat(sys, path, &read, &state);

	if (rc < 0)
		return rc;
	if (state == 'Z' || state == 'X' || (read.flags & TASK_EXITING))
		return -ESRCH;
	*task = read;
	read = (struct task){ 0 };
	return 0;
}

int task_same(struct sys *sys, pid_t tid, unsigned long long start)
{
	/* Below /proc/TID itself the kernel sums up all threads of the process. */
	_cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/stat", (int)tid, (int)tid);
	_cleanup_task_ struct task task = { 0 };
	char state = 'X';
	int rc = read_stat(sys, path, &task, &state);

	if (rc < 0)
		return rc == -ESRCH ? 0 : rc;
	return task.start == start && state != 'Z' && state != 'X';
}

bool task_alive(struct sys *sys, pid_t tid, unsigned long long start)
{
	return task_same(sys, tid, start) != 0;
}

int task_allowed(struct sys *sys, pid_t tid, struct cpuset *cpus)
{
	static const char key[] = "\nCpus_allowed_list:";
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)tid);
	_cleanup_free_ char *text = NULL;
	int rc = sys_read(sys, path, 0, &text);
	char *line;

	if (rc < 0)
		return rc == -ENOENT ? -ESRCH : rc;
	line = strstr(text, key);
	if (!line)
		return -ESRCH;
	line += sizeof(key) - 1;
	line[strcspn(line, "\n")] = '\0';
	return cpulist_parse(line, cpus, NULL) < 0 ? -EBADMSG : 0;
}

int task_affinity(struct sys *sys, pid_t tid, struct cpuset *cpus)
{
	int rc = sys->ops->getaffinity(sys->ctx, tid, cpus);

	return rc == 0 && cpuset_empty(cpus) ? task_allowed(sys, tid, cpus) : rc;
}

int task_cgroup(struct sys *sys, pid_t tgid, pid_t tid, char **ret)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/cgroup", (int)tgid, (int)tid);
	_cleanup_free_ char *text = NULL;
	int rc = sys_read(sys, path, 0, &text);
	char *line;

	if (rc < 0)
		return rc == -ENOENT ? -ESRCH : rc;
	/* "0::/a/b": the v2 hierarchy has number 0 and no controllers. */
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line = strchr(line, '/');
	if (!line)
		return -ENOENT;
	*ret = xstrndup(line, strcspn(line, "\n"));
	return 0;
}

/* Are there CPUs that a mask may name although they are offline? */
static bool has_offline(struct sys *sys)
{
	_cleanup_free_ char *online = NULL, *possible = NULL;

	return sys_read_line(sys, "/sys/devices/system/cpu/online", &online) == 0 &&
	       sys_read_line(sys, "/sys/devices/system/cpu/possible", &possible) == 0 &&
	       strcmp(online, possible) != 0;
}

static int pid_of(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isdigit((unsigned char)*c))
			return 0;
	return atoi(name);
}

/* What a snapshot leaves out, and what there is to know about it beforehand. */
struct scan {
	struct sys *sys;
	const struct task_filter *filter;
	bool exact; /* masks may name CPUs that are offline */
};

static bool ordinary(const struct scan *scan, pid_t tid, const struct cpuset *allowed)
{
	struct sys *sys = scan->sys;

	return scan->filter->ordinary && sys->ops->getscheduler &&
	       cpuset_equal(allowed, scan->filter->ordinary) &&
	       sys->ops->getscheduler(sys->ctx, tid) != (int)TASK_DEADLINE;
}

/* One thread into task; 1 if it is not wanted. A negated errno, -ESRCH when it
 * has ended. */
static int read_thread(const struct scan *scan, pid_t tgid, pid_t tid, struct cpuset *allowed,
		       struct task *task)
{
	int rc = task_affinity(scan->sys, tid, allowed);

	if (rc < 0)
		return rc;
	if (scan->filter->touching && !cpuset_intersects(allowed, scan->filter->touching))
		return 1;
	/* A kernel thread is the first one of its own. */
	if (tid != tgid && ordinary(scan, tid, allowed))
		return 1;
	rc = task_read(scan->sys, tgid, tid, task);
	if (rc < 0)
		return rc;
	if (scan->filter->kernel && !(task->flags & TASK_KTHREAD))
		return 1;
	if (scan->exact)
		rc = task_allowed(scan->sys, tid, allowed);
	cpuset_copy(&task->allowed, allowed);
	return rc;
}

/* The thread as the last one of tasks, if it is wanted. */
static int add_thread(const struct scan *scan, pid_t tgid, pid_t tid, struct cpuset *allowed,
		      struct tasks *tasks, struct err *err)
{
	_cleanup_task_ struct task task = { 0 };
	int rc = read_thread(scan, tgid, tid, allowed, &task);

	if (rc < 0 && !task_ended(rc))
		return err_set(err, ERR_FAILED, "/proc/%d/task/%d: cannot be read: %s", (int)tgid,
			       (int)tid, err_errno(rc));
	if (rc != 0)
		return 0;
	GROW(tasks->items, tasks->n, tasks->cap);
	tasks->items[tasks->n++] = task;
	task = (struct task){ 0 };
	return 0;
}

static int read_process(const struct scan *scan, pid_t tgid, struct cpuset *allowed,
			struct tasks *tasks, struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	_cleanup_strv_ struct strv tids = { 0 };
	size_t before = tasks->n;
	int rc;

	if (add_thread(scan, tgid, tgid, allowed, tasks, err) < 0)
		return -1;
	if (scan->filter->kernel ||
	    (tasks->n > before && (tasks->items[before].flags & TASK_KTHREAD)))
		return 0;
	dir = xasprintf("/proc/%d/task", (int)tgid);
	rc = scan->sys->ops->list(scan->sys->ctx, dir, &tids);
	if (rc < 0 && !task_ended(rc))
		return err_set(err, ERR_FAILED, "%s: cannot be listed: %s", dir, err_errno(rc));
	for (size_t t = 0; t < tids.n; t++) {
		pid_t tid = pid_of(tids.items[t]);

		if (tid != tgid && add_thread(scan, tgid, tid, allowed, tasks, err) < 0)
			return -1;
	}
	return 0;
}

int tasks_snapshot(struct sys *sys, const struct task_filter *filter, struct tasks *tasks,
		   struct err *err)
{
	const struct scan scan = { sys, filter, has_offline(sys) };
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	_cleanup_strv_ struct strv pids = { 0 };
	int rc = sys->ops->list(sys->ctx, "/proc", &pids);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "/proc: cannot be listed: %s", err_errno(rc));
	strv_sort(&pids); /* as the kernel lists them; a recorded machine may not */
	for (size_t p = 0; p < pids.n; p++) {
		pid_t tgid = pid_of(pids.items[p]);

		if (tgid > 0 && read_process(&scan, tgid, &allowed, tasks, err) < 0)
			return -1;
	}
	return 0;
}

bool task_vfio_handler(const struct task *task)
{
	return (task->flags & TASK_KTHREAD) && strncmp(task->comm, "irq/", 4) == 0 &&
	       strstr(task->comm, "-vfio-");
}
