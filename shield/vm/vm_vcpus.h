/* SPDX-License-Identifier: MIT */
/*
 * vm_vcpus: the vCPUs of a QEMU that another program started.
 */
#ifndef SHIELD_VM_VM_VCPUS_H
#define SHIELD_VM_VM_VCPUS_H

#include "shield/vm/qmp.h"

/*
 * By a QMP socket that the process has (qmp_find_sockets), for which ms
 * milliseconds each are spent; else by the names of its threads. Sockets are
 * found from where the process stands, in its working directory and mount
 * namespace. A monitor is held only as long as the question takes. wait and ctx
 * are those of qmp.h.
 *
 * 2: by QMP, complete; 1: by names, which are complete only when the VM is; 0:
 * none found (yet); -1 with err: the process has ended.
 */
int vm_vcpus_find(struct sys *sys, pid_t pid, int ms, qmp_wait_fn *wait, void *ctx,
		  struct vm_vcpus *vcpus, struct err *err);

#endif
