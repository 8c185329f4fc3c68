/* SPDX-License-Identifier: MIT */
/*
 * vm: which process is QEMU, and which of its threads are vCPUs.
 *
 * QMP's query-cpus-fast is the truth (qmp.h). Without it there are the threads'
 * names, "CPU 0/KVM" or "CPU 0/TCG", which QEMU sets by itself only from 11.0
 * on and before that when told (-name NAME,debug-threads=on, as libvirt does);
 * and what KVM says in debugfs, from kernel 6.1 on, about vCPUs that have run.
 *
 * I/O threads come with the vCPUs: query-iothreads, or the names "IO iothread0".
 *
 * A list of vCPUs has one entry for each thread. TCG without multi-threading
 * runs all vCPUs in one thread ("ALL CPUs/TCG"): one entry, whose count is the
 * number of vCPUs it serves.
 */
#ifndef SHIELD_VM_VM_H
#define SHIELD_VM_VM_H

#include "shield/sys/sys.h"

struct vm_vcpu {
	unsigned index; /* the vCPU's number, the lowest if it serves several */
	unsigned count; /* how many it serves; 0: all */
	pid_t tid;
	unsigned long long start; /* with tid the thread's identity; 0: not checked yet */
	int socket, die, cluster, core, thread; /* where the guest sees it; -1: unknown */
};

/* An I/O thread: "IO " and its id is the thread's name. */
struct vm_iothread {
	char *id;
	pid_t tid;
	unsigned long long start;
};

struct vm_vcpus {
	struct vm_vcpu *items; /* ordered by index */
	size_t n, cap;
	struct vm_iothread *iothreads; /* ordered by id, numbers in it as numbers */
	size_t n_iothreads, cap_iothreads;
};

void vm_vcpus_clear(struct vm_vcpus *vcpus);
#define _cleanup_vcpus_ _cleanup_(vm_vcpus_clear)

/* Add a vCPU (the place in the guest: unknown); one whose thread is there
 * already is counted to it. Sorted, once all are in, by vm_vcpus_sort(). */
struct vm_vcpu *vm_vcpus_add(struct vm_vcpus *vcpus, unsigned index, pid_t tid);
void vm_vcpus_sort(struct vm_vcpus *vcpus);
/* The same for I/O threads; the id is copied. */
void vm_iothreads_add(struct vm_vcpus *vcpus, const char *id, pid_t tid);
/* Is every thread of a in b? */
bool vm_vcpus_within(const struct vm_vcpus *a, const struct vm_vcpus *b);

/* Is that the name of QEMU: qemu-system-*, qemu-kvm, kvm, qemu? With or
 * without a path. */
bool vm_is_qemu_command(const char *argv0);

/* Is that process QEMU, by argv[0] or its name? (The path of the program is not
 * better: distributions wrap and rename it.) */
bool vm_is_qemu(struct sys *sys, pid_t pid);

/* The command line of a process; 0 or a negated errno. */
int vm_cmdline(struct sys *sys, pid_t pid, struct strv *argv);

/* The start time of a process or thread (field 22 of /proc/PID/stat): with its
 * number its identity. 0 or a negated errno; -ESRCH for a zombie. */
int vm_identity(struct sys *sys, pid_t pid, unsigned long long *start);

/* The process a thread belongs to; 0 or a negated errno. */
int vm_process_of(struct sys *sys, pid_t tid, pid_t *pid);

/* Is pid a descendant of ancestor? */
bool vm_is_descendant(struct sys *sys, pid_t pid, pid_t ancestor);
/* And is it QEMU? Of other processes, which any user may have started, the command line
 * is not opened: it can be long, and reading it can wait for what its owner holds. */
bool vm_is_qemu_below(struct sys *sys, pid_t pid, pid_t ancestor);

/*
 * Find QEMU below a process: the one with recognisable vCPU threads if there
 * are several (scripts call QEMU for its version first), else the latest found.
 * 1 and *qemu; 0 if there is none; or a negated errno.
 */
int vm_find_descendant(struct sys *sys, pid_t ancestor, pid_t *qemu);

/*
 * The vCPUs by thread name, or where these say nothing, by KVM's debugfs. 0 (the
 * list may be empty) or a negated errno. The list is complete only once the
 * VM is: look again until two looks agree.
 */
int vm_vcpus_by_name(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus);

/*
 * Check that each thread belongs to pid, and fill in its start time: to be
 * done with a list that came over a socket, where QEMU, or another program in
 * its place, may have said anything.
 */
int vm_vcpus_verify(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus, struct err *err);

/* The thread numbers of a process, sorted; cheap. 0 or a negated errno. */
int vm_threads(struct sys *sys, pid_t pid, struct strv *tids);

#endif
