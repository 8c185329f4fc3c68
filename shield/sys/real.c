/* SPDX-License-Identifier: MIT */
/* The real kernel, or a recorded one below a prefix. */
#include "shield/base/deadline.h"
#include "shield/sys/below.h"
#include "shield/sys/cgroup_adapter.h"
#include "shield/sys/spawn.h"
#include "shield/sys/sys.h"
#include "shield/sys/systemd_adapter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

struct real {
	char *root; /* "" or a prefix without a trailing slash */
};

/* The path below the prefix, in *buffer if there is one. */
static const char *full(void *ctx, const char *path, char **buffer)
{
	struct real *real = ctx;

	if (!*real->root)
		return path;
	*buffer = xasprintf("%s%s", real->root, path);
	return *buffer;
}

static int result(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

static int real_open(void *ctx, const char *path, int flags)
{
	const struct real *real = ctx;
	int fd, rc;

	if (*real->root)
		return below_open(real->root, path, flags);
	fd = open(path, flags | O_CLOEXEC, 0644);
	rc = result(fd);
	if (fd >= 0 && (flags & O_CREAT) && fchmod(fd, 0644) < 0) {
		rc = -errno;
		close(fd);
	}
	return rc;
}

static ssize_t real_read(void *ctx, int fd, void *buf, size_t size)
{
	ssize_t n = read(fd, buf, size);

	(void)ctx;
	return n < 0 ? -errno : n;
}

static ssize_t real_write(void *ctx, int fd, const void *buf, size_t size)
{
	ssize_t n = write(fd, buf, size);

	(void)ctx;
	return n < 0 ? -errno : n;
}

static int real_close(void *ctx, int fd)
{
	(void)ctx;
	return result(close(fd));
}

static int real_fstat(void *ctx, int fd, struct stat *st)
{
	(void)ctx;
	return result(fstat(fd, st));
}

static int real_open_at(void *ctx, int dir, const char *name, int flags)
{
	(void)ctx;
	return result(openat(dir, name, flags | O_CLOEXEC));
}

static int real_fstatfs(void *ctx, int fd, unsigned long *type)
{
	struct statfs fs;
	int rc = result(fstatfs(fd, &fs));

	(void)ctx;
	if (rc == 0)
		*type = (unsigned long)fs.f_type;
	return rc;
}

static int real_lstat(void *ctx, const char *path, struct stat *st)
{
	const struct real *real = ctx;
	_cleanup_(closep)
	int fd = -1;

	if (!*real->root)
		return result(lstat(path, st));
	fd = below_open(real->root, path, O_PATH | O_NOFOLLOW);
	return fd < 0 ? fd : result(fstat(fd, st));
}

static int real_mkdir(void *ctx, const char *path)
{
	_cleanup_free_ char *buffer = NULL;
	const char *p = full(ctx, path, &buffer);
	int rc = result(mkdir(p, 0711));

	if (rc == 0 && chmod(p, 0711) < 0) /* with any umask */
		rc = -errno;
	return rc;
}

static int real_rmdir(void *ctx, const char *path)
{
	_cleanup_free_ char *buffer = NULL;
	const char *p = full(ctx, path, &buffer);

	return result(rmdir(p));
}

static int real_unlink(void *ctx, const char *path)
{
	_cleanup_free_ char *buffer = NULL;
	const char *p = full(ctx, path, &buffer);

	return result(unlink(p));
}

static int real_rename(void *ctx, const char *from, const char *to)
{
	_cleanup_free_ char *f = NULL, *t = NULL;

	return result(rename(full(ctx, from, &f), full(ctx, to, &t)));
}

static int real_list(void *ctx, const char *path, struct strv *names)
{
	int fd = real_open(ctx, path, O_RDONLY | O_DIRECTORY);
	struct dirent *entry;
	DIR *dir;
	int rc;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while ((void)(errno = 0), (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			strv_add(names, entry->d_name);
	rc = -errno;
	closedir(dir);
	return rc;
}

static int real_readlink(void *ctx, const char *path, char **ret)
{
	const struct real *real = ctx;
	char target[4096]; /* PATH_MAX */
	_cleanup_(closep)
	int fd = *real->root ? below_open(real->root, path, O_PATH | O_NOFOLLOW) : -1;
	ssize_t n;

	if (*real->root && fd < 0)
		return fd;
	/* An empty path is the link that the descriptor is. */
	n = readlinkat(*real->root ? fd : AT_FDCWD, *real->root ? "" : path, target,
		       sizeof(target));
	if (n < 0)
		return -errno;
	*ret = xstrndup(target, (size_t)n);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval backoff = { .tv_sec = 30 };
	size_t n = strlen(path);
	int fd, rc;

	if (n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &backoff, sizeof(backoff));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &backoff, sizeof(backoff));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static int real_ask(void *ctx, const char *path, const char *request, char **answer)
{
	const struct real *real = ctx;
	_cleanup_(closep)
	int fd = *real->root ? -ENOENT : connect_to(path); /* a recording has none to ask */
	size_t size = strlen(request), at = 0, room = 65536;
	char *text;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = send(fd, request, size, MSG_NOSIGNAL);
	if (n != (ssize_t)size)
		return n < 0 ? -errno : -EIO;
	if (!answer)
		return 0;
	text = xmalloc(room + 1);
	while (at < room && (n = read(fd, text + at, room - at)) > 0)
		at += (size_t)n;
	if (n < 0) {
		free(text);
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	}
	text[at] = '\0';
	*answer = text;
	return 0;
}

static int real_flock(void *ctx, int fd, int operation)
{
	int rc;

	(void)ctx;
	do
		rc = result(flock(fd, operation));
	while (rc == -EINTR);
	return rc;
}

#define MASK_WORDS ((CPUSET_MAX_CPU + 1) / (8 * sizeof(unsigned long)))
#define WORD_BITS (8 * sizeof(unsigned long))

/* The kernel refuses (EINVAL) a buffer smaller than its own mask; remember the
 * size that was enough. cpu_set_t buffers are arrays of unsigned long. */
static size_t mask_size = 128;

static int real_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus)
{
	unsigned long mask[MASK_WORDS];

	(void)ctx;
	for (; mask_size <= sizeof(mask); mask_size *= 2) {
		/* It returns how much of the buffer it has written. */
		long n = syscall(SYS_sched_getaffinity, tid, mask_size, mask);

		if (n >= 0) {
			cpuset_from_words(cpus, mask, (size_t)n / sizeof(*mask));
			return 0;
		}
		if (errno != EINVAL)
			return -errno;
	}
	return -EINVAL;
}

static int real_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus)
{
	int last = cpuset_last(cpus);
	size_t words = last < 0 ? 1 : (size_t)last / WORD_BITS + 1;
	_cleanup_free_ unsigned long *mask = xcalloc(words, sizeof(*mask));

	(void)ctx;
	for (int c = cpuset_next(cpus, -1); c >= 0; c = cpuset_next(cpus, c))
		mask[(size_t)c / WORD_BITS] |= 1UL << ((size_t)c % WORD_BITS);
	return result(sched_setaffinity(tid, words * sizeof(*mask), (cpu_set_t *)mask));
}

static int real_getscheduler(void *ctx, pid_t tid)
{
	(void)ctx;
	return result(sched_getscheduler(tid));
}

static int real_cgroup_create(void *ctx, const char *path)
{
	(void)ctx;
	return cgroup_adapter_create(path);
}

static int real_cgroup_delete(void *ctx, const char *path)
{
	(void)ctx;
	return cgroup_adapter_delete(path);
}

static int real_cgroup_attach(void *ctx, const char *path, pid_t pid)
{
	(void)ctx;
	return cgroup_adapter_attach(path, pid);
}

static int real_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
			   const struct cpuset *cpus, const char *partition)
{
	(void)ctx;
	return slice ? systemd_adapter_scope(unit, slice, pid, cpus, partition)
		     : systemd_adapter_start(unit);
}

static int real_unit_partitions(void *ctx)
{
	(void)ctx;
	return systemd_adapter_partitions();
}

static int real_unit_stop(void *ctx, const char *unit)
{
	(void)ctx;
	return systemd_adapter_stop(unit);
}

static int real_service_start(void *ctx, const struct service *service)
{
	(void)ctx;
	return systemd_adapter_service(service);
}

static int real_spawn(void *ctx, void (*work)(void *arg), void *arg, int *leash)
{
	int pair[2], rc;

	(void)ctx;
	if (!leash)
		return spawn(work, arg, -1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rc = spawn(work, arg, pair[1]);
	close(pair[1]);
	*leash = rc < 0 ? -1 : pair[0];
	if (rc < 0)
		close(pair[0]);
	return rc;
}

static int real_unleash(void *ctx, int leash)
{
	(void)ctx;
	return send(leash, "", 1, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int real_pidfd(void *ctx, pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	(void)ctx;
	return fd < 0 ? -errno : (int)fd;
}

static int real_signal(void *ctx, int pidfd, int number)
{
	(void)ctx;
	return syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

static long long real_now(void *ctx)
{
	(void)ctx;
	return deadline_in(0);
}

static int real_poll(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	(void)ctx;
	return result(poll(fds, n, timeout_ms));
}

static int real_cgroup_mount(void *ctx, char **ret)
{
	(void)ctx;
	return cgroup_adapter_mount(ret);
}

static bool real_machine(void *ctx, const char **ret)
{
	const struct real *real = ctx;

	*ret = real->root;
	return true;
}

static const struct sys_ops real_ops = {
	.open = real_open,
	.read = real_read,
	.write = real_write,
	.close = real_close,
	.fstat = real_fstat,
	.open_at = real_open_at,
	.fstatfs = real_fstatfs,
	.lstat = real_lstat,
	.mkdir = real_mkdir,
	.rmdir = real_rmdir,
	.unlink = real_unlink,
	.rename = real_rename,
	.list = real_list,
	.readlink = real_readlink,
	.ask = real_ask,
	.flock = real_flock,
	.getaffinity = real_getaffinity,
	.setaffinity = real_setaffinity,
	.getscheduler = real_getscheduler,
	.cgroup_create = real_cgroup_create,
	.cgroup_delete = real_cgroup_delete,
	.cgroup_attach = real_cgroup_attach,
	.unit_start = real_unit_start,
	.unit_partitions = real_unit_partitions,
	.unit_stop = real_unit_stop,
	.service_start = real_service_start,
	.spawn = real_spawn,
	.unleash = real_unleash,
	.pidfd = real_pidfd,
	.signal = real_signal,
	.now = real_now,
	.poll = real_poll,
	.cgroup_mount = real_cgroup_mount,
	.machine = real_machine,
};

/* A recording keeps the allowed CPUs of a thread in its status file, and its
 * cgroup tree in the usual place. */
static int recorded_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus)
{
	static const char key[] = "\nCpus_allowed_list:";
	struct sys sys = { &real_ops, ctx, true };
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)tid);
	_cleanup_free_ char *text = NULL;
	char *line;
	int rc = sys_read(&sys, path, 0, &text);

	if (rc < 0)
		return rc;
	line = strstr(text, key);
	if (!line)
		return -ESRCH;
	line += sizeof(key) - 1;
	line[strcspn(line, "\n")] = '\0';
	return cpulist_parse(line, cpus, NULL) < 0 ? -EINVAL : 0;
}

/* It is never written. */
static int recorded_open(void *ctx, const char *path, int flags)
{
	return flags & (O_WRONLY | O_RDWR | O_CREAT) ? -EROFS : real_open(ctx, path, flags);
}

static int recorded_change(void *ctx, const char *path)
{
	(void)ctx;
	(void)path;
	return -EROFS;
}

static int recorded_rename(void *ctx, const char *from, const char *to)
{
	(void)to;
	return recorded_change(ctx, from);
}

static int recorded_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus)
{
	(void)ctx;
	(void)tid;
	(void)cpus;
	return -EROFS;
}

static int recorded_cgroup_attach(void *ctx, const char *path, pid_t pid)
{
	(void)pid;
	return recorded_change(ctx, path);
}

static int recorded_cgroup_mount(void *ctx, char **ret)
{
	/* The second: systemd's hybrid mode, of use only where it has the controller. */
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct sys sys = { &real_ops, ctx, true };

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		_cleanup_free_ char *path = xasprintf("%s/cgroup.controllers", mounts[i]);
		_cleanup_free_ char *text = NULL;

		if (sys_read_line(&sys, path, &text) < 0 || (i && !strstr(text, "cpuset")))
			continue;
		*ret = xstrdup(mounts[i]);
		return 0;
	}
	return -ENOENT;
}

void sys_open_real(struct sys *sys, const char *root)
{
	static struct sys_ops recorded_ops;
	struct real *real = xcalloc(1, sizeof(*real));
	size_t n = strlen(root);

	while (n && root[n - 1] == '/')
		n--;
	real->root = xstrndup(root, n);
	*sys = (struct sys){ &real_ops, real, *root != '\0' };
	if (sys->readonly) {
		recorded_ops = real_ops;
		recorded_ops.getaffinity = recorded_getaffinity;
		recorded_ops.getscheduler = NULL;
		recorded_ops.open = recorded_open;
		recorded_ops.mkdir = recorded_ops.rmdir = recorded_ops.unlink =
			recorded_ops.cgroup_create = recorded_ops.cgroup_delete = recorded_change;
		recorded_ops.rename = recorded_rename;
		recorded_ops.setaffinity = recorded_setaffinity;
		recorded_ops.cgroup_attach = recorded_cgroup_attach;
		recorded_ops.unit_partitions = NULL;
		recorded_ops.cgroup_mount = recorded_cgroup_mount;
		sys->ops = &recorded_ops;
	}
}

void sys_close_real(struct sys *sys)
{
	struct real *real = sys->ctx;

	free(real->root);
	free(real);
	*sys = (struct sys){ 0 };
}
