/* SPDX-License-Identifier: MIT */
/*
 * kernel: a kernel in memory that reacts, behind the operations of sys.h.
 *
 * It is as large as the transaction needs and no larger: the cgroup v2 tree
 * with cpuset partitions, tasks and their affinity, interrupts, the workqueue
 * mask, and plain files and directories for everything else. What the real
 * kernels do differently is selected by the flavour:
 *
 *	FAKE_6_1	local partitions only; user affinity is forgotten at
 *			every cpuset change; siblings invalidate each other
 *	FAKE_6_12	remote partitions; user affinity kept; kernel threads
 *			moved; siblings invalidate each other
 *	FAKE_7		siblings only lose CPUs; the kernel moves kernel
 *			threads by itself and back
 *
 * One table of cases (matrix.h) runs on this and on real kernels: where they
 * disagree the fake is wrong. Not modelled: NUMA, deadline tasks, isolcpus=,
 * delegation (the caller is always root), load.
 *
 * The process under test has the real getpid(), which is a task of the fake.
 */
#ifndef TESTS_FAKE_KERNEL_H
#define TESTS_FAKE_KERNEL_H

#include "shield/sys/sys.h"

enum flavour { FAKE_6_1, FAKE_6_12, FAKE_7 };
#define FAKE_FLAVOURS 3

struct fake;

/* A machine with CPUs 0..ncpus-1 online, cgroup v2 at /sys/fs/cgroup, no
 * controller enabled below its root, kthreadd, some per-CPU kernel threads,
 * PID 1 and the process itself in the root cgroup. */
struct fake *fake_new(enum flavour flavour, unsigned ncpus);
void fake_free(struct fake *fake);
/* Another one in the same state; nothing may be open. */
struct fake *fake_clone(const struct fake *from);
/* The door to it. */
void fake_sys(struct fake *fake, struct sys *sys);
const char *fake_flavour_name(enum flavour flavour);

/* Plain files, directories (parents are made) and symbolic links. */
void fake_file(struct fake *fake, const char *path, const char *text);
void fake_dir(struct fake *fake, const char *path);
void fake_symlink(struct fake *fake, const char *path, const char *target);
/* Change what stat(2) says of a plain file: type and mode, owner, links. */
void fake_chattr(struct fake *fake, const char *path, unsigned mode, unsigned uid, unsigned links);

/* The cgroup is a path from the root, "" or "a/b", made if need be (without
 * controllers). New threads inherit cgroup and affinity. */
pid_t fake_process(struct fake *fake, const char *comm, const char *cgroup);
/* Whose it is, and of what program; else root's, of /usr/sbin/COMM. */
void fake_owner(struct fake *fake, pid_t pid, uid_t uid, const char *exe);
pid_t fake_thread(struct fake *fake, pid_t pid, const char *comm);
/* Born to any thread of a process, as KVM's and io_uring's workers are. flags:
 * FAKE_NOAFF, or 0. */
pid_t fake_birth(struct fake *fake, pid_t tid, const char *comm, unsigned flags);
/* cpus: a cpulist, NULL for all. */
#define FAKE_NOAFF 1  /* PF_NO_SETAFFINITY */
#define FAKE_PERCPU 2 /* KTHREAD_IS_PER_CPU, which no cpuset moves */
pid_t fake_kthread(struct fake *fake, const char *comm, const char *cpus, unsigned flags);
/* The thread that has this number, made if need be: it has begun then, is one of
 * that process, or a kernel thread. For state files of another machine. */
void fake_task_as(struct fake *fake, pid_t tid, pid_t tgid, unsigned long long start,
		  const char *comm, bool kernel);
/* A thread ends; the last thread of a process ends the process. */
void fake_exit(struct fake *fake, pid_t tid);

#define FAKE_MANAGED 1 /* refuses every write */
#define FAKE_PENDING 2 /* moves only when it fires */
void fake_irq(struct fake *fake, unsigned number, const char *actions, const char *cpus,
	      unsigned flags);
void fake_irq_fire(struct fake *fake, unsigned number);
void fake_irq_free(struct fake *fake, unsigned number);
/* Writes of its mask fail, as with ENOSPC where no vector is left (ENOENT:
 * the first one finds it freed); 0: no more. */
void fake_irq_refuse(struct fake *fake, unsigned number, int error);
/* It is freed while its files are read: ENODEV. */
void fake_irq_vanish(struct fake *fake, unsigned number);

/* irqbalance starts, and listens on its socket. */
pid_t fake_irqbalance(struct fake *fake);

/* PID 1 is systemd, and has D-Bus. prompt: it acts at once on what happens to its
 * units, instead of when it is asked for something else. partitions: it has
 * CPUSetPartition=, as from systemd 261 on. */
void fake_systemd(struct fake *fake, bool prompt, bool partitions);
/* daemon-reload: it makes every cgroup what its unit says, and takes the controllers
 * that none needs. Nothing, where it does not run. */
void fake_systemd_reload(struct fake *fake);
/* Does it run a guard of that shield? */
bool fake_guarded(struct fake *fake, const char *shield);

/* CPU hotplug. dying: it is offline, and no cpuset has heard of that yet. */
void fake_cpu_dying(struct fake *fake, unsigned cpu);
void fake_cpu(struct fake *fake, unsigned cpu, bool online);

/* The process dies: what the kernel does with its descriptors and locks. */
void fake_process_dies(struct fake *fake);
/* SIGKILL comes within the next write that changes what is isolated: the kernel
 * cannot start workers then, and leaves the workqueues as they were. */
void fake_kill_inside(struct fake *fake);
/* Is that still to come? */
bool fake_kills_inside(const struct fake *fake);
/* How often the lock was taken, and descriptors that are open. */
unsigned fake_flocks(const struct fake *fake);
unsigned fake_open_fds(const struct fake *fake);

/* Everything observable as text, one line an object, for comparison: threads
 * with CPUs and cgroup, cgroups with their files, units, interrupts, masks, and the
 * names and texts of the files in /run/shield. The caller frees it. */
char *fake_snapshot(struct fake *fake);
/* The same without /run/shield. */
char *fake_snapshot_kernel(struct fake *fake);

#endif
