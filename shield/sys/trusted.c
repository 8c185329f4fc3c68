/* SPDX-License-Identifier: MIT */
#include "shield/sys/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <unistd.h>

#define READING (O_RDONLY | O_NONBLOCK | O_NOCTTY)
#define OTHERS (S_IWGRP | S_IWOTH)

/* The way from / to the file, without "." and "..": as no link is followed, it
 * leads to the same file. */
struct walk {
	struct strv names;
	char *shown; /* of the directories gone through so far */
	int dir;
	bool sticky; /* the directory is one like /tmp */
};

static int split(struct sys *sys, const char *path, struct strv *names)
{
	_cleanup_free_ char *cwd = NULL, *all = NULL;
	char *next, *name;
	int rc;

	if (*path != '/') {
		rc = sys_readlink(sys, "/proc/self/cwd", &cwd);
		if (rc < 0)
			return rc;
	}
	all = xasprintf("%s/%s", cwd ? cwd : "", path);
	next = all;
	while ((name = strsep(&next, "/"))) {
		if (!*name || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") != 0)
			strv_add(names, name);
		else if (names->n)
			free(names->items[--names->n]);
	}
	return names->n ? 0 : -EISDIR;
}

static const char *made_up(unsigned long type)
{
	static const struct {
		unsigned long type;
		const char *name;
	} table[] = {
		{ PROC_SUPER_MAGIC, "proc" },
		{ 0x65735546, "FUSE" },
		{ SYSFS_MAGIC, "sysfs" },
		{ CGROUP_SUPER_MAGIC, "cgroup" },
		{ CGROUP2_SUPER_MAGIC, "cgroup2" },
		{ DEBUGFS_MAGIC, "debugfs" },
		{ TRACEFS_MAGIC, "tracefs" },
		{ SECURITYFS_MAGIC, "securityfs" },
		{ BPF_FS_MAGIC, "bpf" },
		{ 0x62656570, "configfs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].type == type)
			return table[i].name;
	return NULL;
}

static char *distrust_directory(const struct walk *w, const struct stat *st)
{
	const char *shown = *w->shown ? w->shown : "/";

	if (st->st_uid != 0)
		return xasprintf("its directory %s belongs to user %u, who can put another file "
				 "in its place",
				 shown, (unsigned)st->st_uid);
	if ((st->st_mode & OTHERS) && !(st->st_mode & S_ISVTX))
		return xasprintf("its directory %s is writable by users other than root (mode "
				 "%04o), who can put another file in its place",
				 shown, (unsigned)(st->st_mode & 07777));
	return NULL;
}

static char *distrust_file(const struct walk *w, const struct stat *st)
{
	if (st->st_uid != 0)
		return xasprintf("it belongs to user %u, who could make root do anything",
				 (unsigned)st->st_uid);
	if (st->st_mode & OTHERS)
		return xasprintf("it is writable by users other than root (mode %04o)",
				 (unsigned)(st->st_mode & 07777));
	if (w->sticky && st->st_nlink != 1)
		return xstrdup(
			"it has another name (a hard link) in a directory where any user can "
			"make one");
	return NULL;
}

static void leave(struct sys *sys, int *fd)
{
	if (*fd >= 0)
		sys->ops->close(sys->ctx, *fd);
	*fd = -1;
}

/* fd, which is taken over, is the directory now; a negated errno passes. */
static int enter(struct sys *sys, struct walk *w, int fd, char **why)
{
	struct stat st;
	int rc;

	if (fd < 0)
		return fd;
	leave(sys, &w->dir);
	w->dir = fd;
	rc = sys->ops->fstat(sys->ctx, fd, &st);
	if (rc < 0)
		return rc;
	if (S_ISLNK(st.st_mode))
		*why = xasprintf("%s is a symbolic link, which may lead elsewhere a moment later",
				 w->shown);
	else if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	else
		*why = distrust_directory(w, &st);
	w->sticky = (st.st_mode & OTHERS) != 0;
	return *why ? -EKEYREJECTED : 0;
}

static int enter_all(struct sys *sys, struct walk *w, char **why)
{
	int rc = enter(sys, w, sys->ops->open(sys->ctx, "/", O_PATH | O_DIRECTORY), why);

	for (size_t i = 0; rc == 0 && i + 1 < w->names.n; i++) {
		const char *name = w->names.items[i];
		char *shown = xasprintf("%s/%s", w->shown, name);

		free(w->shown);
		w->shown = shown;
		rc = enter(sys, w, sys->ops->open_at(sys->ctx, w->dir, name, O_PATH | O_NOFOLLOW),
			   why);
	}
	return rc;
}

/* Is what fd is a file to be trusted? */
static int check_file(struct sys *sys, const struct walk *w, int fd, struct stat *st, char **why)
{
	unsigned long type = 0;
	int rc = sys->ops->fstat(sys->ctx, fd, st);

	if (rc == 0)
		rc = sys->ops->fstatfs(sys->ctx, fd, &type);
	if (rc < 0)
		return rc;
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	if (S_ISLNK(st->st_mode))
		*why = xstrdup("it is a symbolic link, which may lead elsewhere a moment later");
	else if (!S_ISREG(st->st_mode))
		return -EBADF;
	else if (made_up(type))
		*why = xasprintf("it is on a file system of type %s, whose contents are made up as "
				 "they are read",
				 made_up(type));
	else
		*why = distrust_file(w, st);
	return *why ? -EKEYREJECTED : 0;
}

/* What it is must be known before it is opened for reading: with a device that
 * alone would do something. Then it may be another one. */
static int open_file(struct sys *sys, const struct walk *w, char **why)
{
	const char *name = w->names.items[w->names.n - 1];
	struct stat before, after;
	int rc, fd = sys->ops->open_at(sys->ctx, w->dir, name, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	rc = check_file(sys, w, fd, &before, why);
	leave(sys, &fd);
	if (rc < 0)
		return rc;
	fd = sys->ops->open_at(sys->ctx, w->dir, name, READING | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	rc = check_file(sys, w, fd, &after, why);
	if (rc == 0 && (before.st_dev != after.st_dev || before.st_ino != after.st_ino))
		rc = -ESTALE;
	if (rc < 0)
		leave(sys, &fd);
	return rc < 0 ? rc : fd;
}

static int walk(struct sys *sys, const char *path, char **why)
{
	struct walk w = { .shown = xstrdup(""), .dir = -1 };
	int rc = split(sys, path, &w.names);

	if (rc == 0)
		rc = enter_all(sys, &w, why);
	if (rc == 0)
		rc = open_file(sys, &w, why);
	leave(sys, &w.dir);
	strv_clear(&w.names);
	free(w.shown);
	return rc;
}

int trusted_open(struct sys *sys, const char *path, char **why)
{
	*why = NULL;
	if (geteuid() != 0 || sys->readonly)
		return sys->ops->open(sys->ctx, path, READING);
	return walk(sys, path, why);
}

int trusted_read(struct sys *sys, const char *path, size_t limit, char **ret, char **why)
{
	int fd = trusted_open(sys, path, why), rc;

	if (fd < 0)
		return fd;
	rc = sys_read_fd(sys, fd, limit, ret);
	sys->ops->close(sys->ctx, fd);
	return rc;
}
