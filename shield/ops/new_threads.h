/* SPDX-License-Identifier: MIT */
/*
 * new_threads: threads of a VM that appear while its shield is up.
 */
#ifndef SHIELD_OPS_NEW_THREADS_H
#define SHIELD_OPS_NEW_THREADS_H

#include "shield/txn/txn.h"

/*
 * Threads of the VM that were started in a partition and are not vCPUs
 * (txn/thread.h): to the cgroup of their process and its CPUs. What is not the
 * VM's stays where it is, for `status` to tell.
 */
int shield_new_threads(struct txn *txn, const char *name, struct err *err);
/* Before the end of a shield: those that were started a moment ago shall not
 * keep the CPU that they inherited. Appended to what txn_off() is to keep. */
int shield_new_threads_end(struct txn *txn, const char *name, struct plan *keep, struct err *err);

#endif
