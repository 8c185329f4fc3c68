/* SPDX-License-Identifier: MIT */
/*
 * trusted: open a file that root is going to obey.
 *
 * A user who can put another file in its place makes root do anything. So for
 * root the path is walked name by name, each below the descriptor of the
 * directory before it and no link followed, and what was opened is looked at,
 * not what its name leads to a moment later:
 *
 *	every directory		belongs to root, and no other user can write it;
 *				or it is root's and sticky (/tmp), and what is
 *				below it is root's
 *	the file		regular, root's, no other user can write it; not on a
 *				file system whose contents are made up as they are
 *				read (proc: the command line of a process is text
 *				of that process; FUSE: what its server says);
 *				in a sticky directory it has no other name
 *
 * For users other than root, and on a recorded machine, which belongs to the
 * user who unpacked it, it is open(2), links followed.
 *
 * (openat(2) O_NOFOLLOW O_PATH, fstatfs(2), symlink(7), proc(5).)
 */
#ifndef SHIELD_SYS_TRUSTED_H
#define SHIELD_SYS_TRUSTED_H

#include "shield/sys/sys.h"

/* A descriptor for reading that does not wait for the writer of a fifo, or a
 * negated errno. -EBADF: no regular file; -EKEYREJECTED: not to be trusted, and
 * *why says why (allocated, "its directory /home/u belongs to user 1000, …"). */
int trusted_open(struct sys *sys, const char *path, char **why);

/* sys_read() of such a file. */
int trusted_read(struct sys *sys, const char *path, size_t limit, char **ret, char **why);

#endif
