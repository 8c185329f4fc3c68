/* SPDX-License-Identifier: MIT */
/*
 * user: who the VM runs as.
 *
 * Everything that asks the account databases is done beforehand, in the parent
 * (NSS may allocate, lock, or talk to a server); what is left for the new
 * process, between fork and exec, is a handful of system calls.
 */
#ifndef SHIELD_VM_USER_H
#define SHIELD_VM_USER_H

#include "shield/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct user_account {
	char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* all of the account's groups: kvm, input, render … */
	size_t n_groups;
};

/*
 * Look up a name or a number; a name that consists of digits only is taken as
 * a number when no account has it as its name. An unknown user is ERR_USAGE.
 * On success the caller frees the account with user_clear(); on failure it is
 * untouched.
 */
int user_lookup(const char *text, struct user_account *account, struct err *err);
void user_clear(struct user_account *account);
#define _cleanup_user_ _cleanup_(user_clear)

/*
 * Become that user for good: groups, gid and uid, real, effective and saved. With
 * lock_memory RLIMIT_MEMLOCK is lifted first (VFIO pins all of the guest's memory,
 * and an ordinary user may lock 8 MiB). For the new process between fork and
 * exec; 0 or a negated errno.
 */
int user_become(const struct user_account *account, bool lock_memory);

#endif
