/* SPDX-License-Identifier: MIT */
#include "shield/cgroup/libvirt.h"

#include <errno.h>
#include <string.h>

#define CPUS "/sys/devices/system/cpu/"

static const char emulator_name[] = "/emulator", iothread_name[] = "iothread";

void libvirt_clear(struct libvirt_vm *vm)
{
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		free(vm->vcpus[i].cgroup);
		free(vm->vcpus[i].partition);
		tasks_clear(&vm->vcpus[i].born);
		cpuset_clear(&vm->vcpus[i].cpus);
	}
	for (size_t i = 0; i < vm->n_above; i++) {
		free(vm->above[i].cgroup);
		free(vm->above[i].exclusive);
	}
	free(vm->vcpus);
	free(vm->above);
	free(vm->cgroup);
	free(vm->cpus);
	free(vm->was);
	cpuset_clear(&vm->possible);
	for (size_t i = 0; i < vm->n_others; i++) {
		free(vm->others[i].name);
		free(vm->others[i].cgroup);
		cpuset_clear(&vm->others[i].cpus);
		cpuset_clear(&vm->others[i].now);
		cpuset_clear(&vm->others[i].set);
	}
	free(vm->others);
	*vm = (struct libvirt_vm){ 0 };
}

/* "vcpu12" -> 12; or -1. */
static int vcpu_index(const char *name)
{
	size_t n = strncmp(name, "vcpu", 4) == 0 ? strspn(name + 4, "0123456789") : 0;

	return n >= 1 && n <= 5 && !name[4 + n] ? atoi(name + 4) : -1;
}

/* The cgroup that emulator and vcpuN are in, or NULL. */
char *libvirt_parent(const char *cgroup)
{
	size_t n = strlen(cgroup), end = sizeof(emulator_name) - 1;

	return n > end && strcmp(cgroup + n - end, emulator_name) == 0 ? xstrndup(cgroup, n - end)
								       : NULL;
}

bool libvirt_is_cgroup(const char *cgroup, const struct partitions *partitions)
{
	_cleanup_free_ char *parent = libvirt_parent(cgroup);
	size_t n = parent ? strlen(parent) : 0;

	for (size_t i = 0; i < partitions->n; i++) {
		const char *path = partitions->items[i].cgroup;

		if (!parent || strncmp(path, parent, n) != 0 || path[n] != '/' ||
		    vcpu_index(path + n + 1) < 0)
			return false;
	}
	return parent && partitions->n;
}

/* "emulator", "iothread1" */
static bool is_other(const char *name)
{
	size_t n = sizeof(iothread_name) - 1;

	return strcmp(name, emulator_name + 1) == 0 ||
	       (strncmp(name, iothread_name, n) == 0 && name[n] &&
		!name[n + strspn(name + n, "0123456789")]);
}

bool libvirt_is_other(const char *other, const char *cgroup, const struct partitions *partitions)
{
	_cleanup_free_ char *its = libvirt_parent(cgroup);
	size_t n = its ? strlen(its) : 0;

	return n && strncmp(other, its, n) == 0 && other[n] == '/' && is_other(other + n + 1) &&
	       libvirt_is_cgroup(cgroup, partitions);
}

bool libvirt_is_parent(const char *parent, const char *cgroup, const struct partitions *partitions)
{
	_cleanup_free_ char *its = libvirt_parent(cgroup);

	return its && strcmp(parent, its) == 0 && libvirt_is_cgroup(cgroup, partitions);
}

static int read_cpus(struct sys *sys, const char *dir, struct cpuset *cpus)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus", dir);

	return sys_read_cpulist(sys, path, cpus);
}

static bool gone(int rc)
{
	return rc == -ENOENT || rc == -ENODEV;
}

static int unreadable(const char *dir, int rc, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "%s: %s", dir, err_errno(rc));
}

static bool is_older(const struct task *a, const struct task *b)
{
	return a->start < b->start || (a->start == b->start && a->tid < b->tid);
}

/* The oldest of these threads, and the others. Numbers are reused, so the smallest
 * one tells nothing, but for those that started within the same tick. */
static int read_threads(struct sys *sys, char *text, struct task *oldest, struct tasks *others)
{
	char *save = NULL;

	for (char *t = strtok_r(text, "\n", &save); t; t = strtok_r(NULL, "\n", &save)) {
		_cleanup_task_ struct task task = { 0 };
		pid_t tid = (pid_t)atoi(t);
		int rc = task_read(sys, tid, tid, &task);

		if (task_ended(rc))
			continue;
		if (rc < 0)
			return rc;
		if (!oldest->tid || is_older(&task, oldest)) {
			const struct task had = *oldest;

			*oldest = task;
			task = had;
		}
		if (!task.tid)
			continue;
		GROW(others->items, others->n, others->cap);
		others->items[others->n++] = task;
		task = (struct task){ 0 };
	}
	return 0;
}

/* A vCPU that is being unplugged may be gone by now: then it does not count. */
static int read_vcpu(struct sys *sys, const char *mount, const char *parent, const char *name,
		     struct libvirt_vm *vm, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s%s/%s", mount, parent, name), *threads = NULL;
	_cleanup_free_ char *file = xasprintf("%s/cgroup.threads", dir), *partition = NULL;
	_cleanup_free_ char *state = xasprintf("%s/cpuset.cpus.partition", dir);
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_task_ struct task oldest = { 0 };
	_cleanup_tasks_ struct tasks born = { 0 };
	struct libvirt_vcpu *v;
	int rc = read_cpus(sys, dir, &cpus);

	if (rc == 0)
		rc = sys_read_line(sys, file, &threads);
	if (rc == 0)
		rc = sys_read_line(sys, state, &partition);
	if (rc == 0)
		rc = read_threads(sys, threads, &oldest, &born);
	if (rc < 0)
		return gone(rc) ? 0 : unreadable(dir, rc, err);
	if (!oldest.tid)
		return 0;
	GROW(vm->vcpus, vm->n_vcpus, vm->cap_vcpus);
	v = &vm->vcpus[vm->n_vcpus++];
	v->index = (unsigned)vcpu_index(name);
	v->tid = oldest.tid;
	v->born = born;
	born = (struct tasks){ 0 };
	v->cgroup = xasprintf("%s/%s", parent, name);
	v->partition = take_ptr(partition);
	cpuset_copy(&v->cpus, &cpus);
	return 0;
}

/* What is not to share a CPU with a vCPU. */
static int read_other(struct sys *sys, const char *mount, const char *parent, const char *name,
		      struct libvirt_vm *vm, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s%s/%s", mount, parent, name);
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	struct libvirt_other *other;
	int rc;

	if (!is_other(name))
		return 0;
	rc = read_cpus(sys, path, &cpus);
	if (rc < 0)
		return gone(rc) ? 0 : unreadable(path, rc, err);
	GROW(vm->others, vm->n_others, vm->cap_others);
	other = &vm->others[vm->n_others++];
	*other = (struct libvirt_other){ .name = xstrdup(name),
					 .cgroup = xasprintf("%s/%s", parent, name) };
	cpuset_copy(&other->cpus, &cpus);
	cpuset_copy(&other->now, &cpus);
	cpuset_copy(&other->set, &cpus);
	return 0;
}

const struct cpuset *libvirt_emulator(const struct libvirt_vm *vm)
{
	for (size_t i = 0; i < vm->n_others; i++)
		if (strcmp(vm->others[i].name, emulator_name + 1) == 0 &&
		    !cpuset_empty(&vm->others[i].cpus))
			return &vm->others[i].cpus;
	return NULL;
}

static int read_above(struct sys *sys, const char *mount, const char *parent, struct libvirt_vm *vm,
		      struct err *err)
{
	for (size_t n = 1; n <= strlen(parent); n++) {
		_cleanup_free_ char *cgroup = NULL, *path = NULL, *text = NULL;
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		int rc;

		if (parent[n] && parent[n] != '/')
			continue;
		cgroup = xstrndup(parent, n);
		path = xasprintf("%s%s/cpuset.cpus.exclusive", mount, cgroup);
		rc = sys_read_line(sys, path, &text);
		if (rc < 0)
			return err_set(err, ERR_UNSUPPORTED, "%s: %s", path, err_errno(rc));
		if (cpulist_parse(text, &cpus, err) < 0)
			return err_wrap(err, "%s", path);
		GROW(vm->above, vm->n_above, vm->cap_above);
		vm->above[vm->n_above].exclusive = cpulist_format(&cpus);
		vm->above[vm->n_above++].cgroup = take_ptr(cgroup);
	}
	return 0;
}

static int read_inner(struct sys *sys, const char *dir, struct libvirt_vm *vm, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus", dir), *text = NULL;
	int rc = sys_read_line(sys, path, &vm->cpus);

	if (rc < 0)
		return unreadable(dir, rc, err);
	vm->was = xstrdup(vm->cpus);
	rc = sys_read_line(sys, CPUS "housekeeping", &text);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = sys_read_cpulist(sys, CPUS "possible", &vm->possible);
	return rc < 0 ? unreadable(CPUS, rc, err) : 0;
}

static int by_index(const void *a, const void *b)
{
	const struct libvirt_vcpu *x = a, *y = b;

	return (int)x->index - (int)y->index;
}

static int by_name(const void *a, const void *b)
{
	const struct libvirt_other *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int libvirt_find(struct sys *sys, const char *mount, const char *cgroup, struct libvirt_vm *vm,
		 struct err *err)
{
	_cleanup_free_ char *parent = libvirt_parent(cgroup), *dir = NULL;
	_cleanup_strv_ struct strv names = { 0 };
	int rc;

	*vm = (struct libvirt_vm){ 0 };
	if (parent)
		dir = xasprintf("%s%s", mount, parent);
	if (!dir || sys->ops->list(sys->ctx, dir, &names) < 0)
		return err_set(
			err, ERR_UNSUPPORTED,
			"libvirt has made no cgroups for the threads of this domain (QEMU is in "
			"%s): let it use the cpuset controller (cgroup_controllers in "
			"/etc/libvirt/qemu.conf)",
			cgroup);
	vm->cgroup = xstrdup(cgroup);
	rc = read_above(sys, mount, parent, vm, err);
	if (rc == 0)
		rc = read_inner(sys, dir, vm, err);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = vcpu_index(names.items[i]) >= 0
			     ? read_vcpu(sys, mount, parent, names.items[i], vm, err)
			     : read_other(sys, mount, parent, names.items[i], vm, err);
	if (vm->n_vcpus)
		qsort(vm->vcpus, vm->n_vcpus, sizeof(*vm->vcpus), by_index);
	if (vm->n_others)
		qsort(vm->others, vm->n_others, sizeof(*vm->others), by_name);
	if (rc < 0)
		libvirt_clear(vm);
	return rc;
}

static int shared(const struct libvirt_vm *vm, size_t i, struct err *err)
{
	const struct libvirt_vcpu *v = &vm->vcpus[i];
	_cleanup_cpuset_ struct cpuset both = { 0 };
	_cleanup_free_ char *text = NULL;

	for (size_t k = 0; k < i; k++) {
		if (!cpuset_intersects(&v->cpus, &vm->vcpus[k].cpus))
			continue;
		cpuset_copy(&both, &v->cpus);
		cpuset_and(&both, &vm->vcpus[k].cpus);
		text = cpulist_format(&both);
		return err_set(
			err, ERR_USAGE,
			"vCPUs %u and %u are both pinned to CPU %s; give each a CPU of its own "
			"(<vcpupin vcpu='%u' cpuset='…'/>)",
			vm->vcpus[k].index, v->index, text, v->index);
	}
	return 0;
}

/* "the emulator", "I/O thread 1", and the element that pins it. */
static char *name_of(const struct libvirt_other *other)
{
	size_t n = sizeof(iothread_name) - 1;

	return strncmp(other->name, iothread_name, n) == 0
		       ? xasprintf("I/O thread %s", other->name + n)
		       : xstrdup("the emulator");
}

static char *element_of(const struct libvirt_other *other)
{
	size_t n = sizeof(iothread_name) - 1;

	return strncmp(other->name, iothread_name, n) == 0
		       ? xasprintf("<iothreadpin iothread='%s' cpuset='…'/>", other->name + n)
		       : xstrdup("<emulatorpin cpuset='…'/>");
}

/* The first of the vCPUs that are on a CPU of its pin shares it, if all of these
 * are taken: it is none of the guest's then. */
static void share(const struct libvirt_vm *vm, const struct libvirt_other *other,
		  struct cpuset *guest, struct strv *warnings)
{
	_cleanup_free_ char *name = name_of(other), *element = element_of(other);
	_cleanup_free_ char *only = cpulist_format(&other->cpus), *cpus = NULL;

	if (cpuset_empty(&other->cpus) || !cpuset_within(&other->cpus, guest))
		return;
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct libvirt_vcpu *v = &vm->vcpus[i];

		if (!cpuset_intersects(&v->cpus, &other->cpus))
			continue;
		cpus = cpulist_format(&v->cpus);
		strv_addf(warnings,
			  "%s may run on CPU %s only, which vCPUs have: so vCPU %u shares CPU %s "
			  "with it, and is not isolated; pin %s to other CPUs with %s (without a "
			  "pin it has those of <vcpu cpuset='…'>)",
			  name, only, v->index, cpus, name, element);
		cpuset_andnot(guest, &v->cpus);
		return;
	}
}

static void warn_kept(const struct libvirt_other *other, const struct cpuset *guest,
		      struct strv *warnings)
{
	_cleanup_free_ char *name = name_of(other), *only = cpulist_format(&other->cpus);
	_cleanup_cpuset_ struct cpuset left = { 0 };
	_cleanup_free_ char *text = NULL;

	if (!cpuset_intersects(&other->cpus, guest))
		return;
	cpuset_copy(&left, &other->cpus);
	cpuset_andnot(&left, guest);
	text = cpulist_format(&left);
	strv_addf(warnings,
		  "%s is pinned to CPUs %s, some of which vCPUs have: it keeps the others, CPU %s, "
		  "while the domain is shielded",
		  name, only, text);
}

/* The CPUs that become partitions. */
static int choose_guest(const struct libvirt_vm *vm, struct cpuset *guest, struct strv *warnings,
			struct err *err)
{
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		if (shared(vm, i, err) < 0)
			return -1;
		cpuset_or(guest, &vm->vcpus[i].cpus);
	}
	if (cpuset_empty(guest))
		return err_set(err, ERR_USAGE,
			       "no vCPU of the domain is pinned; say which CPU each may have: "
			       "<cputune><vcpupin vcpu='0' cpuset='2'/>…");
	for (size_t i = 0; i < vm->n_others; i++)
		share(vm, &vm->others[i], guest, warnings);
	if (cpuset_empty(guest))
		return err_set(err, ERR_USAGE, "%s", warnings->items[warnings->n - 1]);
	for (size_t i = 0; i < vm->n_others; i++)
		warn_kept(&vm->others[i], guest, warnings);
	return 0;
}

int libvirt_partitions(const struct libvirt_vm *vm, struct partitions *partitions,
		       struct strv *warnings, struct err *err)
{
	_cleanup_cpuset_ struct cpuset guest = { 0 };

	if (choose_guest(vm, &guest, warnings, err) < 0)
		return -1;
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct libvirt_vcpu *v = &vm->vcpus[i];
		_cleanup_free_ char *text = cpulist_format(&v->cpus);

		if (cpuset_empty(&v->cpus)) {
			strv_addf(warnings,
				  "vCPU %u is not pinned: it runs with the host (<vcpupin "
				  "vcpu='%u' cpuset='…'/> gives it a CPU)",
				  v->index, v->index);
			continue;
		}
		if (!cpuset_within(&v->cpus, &guest))
			continue;
		if (cpuset_count(&v->cpus) > 1)
			strv_addf(warnings,
				  "vCPU %u is pinned to CPUs %s, of which it can use only one "
				  "at a time: the others stay idle. Pin it to one",
				  v->index, text);
		partitions_add(partitions, v->cgroup, &v->cpus);
	}
	return 0;
}

static const struct libvirt_vcpu *vcpu_of(const struct libvirt_vm *vm, const char *cgroup)
{
	for (size_t i = 0; i < vm->n_vcpus; i++)
		if (strcmp(vm->vcpus[i].cgroup, cgroup) == 0)
			return &vm->vcpus[i];
	return NULL;
}

char *libvirt_cpus_path(const char *mount, const struct libvirt_vm *vm)
{
	return xasprintf("%s%s/cpuset.cpus", mount, vm->above[vm->n_above - 1].cgroup);
}

void libvirt_plan_cpus(const char *mount, const struct libvirt_vm *vm,
		       const struct partitions *partitions, struct plan *plan)
{
	_cleanup_free_ char *path = libvirt_cpus_path(mount, vm), *to = NULL;
	_cleanup_cpuset_ struct cpuset cpus = { 0 }, several = { 0 };

	if (cpuset_empty(&vm->possible))
		return;
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct libvirt_vcpu *v = &vm->vcpus[i];

		if (cpuset_count(&v->cpus) > 1 &&
		    (partitions ? partitions_find(partitions, v->cgroup) != NULL
				: strcmp(v->partition, "isolated") == 0))
			cpuset_or(&several, &v->cpus);
	}
	if (cpulist_parse(vm->was, &cpus, NULL) < 0 || cpuset_empty(&cpus))
		cpuset_copy(&cpus, &vm->possible);
	cpuset_andnot(&cpus, &several);
	to = cpuset_empty(&several) || cpuset_empty(&cpus) ? xstrdup(vm->was)
							   : cpulist_format(&cpus);
	if (strcmp(to, vm->cpus) != 0)
		plan_write(plan, path, vm->cpus, to);
}

void libvirt_plan_born(const struct libvirt_vm *vm, const struct partitions *partitions,
		       struct plan *plan)
{
	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct libvirt_vcpu *v = &vm->vcpus[i];

		for (size_t k = 0; k < v->born.n && partitions_find(partitions, v->cgroup); k++) {
			const struct task *t = &v->born.items[k];

			if (!(t->flags & TASK_NO_SETAFFINITY))
				plan_task(plan, STEP_THREAD, t->tid, t->start, t->comm, v->cgroup,
					  vm->cgroup);
		}
	}
}

void libvirt_plan_others(const char *mount, const struct libvirt_vm *vm, const struct cpuset *guest,
			 struct plan *plan)
{
	for (size_t i = 0; i < vm->n_others; i++) {
		const struct libvirt_other *other = &vm->others[i];
		_cleanup_free_ char *path = xasprintf("%s%s/cpuset.cpus", mount, other->cgroup);
		_cleanup_free_ char *from = cpulist_format(&other->now), *to = NULL;
		_cleanup_cpuset_ struct cpuset left = { 0 };

		cpuset_copy(&left, &other->cpus);
		cpuset_andnot(&left, guest);
		if (cpuset_empty(&left))
			cpuset_copy(&left, &other->cpus);
		to = cpulist_format(&left);
		if (!cpuset_equal(&left, &other->now) || !cpuset_equal(&left, &other->set))
			plan_write(plan, path, from, to);
	}
}

void libvirt_plan(const char *mount, const struct libvirt_vm *vm,
		  const struct partitions *partitions, const struct cpuset *guest,
		  struct plan *plan)
{
	_cleanup_free_ char *cpus = cpulist_format(guest);

	for (size_t i = 0; i < vm->n_above; i++) {
		_cleanup_free_ char *path =
			xasprintf("%s%s/cpuset.cpus.exclusive", mount, vm->above[i].cgroup);

		plan_write(plan, path, vm->above[i].exclusive, cpus);
	}
	libvirt_plan_others(mount, vm, guest, plan);
	for (size_t i = 0; i < partitions->n; i++) {
		const struct libvirt_vcpu *v = vcpu_of(vm, partitions->items[i].cgroup);
		_cleanup_free_ char *path =
			xasprintf("%s%s/cpuset.cpus.partition", mount, partitions->items[i].cgroup);

		plan_write(plan, path, v ? v->partition : "member", "isolated");
	}
	/* Last, so that it goes first: without these CPUs above it, a vCPU that is
	 * no partition would run anywhere. */
	libvirt_plan_cpus(mount, vm, partitions, plan);
}
