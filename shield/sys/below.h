/* SPDX-License-Identifier: MIT */
/*
 * below: files of a recorded machine, which may be a stranger's.
 *
 * Paths are resolved as if the folder were the root: neither a link nor ".." leads out of
 * it. Only regular files and folders are opened: a fifo would wait for a writer for ever,
 * a device may do anything. hwloc goes over the tree by itself and knows none of that, so
 * the tree is looked at before.
 */
#ifndef SHIELD_SYS_BELOW_H
#define SHIELD_SYS_BELOW_H

#include "shield/base/strv.h"

/* A descriptor; or a negated errno, -EINVAL for what is neither a file nor a folder, unless
 * flags have O_PATH (open(2)). For reading. */
int below_open(const char *root, const char *path, int flags);

/*
 * What of the tree is not fit for hwloc: "PATH is …" for the first, allocated, or NULL.
 * That is any fifo, socket or device; below sys a link that leads out; what is too long for
 * a file of sysfs, and a CPU or node whose number is beyond CPUSET_MAX_CPU.
 */
char *below_unfit(const char *root);

#endif
