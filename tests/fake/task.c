/* SPDX-License-Identifier: MIT */
/* Threads: what /proc says of them, and which CPUs they are given. */
#include "tests/fake/internal.h"

#include <ctype.h>
#include <unistd.h>

struct ftask *ftask_find(const struct fake *fake, pid_t tid)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (fake->tasks[i]->tid == tid)
			return fake->tasks[i];
	return NULL;
}

void ftask_free(struct ftask *task)
{
	free(task->comm);
	free(task->exe);
	cpuset_clear(&task->allowed);
	cpuset_clear(&task->user);
	cpuset_clear(&task->preferred);
	free(task);
}

/*
 * Which kernel threads a cpuset change hits: on 6.1 all but those marked
 * KTHREAD_IS_PER_CPU, on 6.12 all but those with PF_NO_SETAFFINITY, on 7 none.
 * User affinity is an intersection since 6.2, and was overwritten before. A
 * move to the root cgroup gives 6.1's task even the CPUs of partitions.
 */
void ftask_apply(struct fake *fake, struct ftask *task, bool moved)
{
	struct cg *cs = cpuset_of(task->cg);

	if (task->percpu || (task->noaff && fake->flavour != FAKE_6_1) ||
	    (task->kthread && fake->flavour == FAKE_7))
		return;
	if (fake->flavour == FAKE_6_1) {
		cpuset_copy(&task->allowed, moved && !cs->parent ? &fake->possible : &cs->basis);
		return;
	}
	cpuset_copy(&task->allowed, &cs->basis);
	if (task->has_user && cpuset_intersects(&task->user, &cs->basis))
		cpuset_and(&task->allowed, &task->user);
}

/* FAKE_7 keeps kernel threads off isolated CPUs by itself: what they prefer,
 * if any of it is left. */
void ftask_housekeeping(struct fake *fake)
{
	for (size_t i = 0; i < fake->n_tasks; i++) {
		_cleanup_cpuset_ struct cpuset left = { 0 };
		struct ftask *task = fake->tasks[i];

		if (!task->kthread || task->noaff)
			continue;
		cpuset_copy(&left, &fake->possible);
		cpuset_andnot(&left, &fake->isolated);
		if (cpuset_intersects(&left, &task->preferred))
			cpuset_and(&left, &task->preferred);
		if (task->has_user && cpuset_intersects(&left, &task->user))
			cpuset_and(&left, &task->user);
		cpuset_copy(&task->allowed, &left);
	}
}

void ftask_cpu_gone(struct fake *fake)
{
	for (size_t i = 0; i < fake->n_tasks; i++) {
		struct ftask *task = fake->tasks[i];

		if (task->percpu || cpuset_intersects(&task->allowed, &fake->online))
			continue;
		cpuset_copy(&task->allowed, &cpuset_of(task->cg)->basis);
		task->has_user = false;
	}
}

int fake_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus)
{
	const struct fake *fake = ctx;
	const struct ftask *task = ftask_find(fake, tid);

	if (!task)
		return -ESRCH;
	cpuset_copy(cpus, &task->allowed);
	cpuset_and(cpus, &fake->online);
	return 0;
}

int fake_getscheduler(void *ctx, pid_t tid)
{
	return ftask_find(ctx, tid) ? 0 : -ESRCH;
}

int fake_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset granted = { 0 };
	struct fake *fake = ctx;
	struct ftask *task = ftask_find(fake, tid);

	if (!task)
		return -ESRCH;
	if (task->noaff)
		return -EINVAL;
	cpuset_copy(&granted, &cpuset_of(task->cg)->basis);
	cpuset_and(&granted, cpus);
	if (!cpuset_intersects(&granted, &fake->online))
		return -EINVAL;
	cpuset_copy(&task->allowed, &granted);
	if (fake->flavour != FAKE_6_1) {
		cpuset_copy(&task->user, cpus);
		task->has_user = true;
	}
	return 0;
}

static struct ftask *add(struct fake *fake, pid_t tid, pid_t tgid, const char *comm, struct cg *cg)
{
	struct ftask *task = xcalloc(1, sizeof(*task));

	task->tid = tid;
	task->tgid = tgid;
	task->comm = xstrdup(comm);
	task->start = 1000 + (unsigned long long)tid;
	task->cg = cg;
	cpuset_copy(&task->allowed, &cpuset_of(cg)->basis);
	cpuset_copy(&task->preferred, &fake->possible);
	GROW(fake->tasks, fake->n_tasks, fake->cap_tasks);
	fake->tasks[fake->n_tasks++] = task;
	return task;
}

static pid_t new_pid(struct fake *fake)
{
	while (ftask_find(fake, fake->next_pid))
		fake->next_pid++;
	return fake->next_pid++;
}

/* For those whose number is known: PID 1, kthreadd, the test itself. */
pid_t fake_process_as(struct fake *fake, pid_t pid, const char *comm)
{
	return add(fake, pid, pid, comm, fake->root)->tid;
}

/* What holds a scope is started where its parent is. */
void ftask_held(struct fake *fake, pid_t pid)
{
	add(fake, pid, pid, "shield-hold", ftask_find(fake, fake->self)->cg);
}

void fake_task_as(struct fake *fake, pid_t tid, pid_t tgid, unsigned long long start,
		  const char *comm, bool kernel)
{
	struct ftask *task = ftask_find(fake, tid);

	if (!task) {
		fake_process_as(fake, tid, comm);
		task = ftask_find(fake, tid);
		task->kthread = kernel;
	}
	task->tgid = tgid;
	task->start = start;
}

pid_t fake_process(struct fake *fake, const char *comm, const char *cgroup)
{
	pid_t pid = new_pid(fake);
	struct cg *cg = fake->root;

	for (const char *at = cgroup; *(at += strspn(at, "/"));) {
		_cleanup_free_ char *prefix = NULL;

		at += strcspn(at, "/");
		prefix = xstrndup(cgroup, (size_t)(at - cgroup));
		cg = cg_find(fake, prefix);
		if (!cg) {
			cg_mkdir(fake, prefix);
			cg = cg_find(fake, prefix);
		}
	}
	return add(fake, pid, pid, comm, cg)->tid;
}

void fake_owner(struct fake *fake, pid_t pid, uid_t uid, const char *exe)
{
	struct ftask *task = ftask_find(fake, pid);

	task->uid = uid;
	free(task->exe);
	task->exe = xstrdup(exe);
}

pid_t fake_birth(struct fake *fake, pid_t tid, const char *comm, unsigned flags)
{
	const struct ftask *parent = ftask_find(fake, tid);
	struct ftask *task = add(fake, new_pid(fake), parent->tgid, comm, parent->cg);

	cpuset_copy(&task->allowed, &parent->allowed);
	cpuset_copy(&task->user, &parent->user);
	task->has_user = parent->has_user;
	task->noaff = flags & FAKE_NOAFF;
	return task->tid;
}

pid_t fake_thread(struct fake *fake, pid_t pid, const char *comm)
{
	return fake_birth(fake, pid, comm, 0);
}

/* Born: off isolated CPUs since 7, anywhere before. */
pid_t fake_kthread(struct fake *fake, const char *comm, const char *cpus, unsigned flags)
{
	pid_t tid = new_pid(fake);
	struct ftask *task = add(fake, tid, tid, comm, fake->root);
	struct cpuset set = fake_cpus(fake, cpus);

	task->kthread = true;
	task->noaff = flags & (FAKE_NOAFF | FAKE_PERCPU);
	task->percpu = flags & FAKE_PERCPU;
	cpuset_copy(&task->allowed, &set);
	cpuset_copy(&task->preferred, &set);
	cpuset_clear(&set);
	if (fake->flavour == FAKE_7)
		ftask_housekeeping(fake);
	return task->tid;
}

void fake_exit(struct fake *fake, pid_t tid)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (fake->tasks[i]->tid == tid) {
			ftask_free(fake->tasks[i]);
			fake->n_tasks--;
			memmove(&fake->tasks[i], &fake->tasks[i + 1],
				(fake->n_tasks - i) * sizeof(struct ftask *));
			return;
		}
}

/* PF_KTHREAD, PF_NO_SETAFFINITY, PF_WQ_WORKER */
static unsigned flags_of(const struct ftask *task)
{
	return (task->kthread ? 0x00200040u : 0x00400100u) | (task->noaff ? 0x04000000u : 0) |
	       (strncmp(task->comm, "kworker/", 8) == 0 ? 0x20u : 0);
}

static char *file(const struct fake *fake, const struct ftask *task, const char *name)
{
	_cleanup_free_ char *list = NULL, *mask = NULL, *path = NULL;
	int ppid = task->kthread && task->tid != 2 ? 2 : task->tid > 2;

	if (strcmp(name, "stat") == 0)
		return xasprintf("%d (%s) S %d 0 0 0 -1 %u 0 0 0 0 0 0 0 0 20 0 1 0 %llu 0 0 0 0 0 "
				 "0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
				 (int)task->tid, task->comm, ppid, flags_of(task), task->start);
	if (strcmp(name, "comm") == 0)
		return xasprintf("%s\n", task->comm);
	if (strcmp(name, "cmdline") == 0)
		return xstrdup(task->kthread ? "" : task->comm);
	if (strcmp(name, "cgroup") == 0) {
		path = cg_path(task->cg);
		return xasprintf("0::%s\n", path);
	}
	if (strcmp(name, "status") != 0)
		return NULL;
	list = fake_list_text(&task->allowed);
	mask = fake_mask_text(fake, &task->allowed);
	return xasprintf("Name:\t%s\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\n"
			 "Uid:\t%u\t%u\t%u\t%u\n%s"
			 "Cpus_allowed:\t%sCpus_allowed_list:\t%s",
			 task->comm, (int)task->tgid, (int)task->tid, ppid, task->uid, task->uid,
			 task->uid, task->uid,
			 fake->flavour == FAKE_6_1 ? ""
			 : task->kthread	   ? "Kthread:\t1\n"
						   : "Kthread:\t0\n",
			 mask, list);
}

/* The thread a path below /proc is about, and what follows its number; "task"
 * and its own number are skipped. */
static const struct ftask *locate(const struct fake *fake, const char *path, const char **rest)
{
	const struct ftask *task, *thread;
	char *end;

	if (strncmp(path, "/proc/", 6) != 0)
		return NULL;
	if (strncmp(path + 6, "self", 4) == 0 && (path[10] == '/' || !path[10])) {
		task = ftask_find(fake, fake->self);
		end = (char *)path + 10;
	} else {
		task = ftask_find(fake, (pid_t)strtol(path + 6, &end, 10));
	}
	if (!task || (*end && *end != '/') || !isalnum((unsigned char)path[6]))
		return NULL;
	if (strncmp(end, "/task/", 6) == 0) {
		thread = ftask_find(fake, (pid_t)strtol(end + 6, &end, 10));
		if (!thread || thread->tgid != task->tgid || (*end && *end != '/'))
			return NULL;
		task = thread;
	}
	*rest = *end ? end + 1 : end;
	return task;
}

int task_proc_readlink(struct fake *fake, const char *path, char **ret)
{
	const char *rest;
	const struct ftask *task = locate(fake, path, &rest);

	if (!task || strcmp(rest, "exe") != 0)
		return FAKE_NOT_MINE;
	if (task->kthread)
		return -ENOENT;
	*ret = task->exe ? xstrdup(task->exe) : xasprintf("/usr/sbin/%s", task->comm);
	return 0;
}

int task_proc_read(struct fake *fake, const char *path, char **ret)
{
	const char *rest;
	const struct ftask *task = locate(fake, path, &rest);

	if (!task)
		return FAKE_NOT_MINE;
	if (*rest == '\0' || strcmp(rest, "task") == 0)
		return 0;
	*ret = file(fake, task, rest);
	return *ret ? 0 : -ENOENT;
}

int task_proc_list(struct fake *fake, const char *path, struct strv *names)
{
	static const char *const files[] = { "stat", "status", "comm", "cmdline", "cgroup" };
	const char *rest;
	const struct ftask *task = locate(fake, path, &rest);
	bool all = strcmp(path, "/proc") == 0;

	if (!task && !all)
		return FAKE_NOT_MINE;
	for (size_t i = 0; i < fake->n_tasks; i++) {
		const struct ftask *t = fake->tasks[i];

		if (all ? t->tid == t->tgid : strcmp(rest, "task") == 0 && t->tgid == task->tgid)
			strv_addf(names, "%d", (int)t->tid);
	}
	if (all)
		strv_add(names, "irq");
	if (task && *rest == '\0') {
		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			strv_add(names, files[i]);
		strv_add(names, "task");
	} else if (task && strcmp(rest, "task") != 0) {
		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			if (strcmp(rest, files[i]) == 0)
				return -ENOTDIR;
		return FAKE_NOT_MINE; /* "fd", if a test has put it there */
	}
	return 0;
}
