/* SPDX-License-Identifier: MIT */
#include "tests/fake/faulty.h"

#include "shield/sys/systemd_adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct {
	const char *name;
	bool changes;
	int errnos[10];
} ops[] = {
	[OP_OPEN]	    = { "open",		false, { EACCES, ENOMEM, EMFILE } },
	[OP_OPEN_WRITE]	    = { "open to write", false, { EACCES, EPERM, EROFS, ENOMEM } },
	[OP_CREATE]	    = { "create",	true,  { ENOSPC, EROFS, EACCES } },
	[OP_READ]	    = { "read",		false, { EIO, EINTR, ENOMEM } },
	[OP_WRITE]	    = { "write",	true,  { EIO, EPERM, EINVAL, EBUSY, ENOSPC, ENOMEM,
							 EAGAIN, EINTR, ERANGE } },
	[OP_CLOSE]	    = { "close",	false, { EIO, ENOSPC } },
	[OP_FSTAT]	    = { "fstat",	false, { EIO } },
	[OP_OPEN_AT]	    = { "openat",	false, { EACCES, ENOMEM, EMFILE } },
	[OP_FSTATFS]	    = { "fstatfs",	false, { EIO } },
	[OP_LSTAT]	    = { "lstat",	false, { ENOMEM } },
	[OP_MKDIR]	    = { "mkdir",	true,  { ENOSPC, EROFS, EACCES, ENOMEM } },
	[OP_RMDIR]	    = { "rmdir",	true,  { EBUSY, EPERM } },
	[OP_UNLINK]	    = { "unlink",	true,  { EACCES, EROFS, EIO } },
	[OP_RENAME]	    = { "rename",	true,  { ENOSPC, EIO, EROFS } },
	[OP_LIST]	    = { "list",		false, { EIO, ENOMEM, EMFILE } },
	[OP_FLOCK]	    = { "flock",	false, { ENOLCK, ENOMEM } },
	[OP_GETAFFINITY]    = { "getaffinity",	false, { EPERM } },
	[OP_SETAFFINITY]    = { "setaffinity",	true,  { EINVAL, EPERM, EBUSY, ENOMEM, ESRCH } },
	[OP_GETSCHEDULER]   = { "getscheduler",	false, { EPERM } },
	[OP_CGROUP_CREATE]  = { "cgroup create", true, { EAGAIN, EPERM, ENOMEM, EIO, EROFS } },
	[OP_CGROUP_DELETE]  = { "cgroup delete", true, { EBUSY, EPERM, EIO } },
	[OP_CGROUP_ATTACH]  = { "cgroup attach", true, { EPERM, ENOSPC, EBUSY, EOPNOTSUPP, EAGAIN,
							 ENOMEM, ESRCH } },
	[OP_CGROUP_MOUNT]   = { "cgroup mount",	false, { ENOENT, EIO } },
	[OP_READLINK]	    = { "readlink",	false, { EACCES, ENOMEM } },
	[OP_ASK]	    = { "ask",		false, { ETIMEDOUT, ECONNRESET, EACCES } },
	[OP_TELL]	    = { "tell",		true,  { ETIMEDOUT, EPIPE, ECONNRESET } },
	[OP_UNIT_START]	    = { "unit start",	true,  { EIO, ETIMEDOUT, EACCES } },
	[OP_UNIT_STOP]	    = { "unit stop",	true,  { EIO, ETIMEDOUT, EACCES } },
	[OP_UNIT_PARTITIONS] = { "unit partitions", false, { EIO, ETIMEDOUT } },
	[OP_SERVICE_START]  = { "service start", true, { EIO, ETIMEDOUT, EACCES } },
	[OP_SPAWN]	    = { "spawn",	true,  { EAGAIN, ENOMEM, ECHILD } },
	[OP_SPAWN_HELD]	    = { "spawn held",	true,  { EAGAIN, EMFILE, ECHILD } },
	[OP_UNLEASH]	    = { "unleash",	true,  { EPIPE } },
	[OP_PIDFD]	    = { "pidfd",	false, { EMFILE, ENOMEM } },
	[OP_SIGNAL]	    = { "signal",	true,  { EPERM } },
};
/* clang-format on */

const char *fault_op_name(enum fault_op op)
{
	return ops[op].name;
}

bool fault_op_changes(enum fault_op op)
{
	return ops[op].changes;
}

const int *fault_op_errnos(enum fault_op op)
{
	return ops[op].errnos;
}

static const char *path_of(struct faulty *f, int fd)
{
	const char *path = f->paths[(unsigned)fd % ARRAY_SIZE(f->paths)];

	return path ? path : "";
}

bool fault_op_bus(enum fault_op op)
{
	return op == OP_UNIT_START || op == OP_UNIT_STOP || op == OP_UNIT_PARTITIONS ||
	       op == OP_SERVICE_START;
}

bool fault_op_asks(enum fault_op op)
{
	return fault_op_bus(op) || op == OP_ASK || op == OP_TELL;
}

static void do_late(const struct sys *b, const struct fault_late *late)
{
	char *argv[] = { NULL, NULL, late->how, NULL };
	struct service service = { .unit = late->what, .argv = argv, .post = argv };

	if (late->op == OP_UNIT_START)
		b->ops->unit_start(b->ctx, late->what, late->how, late->pid, &late->cpus,
				   late->partition);
	else if (late->op == OP_UNIT_STOP)
		b->ops->unit_stop(b->ctx, late->what);
	else if (late->op == OP_SERVICE_START)
		b->ops->service_start(b->ctx, &service);
	else
		b->ops->ask(b->ctx, late->what, late->how, NULL);
}

/* What was asked for when the asker had given up. */
static void catch_up(struct faulty *f)
{
	struct fault_late late = f->late;

	if (!late.what)
		return;
	f->late = (struct fault_late){ 0 };
	do_late(&f->below, &late);
	free(late.what);
	free(late.how);
	free(late.partition);
	cpuset_clear(&late.cpus);
}

static bool is_late(int fault)
{
	return fault == FAULT_LATE || fault == FAULT_LATER || fault == FAULT_ASKING;
}

/* To be done later; not now. */
static int put_off(struct faulty *f, enum fault_op op, const char *what, const char *how)
{
	f->late.op = op;
	f->late.what = xstrdup(what);
	f->late.how = how ? xstrdup(how) : NULL;
	if (f->mode != FAULT_ASKING)
		return -ETIMEDOUT;
	f->mode = FAULT_LATER;
	f->at = SIZE_MAX;
	longjmp(f->death, 1);
}

/* What who asked PID 1 gets to hear when it has done it (rc). */
static int bus_answer(struct faulty *f, int fault, int rc)
{
	f->away |= fault == FAULT_VANISH;
	return fault == FAULT_SILENT ? -ETIMEDOUT : fault == FAULT_VANISH ? -ECONNRESET : rc;
}

/* Count the operation. 0: let it pass; the mode: short, late, vanishing; or the
 * negated errno. */
static int enter(struct faulty *f, enum fault_op op, const char *object)
{
	const struct fault_event *at;
	struct fault_event *event;
	bool here;

	f->depth++;
	if (f->mode != FAULT_LATER || fault_op_asks(op))
		catch_up(f);
	GROW(f->trace, f->count, f->cap);
	event = &f->trace[f->count++];
	event->op = op;
	snprintf(event->object, sizeof(event->object), "%s", object);
	if (f->before)
		f->before(f->ctx, f->count, event);
	if (f->away && fault_op_bus(op))
		return -ECONNREFUSED;
	if (f->mode == FAULT_NONE || f->count < f->at)
		return 0;
	here = f->count == f->at;
	at = &f->trace[f->at - 1];
	switch (f->mode) {
	case FAULT_DIE:
		f->met = true;
		longjmp(f->death, 1);
	case FAULT_STUCK:
		here = at->op == op && strcmp(at->object, event->object) == 0;
		break;
	case FAULT_ALL:
		here = at->op == op;
		break;
	default:
		break;
	}
	if (!here)
		return 0;
	f->met = true;
	f->away |= f->mode == FAULT_AWAY;
	if (f->away)
		return -ECONNREFUSED;
	return f->mode >= FAULT_SHORT ? (int)f->mode : -f->error;
}

static void leave(struct faulty **f)
{
	(*f)->depth--;
}

#define ENTER(op, object)                 \
	_cleanup_(leave)                  \
	struct faulty *f = ctx;           \
	struct sys *b = &f->below;        \
	int fault = enter(f, op, object); \
                                          \
	if (fault < 0)                    \
	return fault

static int faulty_open(void *ctx, const char *path, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	int fd;

	ENTER(flags & O_CREAT ? OP_CREATE : writes ? OP_OPEN_WRITE : OP_OPEN, path);
	fd = b->ops->open(b->ctx, path, flags);
	if (fd >= 0) {
		free(f->paths[(unsigned)fd % ARRAY_SIZE(f->paths)]);
		f->paths[(unsigned)fd % ARRAY_SIZE(f->paths)] = xstrdup(path);
	}
	return fd;
}

static ssize_t faulty_read(void *ctx, int fd, void *buf, size_t size)
{
	ENTER(OP_READ, path_of(f, fd));
	return b->ops->read(b->ctx, fd, buf, fault ? 1 : size);
}

/* A file of the kernel takes a write as a whole or not at all; a short one
 * ends within a plain file. */
static ssize_t faulty_write(void *ctx, int fd, const void *buf, size_t size)
{
	ENTER(OP_WRITE, path_of(f, fd));
	if (strncmp(path_of(f, fd), "/run/", 5) != 0)
		fault = 0;
	return b->ops->write(b->ctx, fd, buf, fault ? 1 : size);
}

static int faulty_close(void *ctx, int fd)
{
	_cleanup_(leave)
	struct faulty *f = ctx;
	int fault = enter(f, OP_CLOSE, path_of(f, fd));
	int rc = f->below.ops->close(f->below.ctx, fd);

	return fault < 0 ? fault : rc;
}

static int faulty_fstat(void *ctx, int fd, struct stat *st)
{
	ENTER(OP_FSTAT, path_of(f, fd));
	return b->ops->fstat(b->ctx, fd, st);
}

static int faulty_open_at(void *ctx, int dir, const char *name, int flags)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", path_of(ctx, dir), name);
	int fd;

	ENTER(OP_OPEN_AT, path);
	fd = b->ops->open_at(b->ctx, dir, name, flags);
	if (fd >= 0) {
		free(f->paths[(unsigned)fd % ARRAY_SIZE(f->paths)]);
		f->paths[(unsigned)fd % ARRAY_SIZE(f->paths)] = take_ptr(path);
	}
	return fd;
}

static int faulty_fstatfs(void *ctx, int fd, unsigned long *type)
{
	ENTER(OP_FSTATFS, path_of(f, fd));
	return b->ops->fstatfs(b->ctx, fd, type);
}

static int faulty_lstat(void *ctx, const char *path, struct stat *st)
{
	ENTER(OP_LSTAT, path);
	return b->ops->lstat(b->ctx, path, st);
}

static int faulty_mkdir(void *ctx, const char *path)
{
	ENTER(OP_MKDIR, path);
	return b->ops->mkdir(b->ctx, path);
}

static int faulty_rmdir(void *ctx, const char *path)
{
	ENTER(OP_RMDIR, path);
	return b->ops->rmdir(b->ctx, path);
}

static int faulty_unlink(void *ctx, const char *path)
{
	ENTER(OP_UNLINK, path);
	return b->ops->unlink(b->ctx, path);
}

static int faulty_rename(void *ctx, const char *from, const char *to)
{
	ENTER(OP_RENAME, to);
	return b->ops->rename(b->ctx, from, to);
}

static int faulty_list(void *ctx, const char *path, struct strv *names)
{
	ENTER(OP_LIST, path);
	return b->ops->list(b->ctx, path, names);
}

static int faulty_readlink(void *ctx, const char *path, char **ret)
{
	ENTER(OP_READLINK, path);
	return b->ops->readlink(b->ctx, path, ret);
}

static int faulty_ask(void *ctx, const char *path, const char *request, char **answer)
{
	int rc;

	ENTER(strcmp(request, "setup") == 0 ? OP_ASK : OP_TELL, path);
	if (is_late(fault))
		return put_off(f, OP_TELL, path, request);
	rc = b->ops->ask(b->ctx, path, request, answer);
	if (fault != FAULT_VANISH && fault != FAULT_SILENT)
		return rc;
	if (answer)
		free(take_ptr(*answer));
	return fault == FAULT_SILENT ? -ETIMEDOUT : -ECONNRESET;
}

static int faulty_flock(void *ctx, int fd, int operation)
{
	ENTER(OP_FLOCK, path_of(f, fd));
	return b->ops->flock(b->ctx, fd, operation);
}

static int faulty_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus)
{
	char thread[16];

	snprintf(thread, sizeof(thread), "%d", (int)tid);
	ENTER(OP_GETAFFINITY, thread);
	return b->ops->getaffinity(b->ctx, tid, cpus);
}

static int faulty_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus)
{
	char thread[16];

	snprintf(thread, sizeof(thread), "%d", (int)tid);
	ENTER(OP_SETAFFINITY, thread);
	return b->ops->setaffinity(b->ctx, tid, cpus);
}

static int faulty_getscheduler(void *ctx, pid_t tid)
{
	_cleanup_free_ char *thread = xasprintf("%d", (int)tid);

	ENTER(OP_GETSCHEDULER, thread);
	return b->ops->getscheduler(b->ctx, tid);
}

static int faulty_cgroup_create(void *ctx, const char *path)
{
	ENTER(OP_CGROUP_CREATE, path);
	return b->ops->cgroup_create(b->ctx, path);
}

static int faulty_cgroup_delete(void *ctx, const char *path)
{
	ENTER(OP_CGROUP_DELETE, path);
	return b->ops->cgroup_delete(b->ctx, path);
}

static int faulty_cgroup_attach(void *ctx, const char *path, pid_t pid)
{
	ENTER(OP_CGROUP_ATTACH, path);
	return b->ops->cgroup_attach(b->ctx, path, pid);
}

static long long faulty_now(void *ctx)
{
	struct faulty *f = ctx;

	return f->below.ops->now(f->below.ctx);
}

/* A pause cannot fail in a way that matters. */
static int faulty_poll(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct faulty *f = ctx;

	return f->below.ops->poll(f->below.ctx, fds, n, timeout_ms);
}

/* Where it is, is known. */
static bool faulty_machine(void *ctx, const char **ret)
{
	const struct sys *below = &((struct faulty *)ctx)->below;

	return below->ops->machine(below->ctx, ret);
}

static int faulty_cgroup_mount(void *ctx, char **ret)
{
	ENTER(OP_CGROUP_MOUNT, "");
	return b->ops->cgroup_mount(b->ctx, ret);
}

static int faulty_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
			     const struct cpuset *cpus, const char *partition)
{
	ENTER(OP_UNIT_START, unit);
	if (!is_late(fault))
		return bus_answer(f, fault,
				  b->ops->unit_start(b->ctx, unit, slice, pid, cpus, partition));
	f->late.pid = pid;
	f->late.partition = xstrdup(partition);
	cpuset_copy(&f->late.cpus, cpus);
	return put_off(f, OP_UNIT_START, unit, slice);
}

static int faulty_unit_stop(void *ctx, const char *unit)
{
	ENTER(OP_UNIT_STOP, unit);
	if (is_late(fault))
		return put_off(f, OP_UNIT_STOP, unit, NULL);
	return bus_answer(f, fault, b->ops->unit_stop(b->ctx, unit));
}

static int faulty_unit_partitions(void *ctx)
{
	ENTER(OP_UNIT_PARTITIONS, "");
	return bus_answer(f, fault, b->ops->unit_partitions(b->ctx));
}

static int faulty_service_start(void *ctx, const struct service *service)
{
	ENTER(OP_SERVICE_START, service->unit);
	if (is_late(fault))
		return put_off(f, OP_SERVICE_START, service->unit, service->argv[2]);
	return bus_answer(f, fault, b->ops->service_start(b->ctx, service));
}

static int faulty_spawn(void *ctx, void (*work)(void *arg), void *arg, int *leash)
{
	ENTER(leash ? OP_SPAWN_HELD : OP_SPAWN, "");
	return b->ops->spawn(b->ctx, work, arg, leash);
}

static int faulty_unleash(void *ctx, int leash)
{
	ENTER(OP_UNLEASH, "");
	return b->ops->unleash(b->ctx, leash);
}

static int faulty_pidfd(void *ctx, pid_t pid)
{
	_cleanup_free_ char *process = xasprintf("%d", (int)pid);

	ENTER(OP_PIDFD, process);
	return b->ops->pidfd(b->ctx, pid);
}

static int faulty_signal(void *ctx, int pidfd, int number)
{
	ENTER(OP_SIGNAL, "");
	return b->ops->signal(b->ctx, pidfd, number);
}

void faulty_door(struct faulty *faulty, struct sys *sys)
{
	static const struct sys_ops faulty_ops = {
		.open = faulty_open,
		.read = faulty_read,
		.write = faulty_write,
		.close = faulty_close,
		.fstat = faulty_fstat,
		.open_at = faulty_open_at,
		.fstatfs = faulty_fstatfs,
		.lstat = faulty_lstat,
		.mkdir = faulty_mkdir,
		.rmdir = faulty_rmdir,
		.unlink = faulty_unlink,
		.rename = faulty_rename,
		.list = faulty_list,
		.readlink = faulty_readlink,
		.ask = faulty_ask,
		.flock = faulty_flock,
		.getaffinity = faulty_getaffinity,
		.setaffinity = faulty_setaffinity,
		.getscheduler = faulty_getscheduler,
		.cgroup_create = faulty_cgroup_create,
		.cgroup_delete = faulty_cgroup_delete,
		.cgroup_attach = faulty_cgroup_attach,
		.now = faulty_now,
		.poll = faulty_poll,
		.cgroup_mount = faulty_cgroup_mount,
		.machine = faulty_machine,
		.unit_start = faulty_unit_start,
		.unit_stop = faulty_unit_stop,
		.unit_partitions = faulty_unit_partitions,
		.service_start = faulty_service_start,
		.spawn = faulty_spawn,
		.unleash = faulty_unleash,
		.pidfd = faulty_pidfd,
		.signal = faulty_signal,
	};

	*sys = (struct sys){ &faulty_ops, faulty, faulty->below.readonly };
}

void faulty_sys(struct faulty *faulty, const struct sys *below, struct sys *sys)
{
	faulty->below = *below;
	faulty_door(faulty, sys);
}

void faulty_end(struct faulty *faulty)
{
	catch_up(faulty);
}

void faulty_clear(struct faulty *faulty)
{
	faulty_end(faulty);
	for (size_t i = 0; i < ARRAY_SIZE(faulty->paths); i++)
		free(faulty->paths[i]);
	free(faulty->trace);
	*faulty = (struct faulty){ 0 };
}
