/* SPDX-License-Identifier: MIT */
#include "shield/vm/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The entry by name, else by number. The result is in libc's own storage. */
static const struct passwd *find(const char *text)
{
	const struct passwd *entry;
	unsigned long number;
	char *end;

	errno = 0;
	entry = getpwnam(text);
	if (entry || !*text || text[strspn(text, "0123456789")])
		return entry;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || number >= (uid_t)-1)
		return NULL;
	return getpwuid((uid_t)number);
}

int user_lookup(const char *text, struct user_account *account, struct err *err)
{
	const struct passwd *entry = find(text);
	struct user_account a = { 0 };
	int n = 32;

	if (!entry)
		return err_set(err, ERR_USAGE,
			       "user \"%s\" does not exist: name one that \"getent passwd\" lists",
			       text);
	a.name = xstrdup(entry->pw_name);
	a.home = xstrdup(entry->pw_dir && *entry->pw_dir ? entry->pw_dir : "/");
	a.shell = xstrdup(entry->pw_shell && *entry->pw_shell ? entry->pw_shell : "/bin/sh");
	a.uid = entry->pw_uid;
	a.gid = entry->pw_gid;
	/* It answers -1 and the number it needs while the array is too small. */
	for (int room = 0; room < n;) {
		room = n;
		a.groups = xrealloc(a.groups, (size_t)room, sizeof(*a.groups));
		getgrouplist(a.name, a.gid, a.groups, &n);
	}
	a.n_groups = (size_t)n;
	*account = a;
	return 0;
}

void user_clear(struct user_account *account)
{
	free(account->name);
	free(account->home);
	free(account->shell);
	free(account->groups);
	*account = (struct user_account){ 0 };
}

int user_become(const struct user_account *account, bool lock_memory)
{
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	/* Without CAP_SYS_RESOURCE the limit stays as it is: a VM that needs no
	 * locked memory still runs, and QEMU says so itself where it does. */
	if (lock_memory)
		setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (setgroups(account->n_groups, account->groups) < 0 ||
	    setresgid(account->gid, account->gid, account->gid) < 0 ||
	    setresuid(account->uid, account->uid, account->uid) < 0)
		return -errno;
	return 0;
}
