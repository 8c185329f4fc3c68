/* SPDX-License-Identifier: MIT */
/* cgroups: those that were made here and their files, who is in them, and what PID 1
 * does with those of units. */
#include "shield/preview/internal.h"

#include "shield/cgroup/layout.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOT_SLICE "-.slice"

/* The files of a new cgroup, and what is in them. */
static const struct {
	const char *name, *text;
	bool remote; /* only where there are remote partitions */
} files[] = {
	{ "cgroup.controllers", "cpuset", false },
	{ "cgroup.subtree_control", "", false },
	{ "cgroup.procs", "", false },
	{ "cgroup.threads", "", false },
	{ "cgroup.type", "domain", false },
	{ "cgroup.events", "populated 0\nfrozen 0", false },
	{ "cpuset.cpus", "", false },
	{ "cpuset.mems", "", false },
	{ "cpuset.cpus.effective", "", false },
	{ "cpuset.cpus.partition", "member", false },
	{ "cpuset.cpus.exclusive", "", true },
};

void cgroup_names(const struct preview *p, struct strv *names)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (p->remote || !files[i].remote)
			strv_add(names, files[i].name);
}

static const char *default_text(const struct preview *p, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(files[i].name, name) == 0 && (p->remote || !files[i].remote))
			return files[i].text;
	return NULL;
}

/* The path from the cgroup root, "/" for the root itself. */
static const char *cgroup_of(const struct preview *p, const char *dir)
{
	const char *cgroup = dir + strlen(p->mount);

	return *cgroup ? cgroup : "/";
}

static char *dir_of_cgroup(const struct preview *p, const char *cgroup)
{
	return xasprintf("%s%s", p->mount, strcmp(cgroup, "/") == 0 ? "" : cgroup);
}

static const char *noted(const struct preview *p, const char *dir, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);
	const struct note *note = note_find(p, path);

	return note ? note->text : NULL;
}

static bool is_threaded(const struct preview *p, const char *dir)
{
	const char *type = noted(p, dir, "cgroup.type");

	return type && strcmp(type, "threaded") == 0;
}

/* cgroup.procs or cgroup.threads: as below, without those that have left and with
 * those that have come. */
static int members(struct preview *p, const char *dir, const char *path, bool threads, char **ret)
{
	const char *cgroup = cgroup_of(p, dir);
	_cleanup_strv_ struct strv lines = { 0 };
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int rc;

	if (!threads && is_threaded(p, dir))
		return -EOPNOTSUPP;
	rc = path_made(p, dir) ? 0 : sys_read(p->below, path, 0, &text);
	if (rc < 0)
		return rc;
	for (char *id = text ? strtok_r(text, "\n", &save) : NULL; id;
	     id = strtok_r(NULL, "\n", &save)) {
		const struct paper_task *task = paper_task_find(p, (pid_t)atoi(id));

		if (!task || !task->cgroup || strcmp(task->cgroup, cgroup) == 0)
			strv_add(&lines, id);
	}
	tasks_in(p, cgroup, threads, &lines);
	*ret = xstrdup("");
	for (size_t i = 0; i < lines.n; i++) {
		char *more = xasprintf("%s%s\n", *ret, lines.items[i]);

		free(*ret);
		*ret = more;
	}
	return 1;
}

/* A cgroup that was changed here: its own CPUs, as far as the one above has them. */
static int own_cpus(struct preview *p, const char *dir, struct cpuset *cpus)
{
	_cleanup_free_ char *own = xasprintf("%s/cpuset.cpus", dir);
	_cleanup_free_ char *above =
		xasprintf("%.*s/cpuset.cpus.effective", (int)(strrchr(dir, '/') - dir), dir);
	_cleanup_cpuset_ struct cpuset all = { 0 };
	int rc = sys_read_cpulist(&p->sys, own, cpus);

	if (rc == 0)
		rc = sys_read_cpulist(&p->sys, above, &all);
	cpuset_and(cpus, &all);
	if (cpuset_empty(cpus))
		cpuset_copy(cpus, &all);
	return rc;
}

/* One that was not: as below, without what was taken since; what came back is for those
 * that have no CPUs of their own. */
static int given_cpus(struct preview *p, const char *dir, const char *path, struct cpuset *cpus)
{
	_cleanup_free_ char *own = xasprintf("%s/cpuset.cpus", dir);
	_cleanup_cpuset_ struct cpuset set = { 0 };
	int rc = sys_read_cpulist(p->below, path, cpus);

	if (rc < 0)
		return rc;
	if (sys_read_cpulist(p->below, own, &set) == 0 && !cpuset_empty(&set))
		cpuset_andnot(cpus, &p->taken);
	else
		cpus_correct(p, false, cpus);
	return 0;
}

static int effective(struct preview *p, const char *dir, const char *path, char **ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	const char *partition = noted(p, dir, "cpuset.cpus.partition");
	int rc;

	if (partition && strcmp(partition, "member") != 0)
		rc = cpus_of_partition(p, dir, &cpus);
	else if (partition || path_made(p, dir) || noted(p, dir, "cpuset.cpus"))
		rc = own_cpus(p, dir, &cpus);
	else
		rc = given_cpus(p, dir, path, &cpus);
	if (rc == 0)
		*ret = cpulist_format(&cpus);
	return rc < 0 ? rc : 1;
}

static int isolated(struct preview *p, const char *path, char **ret)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int rc = sys_read_cpulist(p->below, path, &cpus);

	if (rc < 0)
		return rc;
	cpus_correct(p, true, &cpus);
	*ret = cpulist_format(&cpus);
	return 1;
}

/* What the cgroup above has been told here of controllers: "cpuset", ""; NULL: nothing. */
static const char *controllers(const struct preview *p, const char *dir)
{
	_cleanup_free_ char *above = xstrndup(dir, (size_t)(strrchr(dir, '/') - dir));

	return noted(p, above, "cgroup.subtree_control");
}

static bool enabled(const struct preview *p, const char *dir)
{
	const char *control = controllers(p, dir);

	return control && strcmp(control, "cpuset") == 0;
}

bool cgroup_lost(const struct preview *p, const char *path)
{
	size_t n = p->mount ? strlen(p->mount) : 0;
	const char *name = strrchr(path, '/') + 1, *control;
	_cleanup_free_ char *dir = NULL;

	if (!n || strncmp(path, p->mount, n) != 0 || strncmp(name, "cpuset.", 7) != 0)
		return false;
	dir = xstrndup(path, (size_t)(name - 1 - path));
	if (strlen(dir) <= n) /* the root keeps its own */
		return false;
	control = controllers(p, dir);
	return control && !*control;
}

int cgroup_text(struct preview *p, const char *path, char **ret)
{
	size_t n = p->mount ? strlen(p->mount) : 0;
	const char *name = strrchr(path, '/') + 1, *text;
	_cleanup_free_ char *dir = NULL;
	bool made;

	if (!n || strncmp(path, p->mount, n) != 0 || path[n] != '/')
		return 0;
	dir = xstrndup(path, (size_t)(name - 1 - path));
	made = path_made(p, dir);
	if (strcmp(name, "cgroup.procs") == 0 || strcmp(name, "cgroup.threads") == 0)
		return members(p, dir, path, strcmp(name, "cgroup.threads") == 0, ret);
	if (strcmp(name, "cpuset.cpus.effective") == 0)
		return effective(p, dir, path, ret);
	if (strcmp(name, "cpuset.cpus.isolated") == 0)
		return isolated(p, path, ret);
	if (!made && (strncmp(name, "cpuset.", 7) != 0 || strcmp(dir, p->mount) == 0 ||
		      sys_exists(p->below, path) || !enabled(p, dir)))
		return 0;
	text = default_text(p, name);
	if (!text)
		return made ? -ENOENT : 0;
	*ret = xstrdup(text);
	return 1;
}

static void make(struct preview *p, const char *dir)
{
	struct note *note = note_get(p, dir);

	notes_forget_below(p, dir);
	note->absent = false;
	note->dir = true;
}

/* With all that is in it. */
static void remove_all(struct preview *p, const char *dir)
{
	struct note *note = note_get(p, dir);

	note->dir = false;
	note->absent = true;
}

/* libcgroup asks once more for the controller: in each cgroup above the new one, but in
 * the root only where there is no other. */
static void ask_again(struct preview *p, const char *dir)
{
	size_t n = strlen(p->mount);
	const char *slash = strchr(dir + n + 1, '/');

	if (!slash)
		slash = dir + n;
	for (; slash; slash = strchr(slash + 1, '/')) {
		_cleanup_free_ char *control =
			xasprintf("%.*s/cgroup.subtree_control", (int)(slash - dir), dir);

		plan_write(&p->plan, control, "+cpuset", "+cpuset");
		if (slash == dir + n)
			break;
	}
}

int paper_cgroup_create(void *ctx, const char *path)
{
	struct preview *p = ctx;
	_cleanup_free_ char *dir = xasprintf("%s/%s", p->mount, path);

	if (sys_exists(&p->sys, dir))
		return -EEXIST;
	ask_again(p, dir);
	make(p, dir);
	plan_dir(&p->plan, dir);
	return 0;
}

int paper_cgroup_delete(void *ctx, const char *path)
{
	struct preview *p = ctx;
	_cleanup_free_ char *dir = xasprintf("%s/%s", p->mount, path);

	if (!sys_exists(&p->sys, dir))
		return -ENOENT;
	remove_all(p, dir);
	plan_dir_gone(&p->plan, dir);
	return 0;
}

static struct paper_task *move_task(struct preview *p, pid_t tid, const char *cgroup)
{
	struct paper_task *task = paper_task_get(p, tid);

	free(task->cgroup);
	task->cgroup = xstrdup(cgroup);
	/* Before Linux 6.2 the new cpuset is all that counts. */
	if (!p->remote)
		task->pinned = false;
	return task;
}

void cgroup_moved(struct preview *p, pid_t pid, const char *cgroup)
{
	_cleanup_free_ char *dir = xasprintf("/proc/%d/task", (int)pid);
	_cleanup_strv_ struct strv tids = { 0 };

	p->below->ops->list(p->below->ctx, dir, &tids);
	if (!tids.n)
		move_task(p, pid, cgroup)->leader = true;
	for (size_t i = 0; i < tids.n; i++) /* the process comes first */
		move_task(p, (pid_t)atoi(tids.items[i]), cgroup)->leader |= i == 0;
}

static int record_move(struct preview *p, enum step_kind kind, pid_t tid, const char *to)
{
	_cleanup_task_ struct task task = { 0 };
	_cleanup_free_ char *from = NULL;
	int rc = task_read(&p->sys, tid, tid, &task);

	if (rc == 0)
		rc = task_cgroup(&p->sys, tid, tid, &from);
	if (rc == 0)
		plan_task(&p->plan, kind, tid, task.start, task.comm, from, to);
	return rc;
}

int paper_cgroup_attach(void *ctx, const char *path, pid_t pid)
{
	struct preview *p = ctx;
	_cleanup_free_ char *cgroup = xasprintf("/%s", path);
	int rc = record_move(p, STEP_PROCESS, pid, cgroup);

	if (rc == 0)
		cgroup_moved(p, pid, cgroup);
	return rc;
}

int cgroup_thread_moved(struct preview *p, const char *path, const char *tid)
{
	_cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	const char *cgroup = cgroup_of(p, dir);
	int rc = record_move(p, STEP_THREAD, (pid_t)atoi(tid), cgroup);

	if (rc == 0)
		move_task(p, (pid_t)atoi(tid), cgroup);
	return rc;
}

/* The cgroup of a unit: slices of ours are at the top. */
static char *unit_cgroup(const char *unit, const char *slice)
{
	return slice && strcmp(slice, ROOT_SLICE) != 0 ? xasprintf("/%s/%s", slice, unit)
						       : xasprintf("/%s", unit);
}

static void enable(struct preview *p, const char *dir)
{
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", dir);

	note_set_text(p, control, "cpuset");
}

/* PID 1 gives a scope the controller, from the root down, its CPUs and its process. */
static void start_scope(struct preview *p, const char *dir, const char *slice, pid_t pid,
			const struct cpuset *cpus, const char *partition)
{
	_cleanup_free_ char *above = unit_cgroup(slice, NULL);
	_cleanup_free_ char *outer = dir_of_cgroup(p, above), *list = cpulist_format(cpus);
	_cleanup_free_ char *file = xasprintf("%s/cpuset.cpus", dir);
	_cleanup_free_ char *kind = xasprintf("%s.partition", file);

	enable(p, p->mount);
	if (strcmp(slice, ROOT_SLICE) != 0) {
		if (!sys_exists(&p->sys, outer))
			make(p, outer);
		enable(p, outer);
	}
	make(p, dir);
	if (*list)
		note_set_text(p, file, list);
	if (p->below->ops->unit_partitions && strcmp(partition, "member") != 0 &&
	    p->below->ops->unit_partitions(p->below->ctx) == 1) {
		cpus_partition(p, dir, "member", partition);
		note_set_text(p, kind, partition);
	}
	cgroup_moved(p, pid, cgroup_of(p, dir));
}

int paper_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
		     const struct cpuset *cpus, const char *partition)
{
	struct preview *p = ctx;
	_cleanup_free_ char *cgroup = unit_cgroup(unit, slice), *dir = dir_of_cgroup(p, cgroup);

	if (slice && sys_exists(&p->sys, dir))
		return -EEXIST;
	plan_unit(&p->plan, unit, "inactive", "active");
	if (slice)
		start_scope(p, dir, slice, pid, cpus, partition);
	else if (!sys_exists(&p->sys, dir))
		make(p, dir);
	return 0;
}

/* Does another cgroup than ours need the controller of the root? */
static bool needed(struct preview *p)
{
	_cleanup_strv_ struct strv names = { 0 };

	paper_list(p, p->mount, &names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", p->mount, names.items[i]);
		_cleanup_free_ char *cpus = xasprintf("%s/cpuset.cpus", dir), *set = NULL;
		_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", dir);
		_cleanup_free_ char *text = NULL;

		if (strcmp(names.items[i], LAYOUT_SLICE) != 0 &&
		    ((sys_read_line(&p->sys, cpus, &set) == 0 && *set) ||
		     (sys_read_line(&p->sys, control, &text) == 0 && strstr(text, "cpuset"))))
			return true;
	}
	return false;
}

/* Is there a scope left in our slice? */
static bool has_scopes(struct preview *p)
{
	_cleanup_free_ char *slice = xasprintf("%s/" LAYOUT_SLICE, p->mount);
	_cleanup_strv_ struct strv names = { 0 };
	bool found = false;

	paper_list(p, slice, &names);
	for (size_t i = 0; i < names.n && !found; i++)
		found = strstr(names.items[i], ".scope") != NULL;
	return found;
}

static void take_controllers(struct preview *p)
{
	_cleanup_free_ char *control = xasprintf("%s/cgroup.subtree_control", p->mount);
	_cleanup_free_ char *text = NULL;

	if (!has_scopes(p) && !needed(p) && sys_read_line(&p->sys, control, &text) == 0 &&
	    strstr(text, "cpuset"))
		note_set_text(p, control, "");
}

/* PID 1 removes the cgroup, and takes back the controller that nothing needs any
 * more. */
int paper_unit_stop(void *ctx, const char *unit)
{
	struct preview *p = ctx;
	static const char *const slices[] = { ROOT_SLICE, LAYOUT_SLICE };

	plan_unit(&p->plan, unit, "active", "inactive");
	for (size_t i = 0; i < ARRAY_SIZE(slices); i++) {
		_cleanup_free_ char *cgroup = unit_cgroup(unit, slices[i]);
		_cleanup_free_ char *dir = dir_of_cgroup(p, cgroup);

		if (sys_exists(&p->sys, dir))
			remove_all(p, dir);
	}
	take_controllers(p);
	return 0;
}
