/*
 * session: policy and transaction together; what the commands, the supervisor
 * of `run` and the guard do to a shield. Each takes an open transaction
 * (txn_begin) and leaves it open, with txn->report, ->immovable and ->unmoved
 * for the caller to print.
 */
#ifndef SHIELD_OPS_SESSION_H
#define SHIELD_OPS_SESSION_H

#include "shield/policy/policy.h"
#include "shield/vm/vm.h"
#include "shield/txn/txn.h"

/*
 * The plan of `on`, without a transaction: for `plan` and --dry-run. state is
 * what is active.
 */
int shield_plan(struct sys *sys, const char *root, const char *which, const char *partition,
		bool force, const struct state *state, struct plan *plan, struct err *err);

/*
 * Begin the shield of a profile (a name or a path). owner: the process whose
 * death the guard waits for, or pid 0. name receives the shield's name, which
 * the caller frees. Warnings are appended.
 */
int shield_on(struct txn *txn, const char *which, const char *partition, struct process owner,
	      struct strv *warnings, char **name, struct err *err);

/* Is no shield of that name active, and none that has a CPU which the profile asks
 * for? ERR_FAILED names the one that is. */
int shield_check_free(const struct state *state, const struct profile *profile, struct err *err);

/* What shield_begin() is given; all borrowed. */
struct on_request {
	struct host_snapshot *snapshot;
	const struct profile *profile;
	const char *partition;
	struct process owner;
	/* A domain of libvirt that runs as process vm; NULL: in a cgroup of ours. */
	const struct libvirt_vm *libvirt;
	const struct partitions *partitions;
	struct process vm;
};
/* The second half of shield_on(): the profile is read. */
int shield_begin(struct txn *txn, const struct on_request *beginning, struct strv *warnings,
		 struct err *err);

/*
 * Begin the shield of a domain that libvirt has started as process pid, in the
 * cgroups that it has made (cgroup/libvirt.h). The guest CPUs are those of its
 * pins; a profile of its name adds the rest. (shield_on_domain.c)
 */
int shield_on_domain(struct txn *txn, const char *name, pid_t pid, struct strv *warnings,
		     struct err *err);

/* libvirt has pinned a vCPU to another CPU, or plugged or unplugged one: let the
 * shield follow. Does nothing to shields of our own. -1 with ERR_INCOMPLETE: it
 * is broken, and to be tried again. (shield_on_domain.c) */
int shield_follow(struct txn *txn, const char *name, struct err *err);

/*
 * Threads of the VM that were started in a partition and are not vCPUs
 * (txn/thread.h): to the cgroup of their process and its CPUs. What is not the
 * VM's stays where it is, for `status` to tell. (shield_new_threads.c)
 */
int shield_new_threads(struct txn *txn, const char *name, struct err *err);
/* Before the end of a shield: those that were started a moment ago shall not
 * keep the CPU that they inherited. Appended to what txn_off() is to keep. */
int shield_new_threads_end(struct txn *txn, const char *name, struct plan *keep, struct err *err);

/* End it; 0 also when it is not active. */
int shield_off(struct txn *txn, const char *name, struct err *err);

/*
 * Put a process into the shield's cgroup, its vCPU threads into the partition,
 * each pinned to a guest CPU of its own (assign.h), and its I/O threads to the
 * CPUs that the profile gives them. May be repeated with more vCPUs. With
 * show nothing is done: the plan goes there.
 */
int shield_attach(struct txn *txn, const char *name, pid_t pid, const struct vm_vcpus *vcpus,
		  struct plan *show, struct err *err);

/* May this process be put into that shield? -1: the shield is not active, libvirt's,
 * or another process's. */
int shield_check_attach(struct txn *txn, const char *name, pid_t pid, struct err *err);

/* The same for a running QEMU: its vCPUs by QMP if it has a socket that is free,
 * else by the names of its threads. */
int shield_attach_running(struct txn *txn, const char *name, pid_t pid, struct plan *show,
			  struct err *err);

/*
 * `run` was killed before it had placed its VM, or before it had let it start: do
 * that for it. 1: nothing is left to do; 0: there is no such VM (yet); -1: to be
 * tried again.
 */
int shield_take_over(struct txn *txn, const char *name, struct err *err);

/* The shields whose VM has ended, and whose owner too, so that no other process
 * will end them. */
void shields_abandoned(struct txn *txn, struct strv *names);

/* The shields that no state file tells of any more, but which have a partition;
 * and end one: its CPUs are the host's again. What else it changed only the file
 * could tell: that stays. (shields_orphaned.c) */
void shields_orphaned(struct txn *txn, struct strv *names);
int shield_end_orphan(struct txn *txn, const char *name, struct err *err);

/* Make it another kind of partition, "isolated" or "root". */
int shield_convert(struct txn *txn, const char *name, const char *partition, struct err *err);

/* Interrupts: put those that appeared, and those whose masks a program has
 * changed since, where they belong (shield_new_irqs.c). */
int shield_new_irqs(struct txn *txn, size_t *found, struct err *err);
/* Before the end of a shield: what programs have changed of our masks is ours to
 * restore, and what its VM had keeps off the guest CPUs of the others. */
void shield_reclaim_irqs(struct txn *txn, const char *name);

/* Interrupts and receive queues that were made under a shield, and that no look
 * has found yet when it ends: _begin before its end, _end after it
 * (shield_new_irqs.c). */
struct new_irqs {
	/* The default mask under it, and before: of interrupts, of queues; or NULL. */
	struct born {
		char *mask, *original;
	} irq, net;
	struct strv older; /* recorded: "PATH ORIGINAL IDENTITY" */
};
void new_irqs_begin(struct txn *txn, struct new_irqs *new_irqs);
int new_irqs_end(struct txn *txn, const struct new_irqs *new_irqs, struct err *err);
void new_irqs_clear(struct new_irqs *new_irqs);
#define _cleanup_new_irqs_ _cleanup_(new_irqs_clear)

/* Move kernel threads and interrupts that appeared since off guest CPUs. *found
 * counts them. */
int shield_place_new(struct txn *txn, size_t *found, struct err *err);

#endif
