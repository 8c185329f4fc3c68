/* SPDX-License-Identifier: MIT */
#include "shield/ops/attach.h"

#include "shield/cgroup/host_caps.h"
#include "shield/cgroup/libvirt.h"
#include "shield/ops/assign.h"
#include "shield/ops/scope_anchor.h"
#include "shield/task/task.h"
#include "shield/vm/manager.h"
#include "shield/vm/vm_vcpus.h"

#include <stdlib.h>
#include <string.h>

#define QMP_MS 5000

static int assign(struct sys *sys, const struct shield *shield, const struct vm_vcpus *vcpus,
		  unsigned *cpus, struct err *err)
{
	_cleanup_topology_ struct topology topo = { 0 };

	if (shield->map.n_vcpus)
		return assign_listed(shield->map.vcpus, shield->map.n_vcpus, vcpus, cpus, err);
	if (topology_load(sys, &topo, err) < 0)
		return -1;
	return assign_vcpus(&topo, &shield->guest, vcpus, cpus, err);
}

/* The CPUs that the profile gives this thread, if it is an I/O thread; or NULL. */
static const struct cpuset *iothread_cpus(const struct shield *shield, const struct vm_vcpus *vcpus,
					  pid_t tid)
{
	for (size_t i = 0; i < vcpus->n_iothreads && i < shield->map.n_iothreads; i++)
		if (vcpus->iothreads[i].tid == tid)
			return &shield->map.iothreads[i];
	return NULL;
}

static const struct vm_vcpu *find(const struct vm_vcpus *vcpus, pid_t tid, size_t *at)
{
	for (*at = 0; *at < vcpus->n; (*at)++)
		if (vcpus->items[*at].tid == tid)
			return &vcpus->items[*at];
	return NULL;
}

/* A thread that may use all that the shields left to the host would have had
 * every CPU without them: that is its original. */
static void unshielded(struct txn *txn, const struct host_caps *host, const struct cpuset *allowed,
		       struct step *step)
{
	_cleanup_cpuset_ struct cpuset left = { 0 }, taken = { 0 };

	state_taken(&txn->state, &taken);
	cpuset_copy(&left, &host->online);
	cpuset_andnot(&left, &taken);
	if (cpuset_equal(allowed, &left))
		step->original = cpulist_format(&host->present);
}

/* The steps for one thread of the VM. */
static int attach_thread(struct txn *txn, const struct host_caps *host, const struct shield *shield,
			 const struct task *t, bool vcpu, unsigned cpu, const struct cpuset *own,
			 struct plan *plan)
{
	_cleanup_free_ char *cgroup = NULL, *from = NULL, *to = NULL;
	_cleanup_cpuset_ struct cpuset allowed = { 0 };
	int rc = task_affinity(txn->sys, t->tid, &allowed);

	if (rc < 0)
		return rc;
	from = cpulist_format(&allowed);
	if (vcpu) {
		const char *partition = partitions_with(&shield->partitions, cpu)->cgroup;

		rc = task_cgroup(txn->sys, t->tgid, t->tid, &cgroup);
		if (rc < 0)
			return rc;
		plan_task(plan, STEP_THREAD, t->tid, t->start, t->comm,
			  strcmp(cgroup, partition) == 0 ? cgroup : shield->cgroup, partition);
		to = xasprintf("%u", cpu);
		unshielded(txn, host, &allowed,
			   plan_task(plan, STEP_AFFINITY, t->tid, t->start, t->comm, from, to));
	} else if (own || !host->remote) {
		/* Without remote partitions every thread is recorded; the place of
		 * those that have none of their own is here now. */
		to = cpulist_format(own ? own : &shield->emulator);
		unshielded(txn, host, &allowed,
			   plan_task(plan, STEP_AFFINITY, t->tid, t->start, t->comm, from, to));
	}
	return 0;
}

static int attach_plan(struct txn *txn, const struct shield *shield, pid_t pid,
		       const struct vm_vcpus *vcpus, const unsigned *cpus, struct vcpu *placed,
		       struct process *vm, struct plan *plan, struct err *err)
{
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_free_ char *dir = xasprintf("/proc/%d/task", (int)pid), *cgroup = NULL;
	_cleanup_strv_ struct strv tids = { 0 };
	_cleanup_task_ struct task process = { 0 };
	size_t found = 0;
	int rc;

	if (host_caps_probe(txn->sys, &host, err) < 0)
		return -1;
	if (task_read(txn->sys, pid, pid, &process) < 0 ||
	    task_cgroup(txn->sys, pid, pid, &cgroup) < 0 ||
	    txn->sys->ops->list(txn->sys->ctx, dir, &tids) < 0)
		return err_set(err, ERR_FAILED, "process %d does not exist (any more)", (int)pid);
	if (strcmp(cgroup, shield->cgroup) != 0 && !partitions_find(&shield->partitions, cgroup))
		plan_task(plan, STEP_PROCESS, pid, process.start, process.comm, cgroup,
			  shield->cgroup);
	for (size_t i = 0; i < tids.n; i++) {
		_cleanup_task_ struct task t = { 0 };
		const struct vm_vcpu *vcpu = NULL;
		size_t at = 0;

		rc = task_read(txn->sys, pid, (pid_t)atoi(tids.items[i]), &t);
		if (rc == 0) {
			vcpu = find(vcpus, t.tid, &at);
			rc = attach_thread(txn, &host, shield, &t, vcpu != NULL,
					   vcpu ? cpus[at] : 0, iothread_cpus(shield, vcpus, t.tid),
					   plan);
		}
		if (task_ended(rc))
			continue;
		if (rc < 0)
			return err_set(err, ERR_FAILED,
				       "process %d: thread %s cannot be looked at: %s", (int)pid,
				       tids.items[i], err_errno(rc));
		if (vcpu)
			placed[found++] =
				(struct vcpu){ vcpu->index, { t.tid, t.start }, cpus[at] };
	}
	if (found < vcpus->n)
		return err_set(err, ERR_FAILED, "process %d: %zu of its %zu vCPU threads are gone",
			       (int)pid, vcpus->n - found, vcpus->n);
	*vm = (struct process){ pid, process.start };
	return 0;
}

/* From now on the VM keeps the scope alive, and ends it. */
static void release_anchor(struct txn *txn, const struct shield *shield)
{
	int rc = scope_anchor_end(txn->sys, &shield->anchor);

	if (rc < 0)
		strv_addf(&txn->report,
			  "process %d (shield-hold) stays until the shield ends: it cannot be "
			  "ended: %s",
			  (int)shield->anchor.pid, err_errno(rc));
}

int shield_check_attach(struct txn *txn, const char *name, pid_t pid, struct err *err)
{
	const struct shield *shield = state_shield(&txn->state, name);

	if (!shield)
		return err_set(err, ERR_INACTIVE,
			       "the shield %s is not active; 'shield on %s' "
			       "begins it",
			       name, name);
	if (libvirt_is_cgroup(shield->cgroup, &shield->partitions))
		return err_set(
			err, ERR_FAILED,
			"the shield %s is that of a libvirt domain, whose vCPUs libvirt places "
			"('virsh vcpupin')",
			name);
	if (shield->vm.pid != pid && process_alive(txn->sys, &shield->vm))
		return err_set(err, ERR_FAILED, "the shield %s holds process %d already", name,
			       (int)shield->vm.pid);
	return 0;
}

int shield_attach(struct txn *txn, const char *name, pid_t pid, const struct vm_vcpus *vcpus,
		  struct err *err)
{
	size_t n = vcpus->n;
	struct shield *shield = state_shield(&txn->state, name);
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_free_ unsigned *cpus = xcalloc(n, sizeof(*cpus));
	_cleanup_free_ struct vcpu *placed = xcalloc(n, sizeof(*placed));
	struct process vm;

	if (shield_check_attach(txn, name, pid, err) < 0)
		return -1;
	if (assign(txn->sys, shield, vcpus, cpus, err) < 0 ||
	    attach_plan(txn, shield, pid, vcpus, cpus, placed, &vm, &plan, err) < 0)
		return err_wrap(err, "shield %s", name);
	if (vcpus->n_iothreads < shield->map.n_iothreads)
		strv_addf(&txn->report,
			  "the profile has CPUs for %zu I/O threads, process %d has %zu (of a QEMU "
			  "without a QMP socket only named ones are found: -name "
			  "NAME,debug-threads=on)",
			  shield->map.n_iothreads, (int)pid, vcpus->n_iothreads);
	shield = txn_edit(txn, name);
	free(shield->vcpus);
	shield->vcpus = take_ptr(placed);
	shield->n_vcpus = n;
	shield->vm = vm;
	if (txn_extend(txn, name, &plan, err) < 0)
		return err_wrap(err, "shield %s", name);
	release_anchor(txn, state_shield(&txn->state, name));
	return 0;
}

int shield_check_manager(struct txn *txn, const char *shield, pid_t pid, struct err *err)
{
	const struct shield *s = state_shield(&txn->state, shield);
	_cleanup_free_ char *name = NULL;
	enum vm_manager manager;

	if (s && s->vm.pid == pid)
		return 0; /* it has been moved already */
	manager = vm_manager_find(txn->sys, pid, &name);
	if (manager == VM_MANAGER_LIBVIRT)
		return err_set(
			err, ERR_FAILED,
			"process %d is the domain %s of libvirt, which would lose its cgroups "
			"for good: its hook shields it where it is, from its next start on "
			"('shield doctor' tells how to install it); or --move",
			(int)pid, name ?: "(unknown)");
	if (manager == VM_MANAGER_PROXMOX)
		return err_set(
			err, ERR_FAILED,
			"process %d is VM %s of Proxmox VE, which would lose its scope: the "
			"hookscript shields it, from its next start on (%s/proxmox-hook: its "
			"first lines tell how to install it); or --move",
			(int)pid, name, SHIELD_DATADIR);
	return 0;
}

int shield_attach_running(struct txn *txn, const char *name, pid_t pid, struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	int rc;

	if (shield_check_attach(txn, name, pid, err) < 0)
		return -1;
	rc = vm_vcpus_find(txn->sys, pid, QMP_MS, NULL, NULL, &vcpus, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(err, ERR_FAILED,
			       "process %d: no vCPU threads found. Is it QEMU? Start it with a QMP "
			       "socket (-qmp unix:PATH,server=on,wait=off) or with named threads "
			       "(-name NAME,debug-threads=on)",
			       (int)pid);
	return shield_attach(txn, name, pid, &vcpus, err);
}
