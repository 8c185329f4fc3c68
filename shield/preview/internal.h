/* SPDX-License-Identifier: MIT */
/* What the files of the preview share. */
#ifndef SHIELD_PREVIEW_INTERNAL_H
#define SHIELD_PREVIEW_INTERNAL_H

#include "shield/base/err.h"
#include "shield/base/mem.h"
#include "shield/preview/preview.h"
#include "shield/sys/kfile.h"
#include "shield/task/task.h"

#include <errno.h>
#include <string.h>

/* A file or directory that differs from the one below. */
struct note {
	char *path;
	bool absent, dir;
	char *text; /* of a file; NULL: as below */
};

/* A thread that differs from the one below. */
struct paper_task {
	pid_t tid;
	char *cgroup; /* NULL: as below */
	bool leader, pinned, remembered;
	struct cpuset cpus;   /* as it was pinned */
	struct cpuset chosen; /* what the kernel remembers */
};

/* An open file that is on paper only; its number is HANDLES and its index. */
#define HANDLES (1 << 24)
struct handle {
	bool used;
	char *path; /* being written, or NULL */
	char *text;
	size_t at;
};

struct preview {
	struct sys *below;
	struct sys sys;	     /* itself */
	char *mount;	     /* of cgroup v2, or NULL */
	bool remote;	     /* Linux 6.7 and later: cpuset.cpus.isolated is there */
	bool own_kthreads;   /* Linux 7: kernel threads keep off isolated CPUs by themselves */
	void *notes, *tasks; /* tsearch(3) trees */
	struct handle *handles;
	size_t n_handles, cap_handles;
	/* Taken from the root by partitions, and given back to it; likewise isolated. */
	struct cpuset taken, freed, isolated, shared;
	pid_t next_pid;
	long long skew; /* of the clock, in milliseconds */
	struct plan plan;
};

/* files.c: notes, and the operations on files. */
struct note *note_find(const struct preview *p, const char *path);
struct note *note_get(struct preview *p, const char *path); /* made if need be */
void note_set_text(struct preview *p, const char *path, const char *text);
/* Forget what is known of everything below a directory. */
void notes_forget_below(struct preview *p, const char *dir);
/* Is it, or a directory above it, removed; was it, or one above it, made here? */
bool path_removed(const struct preview *p, const char *path);
bool path_made(const struct preview *p, const char *path);
void files_close(struct preview *p);
/* A descriptor of a text (taken over). */
int handle_open(struct preview *p, const char *path, char *text);

int paper_open(void *ctx, const char *path, int flags);
int paper_open_at(void *ctx, int dir, const char *name, int flags);
ssize_t paper_read(void *ctx, int fd, void *buf, size_t size);
ssize_t paper_write(void *ctx, int fd, const void *buf, size_t size);
int paper_close(void *ctx, int fd);
int paper_fstat(void *ctx, int fd, struct stat *st);
int paper_lstat(void *ctx, const char *path, struct stat *st);
int paper_mkdir(void *ctx, const char *path);
int paper_remove(void *ctx, const char *path);
int paper_rename(void *ctx, const char *from, const char *to);
int paper_list(void *ctx, const char *path, struct strv *names);

/* cgroups.c. cgroup_text(): 1 and the text of a file that is other than below, 0: it
 * is as below, or a negated errno. */
int cgroup_text(struct preview *p, const char *path, char **ret);
/* Has the file of a cgroup gone with the controller, which was taken from it here? */
bool cgroup_lost(const struct preview *p, const char *path);
/* The names of the files of a cgroup that was made here. */
void cgroup_names(const struct preview *p, struct strv *names);
void cgroup_moved(struct preview *p, pid_t pid, const char *cgroup);
int cgroup_thread_moved(struct preview *p, const char *path, const char *tid);
int paper_cgroup_create(void *ctx, const char *path);
int paper_cgroup_delete(void *ctx, const char *path);
int paper_cgroup_attach(void *ctx, const char *path, pid_t pid);
int paper_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
		     const struct cpuset *cpus, const char *partition);
int paper_unit_stop(void *ctx, const char *unit);

/* cpus.c */
struct paper_task *paper_task_find(const struct preview *p, pid_t tid);
struct paper_task *paper_task_get(struct preview *p, pid_t tid);
/* Those that were put into a cgroup here, processes or all threads; no line twice. */
void tasks_in(const struct preview *p, const char *cgroup, bool threads, struct strv *lines);
/* The partition of this directory becomes another one. */
void cpus_partition(struct preview *p, const char *dir, const char *from, const char *to);
/* The CPUs that a partition has. */
int cpus_of_partition(struct preview *p, const char *dir, struct cpuset *cpus);
/* The CPUs of the root, and those that are isolated: as below, corrected. */
void cpus_correct(const struct preview *p, bool isolated, struct cpuset *cpus);
int paper_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus);
int paper_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus);
void cpus_close(struct preview *p);

#endif
