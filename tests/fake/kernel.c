/* SPDX-License-Identifier: MIT */
/* The operations of sys.h over all of it. */
#include "tests/fake/internal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>

#define FIRST_FD 1000 /* a descriptor used outside of the fake shows */

/* An active file or directory: 0 and its text (NULL: a directory), or an
 * errno; FAKE_NOT_MINE for plain ones. */
static int active(struct fake *fake, const char *path, char **ret, mode_t *mode)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = cg_read(fake, path, ret);

	*mode = 0644;
	if (rc == FAKE_NOT_MINE)
		rc = task_proc_read(fake, path, ret);
	if (rc == FAKE_NOT_MINE)
		rc = dev_read(fake, path, ret, mode);
	if (rc == FAKE_NOT_MINE && (strcmp(path, "/proc") == 0 || !dev_list(fake, path, &names)))
		rc = 0;
	return rc;
}

/* Others are as quick as we are. */
static void meanwhile(struct fake *fake)
{
	if (fake->manager.prompt)
		manager_catch_up(fake);
}

static int open_fd(struct fake *fake, const struct ffd *fd)
{
	for (size_t i = 0; i < fake->n_fds; i++)
		if (!fake->fds[i].used) {
			fake->fds[i] = *fd;
			return FIRST_FD + (int)i;
		}
	GROW(fake->fds, fake->n_fds, fake->cap_fds);
	fake->fds[fake->n_fds] = *fd;
	return FIRST_FD + (int)fake->n_fds++;
}

static int create(struct fake *fake, const char *path, struct node **ret)
{
	_cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct node *parent = node_find(fake, dir);

	if (!parent)
		return -ENOENT;
	if (!S_ISDIR(parent->mode))
		return -ENOTDIR;
	*ret = node_new(fake, path, S_IFREG | 0644);
	return 0;
}

static int fake_open(void *ctx, const char *path, int flags)
{
	struct fake *fake = ctx;
	struct node *node = node_find(fake, path);
	struct ffd fd = { .used = true, .flags = flags };
	_cleanup_free_ char *text = NULL;
	bool writes = (flags & O_ACCMODE) != O_RDONLY, directory = false;
	mode_t mode;
	int rc;

	meanwhile(fake);
	for (int hops = 0; node && S_ISLNK(node->mode); node = node_find(fake, path)) {
		if ((flags & O_NOFOLLOW) || ++hops > 8)
			return -ELOOP;
		path = node->target;
	}
	if (node && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (!node) {
		rc = active(fake, path, &text, &mode);
		if (rc == FAKE_NOT_MINE)
			rc = flags & O_CREAT ? create(fake, path, &node) : -ENOENT;
		else if (rc != -ENOENT)
			directory = rc == 0 && !text; /* other errors: at read */
		if (rc < 0 && rc != -EOPNOTSUPP)
			return rc;
	}
	directory |= node && S_ISDIR(node->mode);
	if (directory ? writes : flags & O_DIRECTORY)
		return directory ? -EISDIR : -ENOTDIR;
	fd.node = node;
	fd.path = node ? NULL : xstrdup(path);
	if (node) {
		node->refs++;
		if (writes && (flags & O_TRUNC))
			node->size = 0;
	}
	return open_fd(fake, &fd);
}

static struct ffd *get(struct fake *fake, int fd);

static int fake_open_at(void *ctx, int dir, const char *name, int flags)
{
	const struct ffd *fd = get(ctx, dir);
	_cleanup_free_ char *path = NULL;
	const char *above;

	if (!fd)
		return -EBADF;
	above = fd->node ? fd->node->path : fd->path;
	path = xasprintf("%s/%s", strcmp(above, "/") ? above : "", name);
	return fake_open(ctx, path, flags);
}

/* All of it is like tmpfs. */
static int fake_fstatfs(void *ctx, int fd, unsigned long *type)
{
	*type = TMPFS_MAGIC;
	return get(ctx, fd) ? 0 : -EBADF;
}

static struct ffd *get(struct fake *fake, int fd)
{
	size_t i = (size_t)fd - FIRST_FD;

	return fd >= FIRST_FD && i < fake->n_fds && fake->fds[i].used ? &fake->fds[i] : NULL;
}

static ssize_t fake_read(void *ctx, int number, void *buf, size_t size)
{
	struct fake *fake = ctx;
	struct ffd *fd = get(fake, number);
	const char *text;
	mode_t mode;
	size_t left;
	int rc;

	if (!fd || (fd->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (fd->node && S_ISDIR(fd->node->mode))
		return -EISDIR;
	if (!fd->node && !fd->text) {
		rc = active(fake, fd->path, &fd->text, &mode);
		if (rc)
			return rc == FAKE_NOT_MINE ? -ENODEV : rc;
		if (!fd->text)
			return -EISDIR;
	}
	text = fd->node ? fd->node->text : fd->text;
	left = (fd->node ? fd->node->size : strlen(text)) - fd->at;
	size = size < left ? size : left;
	memcpy(buf, text + fd->at, size);
	fd->at += size;
	return (ssize_t)size;
}

#define THP "/transparent_hugepage/enabled"

/* One of these; and as the kernel does, another setting changes with it. */
static char *write_choice(struct fake *fake, const char *text, size_t size)
{
	static const char *const words[] = { "always", "madvise", "never" };
	_cleanup_free_ char *line = xstrdup("");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		bool chosen = strlen(words[i]) == size && strncmp(words[i], text, size) == 0;
		char *longer = xasprintf("%s%s%s%s%s", line, i ? " " : "", chosen ? "[" : "",
					 words[i], chosen ? "]" : "");

		free(line);
		line = longer;
	}
	fake_file(fake, "/proc/sys/vm/min_free_kbytes", strstr(line, "[n") ? "1000\n" : "2000\n");
	return xasprintf("%s\n", line);
}

static bool is_setting(const char *path)
{
	return strncmp(path, "/proc/sys/", 10) == 0 || strncmp(path, "/sys/", 5) == 0;
}

static ssize_t fake_write(void *ctx, int number, const void *buf, size_t size)
{
	struct fake *fake = ctx;
	struct ffd *fd = get(fake, number);
	_cleanup_free_ char *text = NULL;
	int rc;

	if (!fd || (fd->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (fd->node) {
		struct node *node = fd->node;

		/* A setting is replaced, and shown as a line. */
		if (node->path && is_setting(node->path)) {
			free(node->text);
			node->text = strstr(node->path, THP)
					     ? write_choice(fake, buf, size)
					     : xasprintf("%.*s\n", (int)size, (const char *)buf);
			node->size = strlen(node->text);
			return (ssize_t)size;
		}
		node->text = xrealloc(node->text, fd->at + size + 1, 1);
		memcpy(node->text + fd->at, buf, size);
		fd->at += size;
		if (node->size < fd->at)
			node->size = fd->at;
		node->text[node->size] = '\0';
		return (ssize_t)size;
	}
	if (!size)
		return 0;
	text = xstrndup(buf, size);
	rc = cg_write(fake, fd->path, text);
	if (rc == FAKE_NOT_MINE)
		rc = dev_write(fake, fd->path, text);
	if (rc == FAKE_NOT_MINE)
		rc = -EACCES;
	return rc < 0 ? rc : (ssize_t)size;
}

static int fake_close(void *ctx, int number)
{
	struct ffd *fd = get(ctx, number);

	if (!fd)
		return -EBADF;
	if (fd->held)
		fake_exit(ctx, fd->held);
	free(fd->path);
	free(fd->text);
	if (fd->node && --fd->node->refs == 0 && !fd->node->path)
		node_unlink(ctx, fd->node);
	*fd = (struct ffd){ 0 };
	return 0;
}

static void describe(const struct node *node, mode_t mode, struct stat *st)
{
	*st = (struct stat){ .st_mode = mode, .st_nlink = 1, .st_ino = 1 };
	if (!node)
		return;
	st->st_mode = node->mode;
	st->st_uid = node->uid;
	st->st_nlink = node->links;
	st->st_ino = node->ino;
	st->st_size = (off_t)node->size;
}

static int fake_lstat(void *ctx, const char *path, struct stat *st)
{
	meanwhile(ctx);
	struct node *node = node_find(ctx, path);
	_cleanup_free_ char *text = NULL;
	mode_t mode = 0;
	int rc = node ? 0 : active(ctx, path, &text, &mode);

	if (rc == FAKE_NOT_MINE || rc == -ENOENT)
		return -ENOENT;
	describe(node, text || rc ? S_IFREG | mode : S_IFDIR | 0755, st);
	return 0;
}

static int fake_fstat(void *ctx, int number, struct stat *st)
{
	struct ffd *fd = get(ctx, number);

	if (!fd)
		return -EBADF;
	if (!fd->node)
		return fake_lstat(ctx, fd->path, st);
	describe(fd->node, 0, st);
	return 0;
}

/* The path below the cgroup mount, or NULL. */
static const char *in_cgroups(const char *path)
{
	size_t n = strlen(FAKE_MOUNT);

	return strncmp(path, FAKE_MOUNT "/", n + 1) == 0 ? path + n + 1 : NULL;
}

static int fake_mkdir(void *ctx, const char *path)
{
	struct node *node;
	struct stat st;
	int rc;

	if (fake_lstat(ctx, path, &st) == 0)
		return -EEXIST;
	if (in_cgroups(path))
		return cg_mkdir(ctx, in_cgroups(path));
	rc = create(ctx, path, &node);
	if (rc == 0)
		node->mode = S_IFDIR | 0755;
	return rc;
}

static int fake_rmdir(void *ctx, const char *path)
{
	struct fake *fake = ctx;
	struct node *node = node_find(fake, path);
	size_t n = strlen(path);

	if (in_cgroups(path))
		return cg_rmdir(fake, in_cgroups(path));
	if (!node)
		return -ENOENT;
	if (!S_ISDIR(node->mode))
		return -ENOTDIR;
	for (size_t i = 0; i < fake->n_nodes; i++) {
		const char *other = fake->nodes[i]->path;

		if (other && strncmp(other, path, n) == 0 && other[n] == '/')
			return -ENOTEMPTY;
	}
	node_unlink(fake, node);
	return 0;
}

static int fake_unlink(void *ctx, const char *path)
{
	struct node *node = node_find(ctx, path);

	if (!node)
		return -ENOENT;
	if (S_ISDIR(node->mode))
		return -EISDIR;
	node_unlink(ctx, node);
	return 0;
}

static int fake_rename(void *ctx, const char *from, const char *to)
{
	struct node *node = node_find(ctx, from), *old = node_find(ctx, to);

	if (!node)
		return -ENOENT;
	if (old && S_ISDIR(old->mode))
		return -EISDIR;
	if (old && old != node)
		node_unlink(ctx, old);
	free(node->path);
	node->path = xstrdup(to);
	return 0;
}

static int fake_readlink(void *ctx, const char *path, char **ret)
{
	const struct node *node = node_find(ctx, path);
	int rc = task_proc_readlink(ctx, path, ret);

	if (rc != FAKE_NOT_MINE)
		return rc;
	if (!node)
		return -ENOENT;
	if (!S_ISLNK(node->mode))
		return -EINVAL;
	*ret = xstrdup(node->target);
	return 0;
}

static int fake_list(void *ctx, const char *path, struct strv *names)
{
	struct fake *fake = ctx;
	struct node *node = node_find(fake, path);
	size_t n = strlen(path);
	int rc = cg_list(fake, path, names);

	if (rc == FAKE_NOT_MINE)
		rc = task_proc_list(fake, path, names);
	if (rc == FAKE_NOT_MINE)
		rc = dev_list(fake, path, names);
	if (rc == FAKE_NOT_MINE)
		rc = !node ? -ENOENT : S_ISDIR(node->mode) ? 0 : -ENOTDIR;
	for (size_t i = 0; rc == 0 && i < fake->n_nodes; i++) {
		const char *other = fake->nodes[i]->path;

		if (other && strncmp(other, path, n) == 0 && other[n] == '/' &&
		    !strchr(other + n + 1, '/') && !strv_contains(names, other + n + 1))
			strv_add(names, other + n + 1);
	}
	return rc;
}

/* One process: waiting for a lock that it holds itself is a deadlock. */
static int fake_flock(void *ctx, int number, int operation)
{
	struct fake *fake = ctx;
	struct ffd *fd = get(fake, number);

	if (!fd)
		return -EBADF;
	for (size_t i = 0; i < fake->n_fds && !(operation & LOCK_UN); i++)
		if (&fake->fds[i] != fd && fake->fds[i].locked && fake->fds[i].node == fd->node)
			return operation & LOCK_NB ? -EWOULDBLOCK : -EDEADLK;
	fd->locked = !(operation & LOCK_UN);
	fake->flocks += fd->locked;
	return 0;
}

/* libcgroup: the controller is enabled all the way down, then the directories
 * are made; one that exists is not an error. */
static int fake_cgroup_create(void *ctx, const char *path)
{
	struct cg *cg = ((struct fake *)ctx)->root;

	path += strspn(path, "/");
	for (const char *at = path; *(at += strspn(at, "/"));) {
		_cleanup_free_ char *prefix = NULL;
		int rc = cg_control(ctx, cg, true);

		if (rc < 0)
			return rc;
		at += strcspn(at, "/");
		prefix = xstrndup(path, (size_t)(at - path));
		rc = cg_mkdir(ctx, prefix);
		if (rc < 0 && rc != -EEXIST)
			return rc;
		cg = cg_find(ctx, prefix);
	}
	return 0;
}

static int fake_cgroup_delete(void *ctx, const char *path)
{
	return cg_rmdir(ctx, path);
}

static int fake_cgroup_attach(void *ctx, const char *path, pid_t pid)
{
	struct cg *cg = cg_find(ctx, path);

	return cg ? cg_attach(ctx, cg, pid, true) : -ENOENT;
}

static long long fake_now(void *ctx)
{
	return ((struct fake *)ctx)->now;
}

/* Nothing of it is ready: its time passes at once. */
static int fake_poll(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	(void)fds;
	(void)n;
	((struct fake *)ctx)->now += timeout_ms > 0 ? timeout_ms : 0;
	return 0;
}

/* As many cores, each with one CPU; what is offline is there, too. */
static bool fake_machine(void *ctx, const char **ret)
{
	*ret = ((struct fake *)ctx)->machine;
	return false;
}

static int fake_cgroup_mount(void *ctx, char **ret)
{
	(void)ctx;
	*ret = xstrdup(FAKE_MOUNT);
	return 0;
}

/* A guard is somewhere else, and waits for the lock; who is on a leash is seen.
 * What is started later has the same number with and without them. */
static int fake_spawn(void *ctx, void (*work)(void *arg), void *arg, int *leash)
{
	struct fake *fake = ctx;
	pid_t pid = 30000 + (int)fake->spawned++;

	(void)work;
	(void)arg;
	if (leash) {
		ftask_held(fake, pid);
		*leash = open_fd(fake, &(struct ffd){ .used = true, .held = pid });
	}
	return pid;
}

static int fake_unleash(void *ctx, int leash)
{
	struct ffd *fd = get(ctx, leash);

	if (!fd || !fd->held)
		return -EBADF;
	if (!ftask_find(ctx, fd->held))
		return -EPIPE;
	fd->held = 0;
	return 0;
}

static int fake_pidfd(void *ctx, pid_t pid)
{
	struct ffd fd = { .used = true, .pid = pid };

	return ftask_find(ctx, pid) ? open_fd(ctx, &fd) : -ESRCH;
}

/* Any of them kills. */
static int fake_signal(void *ctx, int pidfd, int number)
{
	struct ffd *fd = get(ctx, pidfd);

	(void)number;
	if (!fd || !fd->pid)
		return -EBADF;
	if (!ftask_find(ctx, fd->pid))
		return -ESRCH;
	fake_exit(ctx, fd->pid);
	return 0;
}

void fake_sys(struct fake *fake, struct sys *sys)
{
	static const struct sys_ops ops = {
		.open = fake_open,
		.read = fake_read,
		.write = fake_write,
		.close = fake_close,
		.fstat = fake_fstat,
		.open_at = fake_open_at,
		.fstatfs = fake_fstatfs,
		.lstat = fake_lstat,
		.mkdir = fake_mkdir,
		.rmdir = fake_rmdir,
		.unlink = fake_unlink,
		.rename = fake_rename,
		.list = fake_list,
		.readlink = fake_readlink,
		.ask = fake_ask,
		.flock = fake_flock,
		.getaffinity = fake_getaffinity,
		.getscheduler = fake_getscheduler,
		.setaffinity = fake_setaffinity,
		.cgroup_create = fake_cgroup_create,
		.cgroup_delete = fake_cgroup_delete,
		.cgroup_attach = fake_cgroup_attach,
		.cgroup_mount = fake_cgroup_mount,
		.machine = fake_machine,
		.unit_start = fake_unit_start,
		.unit_stop = fake_unit_stop,
		.unit_partitions = fake_unit_partitions,
		.service_start = fake_service_start,
		.now = fake_now,
		.poll = fake_poll,
		.spawn = fake_spawn,
		.unleash = fake_unleash,
		.pidfd = fake_pidfd,
		.signal = fake_signal,
	};

	*sys = (struct sys){ &ops, fake, false };
}

void fake_process_dies(struct fake *fake)
{
	for (size_t i = 0; i < fake->n_fds; i++)
		fake_close(fake, FIRST_FD + (int)i);
}

void fake_kill_inside(struct fake *fake)
{
	fake->kill_inside = true;
}

bool fake_kills_inside(const struct fake *fake)
{
	return fake->kill_inside;
}

unsigned fake_flocks(const struct fake *fake)
{
	return fake->flocks;
}

unsigned fake_open_fds(const struct fake *fake)
{
	unsigned n = 0;

	for (size_t i = 0; i < fake->n_fds; i++)
		n += fake->fds[i].used;
	return n;
}
