/* SPDX-License-Identifier: MIT */
#include "shield/policy/irqs.h"

#include "irq/vfio.h"

#include <fnmatch.h>
#include <string.h>

void irq_policy_clear(struct irq_policy *policy)
{
	free(policy->cpus);
	strv_clear(&policy->devices);
	*policy = (struct irq_policy){ 0 };
}

/* What an interrupt has not, no glob means: "pci:*" is for those of PCI devices. */
static bool matches(const char *glob, const char *value)
{
	return *value && fnmatch(glob, value, 0) == 0;
}

static bool any_action(const char *actions, const char *glob)
{
	_cleanup_free_ char *copy = xstrdup(actions);
	char *rest = copy, *action;

	while ((action = strsep(&rest, ",")))
		if (matches(glob, action))
			return true;
	return false;
}

bool irq_matches(const struct irq *irq, const char *match)
{
	const char *glob = strchr(match, ':');
	size_t n = glob ? (size_t)(glob - match) : 0;
	const struct {
		const char *key, *value;
	} keys[] = { { "chip", irq->chip }, { "driver", irq->driver }, { "pci", irq->device } };

	if (!glob)
		return false;
	glob++;
	if (n == 6 && strncmp(match, "action", n) == 0)
		return any_action(irq->actions, glob);
	/* As lspci writes it, without the only domain that most machines have. */
	if (strncmp(match, "pci:", 4) == 0 && strncmp(irq->device, "0000:", 5) == 0 &&
	    matches(glob, irq->device + 5))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].key) == n && strncmp(match, keys[i].key, n) == 0)
			return matches(glob, keys[i].value);
	return false;
}

static void without_others(struct cpuset *cpus, const struct irq_policy *policies, size_t n,
			   size_t own)
{
	for (size_t i = 0; i < n; i++)
		if (i != own)
			cpuset_andnot(cpus, policies[i].guest);
}

/* Whose VM has the device of this action: the shield, which of its devices, and
 * which vector of it. */
static bool action_vm(const char *action, const struct irq_policy *policies, size_t n,
		      size_t *policy, size_t *device, unsigned *vector)
{
	_cleanup_free_ char *address = vfio_action_device(action, vector);

	for (*policy = 0; address && *policy < n; ++*policy)
		for (*device = 0; *device < policies[*policy].devices.n; ++*device)
			if (strcmp(policies[*policy].devices.items[*device], address) == 0)
				return true;
	return false;
}

/* Whose VM has the devices of this VFIO interrupt, all of them where they share a
 * line; the first is told. */
static bool vm_of(const struct irq *irq, const struct irq_policy *policies, size_t n,
		  size_t *policy, size_t *device, unsigned *vector)
{
	_cleanup_free_ char *copy = irq->class == IRQ_VFIO ? xstrdup(irq->actions) : NULL;
	size_t other, other_device;
	unsigned other_vector;
	char *rest = copy;

	if (!copy || !action_vm(strsep(&rest, ","), policies, n, policy, device, vector))
		return false;
	while (rest)
		if (!action_vm(strsep(&rest, ","), policies, n, &other, &other_device,
			       &other_vector) ||
		    other != *policy)
			return false;
	return true;
}

size_t irq_vm(const struct irq *irq, const struct irq_policy *policies, size_t n)
{
	size_t policy, device;
	unsigned vector;

	return vm_of(irq, policies, n, &policy, &device, &vector) ? policy : n;
}

static bool by_rule(const struct irq *irq, const struct irq_policy *policies, size_t n,
		    size_t *policy, struct cpuset *cpus)
{
	size_t vm = irq_vm(irq, policies, n);
	bool stranger = irq->class == IRQ_VFIO && vm == n;

	for (size_t i = 0; i < n; i++)
		for (size_t r = 0; r < policies[i].n_rules && (vm == n || vm == i); r++) {
			if (!irq_matches(irq, policies[i].rules[r].match))
				continue;
			cpuset_copy(cpus, &policies[i].rules[r].cpus);
			without_others(cpus, policies, n, stranger ? n : i);
			*policy = i;
			return !cpuset_empty(cpus);
		}
	return false;
}

/* The CPU of vCPU k, or of k more than there are. */
static unsigned vcpu_cpu(const struct irq_policy *policy, size_t k)
{
	int cpu = -1;

	if (policy->n_cpus)
		return policy->cpus[k % policy->n_cpus];
	k %= cpuset_count(policy->guest);
	do
		cpu = cpuset_next(policy->guest, cpu);
	while (k--);
	return (unsigned)cpu;
}

/* NVMe: vector 0 is the admin queue's, and vector k that of queue k, which the
 * guest's driver gives to vCPU k - 1. */
static unsigned spread(const struct irq *irq, const struct irq_policy *policy, unsigned vector,
		       size_t device)
{
	if (irq->nvme)
		return vcpu_cpu(policy, vector ? vector - 1 : 0);
	return vcpu_cpu(policy, vector + device);
}

static enum irq_target by_vm(const struct irq *irq, const struct irq_policy *policies, size_t n,
			     size_t *policy, struct cpuset *cpus)
{
	unsigned vector;
	size_t device;

	if (!vm_of(irq, policies, n, policy, &device, &vector))
		return IRQ_AVOID;
	switch (policies[*policy].vfio) {
	case VFIO_LEAVE:
		return IRQ_LEAVE;
	case VFIO_GUEST:
		cpuset_copy(cpus, policies[*policy].guest);
		return IRQ_SET;
	case VFIO_SPREAD:
		cpuset_add(cpus, spread(irq, &policies[*policy], vector, device));
		return IRQ_SET;
	case VFIO_HOUSEKEEPING:
		break;
	}
	return IRQ_AVOID;
}

enum irq_target irq_target(const struct irq *irq, const struct irq_policy *policies, size_t n,
			   size_t *policy, struct cpuset *cpus)
{
	if (!irq_movable(irq))
		return IRQ_LEAVE;
	if (by_rule(irq, policies, n, policy, cpus))
		return IRQ_SET;
	cpuset_clear(cpus);
	return irq->class == IRQ_VFIO ? by_vm(irq, policies, n, policy, cpus) : IRQ_AVOID;
}

/* The mask without taken CPUs, or of what is left to the host the closest. */
static char *avoided(const struct irqs *irqs, const struct irq *irq, const struct cpuset *taken,
		     const struct cpuset *rest)
{
	_cleanup_cpuset_ struct cpuset left = { 0 };

	cpuset_copy(&left, &irq->mask);
	cpuset_andnot(&left, taken);
	if (cpuset_intersects(&left, rest))
		return cpulist_format(&left);
	cpuset_copy(&left, rest);
	nodes_nearest(&irqs->nodes, irq->node, &left);
	return cpulist_format(&left);
}

static void add_step(const struct irq *irq, const char *from, const char *to, bool avoid,
		     const char *original, struct plan *plan)
{
	_cleanup_free_ char *path = irq_path(irq->number);
	struct step *step = plan_write(plan, path, from, to);

	step->identity = irq_identity(irq);
	step->avoid = avoid;
	step->original = original ? xstrdup(original) : NULL;
}

void policy_irqs(const struct irqs *irqs, const struct irq_policy *policies, size_t n,
		 size_t avoider, const struct cpuset *taken, const struct cpuset *rest,
		 const char *default_irq, const char *default_original, struct plan *plans)
{
	for (size_t i = 0; i < irqs->n; i++) {
		const struct irq *irq = &irqs->items[i];
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_free_ char *mask = cpulist_format(&irq->mask), *to = NULL;
		_cleanup_free_ char *born = NULL, *otherwise = NULL;
		const char *original;
		size_t policy = 0;
		bool ours;

		/* Born with our default mask: without it, with the original one. */
		if (default_irq && default_original) {
			born = irq_born(irqs, irq, default_irq);
			otherwise = irq_born(irqs, irq, default_original);
		}
		ours = born && strcmp(mask, born) == 0 && strcmp(mask, otherwise) != 0;
		original = ours ? otherwise : NULL;
		switch (irq_target(irq, policies, n, &policy, &cpus)) {
		case IRQ_LEAVE:
			break;
		case IRQ_SET:
			/* One that is there already is recorded as the shield's. */
			to = cpulist_format(&cpus);
			add_step(irq, mask, to, false, original, &plans[policy]);
			break;
		case IRQ_AVOID:
			/* One that no driver has requested yet may be about to
			 * be. */
			if (!cpuset_intersects(&irq->mask, taken) &&
			    (!ours || irq->class == IRQ_NO_ACTION))
				break;
			to = avoided(irqs, irq, taken, rest);
			add_step(irq, mask, to, true, original, &plans[avoider]);
			break;
		}
	}
}

void policy_irqs_alike(const struct irqs *irqs, const struct irq_policy *policies, size_t n,
		       const char *mask, struct plan *plan)
{
	for (size_t i = 0; i < irqs->n; i++) {
		_cleanup_free_ char *now = cpulist_format(&irqs->items[i].mask);
		_cleanup_free_ char *born = irq_born(irqs, &irqs->items[i], mask);
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		size_t ignored;

		if (strcmp(now, born) == 0 &&
		    irq_target(&irqs->items[i], policies, n, &ignored, &cpus) == IRQ_AVOID)
			add_step(&irqs->items[i], now, now, true, NULL, plan);
	}
}

/* Is it a rule of the last request that says where this one goes? */
static bool decides(const struct irq *irq, const struct irq_policy *policies, size_t n)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	size_t policy = n;

	return by_rule(irq, policies, n, &policy, &cpus) && policy == n - 1;
}

/* Each rule that decides nothing, and why. */
static void unused_rule(const struct irqs *irqs, const struct profile *profile, size_t r,
			const struct irq_policy *policies, size_t n, struct strv *warnings)
{
	const struct profile_rule *rules = profile->rules;
	size_t matched = 0, movable = 0, others = 0, shadow = 0;

	for (size_t i = 0; i < irqs->n; i++) {
		const struct irq *irq = &irqs->items[i];
		size_t first = 0;

		if (!irq_matches(irq, rules[r].match))
			continue;
		matched++;
		if (!irq_movable(irq))
			continue;
		movable++;
		while (!irq_matches(irq, rules[first].match))
			first++;
		if (first != r)
			shadow = first;
		else if (!n || decides(irq, policies, n))
			return;
		else
			others++;
	}
	if (!matched)
		strv_addf(warnings,
			  "profile %s: the rule \"%s\" matches no interrupt that exists now; "
			  "'shield irq --all' lists them",
			  profile->name, rules[r].match);
	else if (!movable)
		strv_addf(warnings,
			  "profile %s: the rule \"%s\" matches only interrupts that cannot be "
			  "moved; 'shield irq' shows their class",
			  profile->name, rules[r].match);
	else if (others)
		strv_addf(warnings,
			  "profile %s: the rule \"%s\" decides nothing while other shields are "
			  "active: they have its CPUs, its interrupts, or a rule for them",
			  profile->name, rules[r].match);
	else
		strv_addf(warnings,
			  "profile %s: the rule \"%s\" decides nothing: the first match wins, and "
			  "\"%s\" stands before it",
			  profile->name, rules[r].match, rules[shadow].match);
}

void policy_unused_rules(const struct irqs *irqs, const struct profile *profile,
			 const struct irq_policy *policies, size_t n, struct strv *warnings)
{
	for (size_t r = 0; r < profile->n_rules; r++)
		unused_rule(irqs, profile, r, policies, n, warnings);
}

static bool stays(const struct irq *irq, const struct cpuset *taken)
{
	return irq->class == IRQ_MANAGED && *irq->actions && cpuset_intersects(&irq->mask, taken);
}

void policy_managed(const struct irqs *irqs, const struct cpuset *taken, struct strv *warnings)
{
	_cleanup_strv_ struct strv seen = { 0 };

	for (size_t i = 0; i < irqs->n; i++) {
		const struct irq *irq = &irqs->items[i];
		size_t n = 0;

		if (!stays(irq, taken) || strv_contains(&seen, irq->device))
			continue;
		strv_add(&seen, irq->device);
		for (size_t other = i; other < irqs->n; other++)
			n += strcmp(irqs->items[other].device, irq->device) == 0 &&
			     stays(&irqs->items[other], taken);
		strv_addf(warnings, "%s (%s): %zu interrupt%s on guest CPUs cannot be moved: %s",
			  irq->device, *irq->driver ? irq->driver : "no driver", n,
			  n == 1 ? "" : "s", irq_managed_reason);
	}
}
