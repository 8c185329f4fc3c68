/* SPDX-License-Identifier: MIT */
/*
 * doctor_libvirt: is libvirt's hook where libvirt looks for it, and can it work
 * there? It is called by a daemon with a PATH, and often a policy, of its own.
 */
#ifndef SHIELD_CMD_DOCTOR_LIBVIRT_H
#define SHIELD_CMD_DOCTOR_LIBVIRT_H

#include "shield/task/task.h"

/* Is there a libvirt that runs QEMU? */
bool libvirt_is_here(struct sys *sys);

/* Append a line for each thing that keeps domains from being shielded. */
void libvirt_check_hook(struct sys *sys, const struct tasks *tasks, struct strv *warnings);

#endif
