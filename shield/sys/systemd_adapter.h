/* SPDX-License-Identifier: MIT */
/*
 * systemd_adapter: PID 1 by D-Bus (libsystemd), in one file.
 *
 * On a host that systemd runs, it owns the cgroup tree: a cgroup that stays has
 * to be that of a unit. Starting and stopping one is a change of the host like
 * a write to the kernel, so these are reached through struct sys, too. Each
 * call waits until the job is done.
 *
 * All return 0 or a negated errno; -EEXIST: a unit of that name is loaded;
 * -ETIMEDOUT: no answer, and it may yet be done; -ECONNREFUSED: no D-Bus; -EIO:
 * the job failed, and the journal says why.
 * (org.freedesktop.systemd1(5))
 */
#ifndef SHIELD_SYS_SYSTEMD_ADAPTER_H
#define SHIELD_SYS_SYSTEMD_ADAPTER_H

#include "shield/base/cpuset.h"

#include <sys/types.h>

/* A transient scope around a process, with the cpuset controller, and no other,
 * delegated to us. cpus: AllowedCPUs=, unless empty. partition: "member" or
 * "root", CPUSetPartition= where PID 1 has it. */
int systemd_adapter_scope(const char *unit, const char *slice, pid_t pid, const struct cpuset *cpus,
			  const char *partition);
/* Has it (systemd 261)? 1: yes, 0: no. */
int systemd_adapter_partitions(void);
/* Start a unit that needs no file: a slice. */
int systemd_adapter_start(const char *unit);
/* Stop a unit; its processes are ended. 0 also when it is not there. */
int systemd_adapter_stop(const char *unit);

/*
 * A transient service that says by sd_notify(3) when it is ready. It is started
 * again however it ends and however often, except with status 0 or `fine`, or
 * when a user stops it; after each end `post` is run. Neither has a time limit
 * to start, since both may have to wait for a lock. More settings are in
 * drop-ins for its name.
 */
struct service {
	const char *unit, *description;
	char *const *argv, *const *post;
	int fine;
};

/*
 * Returns when it is ready. One of that name that is still there is restarted as
 * it is, and that is not waited for: its `post` may wait for what the caller holds.
 * PID 1 has it in any case, and starts it even if the caller dies.
 */
int systemd_adapter_service(const struct service *service);

#endif
