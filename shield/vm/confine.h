/* SPDX-License-Identifier: MIT */
/*
 * confine: what the user of a VM gets from root, and what not.
 *
 *	descriptors	0 to 2, and those that were asked for
 *	environment	what a session needs (display, sound, bus, language, terminal,
 *			PATH), and HOME, USER, LOGNAME, SHELL of the user
 *	locked memory	without limit only for VFIO, vDPA and mem-lock; else as we
 *			have it
 *	privileges	no program can gain any (no_new_privs), unless that is wanted
 *	system calls	all but two of a terminal: to type into it (TIOCSTI), and to
 *			paste on the console (TIOCLINUX)
 *
 * (close_range(2), PR_SET_NO_NEW_PRIVS, seccomp(2), getrlimit(2), ioctl_tty(2).)
 */
#ifndef SHIELD_VM_CONFINE_H
#define SHIELD_VM_CONFINE_H

#include "shield/base/strv.h"
#include "shield/vm/user.h"

#include <stdbool.h>

/* The environment for that user out of ours, ended by NULL. */
void confine_environment(const struct user_account *account, struct strv *ret);

/* Does this command lock the guest's memory? QEMU says so; of anything else it is
 * taken to be true if root gave the user a device that needs it. */
bool confine_locks_memory(char *const argv[], const struct user_account *account);

/* The descriptor that this command line names ("fd=3") and that is open, but is
 * none of the n that are kept; or -1. */
int confine_missing_fd(char *const argv[], const int *keep, size_t n);

/* Does it need a program with the set-uid bit (QEMU's bridge helper, sudo)? Its name, or
 * NULL. */
const char *confine_needs_privileges(char *const argv[]);

/* In the new process, before it becomes the user: nothing but the standard streams is
 * inherited, but what is made so afterwards. */
void confine_descriptors(void);
/* As root, but for the filter that every user may set with no_new_privs. 0 or a
 * negated errno. */
int confine_calls(bool privileges);

#endif
