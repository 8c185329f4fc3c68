/* SPDX-License-Identifier: MIT */
/* Shields of domains that libvirt runs, in the cgroups that it has made. */
#include "shield/ops/domain.h"

#include "profiles/find.h"
#include "shield/cgroup/libvirt.h"
#include "shield/ops/on.h"
#include "shield/task/task.h"

#include <string.h>

/* A profile of that name, or none. */
static int read_profile(struct txn *txn, const struct topology *topo, const char *name,
			struct profile *profile, struct strv *warnings, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };

	find_all(txn->sys, &names);
	if (strv_contains(&names, name))
		return profile_load(txn->sys, topo, name, profile, warnings, err);
	profile->name = xstrdup(name);
	return 0;
}

/* Its pins count, not what the profile says of CPUs. */
static void take_cpus(const struct libvirt_vm *vm, const struct partitions *partitions,
		      struct profile *profile, struct strv *warnings)
{
	_cleanup_cpuset_ struct cpuset named = { 0 };

	cpuset_copy(&named, &profile->guest);
	cpuset_clear(&profile->guest);
	for (size_t i = 0; i < partitions->n; i++)
		cpuset_or(&profile->guest, &partitions->items[i].cpus);
	if (profile->path && !cpuset_equal(&named, &profile->guest)) {
		_cleanup_free_ char *theirs = cpulist_format(&profile->guest);
		_cleanup_free_ char *ours = cpulist_format(&named);

		strv_addf(warnings,
			  "profile %s: the guest CPUs are %s, as <vcpupin> says, and not %s",
			  profile->name, theirs, ours);
	}
	cpuset_clear(&profile->emulator);
	if (libvirt_emulator(vm))
		cpuset_copy(&profile->emulator, libvirt_emulator(vm));
	cpuset_andnot(&profile->emulator, &profile->guest);
	/* Each has its place, and none can be taken away to be flushed. */
	profile->n_vcpus = 0;
	for (size_t i = 0; i < profile->n_iothreads; i++)
		cpuset_clear(&profile->iothreads[i]);
	profile->n_iothreads = 0;
	profile->flush = false;
}

/* The threads of the vCPUs that have partitions, for a shield. */
static void take_vcpus(struct txn *txn, const struct libvirt_vm *vm, struct shield *s)
{
	free(s->vcpus);
	s->vcpus = xcalloc(vm->n_vcpus, sizeof(*s->vcpus));
	s->n_vcpus = 0;
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct libvirt_vcpu *v = &vm->vcpus[i];
		_cleanup_task_ struct task t = { 0 };

		if (partitions_find(&s->partitions, v->cgroup) &&
		    task_read(txn->sys, s->vm.pid, v->tid, &t) == 0)
			s->vcpus[s->n_vcpus++] = (struct vcpu){
				v->index, { t.tid, t.start }, (unsigned)cpuset_next(&v->cpus, -1)
			};
	}
}

/* Is what the file has of its vCPUs still so? A kill after the shield was active, and
 * before they were saved, leaves none; libvirt may have plugged one again. */
static bool same_vcpus(const struct vcpu *was, size_t n, const struct shield *s)
{
	for (size_t i = 0; i < n && n == s->n_vcpus; i++)
		if (was[i].index != s->vcpus[i].index || was[i].cpu != s->vcpus[i].cpu ||
		    was[i].thread.pid != s->vcpus[i].thread.pid ||
		    was[i].thread.start != s->vcpus[i].thread.start)
			return false;
	return n == s->n_vcpus;
}

static int renew_vcpus(struct txn *txn, const struct libvirt_vm *vm, struct shield *s,
		       struct err *err)
{
	_cleanup_free_ struct vcpu *was = take_ptr(s->vcpus);
	size_t n = s->n_vcpus;

	take_vcpus(txn, vm, s);
	return same_vcpus(was, n, s) ? 0 : txn_save(txn, err);
}

static int find(struct txn *txn, pid_t pid, struct libvirt_vm *vm, struct err *err)
{
	_cleanup_free_ char *cgroup = NULL;

	if (task_cgroup(txn->sys, pid, pid, &cgroup) < 0)
		return err_set(err, ERR_FAILED, "process %d does not exist (any more)", (int)pid);
	return libvirt_find(txn->sys, txn->mount, cgroup, vm, err);
}

/* What they were pinned to, where that is not what their cgroups have. */
static void find_pins(struct txn *txn, const struct shield *s, struct libvirt_vm *vm)
{
	for (size_t i = 0; i < vm->n_others; i++) {
		struct libvirt_other *other = &vm->others[i];
		_cleanup_free_ char *path =
			xasprintf("%s%s/cpuset.cpus", txn->mount, other->cgroup);
		const struct object *o = state_file_object(&txn->state, path);
		const struct claim *claim = o ? object_claim(o, s->name) : NULL;

		if (!claim || !claim->set || cpulist_parse(claim->set, &other->set, NULL) < 0)
			continue;
		if (cpuset_equal(&other->set, &other->now))
			cpulist_parse(o->original, &other->cpus, NULL);
	}
}

/* The same for one that has its shield. */
static int find_again(struct txn *txn, const struct shield *s, struct libvirt_vm *vm,
		      struct err *err)
{
	_cleanup_free_ char *path = NULL;
	const struct claim *claim;
	const struct object *o;

	if (find(txn, s->vm.pid, vm, err) < 0)
		return -1;
	find_pins(txn, s, vm);
	path = libvirt_cpus_path(txn->mount, vm);
	o = state_file_object(&txn->state, path);
	claim = o ? object_claim(o, s->name) : NULL;
	if (claim && claim->set) {
		free(vm->was);
		free(vm->cpus);
		vm->was = xstrdup(o->original);
		vm->cpus = xstrdup(claim->set);
	}
	return 0;
}

int shield_on_domain(struct txn *txn, const char *name, pid_t pid, struct strv *warnings,
		     struct err *err)
{
	_cleanup_host_snapshot_ struct host_snapshot snapshot = { 0 };
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_partitions_ struct partitions partitions = { 0 };
	_cleanup_libvirt_ struct libvirt_vm vm = { 0 };
	_cleanup_cpuset_ struct cpuset active = { 0 };
	_cleanup_task_ struct task qemu = { 0 };
	struct on_request b = { .snapshot = &snapshot,
				.profile = &profile,
				.partition = "isolated",
				.libvirt = &vm,
				.partitions = &partitions };

	state_taken(&txn->state, &active);
	if (host_snapshot_read(txn->sys, &active, &snapshot, err) < 0)
		return -1;
	if (!snapshot.host.remote)
		return err_set(
			err, ERR_UNSUPPORTED,
			"this kernel has no remote partitions (Linux 6.7 has), so libvirt's "
			"cgroups cannot be isolated where they stand: the pins hold, but the host "
			"may use these CPUs, too. Boot Linux 6.7 or later; or run this VM without "
			"libvirt, for 'shield run' isolates it on this kernel as well ('shield "
			"profile import' makes its profile)");
	if (task_read(txn->sys, pid, pid, &qemu) < 0)
		return err_set(err, ERR_FAILED, "process %d does not exist (any more)", (int)pid);
	if (find(txn, pid, &vm, err) < 0 ||
	    libvirt_partitions(&vm, &partitions, warnings, err) < 0 ||
	    read_profile(txn, &snapshot.topo, name, &profile, warnings, err) < 0)
		return -1;
	take_cpus(&vm, &partitions, &profile, warnings);
	b.vm = (struct process){ pid, qemu.start };
	if (shield_begin(txn, &b, warnings, err) < 0)
		return -1;
	take_vcpus(txn, &vm, state_shield(&txn->state, name));
	return txn_save(txn, err);
}

static bool same(const struct partitions *a, const struct partitions *b)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct partition *other = partitions_find(b, a->items[i].cgroup);

		if (!other || !cpuset_equal(&a->items[i].cpus, &other->cpus))
			return false;
	}
	return a->n == b->n;
}

/* None of them may be another shield's. */
static int check_free(struct txn *txn, const struct shield *s, const struct cpuset *guest,
		      struct err *err)
{
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *other = &txn->state.shields[i];

		if (other != s && cpuset_intersects(&other->taken, guest))
			return err_set(err, ERR_FAILED,
				       "a vCPU of %s is pinned to a CPU of the shield %s", s->name,
				       other->name);
	}
	return 0;
}

/* What the shield has now; and what it gives up for that. */
static void take(struct shield *s, struct partitions *partitions, const struct cpuset *guest)
{
	cpuset_or(&s->freed, &s->guest);
	cpuset_andnot(&s->freed, guest);
	cpuset_copy(&s->guest, guest);
	cpuset_copy(&s->taken, guest);
	partitions_clear(&s->partitions);
	s->partitions = *partitions;
	*partitions = (struct partitions){ 0 };
}

/* What its pins ask for now, and the plan that leads there. */
static int plan_follow(struct txn *txn, const struct shield *s, const struct libvirt_vm *vm,
		       struct partitions *partitions, struct cpuset *guest, struct plan *plan,
		       struct err *err)
{
	_cleanup_strv_ struct strv ignored = { 0 };

	if (libvirt_partitions(vm, partitions, &ignored, err) < 0)
		return -1;
	for (size_t i = 0; i < partitions->n; i++)
		cpuset_or(guest, &partitions->items[i].cpus);
	if (same(partitions, &s->partitions)) {
		libvirt_plan_others(txn->mount, vm, guest, plan);
		libvirt_plan_cpus(txn->mount, vm, partitions, plan);
		return 0;
	}
	if (check_free(txn, s, guest, err) < 0)
		return -1;
	for (size_t i = 0; i < s->partitions.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s%s/cpuset.cpus.partition", txn->mount,
						      s->partitions.items[i].cgroup);

		if (!partitions_find(partitions, s->partitions.items[i].cgroup))
			plan_write(plan, path, "isolated", "member");
	}
	libvirt_plan(txn->mount, vm, partitions, guest, plan);
	return 0;
}

/* Linux 6.12 does not give a partition that stands more CPUs when the cgroups
 * above are given them, and warns when it ends (remote_partition_disable()). */
static void dissolve_growing(struct txn *txn, const struct shield *s,
			     const struct partitions *partitions)
{
	for (size_t i = 0; i < partitions->n; i++) {
		const struct partition *p = &partitions->items[i];
		const struct partition *had = partitions_find(&s->partitions, p->cgroup);

		if (had && !cpuset_within(&p->cpus, &had->cpus))
			txn_dissolve(txn, p->cgroup);
	}
}

/* The emulator or an I/O thread goes off CPUs of vCPUs before these are made
 * partitions: up to Linux 6.12 there can be none beside it. What libvirt has pinned
 * it to anew is what it returns to in the end. */
static void lead_others(struct txn *txn, const struct libvirt_vm *vm, const struct cpuset *guest)
{
	_cleanup_plan_ struct plan plan = { 0 };

	libvirt_plan_others(txn->mount, vm, guest, &plan);
	for (size_t i = 0; i < plan.n; i++) {
		struct object *o = state_add_object(&txn->state, &plan.steps[i]);

		if (strcmp(o->ours, plan.steps[i].from) != 0) {
			free(o->original);
			o->original = xstrdup(plan.steps[i].from);
			o->uncertain = true;
		}
		state_lead(&txn->state, o);
	}
}

int shield_follow(struct txn *txn, const char *name, struct err *err)
{
	struct shield *s = state_shield(&txn->state, name);
	_cleanup_partitions_ struct partitions partitions = { 0 };
	_cleanup_libvirt_ struct libvirt_vm vm = { 0 };
	_cleanup_cpuset_ struct cpuset guest = { 0 };
	_cleanup_plan_ struct plan plan = { 0 }, back = { 0 };
	struct err unsaid = { 0 };
	int rc;

	if (!s || s->phase != PHASE_ACTIVE || !libvirt_is_cgroup(s->cgroup, &s->partitions) ||
	    !task_alive(txn->sys, s->vm.pid, s->vm.start))
		return 0;
	if (find_again(txn, s, &vm, err) < 0)
		return -1;
	/* If they cannot be followed: a vCPU that has left its CPUs must be able to
	 * come back to them (`virsh vcpupin`) although it has no partition there. */
	libvirt_plan_cpus(txn->mount, &vm, NULL, &back);
	if (plan_follow(txn, s, &vm, &partitions, &guest, &plan, err) < 0) {
		if (back.n)
			txn_extend(txn, name, &back, &unsaid);
		return -1;
	}
	if (!plan.n)
		return renew_vcpus(txn, &vm, s, err);
	lead_others(txn, &vm, &guest);
	dissolve_growing(txn, s, &partitions);
	take(txn_edit(txn, name), &partitions, &guest);
	/* The kernel calls the partition of a vCPU that was pinned anew invalid:
	 * that is not a change that a user asked for. */
	txn->reassert = true;
	rc = txn_extend(txn, name, &plan, err);
	txn->reassert = false;
	if (rc < 0) {
		/* What stays off its CPUs goes back to where it was, too. A vCPU
		 * is elsewhere, so it is broken all the same. */
		txn_extend(txn, name, &back, &unsaid);
		err->kind = ERR_INCOMPLETE;
		return -1;
	}
	take_vcpus(txn, &vm, state_shield(&txn->state, name));
	return txn_save(txn, err);
}
