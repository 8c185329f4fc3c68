/* SPDX-License-Identifier: MIT */
/*
 * manager: does another program keep this VM in a cgroup of its own? What libvirt
 * and Proxmox VE have made for it goes, with all that they set there, when the VM
 * leaves it.
 */
#ifndef SHIELD_VM_MANAGER_H
#define SHIELD_VM_MANAGER_H

#include "shield/sys/sys.h"

enum vm_manager { VM_MANAGER_NONE, VM_MANAGER_LIBVIRT, VM_MANAGER_PROXMOX };

/* By its cgroup, or by the file in which the manager has its PID. name receives
 * what the manager calls it, if that is known, which the caller frees; else NULL. */
enum vm_manager vm_manager_find(struct sys *sys, pid_t pid, char **name);

#endif
