/* SPDX-License-Identifier: MIT */
#include "shield/policy/policy.h"

#include "shield/cgroup/layout.h"
#include "shield/policy/irqs.h"

#include <string.h>

/* set - taken, or all of `rest` when nothing would be left. */
static char *without(const struct cpuset *set, const struct cpuset *taken,
		     const struct cpuset *rest)
{
	_cleanup_cpuset_ struct cpuset left = { 0 };

	cpuset_copy(&left, set);
	cpuset_andnot(&left, taken);
	return cpulist_format(cpuset_intersects(&left, rest) ? &left : rest);
}

/* A step for an object that must stay off taken CPUs. */
static void avoid(struct step *step, const char *original)
{
	step->avoid = true;
	step->original = original ? xstrdup(original) : NULL;
}

static void plan_affinity(const struct task *task, const struct cpuset *taken,
			  const struct cpuset *rest, const char *original, struct plan *plan)
{
	_cleanup_free_ char *from = cpulist_format(&task->allowed);
	_cleanup_free_ char *to = without(&task->allowed, taken, rest);

	avoid(plan_task(plan, STEP_AFFINITY, task->tid, task->start, task->comm, from, to),
	      original);
}

/* A mask as a set; empty if there is none. */
static void parse(const char *text, struct cpuset *set)
{
	if (text)
		cpulist_parse(text, set, NULL);
}

static void plan_mask(const char *path, const char *value, const struct cpuset *taken,
		      const struct cpuset *rest, struct plan *plan)
{
	_cleanup_cpuset_ struct cpuset mask = { 0 };
	_cleanup_free_ char *to = NULL;

	if (!value)
		return;
	parse(value, &mask);
	to = without(&mask, taken, rest);
	plan_write(plan, path, value, to)->avoid = true;
}

/* new_mask: the mask that new interrupts get from now on, or NULL. What other
 * shields want of theirs is for their guards to carry out. */
static void plan_irqs(const struct host_snapshot *snapshot, const struct shield_spec *spec,
		      const struct cpuset *rest, const char *new_mask, struct plan *plan)
{
	size_t own = spec->n_others, n = own + 1;
	_cleanup_free_ struct irq_policy *policies = xcalloc(n, sizeof(*policies));
	_cleanup_free_ struct plan *plans = xcalloc(n, sizeof(*plans));
	_cleanup_free_ char *mask = new_mask ? xstrdup(new_mask) : NULL;

	for (size_t i = 0; i < own; i++)
		policies[i] = spec->others[i];
	/* No VM yet: its devices are those that the profile names. */
	policies[own] = (struct irq_policy){
		.name = spec->name,
		.guest = &spec->guest,
		.vfio = spec->profile->vfio,
		.rules = spec->profile->rules,
		.n_rules = spec->profile->n_rules,
		.devices = spec->profile->devices,
	};
	plans[own] = *plan;
	policy_irqs(&snapshot->irqs, policies, n, own, &spec->taken, rest, NULL, NULL, plans);
	*plan = plans[own];
	for (size_t i = 0; i < own; i++)
		plan_clear(&plans[i]);
	if (mask)
		policy_irqs_alike(&snapshot->irqs, policies, n, mask, plan);
	policy_unused_rules(&snapshot->irqs, spec->profile, policies, n, &plan->warnings);
}

/* Masks of network queues. Those that are what the new default mask will be had it
 * before: what has it later was made under the shield. */
static void plan_queues(const struct host_snapshot *snapshot, const struct shield_spec *spec,
			const struct cpuset *rest, struct plan *plan)
{
	size_t first = plan->n;

	net_plan(&snapshot->net, &spec->taken, rest, NULL, NULL, plan);
	for (size_t i = first; i < plan->n; i++)
		if (strcmp(plan->steps[i].path, NET_DEFAULT) == 0) {
			const char *mask = plan->steps[i].to;

			net_plan_born(&snapshot->net, mask, mask, plan);
			break;
		}
}

/*
 * Which threads are recorded. Kernel threads: cpuset changes rewrite those that
 * are not bound, up to 6.19. User threads: only where the kernel loses their
 * masks; elsewhere it narrows and restores them by itself.
 */
static bool recorded(const struct host_caps *host, const struct task *task)
{
	if ((task->flags & TASK_NO_SETAFFINITY) || task_vfio_handler(task))
		return false;
	return !host->remote || (task->flags & TASK_KTHREAD);
}

/* The domain's process, whose threads have their places already: libvirt has given
 * them these, and the kernel narrows and widens them with their cgroups. 0: none. */
static pid_t find_domain(const struct host_snapshot *snapshot, const struct shield_spec *spec)
{
	for (size_t i = 0; spec->libvirt && i < snapshot->tasks.n; i++)
		for (size_t v = 0; v < spec->libvirt->n_vcpus; v++)
			if (spec->libvirt->vcpus[v].tid == snapshot->tasks.items[i].tid)
				return snapshot->tasks.items[i].tgid;
	return 0;
}

void policy_on(const struct host_snapshot *snapshot, const struct shield_spec *spec,
	       const struct cpuset *active, struct plan *plan)
{
	const struct host_caps *host = &snapshot->host;
	const struct cpuset none = { 0 };
	const struct layout_request request = {
		spec->name,
		&spec->guest,
		spec->own_emulator ? &spec->emulator : &none,
		spec->partition,
	};
	_cleanup_cpuset_ struct cpuset rest = { 0 }, before = { 0 };
	_cleanup_free_ char *everything = cpulist_format(&host->present);
	const pid_t domain = find_domain(snapshot, spec);
	size_t first = plan->n;
	/* What the host had before, and what it has afterwards. */
	cpuset_copy(&before, &host->online);
	cpuset_andnot(&before, active);
	cpuset_copy(&rest, &before);
	cpuset_andnot(&rest, &spec->taken);

	plan_mask("/proc/irq/default_smp_affinity", snapshot->default_irq, &spec->taken, &rest,
		  plan);
	irqbalance_plan(&snapshot->irqbalance, &spec->taken, &rest, plan);
	if (spec->libvirt) {
		libvirt_plan_born(spec->libvirt, spec->partitions, plan);
		libvirt_plan(host->mount, spec->libvirt, spec->partitions, &spec->guest, plan);
	} else {
		layout_plan(host, &request, plan);
	}
	if (!host->workqueues)
		plan_mask("/sys/devices/virtual/workqueue/cpumask", snapshot->workqueues,
			  &spec->taken, &rest, plan);
	plan_irqs(snapshot, spec, &rest, snapshot->default_irq ? plan->steps[first].to : NULL,
		  plan);
	plan_queues(snapshot, spec, &rest, plan);
	for (size_t i = 0; i < snapshot->tasks.n; i++) {
		const struct task *t = &snapshot->tasks.items[i];
		_cleanup_cpuset_ struct cpuset now = { 0 };

		if (domain && t->tgid == domain)
			continue;
		/* In the cgroup of another shield, which this one does not touch. */
		if (!cpuset_empty(&t->allowed) && cpuset_within(&t->allowed, active))
			continue;
		/* A mask may name CPUs that are offline, or can never be. */
		cpuset_copy(&now, &t->allowed);
		cpuset_and(&now, &host->online);

		/* Born under a shield, with all that this left: without it it
		 * would have had everything. */
		bool narrowed = !cpuset_empty(active) && cpuset_equal(&now, &before);

		/* Nothing is to be written to a user thread where the kernel keeps
		 * its mask; but `attach` will pin some, and must know what they
		 * had, which the kernel then no longer shows. */
		bool chosen = !(t->flags & TASK_NO_SETAFFINITY) && !cpuset_equal(&now, &before) &&
			      cpuset_intersects(&t->allowed, &spec->taken);

		if (recorded(host, t) || chosen)
			plan_affinity(t, &spec->taken, &rest, narrowed ? everything : NULL, plan);
	}
}

static bool inside_any(struct sys *sys, const struct task *task, const struct strv *inside)
{
	_cleanup_free_ char *cgroup = NULL;

	return !(task->flags & TASK_KTHREAD) &&
	       task_cgroup(sys, task->tgid, task->tid, &cgroup) == 0 &&
	       strv_contains(inside, cgroup);
}

int policy_new_threads(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		       const struct strv *inside, struct plan *plan, struct err *err)
{
	_cleanup_cpuset_ struct cpuset rest = { 0 };
	_cleanup_tasks_ struct tasks tasks = { 0 };
	const struct task_filter filter = { .kernel = host->remote, .touching = taken };

	cpuset_copy(&rest, &host->online);
	cpuset_andnot(&rest, taken);
	if (tasks_snapshot(sys, &filter, &tasks, err) < 0)
		return -1;
	for (size_t i = 0; i < tasks.n; i++)
		if (recorded(host, &tasks.items[i]) && !inside_any(sys, &tasks.items[i], inside))
			plan_affinity(&tasks.items[i], taken, &rest, NULL, plan);
	return 0;
}

int policy_survivors(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		     struct plan *plan, struct err *err)
{
	_cleanup_cpuset_ struct cpuset rest = { 0 };
	_cleanup_tasks_ struct tasks tasks = { 0 };
	const struct task_filter filter = { .ordinary = &rest };

	if (host->remote)
		return 0;
	cpuset_copy(&rest, &host->online);
	cpuset_andnot(&rest, taken);
	if (tasks_snapshot(sys, &filter, &tasks, err) < 0)
		return -1;
	for (size_t i = 0; i < tasks.n; i++) {
		const struct task *t = &tasks.items[i];
		_cleanup_free_ char *mask = NULL;

		if (!recorded(host, t) || cpuset_equal(&t->allowed, &rest) ||
		    cpuset_intersects(&t->allowed, taken))
			continue;
		mask = cpulist_format(&t->allowed);
		plan_task(plan, STEP_AFFINITY, t->tid, t->start, t->comm, mask, mask);
	}
	return 0;
}
