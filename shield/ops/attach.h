/* SPDX-License-Identifier: MIT */
/*
 * attach: put a VM into a shield.
 */
#ifndef SHIELD_OPS_ATTACH_H
#define SHIELD_OPS_ATTACH_H

#include "shield/txn/txn.h"
#include "shield/vm/vm.h"

/*
 * Put a process into the shield's cgroup, its vCPU threads into the partition,
 * each pinned to a guest CPU of its own (assign.h), and its I/O threads to the
 * CPUs that the profile gives them. May be repeated with more vCPUs.
 */
int shield_attach(struct txn *txn, const char *name, pid_t pid, const struct vm_vcpus *vcpus,
		  struct err *err);

/* May this process be put into that shield? -1: the shield is not active, libvirt's,
 * or another process's. */
int shield_check_attach(struct txn *txn, const char *name, pid_t pid, struct err *err);

/* Or does libvirt or Proxmox VE keep it, and would lose it? -1 with the way to have it
 * shielded; unless it is in the shield already. */
int shield_check_manager(struct txn *txn, const char *shield, pid_t pid, struct err *err);

/* Put a running QEMU into it: its vCPUs by QMP if it has a socket that is free,
 * else by the names of its threads. */
int shield_attach_running(struct txn *txn, const char *name, pid_t pid, struct err *err);

#endif
