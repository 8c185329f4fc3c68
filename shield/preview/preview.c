/* SPDX-License-Identifier: MIT */
/* The operations that are not of files, cgroups or CPUs; opening and closing. */
#include "shield/preview/internal.h"

#include "shield/cgroup/host_caps.h"
#include "shield/sys/balancer.h"
#include "shield/sys/systemd_adapter.h"

#include <stdlib.h>
#include <unistd.h>

/* The highest number that a process can have (PID_MAX_LIMIT, linux/threads.h): those
 * that are not started have it and the ones below. */
#define LAST_PID (4 * 1024 * 1024 - 1)

static int paper_fstatfs(void *ctx, int fd, unsigned long *type)
{
	struct preview *p = ctx;

	return p->below->ops->fstatfs(p->below->ctx, fd, type);
}

static int paper_readlink(void *ctx, const char *path, char **ret)
{
	struct preview *p = ctx;

	return p->below->ops->readlink(p->below->ctx, path, ret);
}

/* Questions are asked, orders are noted. */
static int paper_ask(void *ctx, const char *path, const char *request, char **answer)
{
	struct preview *p = ctx;
	_cleanup_cpuset_ struct cpuset before = { 0 }, after = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL, *object = NULL;
	bool bans;
	int rc;

	if (!p->below->ops->ask)
		return -ENOENT;
	if (strncmp(request, "settings ", 9) != 0)
		return p->below->ops->ask(p->below->ctx, path, request, answer);
	rc = balancer_order(&p->sys, path, request, &bans, &before, &after);
	if (rc < 0)
		return rc;
	object = xasprintf("%s%s", path, bans ? "/irqs" : "");
	from = cpulist_format(&before);
	to = cpulist_format(&after);
	plan_write(&p->plan, object, from, to);
	return 0;
}

static int paper_flock(void *ctx, int fd, int operation)
{
	(void)ctx;
	(void)fd;
	(void)operation;
	return 0;
}

static int paper_getscheduler(void *ctx, pid_t tid)
{
	struct preview *p = ctx;

	return p->below->ops->getscheduler(p->below->ctx, tid);
}

static int paper_unit_partitions(void *ctx)
{
	struct preview *p = ctx;

	return p->below->ops->unit_partitions ? p->below->ops->unit_partitions(p->below->ctx) : 0;
}

static int paper_service_start(void *ctx, const struct service *service)
{
	struct preview *p = ctx;

	plan_unit(&p->plan, service->unit, "inactive", "active");
	return 0;
}

/* What /proc would say of it. */
static int paper_spawn(void *ctx, void (*work)(void *arg), void *arg, int *leash)
{
	struct preview *p = ctx;
	pid_t pid = p->next_pid--;
	_cleanup_free_ char *dir = xasprintf("/proc/%d", (int)pid);
	_cleanup_free_ char *main = xasprintf("%s/task/%d", dir, (int)pid);
	const char *const dirs[] = { dir, main };
	_cleanup_free_ char *cgroup = NULL;

	(void)work;
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = xasprintf("%s/stat", dirs[i]);
		_cleanup_free_ char *text = xasprintf(
			"%d (shield) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0 0 0 0 0 0 0 0 "
			"0 0 0 0 0 0 0 0 0 0 0 0\n",
			(int)pid);

		note_set_text(p, path, text);
	}
	task_cgroup(p->below, getpid(), getpid(), &cgroup);
	cgroup_moved(p, pid, cgroup ? cgroup : "/");
	if (leash)
		*leash = handle_open(p, NULL, NULL);
	return pid;
}

static int paper_unleash(void *ctx, int leash)
{
	(void)ctx;
	(void)leash;
	return 0;
}

static int paper_pidfd(void *ctx, pid_t pid)
{
	struct preview *p = ctx;
	_cleanup_task_ struct task task = { 0 };
	int rc = task_read(&p->sys, pid, pid, &task);

	return rc < 0 ? rc : handle_open(p, NULL, NULL);
}

static int paper_signal(void *ctx, int pidfd, int number)
{
	(void)ctx;
	(void)pidfd;
	(void)number;
	return 0;
}

static long long paper_now(void *ctx)
{
	struct preview *p = ctx;

	return p->below->ops->now(p->below->ctx) + p->skew;
}

/* A pause takes no time; an answer of a program may. */
static int paper_poll(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct preview *p = ctx;

	if (n)
		return p->below->ops->poll(p->below->ctx, fds, n, timeout_ms);
	p->skew += timeout_ms > 0 ? timeout_ms : 0;
	return 0;
}

static bool paper_machine(void *ctx, const char **ret)
{
	const struct preview *p = ctx;

	return p->below->ops->machine(p->below->ctx, ret);
}

static int paper_cgroup_mount(void *ctx, char **ret)
{
	struct preview *p = ctx;

	if (!p->mount)
		return -ENOENT;
	*ret = xstrdup(p->mount);
	return 0;
}

static const struct sys_ops paper_ops = {
	.open = paper_open,
	.read = paper_read,
	.write = paper_write,
	.close = paper_close,
	.fstat = paper_fstat,
	.open_at = paper_open_at,
	.fstatfs = paper_fstatfs,
	.lstat = paper_lstat,
	.mkdir = paper_mkdir,
	.rmdir = paper_remove,
	.unlink = paper_remove,
	.rename = paper_rename,
	.list = paper_list,
	.readlink = paper_readlink,
	.ask = paper_ask,
	.flock = paper_flock,
	.getaffinity = paper_getaffinity,
	.setaffinity = paper_setaffinity,
	.getscheduler = paper_getscheduler,
	.cgroup_create = paper_cgroup_create,
	.cgroup_delete = paper_cgroup_delete,
	.cgroup_attach = paper_cgroup_attach,
	.unit_start = paper_unit_start,
	.unit_stop = paper_unit_stop,
	.unit_partitions = paper_unit_partitions,
	.service_start = paper_service_start,
	.spawn = paper_spawn,
	.unleash = paper_unleash,
	.pidfd = paper_pidfd,
	.signal = paper_signal,
	.now = paper_now,
	.poll = paper_poll,
	.cgroup_mount = paper_cgroup_mount,
	.machine = paper_machine,
};

/* A recorded machine has no scheduler to ask. */
static const struct sys_ops *ops_over(const struct sys *below)
{
	static struct sys_ops recorded;

	if (below->ops->getscheduler)
		return &paper_ops;
	recorded = paper_ops;
	recorded.getscheduler = NULL;
	return &recorded;
}

void preview_open(struct sys *sys, struct sys *below)
{
	struct preview *p = xcalloc(1, sizeof(*p));

	*p = (struct preview){ .below = below, .next_pid = LAST_PID };
	p->sys = (struct sys){ ops_over(below), p, below->readonly };
	if (below->ops->cgroup_mount(below->ctx, &p->mount) == 0)
		p->remote = host_caps_remote(below, p->mount);
	p->own_kthreads = host_caps_housekeeping(below);
	*sys = p->sys;
}

void preview_close(struct sys *sys)
{
	struct preview *p = sys->ctx;

	files_close(p);
	cpus_close(p);
	plan_clear(&p->plan);
	free(p->mount);
	free(p);
	*sys = (struct sys){ 0 };
}

struct plan *preview_plan(struct sys *sys)
{
	return &((struct preview *)sys->ctx)->plan;
}
