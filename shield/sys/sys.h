/* SPDX-License-Identifier: MIT */
/*
 * sys: the one door to the kernel.
 *
 * Everything that Shield reads from or does to /proc, /sys, cgroups, the
 * affinity of tasks and its own state file goes through a struct sys. There
 * are several: the real kernel, the real kernel below a prefix (--sysroot: a
 * recorded machine, never written), and the tests' own: a kernel in memory
 * that reacts, and a wrapper that fails or dies at operation N.
 *
 * The operations are system calls, one to one, so that a test which fails each
 * of them fails everything that can fail. All return a value >= 0 or a negated
 * errno, and never set errno. Paths are absolute, as on the running system.
 */
#ifndef SHIELD_SYS_SYS_H
#define SHIELD_SYS_SYS_H

#include "shield/base/cpuset.h"
#include "shield/base/strv.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>

struct service; /* systemd_adapter.h */

struct sys_ops {
	/* open(2), read(2), write(2), close(2), fstat(2); O_CLOEXEC is added.
	 * No mode: new files are 0644 with any umask. */
	int (*open)(void *ctx, const char *path, int flags);
	ssize_t (*read)(void *ctx, int fd, void *buf, size_t size);
	ssize_t (*write)(void *ctx, int fd, const void *buf, size_t size);
	int (*close)(void *ctx, int fd);
	int (*fstat)(void *ctx, int fd, struct stat *st);
	/* openat(2) of a name below an open directory; fstatfs(2): f_type */
	int (*open_at)(void *ctx, int dir, const char *name, int flags);
	int (*fstatfs)(void *ctx, int fd, unsigned long *type);
	/* lstat(2), mkdir(2) with mode 0711, rmdir(2), unlink(2), rename(2) */
	int (*lstat)(void *ctx, const char *path, struct stat *st);
	int (*mkdir)(void *ctx, const char *path);
	int (*rmdir)(void *ctx, const char *path);
	int (*unlink)(void *ctx, const char *path);
	int (*rename)(void *ctx, const char *from, const char *to);
	/* The names in a directory, without . and .., in the kernel's order. */
	int (*list)(void *ctx, const char *path, struct strv *names);
	/* readlink(2): what a symbolic link says, allocated. */
	int (*readlink)(void *ctx, const char *path, char **ret);
	/* One request to a Unix stream socket, and all of its answer (allocated),
	 * -ETIMEDOUT after 30 s; answer NULL: there will be none. */
	int (*ask)(void *ctx, const char *path, const char *request, char **answer);
	/* flock(2), waiting: retried on EINTR. */
	int (*flock)(void *ctx, int fd, int operation);
	/* sched_getaffinity(2) and sched_setaffinity(2) of one thread. */
	int (*getaffinity)(void *ctx, pid_t tid, struct cpuset *cpus);
	int (*setaffinity)(void *ctx, pid_t tid, const struct cpuset *cpus);
	/* sched_getscheduler(2); NULL where only files tell (a recorded machine). */
	int (*getscheduler)(void *ctx, pid_t tid);
	/* libcgroup: make and delete an empty cgroup, move a process. The path
	 * is relative to the cgroup root, "shield-win11/vcpus". */
	int (*cgroup_create)(void *ctx, const char *path);
	int (*cgroup_delete)(void *ctx, const char *path);
	int (*cgroup_attach)(void *ctx, const char *path, pid_t pid);
	/* systemd: start the slice or the transient scope (then with its slice,
	 * its first process, AllowedCPUs= and CPUSetPartition=) whose cgroup is
	 * wanted; end it; does it know CPUSetPartition=? NULL where no systemd is
	 * expected (systemd_adapter.h). */
	int (*unit_start)(void *ctx, const char *unit, const char *slice, pid_t pid,
			  const struct cpuset *cpus, const char *partition);
	int (*unit_stop)(void *ctx, const char *unit);
	int (*unit_partitions)(void *ctx);
	/* systemd: start a transient service; NULL likewise. */
	int (*service_start)(void *ctx, const struct service *service);
	/* A process that outlives us and calls work(arg): its number (spawn.h).
	 * leash: NULL, or where a descriptor goes that the process has the other
	 * end of, as its descriptor 3: it reads to the end of that. */
	int (*spawn)(void *ctx, void (*work)(void *arg), void *arg, int *leash);
	/* send(2) of one byte through a leash. */
	int (*unleash)(void *ctx, int leash);
	/* pidfd_open(2), pidfd_send_signal(2) */
	int (*pidfd)(void *ctx, pid_t pid);
	int (*signal)(void *ctx, int pidfd, int number);
	/* CLOCK_MONOTONIC in milliseconds, and poll(2) or, of no
	 * descriptors, a pause (clock.h). */
	long long (*now)(void *ctx);
	int (*poll)(void *ctx, struct pollfd *fds, nfds_t n, int timeout_ms);
	/* Where cgroup v2 is mounted, "/sys/fs/cgroup"; -ENOENT if nowhere. */
	int (*cgroup_mount)(void *ctx, char **ret);
	/* Where hwloc reads the machine, for it opens its files itself: true, and
	 * the directory, "" for the root; or false, and hwloc's synthetic
	 * description of a machine without files, "core:8 pu:1". */
	bool (*machine)(void *ctx, const char **ret);
};

struct sys {
	const struct sys_ops *ops;
	void *ctx;
	bool readonly; /* a recorded machine: nothing may be written */
};

/* The kernel that runs us; root is "" or the --sysroot directory, which makes
 * it read only. Release with sys_close_real(). */
void sys_open_real(struct sys *sys, const char *root);
void sys_close_real(struct sys *sys);

/* A whole file as text (NUL bytes end it). 0 and an allocated string, or a
 * negated errno; -EFBIG above limit bytes (0: 16 MiB). Retries EINTR and short
 * reads. */
int sys_read(struct sys *sys, const char *path, size_t limit, char **ret);

/* The rest of an open file, likewise. */
int sys_read_fd(struct sys *sys, int fd, size_t limit, char **ret);

/* The same without trailing white space. */
int sys_read_line(struct sys *sys, const char *path, char **ret);

/* A file that holds a CPU list ("0-3,8"), or a list of nodes, as a set. 0 or a negated
 * errno, -EBADMSG when it holds something else: *ret is as it was then. */
int sys_read_cpulist(struct sys *sys, const char *path, struct cpuset *ret);

/* What a symbolic link says; the caller frees it. 0 or a negated errno. */
int sys_readlink(struct sys *sys, const char *path, char **ret);

bool sys_exists(struct sys *sys, const char *path);

#endif
