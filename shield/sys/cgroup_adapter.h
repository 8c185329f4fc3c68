/* SPDX-License-Identifier: MIT */
/*
 * cgroup_adapter: libcgroup, in one file.
 *
 * libcgroup finds the mount, makes, fills and deletes cgroups. What it cannot
 * do goes through sys.h as plain files: values that must be recorded before or
 * cleared after (it cannot write an empty value), cgroup.type, single threads.
 *
 * Its traps, all met with 2.0.2: it logs to stdout unless given a logger; on a
 * host where cpuset is bound to cgroup v1 it answers with the v1 mount, so the
 * file system type is checked here; a struct used twice splices its values, so
 * each call makes a fresh one. The real errno is behind ECGOTHER.
 *
 * Paths are relative to the cgroup root. All return 0 or a negated errno.
 */
#ifndef SHIELD_SYS_CGROUP_ADAPTER_H
#define SHIELD_SYS_CGROUP_ADAPTER_H

#include <sys/types.h>

/* Where the cgroup v2 hierarchy with cpuset is mounted; the caller frees it.
 * -ENOENT: cpuset is on no cgroup v2 hierarchy. */
int cgroup_adapter_mount(char **ret);

int cgroup_adapter_create(const char *path);
/* -EBUSY while it has tasks or children. */
int cgroup_adapter_delete(const char *path);
/* Move the whole process. */
int cgroup_adapter_attach(const char *path, pid_t pid);

#endif
