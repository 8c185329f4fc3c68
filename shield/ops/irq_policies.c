/* SPDX-License-Identifier: MIT */
#include "shield/ops/irq_policies.h"

#include "irq/vfio.h"
#include "shield/task/task.h"

static void read_policy(const struct shield *s, struct irq_policy *w)
{
	*w = (struct irq_policy){ .name = s->name,
				  .guest = &s->guest,
				  .vfio = s->irq.vfio,
				  .rules = s->irq.rules,
				  .n_rules = s->irq.n_rules };
	w->cpus = xcalloc(s->n_vcpus, sizeof(*w->cpus));
	for (size_t i = 0; i < s->n_vcpus; i++)
		w->cpus[w->n_cpus++] = s->vcpus[i].cpu;
}

/* Does the VM of another shield have it open? */
static bool elsewhere(const struct strv *open, size_t n, size_t own, const char *device)
{
	for (size_t i = 0; i < n; i++)
		if (i != own && strv_contains(&open[i], device))
			return true;
	return false;
}

/* Those of its profile, but for what the profile is wrong about, and those that
 * its VM has open. */
static void read_devices(const struct shield *s, const struct strv *open, size_t n, size_t own,
			 struct strv *devices)
{
	for (size_t i = 0; i < s->irq.devices.n; i++)
		if (!elsewhere(open, n, own, s->irq.devices.items[i]))
			strv_add(devices, s->irq.devices.items[i]);
	for (size_t i = 0; i < open[own].n; i++)
		if (!strv_contains(devices, open[own].items[i]))
			strv_add(devices, open[own].items[i]);
}

void irq_policies_read(struct sys *sys, const struct state *state, struct irq_policies *policies)
{
	size_t n = state->n_shields;
	_cleanup_free_ struct strv *open = xcalloc(n, sizeof(*open));

	*policies = (struct irq_policies){ xcalloc(n, sizeof(*policies->items)), n };
	for (size_t i = 0; i < n; i++) {
		const struct process *vm = &state->shields[i].vm;

		if (process_alive(sys, vm))
			vfio_devices(sys, vm->pid, &open[i]);
	}
	for (size_t i = 0; i < n; i++) {
		read_policy(&state->shields[i], &policies->items[i]);
		read_devices(&state->shields[i], open, n, i, &policies->items[i].devices);
	}
	for (size_t i = 0; i < n; i++)
		strv_clear(&open[i]);
}

void irq_policies_clear(struct irq_policies *policies)
{
	for (size_t i = 0; i < policies->n; i++)
		irq_policy_clear(&policies->items[i]);
	free(policies->items);
	*policies = (struct irq_policies){ 0 };
}
