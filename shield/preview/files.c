/* SPDX-License-Identifier: MIT */
/* Files: what was written to them is what is read from them. */
#include "shield/preview/internal.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct note *)a)->path, ((const struct note *)b)->path);
}

struct note *note_find(const struct preview *p, const char *path)
{
	const struct note key = { .path = (char *)path };
	struct note *const *found = tfind(&key, &p->notes, by_path);

	return found ? *found : NULL;
}

struct note *note_get(struct preview *p, const char *path)
{
	struct note *note = note_find(p, path);

	if (!note) {
		note = xcalloc(1, sizeof(*note));
		note->path = xstrdup(path);
		if (!tsearch(note, &p->notes, by_path))
			abort();
	}
	return note;
}

void note_set_text(struct preview *p, const char *path, const char *text)
{
	struct note *note = note_get(p, path);
	char *copy = xstrdup(text);

	note->absent = false;
	free(note->text);
	note->text = copy;
}

/* What the last part of a path is called, if it is directly below a directory. */
static const char *child_of(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strncmp(path, dir, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/'))
		return NULL;
	return path + n + 1;
}

struct walk {
	const char *dir;
	struct strv *names, *absent;
};

static void forget(const void *at, VISIT visit, void *arg)
{
	struct note *note = *(struct note *const *)at;
	const char *dir = arg;
	size_t n = strlen(dir);

	if ((visit != postorder && visit != leaf) || strncmp(note->path, dir, n) != 0 ||
	    note->path[n] != '/')
		return;
	free(note->text);
	note->text = NULL;
	note->absent = note->dir = false;
}

void notes_forget_below(struct preview *p, const char *dir)
{
	twalk_r(p->notes, forget, (void *)dir);
}

static void collect(const void *at, VISIT visit, void *arg)
{
	const struct note *note = *(struct note *const *)at;
	struct walk *walk = arg;
	const char *name = child_of(note->path, walk->dir);

	if ((visit != postorder && visit != leaf) || !name)
		return;
	if (note->absent)
		strv_add(walk->absent, name);
	else if (note->dir || note->text)
		strv_add(walk->names, name);
}

/* The note of the path, or of the nearest directory above it that says something. */
static const struct note *note_above(const struct preview *p, const char *path)
{
	_cleanup_free_ char *at = xstrdup(path);

	for (;;) {
		const struct note *note = note_find(p, at);
		char *slash = strrchr(at, '/');

		if (note && (note->absent || note->dir))
			return note;
		if (!slash || slash == at)
			return NULL;
		*slash = '\0';
	}
}

bool path_removed(const struct preview *p, const char *path)
{
	const struct note *note = note_above(p, path);

	return note && note->absent;
}

bool path_made(const struct preview *p, const char *path)
{
	const struct note *note = note_above(p, path);

	return note && !note->absent;
}

/* Where a thread is that was moved. */
static bool task_text(const struct preview *p, const char *path, char **ret)
{
	const struct paper_task *task;
	int tgid, tid, n = 0;

	if (sscanf(path, "/proc/%d/task/%d/cgroup%n", &tgid, &tid, &n) != 2 || path[n])
		return false;
	task = paper_task_find(p, tid);
	if (!task || !task->cgroup)
		return false;
	*ret = xasprintf("0::%s\n", task->cgroup);
	return true;
}

/* 1 and the text of a file that is other than below, 0: as below; or a negated errno. */
static int find_text(struct preview *p, const char *path, char **ret)
{
	const struct note *note = note_find(p, path);
	int rc;

	if (path_removed(p, path) || cgroup_lost(p, path))
		return -ENOENT;
	if (note && note->text) {
		*ret = xstrdup(note->text);
		return 1;
	}
	if (task_text(p, path, ret))
		return 1;
	rc = cgroup_text(p, path, ret);
	return rc == 0 && path_made(p, path) ? -ENOENT : rc;
}

int handle_open(struct preview *p, const char *path, char *text)
{
	size_t i = 0;

	while (i < p->n_handles && p->handles[i].used)
		i++;
	if (i == p->n_handles) {
		GROW(p->handles, p->n_handles, p->cap_handles);
		p->n_handles++;
	}
	p->handles[i] = (struct handle){ true, path ? xstrdup(path) : NULL, text, 0 };
	return HANDLES + (int)i;
}

static struct handle *handle(struct preview *p, int fd)
{
	size_t i = (size_t)fd - HANDLES;

	return fd >= HANDLES && i < p->n_handles && p->handles[i].used ? &p->handles[i] : NULL;
}

static void handle_close(struct handle *h)
{
	free(h->path);
	free(h->text);
	*h = (struct handle){ 0 };
}

void files_close(struct preview *p)
{
	for (size_t i = 0; i < p->n_handles; i++)
		handle_close(&p->handles[i]);
	free(p->handles);
	while (p->notes) {
		struct note *note = *(struct note **)p->notes;

		tdelete(note, &p->notes, by_path);
		free(note->path);
		free(note->text);
		free(note);
	}
}

int paper_open(void *ctx, const char *path, int flags)
{
	struct preview *p = ctx;
	char *text = NULL;
	struct stat st;
	int rc;

	if (flags & (O_WRONLY | O_RDWR)) {
		rc = paper_lstat(p, path, &st);
		if (rc == 0 && (flags & O_EXCL))
			return -EEXIST;
		if (rc < 0 && !(flags & O_CREAT))
			return rc;
		if (rc < 0)
			note_set_text(p, path, "");
		return handle_open(p, path, NULL);
	}
	rc = find_text(p, path, &text);
	if (rc < 0)
		return rc;
	return rc ? handle_open(p, NULL, text) : p->below->ops->open(p->below->ctx, path, flags);
}

int paper_open_at(void *ctx, int dir, const char *name, int flags)
{
	struct preview *p = ctx;

	return p->below->ops->open_at(p->below->ctx, dir, name, flags);
}

ssize_t paper_read(void *ctx, int fd, void *buf, size_t size)
{
	struct preview *p = ctx;
	struct handle *h = handle(p, fd);
	size_t left;

	if (!h)
		return p->below->ops->read(p->below->ctx, fd, buf, size);
	left = h->text ? strlen(h->text) - h->at : 0;
	if (size > left)
		size = left;
	if (size)
		memcpy(buf, h->text + h->at, size);
	h->at += size;
	return (ssize_t)size;
}

/* What the file reads after this was written to it. */
static char *text_after(const struct kfile *row, const char *text, const char *now)
{
	if (strcmp(text, "\n") != 0 && row->type != KFILE_CONTROL)
		return xstrdup(text);
	/* Of the controllers only cpuset is Shield's (kfile.h). */
	if (row->type != KFILE_CONTROL)
		return xstrdup("");
	if (strcmp(text, "\n") == 0)
		return xstrdup(now);
	return xstrdup(*text == '+' ? "cpuset" : "");
}

/* "/sys/fs/cgroup/a/b" of a file in it. */
static char *dir_of(const char *path)
{
	return xstrndup(path, (size_t)(strrchr(path, '/') - path));
}

static int write_kernel(struct preview *p, const struct kfile *row, const char *path,
			const char *text)
{
	_cleanup_free_ char *now = NULL, *from = NULL, *to = NULL, *after = NULL, *dir = NULL;
	int rc;

	if (row->type == KFILE_THREAD)
		return cgroup_thread_moved(p, path, text);
	rc = sys_read_line(&p->sys, path, &now);
	if (rc == 0)
		rc = kfile_read(&p->sys, row, path, &from);
	if (rc < 0)
		return rc;
	after = text_after(row, text, now);
	if (row->type == KFILE_PARTITION) {
		dir = dir_of(path);
		cpus_partition(p, dir, from, after);
	}
	note_set_text(p, path, after);
	if (row->drags) /* to what is not known */
		note_set_text(p, row->drags, "?");
	rc = kfile_read(&p->sys, row, path, &to);
	if (rc == 0)
		plan_write(&p->plan, path, from, to);
	return rc;
}

/* Of a file of the kernel's each write is a command; others grow. */
ssize_t paper_write(void *ctx, int fd, const void *buf, size_t size)
{
	struct preview *p = ctx;
	struct handle *h = handle(p, fd);
	_cleanup_free_ char *text = NULL, *whole = NULL;
	const struct kfile *row;
	struct note *note;
	int rc = 0;

	if (!h)
		return p->below->ops->write(p->below->ctx, fd, buf, size);
	if (!h->path)
		return -EBADF;
	text = xstrndup(buf, size);
	row = kfile_find(h->path, p->mount);
	if (row) {
		rc = write_kernel(p, row, h->path, text);
	} else {
		note = note_get(p, h->path);
		whole = xasprintf("%s%s", note->text ? note->text : "", text);
		note_set_text(p, h->path, whole);
	}
	return rc < 0 ? rc : (ssize_t)size;
}

int paper_close(void *ctx, int fd)
{
	struct preview *p = ctx;
	struct handle *h = handle(p, fd);

	if (!h)
		return p->below->ops->close(p->below->ctx, fd);
	handle_close(h);
	return 0;
}

/* As root has made it. */
static void describe(bool dir, const char *text, struct stat *st)
{
	*st = (struct stat){ .st_mode = dir ? S_IFDIR | 0711 : S_IFREG | 0644, .st_nlink = 1 };
	st->st_size = text ? (off_t)strlen(text) : 0;
}

int paper_fstat(void *ctx, int fd, struct stat *st)
{
	struct preview *p = ctx;
	struct handle *h = handle(p, fd);

	if (!h)
		return p->below->ops->fstat(p->below->ctx, fd, st);
	describe(false, h->text, st);
	return 0;
}

int paper_lstat(void *ctx, const char *path, struct stat *st)
{
	struct preview *p = ctx;
	const struct note *note = note_find(p, path);
	_cleanup_free_ char *text = NULL;
	int rc;

	if (note && note->dir) {
		describe(true, NULL, st);
		return 0;
	}
	rc = find_text(p, path, &text);
	if (rc == 0)
		return p->below->ops->lstat(p->below->ctx, path, st);
	if (rc > 0)
		describe(false, text, st);
	return rc < 0 ? rc : 0;
}

int paper_mkdir(void *ctx, const char *path)
{
	struct note *note;
	struct stat st;

	if (paper_lstat(ctx, path, &st) == 0)
		return -EEXIST;
	note = note_get(ctx, path);
	note->absent = false;
	note->dir = true;
	return 0;
}

int paper_remove(void *ctx, const char *path)
{
	struct note *note;
	struct stat st;
	int rc = paper_lstat(ctx, path, &st);

	if (rc < 0)
		return rc;
	note = note_get(ctx, path);
	note->dir = false;
	note->absent = true;
	free(note->text);
	note->text = NULL;
	return 0;
}

int paper_rename(void *ctx, const char *from, const char *to)
{
	struct preview *p = ctx;
	_cleanup_free_ char *text = NULL;
	int rc = sys_read(&p->sys, from, 0, &text);

	if (rc < 0)
		return rc;
	note_set_text(p, to, text);
	return paper_remove(p, from);
}

int paper_list(void *ctx, const char *path, struct strv *names)
{
	struct preview *p = ctx;
	_cleanup_strv_ struct strv below = { 0 }, absent = { 0 };
	int rc = 0;

	if (path_removed(p, path))
		return -ENOENT;
	if (path_made(p, path))
		cgroup_names(p, names);
	else
		rc = p->below->ops->list(p->below->ctx, path, &below);
	if (rc < 0)
		return rc;
	twalk_r(p->notes, collect, &(struct walk){ path, names, &absent });
	for (size_t i = 0; i < below.n; i++)
		if (!strv_contains(names, below.items[i]) &&
		    !strv_contains(&absent, below.items[i]))
			strv_add(names, below.items[i]);
	return 0;
}
