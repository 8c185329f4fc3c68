/* SPDX-License-Identifier: MIT */
/*
 * What the files of the fake kernel share.
 *
 *	kernel.c	the operations, and who serves which path
 *	machine.c	setting up; plain files; texts of CPU sets
 *	clone.c		the same machine once more
 *	cgroup.c	the cgroup tree; cgfile.c its files
 *	partition.c	cpuset: exclusive CPUs, partitions, effective CPUs
 *	task.c		threads, /proc/PID, affinity
 *	device.c	interrupts, workqueues, CPUs
 *	irqbalance.c	that daemon; systemd.c: PID 1
 *	snapshot.c	all of it as text
 *
 * Active files are served by functions that take the path and return
 * FAKE_NOT_MINE for what they do not know, else 0 or a negated errno.
 */
#ifndef TESTS_FAKE_INTERNAL_H
#define TESTS_FAKE_INTERNAL_H

#include "tests/fake/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FAKE_NOT_MINE 1
#define FAKE_MOUNT "/sys/fs/cgroup"

enum prs { PRS_MEMBER, PRS_ROOT, PRS_ISOLATED };

struct cg {
	char *name;
	struct cg *parent, *children, *next;
	bool control; /* +cpuset in its subtree_control */
	bool threaded;
	/* The cpuset, if it has one: the parent has `control`. */
	struct cpuset cpus, excl; /* as written */
	struct cpuset xcpus;	  /* cpuset.cpus.exclusive.effective */
	struct cpuset eff;	  /* cpuset.cpus.effective */
	struct cpuset basis;	  /* what its tasks were given last */
	enum prs prs;
	bool valid, remote;
	const char *why; /* it is invalid; may be NULL */
};

struct ftask {
	pid_t tid, tgid;
	char *comm;
	unsigned long long start;
	bool kthread, noaff, percpu, has_user;
	uid_t uid;
	char *exe; /* NULL: /usr/sbin/COMM */
	struct cpuset allowed, user, preferred;
	struct cg *cg;
};

struct firq {
	unsigned number;
	char *actions;
	struct cpuset mask, effective;
	bool managed, pending, vanishing;
	int error; /* of every write, or 0 */
};

struct node {
	char *path; /* NULL once unlinked */
	mode_t mode;
	uid_t uid;
	unsigned links, refs, ino;
	char *text;
	size_t size;
	char *target;
};

struct ffd {
	bool used;
	char *path;	   /* of an active file or directory */
	struct node *node; /* of a plain one */
	char *text;	   /* an active file as it was at the first read */
	size_t at;
	int flags;
	bool locked;
	pid_t pid;  /* of a pidfd */
	pid_t held; /* of a leash: ends when that is closed */
};

struct balancer {
	pid_t pid; /* 0: none runs */
	char *socket;
	struct cpuset banned;	  /* as it reports */
	struct cpuset cpus, irqs; /* as it was told */
	unsigned asked;		  /* since then, from 1 */
};

struct unit {
	char *name;
	char *cgroup;	    /* of a slice or scope, from the root; else NULL */
	bool scope;	    /* it ends when its cgroup is empty */
	struct cpuset cpus; /* AllowedCPUs= */
	char *partition;    /* CPUSetPartition=; NULL: not set */
	char *guards;	    /* a service: the shield that it guards; else NULL */
};

struct manager {
	bool runs, prompt, partitions;
	struct unit *units;
	size_t n, cap;
};

struct fake {
	enum flavour flavour;
	unsigned ncpus;
	char machine[24]; /* for hwloc */
	pid_t self;	  /* the process under test, also in a child of the test */
	struct cpuset possible, online;
	struct cpuset taken;	   /* by partitions: subpartitions_cpus */
	struct cpuset leaked;	   /* and those that no cgroup has any more */
	struct cpuset isolated;	   /* by isolated ones */
	struct cpuset wq_isolated; /* as far as workqueues know */
	bool kill_inside;
	struct cg *root;
	struct balancer balancer;
	struct manager manager;
	struct ftask **tasks;
	size_t n_tasks, cap_tasks;
	pid_t next_pid;
	struct firq *irqs;
	size_t n_irqs, cap_irqs;
	struct cpuset default_irq, wq_requested, wq;
	struct node **nodes;
	size_t n_nodes, cap_nodes;
	struct ffd *fds;
	size_t n_fds, cap_fds;
	unsigned flocks, inodes, spawned;
	long long now; /* in milliseconds */
};

struct node *node_find(const struct fake *fake, const char *path);
struct node *node_new(struct fake *fake, const char *path, mode_t mode);
void node_unlink(struct fake *fake, struct node *node);

/* Text of a kernel file into a set, as its parsers do: 0, -EINVAL, -ERANGE
 * (list) or -EOVERFLOW (mask). */
int fake_parse(const struct fake *fake, const char *text, bool mask, struct cpuset *set);
/* "0-3\n" and, as wide as the machine, "0f\n". */
char *fake_list_text(const struct cpuset *set);
char *fake_mask_text(const struct fake *fake, const struct cpuset *set);
/* A set from a cpulist of the test; NULL: all CPUs. */
struct cpuset fake_cpus(const struct fake *fake, const char *list);

/* Active files. A directory: *ret stays NULL. mode is preset to 0644. */
int cg_read(struct fake *fake, const char *path, char **ret);
int cg_write(struct fake *fake, const char *path, const char *text);
int cg_list(struct fake *fake, const char *path, struct strv *names);
int task_proc_read(struct fake *fake, const char *path, char **ret);
int task_proc_readlink(struct fake *fake, const char *path, char **ret);
int task_proc_list(struct fake *fake, const char *path, struct strv *names);
int dev_read(struct fake *fake, const char *path, char **ret, mode_t *mode);
int dev_write(struct fake *fake, const char *path, const char *text);
int dev_list(struct fake *fake, const char *path, struct strv *names);
void dev_cpu_gone(struct fake *fake);
void dev_settle_workers(struct fake *fake); /* kworker/u… follow the mask */

/* cgroup.c */
struct cg *cg_find(struct fake *fake, const char *path); /* from the root */
struct cg *cg_new(struct cg *parent, const char *name);
void cg_free(struct cg *cg);
char *cg_path(const struct cg *cg); /* "/a/b", "/" */
int cg_mkdir(struct fake *fake, const char *path);
int cg_rmdir(struct fake *fake, const char *path);
int cg_attach(struct fake *fake, struct cg *to, pid_t tid, bool whole_process);
int cg_control(struct fake *fake, struct cg *cg, bool enable);
struct cg *cg_next(const struct cg *at); /* pre-order walk from the root */
bool cg_within(const struct cg *cg, const struct cg *ancestor);
bool cg_populated(const struct fake *fake, const struct cg *cg);
const struct cg *cg_domain(const struct cg *cg); /* where its processes are */
bool cg_thread_root(const struct fake *fake, const struct cg *cg);
bool cg_valid_domain(const struct fake *fake, const struct cg *cg);
bool cg_may_be_thread_root(const struct fake *fake, const struct cg *cg);

/* partition.c */
static inline bool has_cpuset(const struct cg *cg)
{
	return !cg->parent || cg->parent->control;
}
struct cg *cpuset_of(struct cg *cg); /* itself or the nearest ancestor */
void cpuset_reset(struct cg *cg);    /* a fresh cpuset */
void cpuset_update(struct fake *fake);
int cpuset_write_cpus(struct fake *fake, struct cg *cg, const char *text);
int cpuset_write_exclusive(struct fake *fake, struct cg *cg, const char *text);
int cpuset_write_partition(struct fake *fake, struct cg *cg, const char *text);
char *cpuset_partition_text(const struct cg *cg);

/* irqbalance.c */
int fake_ask(void *ctx, const char *path, const char *request, char **answer);
void balancer_show(const struct balancer *b, FILE *out);
void balancer_clear(struct balancer *b);

/* systemd.c */
void manager_catch_up(struct fake *fake); /* with what has happened meanwhile */
void manager_show(struct fake *fake, FILE *out);
void manager_copy(const struct manager *from, struct manager *to);
void manager_clear(struct manager *m);
int fake_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
		    const struct cpuset *cpus, const char *partition);
int fake_unit_stop(void *ctx, const char *unit);
int fake_unit_partitions(void *ctx);
int fake_service_start(void *ctx, const struct service *service);

/* task.c */
struct ftask *ftask_find(const struct fake *fake, pid_t tid);
void ftask_free(struct ftask *task);
/* The cpuset of the task changed its CPUs (or the task its cpuset). */
void ftask_apply(struct fake *fake, struct ftask *task, bool moved);
void ftask_cpu_gone(struct fake *fake);	    /* likewise for threads */
void ftask_housekeeping(struct fake *fake); /* FAKE_7: kernel threads */
pid_t fake_process_as(struct fake *fake, pid_t pid, const char *comm);
void ftask_held(struct fake *fake, pid_t pid);
int fake_getaffinity(void *ctx, pid_t tid, struct cpuset *cpus);
int fake_getscheduler(void *ctx, pid_t tid);
int fake_setaffinity(void *ctx, pid_t tid, const struct cpuset *cpus);

#endif
