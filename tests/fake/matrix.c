/* SPDX-License-Identifier: MIT */
/* Interprets the steps of matrix.h. */
#include "tests/fake/matrix.h"
#include "shield/sys/sys_write.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOUNT "/sys/fs/cgroup"

struct run {
	struct matrix_host *host;
	struct strv made;  /* cgroups, in the order they were made */
	struct strv names; /* of processes */
	pid_t pids[8];
	char *why;
};

static const struct {
	const char *name;
	int number;
} errnos[] = {
	{ "EBUSY", EBUSY },	    { "EEXIST", EEXIST },
	{ "EINVAL", EINVAL },	    { "EIO", EIO },
	{ "ENOENT", ENOENT },	    { "ENOSPC", ENOSPC },
	{ "EPERM", EPERM },	    { "ERANGE", ERANGE },
	{ "ESRCH", ESRCH },	    { "EACCES", EACCES },
	{ "ENODEV", ENODEV },	    { "EOPNOTSUPP", EOPNOTSUPP },
	{ "EOVERFLOW", EOVERFLOW },
};

static const struct {
	const char *name, *file;
} files[] = {
	{ "cpus", "cpuset.cpus" },
	{ "excl", "cpuset.cpus.exclusive" },
	{ "part", "cpuset.cpus.partition" },
	{ "ctl", "cgroup.subtree_control" },
	{ "type", "cgroup.type" },
	{ "procs", "cgroup.procs" },
	{ "threads", "cgroup.threads" },
	{ "eff", "cpuset.cpus.effective" },
	{ "xcpus", "cpuset.cpus.exclusive.effective" },
	{ "iso", "cpuset.cpus.isolated" },
};

static int errno_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++)
		if (strcmp(errnos[i].name, name) == 0)
			return errnos[i].number;
	return -1;
}

static pid_t by_comm(struct run *run, const char *name)
{
	_cleanup_strv_ struct strv pids = { 0 };

	run->host->sys->ops->list(run->host->sys->ctx, "/proc", &pids);
	for (size_t i = 0; i < pids.n; i++) {
		_cleanup_free_ char *path = xasprintf("/proc/%s/comm", pids.items[i]);
		_cleanup_free_ char *comm = NULL;

		if (sys_read_line(run->host->sys, path, &comm) == 0 && strcmp(comm, name) == 0)
			return (pid_t)strtol(pids.items[i], NULL, 10);
	}
	return 0;
}

/* "t", "t.2" or the name of a kernel thread; 0: none. */
static pid_t task_of(struct run *run, const char *name)
{
	size_t n = strcspn(name, ".");

	for (size_t i = 0; i < run->names.n; i++) {
		_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)run->pids[i]);
		_cleanup_strv_ struct strv tids = { 0 };

		if (strlen(run->names.items[i]) != n || strncmp(run->names.items[i], name, n) != 0)
			continue;
		if (!name[n])
			return run->pids[i];
		run->host->sys->ops->list(run->host->sys->ctx, path, &tids);
		for (size_t t = 0; t < tids.n; t++)
			if (strtol(tids.items[t], NULL, 10) != run->pids[i])
				return (pid_t)strtol(tids.items[t], NULL, 10);
	}
	return by_comm(run, name);
}

static char *cgroup_file(const char *cgroup, const char *file)
{
	bool root = strcmp(cgroup, ".") == 0;

	return xasprintf("%s/%s%s%s", MOUNT, root ? "" : cgroup, root ? "" : "/", file);
}

/* What stands for an object in a step: its file, or NULL (a task). */
static char *file_of(struct run *run, const char *subject)
{
	const char *colon = strchr(subject, ':');
	_cleanup_free_ char *cgroup = NULL;

	if (strcmp(subject, "irq") == 0)
		return xasprintf("/proc/irq/%u/smp_affinity_list", run->host->irq);
	if (strcmp(subject, "irq0") == 0)
		return xasprintf("/proc/irq/%u/smp_affinity_list", run->host->fixed_irq);
	if (strcmp(subject, "default") == 0)
		return xstrdup("/proc/irq/default_smp_affinity");
	if (strcmp(subject, "wq") == 0)
		return xstrdup("/sys/devices/virtual/workqueue/cpumask");
	if (!colon)
		return NULL;
	cgroup = xstrndup(subject, (size_t)(colon - subject));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (strcmp(files[i].name, colon + 1) == 0)
			return cgroup_file(cgroup, files[i].file);
	return NULL;
}

static int move(struct run *run, const char *name, const char *cgroup, const char *file)
{
	_cleanup_free_ char *path = cgroup_file(cgroup, file);
	_cleanup_free_ char *pid = xasprintf("%d", (int)task_of(run, name));

	return sys_write(run->host->sys, path, pid);
}

static int spawn(struct run *run, const char *name, const char *cgroup)
{
	pid_t pid = run->host->spawn(run->host->ctx, name);

	if (pid <= 0)
		return -ECHILD;
	run->pids[run->names.n] = pid;
	strv_add(&run->names, name);
	return strcmp(cgroup, ".") == 0 ? 0 : move(run, name, cgroup, "cgroup.procs");
}

static int affinity(struct run *run, const char *name, const char *list)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	if (cpulist_parse(list, &cpus, NULL) < 0)
		return -EBADMSG;
	return run->host->sys->ops->setaffinity(run->host->sys->ctx, task_of(run, name), &cpus);
}

/* What a reader of the file compares. */
static char *canonical(const char *subject, char *text)
{
	bool partition = strstr(subject, ":part"), type = strstr(subject, ":type");

	if (strstr(subject, ":ctl"))
		return xstrdup(strstr(text, "cpuset") ? "cpuset" : "");
	if (partition && strstr(text, " invalid"))
		return xasprintf("%.*s:invalid", (int)strcspn(text, " "), text);
	for (char *blank = text; type && (blank = strchr(blank, ' '));)
		*blank = '_';
	return xstrdup(text);
}

static int get(struct run *run, const char *subject, char **ret)
{
	_cleanup_free_ char *path = file_of(run, subject), *text = NULL;
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	struct sys *sys = run->host->sys;
	int rc;

	if (path) {
		rc = sys_read_line(sys, path, &text);
		if (rc == 0)
			*ret = canonical(subject, text);
		return rc;
	}
	rc = sys->ops->getaffinity(sys->ctx, task_of(run, subject), &cpus);
	if (rc >= 0)
		*ret = cpulist_format(&cpus);
	return rc < 0 ? rc : 0;
}

/* Read until it is what is expected. */
static int check(struct run *run, const char *subject, const char *expected, char **ret)
{
	static const struct timespec moment = { 0, 10000000 };

	for (unsigned i = 0;; i++) {
		int rc = get(run, subject, ret);

		if (rc < 0 || strcmp(*ret, expected) == 0 || i >= run->host->backoff)
			return rc;
		free(take_ptr(*ret));
		nanosleep(&moment, NULL);
	}
}

static int set(struct run *run, const char *subject, const char *value)
{
	_cleanup_free_ char *path = file_of(run, subject);

	if (path)
		return sys_write(run->host->sys, path, *value ? value : "\n");
	if (strncmp(subject, "cpu", 3) == 0)
		return run->host->cpu(run->host->ctx, (unsigned)strtoul(subject + 3, NULL, 10),
				      *value == '1');
	return affinity(run, subject, value);
}

static int make(struct run *run, const char *cgroup, bool make)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", MOUNT, cgroup);
	const struct sys *sys = run->host->sys;
	int rc;

	if (!make)
		return sys->ops->rmdir(sys->ctx, path);
	rc = sys->ops->mkdir(sys->ctx, path);
	if (rc == 0)
		strv_take(&run->made, take_ptr(path));
	return rc;
}

static void step(struct run *run, char *text)
{
	_cleanup_free_ char *whole = xstrdup(text), *actual = NULL;
	char *bang = strchr(text, '!'), *value, kind;
	int expected = 0, rc;

	if (bang) {
		*bang = '\0';
		expected = errno_of(bang + 1);
	}
	if (strncmp(text, "mk:", 3) == 0 || strncmp(text, "rm:", 3) == 0) {
		rc = make(run, text + 3, *text == 'm');
	} else {
		value = strpbrk(text, "=?@>~");
		if (!value) {
			run->why = xasprintf("%s: no step", whole);
			return;
		}
		kind = *value;
		*value++ = '\0';
		rc = kind == '='   ? set(run, text, value)
		     : kind == '@' ? spawn(run, text, value)
		     : kind == '>' ? move(run, text, value, "cgroup.procs")
		     : kind == '~' ? move(run, text, value, "cgroup.threads")
				   : check(run, text, value, &actual);
		if (actual && !bang && strcmp(actual, value) != 0) {
			run->why = xasprintf("%s: is \"%s\"", whole, actual);
			return;
		}
	}
	if (rc != -expected)
		run->why = xasprintf("%s: %s", whole, rc < 0 ? err_errno(rc) : "succeeded");
}

static void clean_up(struct run *run)
{
	const struct sys *sys = run->host->sys;

	for (size_t i = 0; i < run->names.n; i++)
		run->host->kill(run->host->ctx, run->pids[i]);
	for (unsigned cpu = 1; cpu < 8; cpu++)
		run->host->cpu(run->host->ctx, cpu, true);
	for (size_t i = run->made.n; i-- > 0;) {
		_cleanup_free_ char *part =
			xasprintf("%s/cpuset.cpus.partition", run->made.items[i]);

		sys_write(run->host->sys, part, "member");
		sys->ops->rmdir(sys->ctx, run->made.items[i]);
	}
	sys_write(run->host->sys, MOUNT "/cgroup.subtree_control", "-cpuset");
	set(run, "irq", "0-7");
	set(run, "default", "ff");
	set(run, "wq", "ff");
}

char *matrix_run(struct matrix_host *host, const struct matrix_case *c)
{
	struct run run = { .host = host };
	_cleanup_free_ char *steps = xstrdup(c->steps);
	char *at = steps, *word;

	while (!run.why && (word = strsep(&at, " "))) {
		if (!*word)
			continue;
		if (host->tell)
			host->tell(host->ctx, c->name, word);
		step(&run, word);
	}
	if (host->tell)
		host->tell(host->ctx, c->name, NULL);
	clean_up(&run);
	strv_clear(&run.made);
	strv_clear(&run.names);
	return run.why;
}
