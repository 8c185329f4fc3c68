/* SPDX-License-Identifier: MIT */
/* Threads that were started in a partition. */
#include "shield/ops/new_threads.h"

#include "shield/cgroup/libvirt.h"
#include "shield/task/task.h"
#include "shield/txn/thread.h"
#include "shield/vm/vm.h"

#include <errno.h>
#include <string.h>

/* One of them, and the CPUs that it would have without a shield. */
struct new_thread {
	const struct partition *partition;
	struct task task; /* with those that it has */
	struct cpuset cpus;
};

/* The shield that is looked at, what was found, and the vCPUs as libvirt has placed
 * them: it may have plugged one that the state does not know yet. */
struct look {
	struct txn *txn;
	const struct shield *shield;
	struct libvirt_vm vm;
	struct new_thread *born;
	size_t n, cap;
};

static void look_clear(struct look *l)
{
	for (size_t i = 0; i < l->n; i++) {
		task_clear(&l->born[i].task);
		cpuset_clear(&l->born[i].cpus);
	}
	free(l->born);
	libvirt_clear(&l->vm);
}
#define _cleanup_look_ _cleanup_(look_clear)

static bool is_vcpu(const struct look *l, pid_t tid)
{
	for (size_t i = 0; i < l->vm.n_vcpus; i++)
		if (l->vm.vcpus[i].tid == tid)
			return true;
	return shield_has_vcpu(l->shield, tid);
}

/* Is it one of the VM, or of a process that this has forked? 1, 0, or a negated
 * errno. */
static int of_vm(const struct look *l, pid_t tid, pid_t *tgid)
{
	pid_t vm = l->shield->vm.pid;
	int rc = vm_process_of(l->txn->sys, tid, tgid);

	return rc < 0 ? rc : *tgid == vm || vm_is_descendant(l->txn->sys, *tgid, vm);
}

/* What was recorded of a thread's CPUs before the shield. */
static const char *recorded(const struct txn *txn, const struct process *thread)
{
	const struct step step = { .kind = STEP_AFFINITY,
				   .pid = thread->pid,
				   .start = thread->start };
	const struct object *o = state_object(&txn->state, &step);

	return o ? o->original : NULL;
}

/* Those of the vCPU that started it, whose CPU it has; if that cannot be told,
 * of any; or all. */
static int own_cpus(const struct look *l, struct new_thread *born)
{
	const struct cpuset *allowed = &born->task.allowed;
	const struct shield *s = l->shield;
	const char *original = NULL;

	for (size_t i = 0; i < s->n_vcpus; i++)
		if (!original ||
		    (cpuset_count(allowed) == 1 && cpuset_has(allowed, s->vcpus[i].cpu)))
			original = recorded(l->txn, &s->vcpus[i].thread);
	return original ? cpulist_parse(original, &born->cpus, NULL)
			: sys_read_cpulist(l->txn->sys, "/sys/devices/system/cpu/present",
					   &born->cpus);
}

/* A thread in the partition. 0, also when there is nothing to do, or a negated
 * errno. */
static int consider(struct look *l, const struct partition *partition, pid_t tid)
{
	struct sys *sys = l->txn->sys;
	struct new_thread *born;
	pid_t tgid;
	int rc = is_vcpu(l, tid) ? 0 : of_vm(l, tid, &tgid);

	if (rc <= 0)
		return rc;
	GROW(l->born, l->n, l->cap);
	born = &l->born[l->n];
	*born = (struct new_thread){ .partition = partition };
	rc = task_read(sys, tgid, tid, &born->task);
	if (rc == 0)
		rc = task_affinity(sys, tid, &born->task.allowed);
	if (rc == 0)
		rc = own_cpus(l, born);
	if (rc == 0 && !(born->task.flags & TASK_NO_SETAFFINITY)) {
		l->n++;
		return 0;
	}
	task_clear(&born->task);
	cpuset_clear(&born->cpus);
	return rc;
}

static int look_into(struct look *l, const struct partition *partition, struct err *err)
{
	_cleanup_free_ char *path =
		xasprintf("%s%s/cgroup.threads", l->txn->mount, partition->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	int rc = sys_read_line(l->txn->sys, path, &text);

	if (rc == -ENOENT || rc == -ENODEV)
		return 0; /* with the VM, or with a vCPU of libvirt's */
	if (rc < 0)
		return err_set(err, ERR_FAILED, "%s: %s", path, err_errno(rc));
	for (char *t = strtok_r(text, "\n", &save); t; t = strtok_r(NULL, "\n", &save)) {
		rc = consider(l, partition, (pid_t)atoi(t));
		if (rc < 0 && !task_ended(rc))
			return err_set(err, ERR_FAILED, "thread %s cannot be looked at: %s", t,
				       err_errno(rc));
	}
	return 0;
}

/* With its process beside the partitions, and its vCPUs known; not a command that
 * runs in the partition as a whole. 1, 0, or a negated errno. */
static int has_placed_vm(struct txn *txn, const struct shield *s)
{
	_cleanup_free_ char *cgroup = NULL;
	int rc;

	if (!s || s->phase != PHASE_ACTIVE || !s->n_vcpus ||
	    !task_alive(txn->sys, s->vm.pid, s->vm.start))
		return 0;
	rc = task_cgroup(txn->sys, s->vm.pid, s->vm.pid, &cgroup);
	return rc == 0 ? strcmp(cgroup, s->cgroup) == 0 : task_ended(rc) ? 0 : rc;
}

static bool of_libvirt(const struct shield *s)
{
	return libvirt_is_cgroup(s->cgroup, &s->partitions);
}

static int look(struct look *l, struct err *err)
{
	const struct shield *s = l->shield;
	int rc = has_placed_vm(l->txn, s);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "process %d cannot be looked at: %s",
			       (int)s->vm.pid, err_errno(rc));
	if (rc == 0)
		return 0;
	if (of_libvirt(s) && libvirt_find(l->txn->sys, l->txn->mount, s->cgroup, &l->vm, err) < 0)
		return -1;
	for (size_t i = 0; i < s->partitions.n; i++)
		if (look_into(l, &s->partitions.items[i], err) < 0)
			return -1;
	return 0;
}

int shield_new_threads(struct txn *txn, const char *name, struct err *err)
{
	_cleanup_look_ struct look l = { .txn = txn, .shield = state_shield(&txn->state, name) };
	int rc = look(&l, err);

	for (size_t i = 0; i < l.n; i++)
		if (txn_thread_leaves(txn, l.shield, l.born[i].partition, &l.born[i].task,
				      &l.born[i].cpus, err) < 0)
			rc = -1;
	return rc < 0 ? err_wrap(err, "shield %s", name) : 0;
}

int shield_new_threads_end(struct txn *txn, const char *name, struct plan *plan, struct err *err)
{
	_cleanup_look_ struct look l = { .txn = txn, .shield = state_shield(&txn->state, name) };

	/* Without a shield, libvirt's would be where they are, too. */
	if (of_libvirt(l.shield))
		return 0;
	if (look(&l, err) < 0)
		return err_wrap(err, "shield %s", name);
	for (size_t i = 0; i < l.n; i++) {
		const struct task *t = &l.born[i].task;
		_cleanup_free_ char *from = cpulist_format(&t->allowed);
		_cleanup_free_ char *to = cpulist_format(&l.born[i].cpus);

		plan_task(plan, STEP_AFFINITY, t->tid, t->start, t->comm, from, to)->original =
			xstrdup(to);
	}
	return 0;
}
