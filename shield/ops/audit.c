/* SPDX-License-Identifier: MIT */
#include "shield/ops/audit.h"

#include "irq/irq.h"
#include "shield/cgroup/libvirt.h"
#include "shield/sys/clock.h"
#include "shield/task/task.h"
#include "shield/txn/apply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A thread may be caught after its start and before its move: look twice. */
#define SECOND_LOOK_MS 300

const char *severity_name(enum severity severity)
{
	static const char *const names[] = { SEVERITIES(NAMES_TEXT) };

	return names[severity];
}

bool problems_broken(const struct problems *problems, size_t from)
{
	for (size_t i = from; i < problems->n; i++)
		if (problems->items[i].severity == SEVERITY_BROKEN)
			return true;
	return false;
}

void problems_clear(struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		free(problems->items[i].object);
		free(problems->items[i].expected);
		free(problems->items[i].actual);
	}
	free(problems->items);
	*problems = (struct problems){ 0 };
}

/* Takes over `object`. */
static void add(struct problems *p, enum severity severity, char *object, const char *expected,
		const char *actual, const char *reason)
{
	GROW(p->items, p->n, p->cap);
	p->items[p->n++] =
		(struct problem){ severity, object, xstrdup(expected), xstrdup(actual), reason };
}

static void expect_file(struct txn *txn, const char *dir, const char *file, const char *expected,
			const char *reason, struct problems *p)
{
	_cleanup_free_ char *path = xasprintf("%s%s/%s", txn->mount, dir, file);
	_cleanup_free_ char *actual = NULL;

	if (sys_read_line(txn->sys, path, &actual) < 0)
		add(p, SEVERITY_BROKEN, take_ptr(path), expected, "missing", "the cgroup is gone");
	else if (strcmp(actual, expected) != 0)
		add(p, SEVERITY_BROKEN, take_ptr(path), expected, actual, reason);
}

void audit_partition(struct txn *txn, const struct shield *s, struct problems *p)
{
	_cleanup_cpuset_ struct cpuset guest = { 0 }, root = { 0 };
	_cleanup_free_ char *path = NULL, *effective = NULL;

	cpuset_copy(&guest, &s->guest);
	cpuset_and(&guest, &txn->online);
	for (size_t i = 0; i < s->partitions.n; i++) {
		const struct partition *partition = &s->partitions.items[i];
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_free_ char *text = NULL;

		cpuset_copy(&cpus, &partition->cpus);
		cpuset_and(&cpus, &txn->online);
		text = cpulist_format(&cpus);
		expect_file(txn, partition->cgroup, "cpuset.cpus.partition", s->partition,
			    *text ? "the partition is not what it should be"
				  : "its CPUs are offline: until they are back, what is in it runs "
				    "with the host",
			    p);
		if (*text)
			expect_file(txn, partition->cgroup, "cpuset.cpus.effective", text,
				    "someone else has CPUs of the partition", p);
	}
	path = xasprintf("%s/cpuset.cpus.effective", txn->mount);
	if (sys_read_line(txn->sys, path, &effective) == 0 &&
	    cpulist_parse(effective, &root, NULL) == 0 && cpuset_intersects(&root, &guest))
		add(p, SEVERITY_BROKEN, take_ptr(path), "without the guest CPUs", effective,
		    "the host may use guest CPUs");
}

/* Another value than ours, and still off the CPUs of the shield: irqbalance may
 * do what it likes there. */
static bool harmless(const struct shield *s, const struct object *o, const char *current)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	const struct kfile *row = kfile_find(o->path, NULL);

	return row && row->soft && !object_claim(o, s->name)->set &&
	       cpulist_parse(current, &cpus, NULL) == 0 && !cpuset_intersects(&cpus, &s->taken);
}

/* What is recorded must hold what f says. */
static void audit_objects(struct txn *txn, const struct shield *s, struct problems *p)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];
		_cleanup_free_ char *goal = NULL, *current = NULL;
		const struct kfile *row;

		if (o->kind != STEP_WRITE || o->scoped || o->refused || !object_claim(o, s->name) ||
		    !object_same(txn, o))
			continue;
		goal = txn_goal(txn, o);
		row = kfile_find(o->path, txn->mount);
		if ((row && row->delayed) || object_read(txn, o, &current) < 0 ||
		    strcmp(current, goal) == 0 || harmless(s, o, current))
			continue;
		add(p, SEVERITY_BROKEN, xstrdup(o->path), goal, current, "someone else changed it");
	}
}

/* The same interrupt, that is: its number may be another's now. */
static bool recorded(struct txn *txn, const char *path, bool *refused)
{
	const struct object *o = state_file_object(&txn->state, path);
	bool same = o && object_same(txn, o);

	*refused = same && o->refused;
	return same;
}

/* Why it cannot be moved; NULL: it can. */
static const char *fixed_reason(const struct irq *irq, bool refused, const struct cpuset *guest)
{
	if (irq_movable(irq) && !refused)
		return NULL;
	if (irq->class == IRQ_MANAGED || (refused && *irq->device))
		return irq_managed_reason;
	if (!*irq->actions)
		return "no driver uses it, and its interrupt controller cannot move it";
	if (!cpuset_empty(&irq->effective) && !cpuset_intersects(&irq->effective, guest))
		return "its interrupt controller cannot move it; it fires on a host CPU, "
		       "regardless of its mask";
	return "bound to its CPU, or its interrupt controller cannot move it";
}

static int audit_irqs(struct txn *txn, const struct shield *s, struct problems *p, struct err *err)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };

	if (irqs_snapshot(txn->sys, &irqs, err) < 0)
		return -1;
	for (size_t i = 0; i < irqs.n; i++) {
		const struct irq *irq = &irqs.items[i];
		_cleanup_free_ char *path = irq_path(irq->number);
		_cleanup_free_ char *mask = cpulist_format(&irq->mask);
		_cleanup_free_ char *effective = cpulist_format(&irq->effective);
		_cleanup_free_ char *identity = irq_identity(irq);
		_cleanup_free_ char *object =
			*identity ? xasprintf("%s (%s)", path, identity) : xstrdup(path);
		bool on_guest = cpuset_intersects(&irq->mask, &s->guest), refused;
		/* What its profile leaves is not recorded either; what belongs to
		 * other VMs is. */
		bool known = recorded(txn, path, &refused) ||
			     (irq->class == IRQ_VFIO && s->irq.vfio == VFIO_LEAVE);
		const char *fixed = fixed_reason(irq, refused, &s->guest);

		if (on_guest && fixed)
			add(p, SEVERITY_IMMOVABLE, take_ptr(object), "off the guest CPUs", mask,
			    fixed);
		else if (on_guest && !known && irq_movable(irq))
			add(p, SEVERITY_BROKEN, take_ptr(object), "off the guest CPUs", mask,
			    "an interrupt on guest CPUs");
		else if (!on_guest && irq_movable(irq) && *irq->actions &&
			 cpuset_intersects(&irq->effective, &s->guest))
			add(p, SEVERITY_PENDING, take_ptr(object), mask, effective,
			    "it moves the next time it fires");
	}
	return 0;
}

static bool bound_to_one(const struct task *t)
{
	return cpuset_count(&t->allowed) == 1;
}

/* Why a thread cannot be moved. */
static const char *immovable_reason(const struct task *t)
{
	if (!(t->flags & TASK_KTHREAD))
		return "worker of io_uring: the kernel fixes its CPUs, and with them its cgroup";
	if (strncmp(t->comm, "kworker/R-", 10) == 0)
		return "rescuer of a workqueue: runs only when memory is short";
	if (strncmp(t->comm, "kworker/u", 9) == 0)
		return "unbound worker: its workqueue decides; it moves there when it next works";
	if (strncmp(t->comm, "kworker/", 8) == 0)
		return "worker of the CPU: runs only what was queued on it";
	if (bound_to_one(t))
		return "kernel thread of the CPU: every CPU has its own";
	return "kernel thread whose CPUs the kernel fixes";
}

/* Something inside the partition: a vCPU (audit_vcpus), or anything if it balances.
 * Without a VM it is what the user has put there (run --isolated), and to pin it is
 * their affair. */
static void audit_inside(const struct shield *s, const struct task *t, char *object,
			 const char *allowed, struct problems *p)
{
	bool user = !s->vm.pid && !s->n_vcpus;

	if (strcmp(s->partition, "root") == 0 || shield_has_vcpu(s, t->tid) ||
	    (user && bound_to_one(t)))
		free(object);
	else if (user)
		add(p, SEVERITY_CHOSEN, object, "pinned to one guest CPU", allowed,
		    "nothing balances an isolated partition: it stays on one of these CPUs, also "
		    "beside others, until it is pinned; 'run' without --isolated spreads threads");
	else
		add(p, SEVERITY_BROKEN, object, "pinned to one guest CPU", allowed,
		    "a thread in the partition that is not a vCPU: nothing balances it");
}

static void audit_thread(struct txn *txn, const struct shield *s, const struct task *t,
			 struct problems *p)
{
	_cleanup_free_ char *cgroup = NULL, *allowed = cpulist_format(&t->allowed);
	_cleanup_free_ char *object = step_object(STEP_AFFINITY, NULL, t->tid, t->comm);

	if (t->flags & TASK_NO_SETAFFINITY) {
		add(p, SEVERITY_IMMOVABLE, take_ptr(object), "off the guest CPUs", allowed,
		    immovable_reason(t));
		return;
	}
	if (task_vfio_handler(t))
		return; /* it is where its interrupt is: audit_irqs() */
	if (task_cgroup(txn->sys, t->tgid, t->tid, &cgroup) < 0)
		return; /* it has ended */
	if (partitions_find(&s->partitions, cgroup)) {
		audit_inside(s, t, take_ptr(object), allowed, p);
		return;
	}
	add(p, SEVERITY_BROKEN, take_ptr(object), "off the guest CPUs", allowed,
	    t->flags & TASK_KTHREAD ? "a kernel thread on guest CPUs"
				    : "a host task on guest CPUs");
}

static int audit_threads(struct txn *txn, const struct shield *s, struct problems *p,
			 struct err *err)
{
	const struct task_filter guests = { .touching = &s->guest };
	size_t before = p->n;

	for (int look = 0; look < 2; look++) {
		_cleanup_tasks_ struct tasks tasks = { 0 };

		if (tasks_snapshot(txn->sys, &guests, &tasks, err) < 0)
			return -1;
		for (size_t i = 0; i < tasks.n; i++)
			audit_thread(txn, s, &tasks.items[i], p);
		if (look || !problems_broken(p, before))
			break;
		while (p->n > before) {
			p->n--;
			free(p->items[p->n].object);
			free(p->items[p->n].expected);
			free(p->items[p->n].actual);
		}
		sys_pause(txn->sys, SECOND_LOOK_MS);
	}
	return 0;
}

static void audit_vcpus(struct txn *txn, const struct shield *s, struct problems *p)
{
	for (size_t i = 0; i < s->n_vcpus; i++) {
		const struct vcpu *v = &s->vcpus[i];
		const struct partition *partition = partitions_with(&s->partitions, v->cpu);
		_cleanup_cpuset_ struct cpuset allowed = { 0 }, want = { 0 };
		_cleanup_free_ char *expected = NULL, *actual = NULL;

		/* libvirt may pin it to several. */
		if (partition && libvirt_is_cgroup(s->cgroup, &s->partitions))
			cpuset_copy(&want, &partition->cpus);
		else
			cpuset_add(&want, v->cpu);
		if (!cpuset_has(&txn->online, v->cpu) ||
		    !task_alive(txn->sys, v->thread.pid, v->thread.start) ||
		    task_affinity(txn->sys, v->thread.pid, &allowed) < 0)
			continue; /* unplugged */
		if (cpuset_equal(&allowed, &want))
			continue;
		expected = cpulist_format(&want);
		actual = cpulist_format(&allowed);
		add(p, SEVERITY_BROKEN,
		    xasprintf("vCPU %u (thread %d)", v->index, (int)v->thread.pid), expected,
		    actual, "a vCPU that is not on its CPU");
	}
}

/* What the profile gives an I/O thread, without CPUs that are offline or that
 * another shield has; -1 for the others of the VM's threads. */
static int iothread_cpus(const struct txn *txn, const struct shield *s, const struct object *o,
			 struct cpuset *want)
{
	const struct claim *claim = object_claim(o, s->name);
	size_t i = 0;

	if (o->kind != STEP_AFFINITY || !claim || !claim->set || shield_has_vcpu(s, o->task.pid) ||
	    cpulist_parse(claim->set, want, NULL) < 0)
		return -1;
	while (i < s->map.n_iothreads && !cpuset_equal(&s->map.iothreads[i], want))
		i++;
	if (i == s->map.n_iothreads || cpuset_equal(want, &s->emulator))
		return -1;
	for (i = 0; i < txn->state.n_shields; i++)
		if (&txn->state.shields[i] != s)
			cpuset_andnot(want, &txn->state.shields[i].taken);
	cpuset_and(want, &txn->online);
	return cpuset_empty(want) ? -1 : 0;
}

static void audit_iothreads(struct txn *txn, const struct shield *s, struct problems *p)
{
	for (size_t i = 0; s->map.n_iothreads && i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];
		_cleanup_cpuset_ struct cpuset allowed = { 0 }, want = { 0 };
		_cleanup_free_ char *expected = NULL, *actual = NULL;

		if (iothread_cpus(txn, s, o, &want) < 0 || !object_same(txn, o) ||
		    task_affinity(txn->sys, o->task.pid, &allowed) < 0 ||
		    cpuset_equal(&allowed, &want))
			continue;
		expected = cpulist_format(&want);
		actual = cpulist_format(&allowed);
		add(p, SEVERITY_BROKEN,
		    xasprintf("I/O thread %d (%s)", (int)o->task.pid,
			      o->identity ? o->identity : ""),
		    expected, actual, "an I/O thread that is not on its CPUs");
	}
}

void audit_vm(struct txn *txn, const struct shield *s, struct problems *p)
{
	audit_vcpus(txn, s, p);
	audit_iothreads(txn, s, p);
}

static void audit_processes(struct txn *txn, const struct shield *s, struct problems *p)
{
	if (s->vm.pid && !task_alive(txn->sys, s->vm.pid, s->vm.start))
		add(p, SEVERITY_PENDING, xasprintf("process %d", (int)s->vm.pid), "running", "gone",
		    "the VM has ended; its shield is about to end");
	if (!process_alive(txn->sys, &s->guard))
		add(p, SEVERITY_BROKEN, xstrdup("guard"), "running", "not running",
		    "the shield will not end by itself until 'shield recover', or any other "
		    "command that changes something, starts the guard again");
}

int audit_masks(struct txn *txn, const struct shield *s, struct problems *p, struct err *err)
{
	if (audit_irqs(txn, s, p, err) < 0)
		return -1;
	return audit_threads(txn, s, p, err);
}

int audit_shield(struct txn *txn, const struct shield *s, struct problems *p, struct err *err)
{
	if (s->phase != PHASE_ACTIVE) {
		add(p, SEVERITY_BROKEN, xasprintf("shield %s", s->name), "active",
		    phase_name(s->phase),
		    "a command is at work, or was interrupted: 'shield recover' finishes it");
		return 0;
	}
	audit_partition(txn, s, p);
	audit_objects(txn, s, p);
	audit_processes(txn, s, p);
	audit_vm(txn, s, p);
	return audit_masks(txn, s, p, err);
}
