/* SPDX-License-Identifier: MIT */
/*
 * thread: a thread of the VM that was started in a partition, and is not a
 * vCPU.
 *
 * A vCPU thread that enters KVM for the first time forks kvm-nx-lpage-recovery,
 * one that submits to io_uring forks workers, and a library may start any thread
 * from one. They inherit the partition and the one CPU of the vCPU, whose time
 * they would take.
 *
 * Nothing of this is in the state file, since such a thread has no value from
 * before the shield to go back to. Instead each step leaves it as the end of the
 * shield expects every thread of its cgroups to be:
 *
 *	1. it gets the CPUs that it would have had without a shield, of which the
 *	   partition lets it use its own;
 *	2. it goes to the cgroup of its process, which lets it use the others.
 *
 * Killed in between: it is in the partition still, so the next look, of the
 * guard that is started again or of the next command's, does both once more.
 * The other way round it would be confined, when the shield has ended, to what
 * it had inherited: the kernel remembers the mask of sched_setaffinity(2)
 * through all moves (since 6.2). For the same reason the end of a shield has
 * the CPUs of those that have not been moved yet among what it restores
 * (shield_new_threads_end()).
 */
#ifndef SHIELD_TXN_THREAD_H
#define SHIELD_TXN_THREAD_H

#include "shield/task/task.h"
#include "shield/txn/txn.h"

/*
 * cpus: what the thread would have without a shield. 0 also when it has ended; -1
 * with ERR_INCOMPLETE, to be tried again. Not for threads whose CPUs, and with them
 * their cgroup, the kernel fixes (TASK_NO_SETAFFINITY: io_uring's up to 6.2).
 */
int txn_thread_leaves(struct txn *txn, const struct shield *shield,
		      const struct partition *partition, const struct task *task,
		      const struct cpuset *cpus, struct err *err);

#endif
