/* SPDX-License-Identifier: MIT */
#include "shield/txn/state_irq.h"

#include <string.h>

void state_irq_clear(struct state_irq *irq)
{
	for (size_t i = 0; i < irq->n_rules; i++) {
		free(irq->rules[i].match);
		cpuset_clear(&irq->rules[i].cpus);
	}
	free(irq->rules);
	strv_clear(&irq->devices);
	*irq = (struct state_irq){ 0 };
}

static void add_rule(struct state_irq *irq, const char *match, const struct cpuset *cpus)
{
	irq->rules = xrealloc(irq->rules, irq->n_rules + 1, sizeof(*irq->rules));
	irq->rules[irq->n_rules] = (struct profile_rule){ .match = xstrdup(match) };
	cpuset_copy(&irq->rules[irq->n_rules++].cpus, cpus);
}

void state_irq_take(struct state_irq *irq, const struct profile *profile)
{
	irq->vfio = profile->vfio;
	for (size_t i = 0; i < profile->n_rules; i++)
		add_rule(irq, profile->rules[i].match, &profile->rules[i].cpus);
	for (size_t i = 0; i < profile->devices.n; i++)
		strv_add(&irq->devices, profile->devices.items[i]);
}

static const char *const vfio_names[] = { PROFILE_VFIO(NAMES_TEXT) };

static const struct field rule_fields[] = {
	FIELD("match", struct profile_rule, match, FIELD_TEXT),
	FIELD("cpus", struct profile_rule, cpus, FIELD_LIST),
	{ 0 },
};
static const struct field rule = { .type = FIELD_OBJECT, .of = rule_fields };
static const struct field device = { .type = FIELD_TEXT };

const struct field state_irq_fields[] = {
	FIELD("vfio", struct state_irq, vfio, FIELD_NAME, .names = vfio_names,
	      .max = ARRAY_SIZE(vfio_names)),
	FIELD_ITEMS("rules", struct state_irq, rules, n_rules, FIELD_ARRAY, &rule),
	FIELD_ITEMS("devices", struct state_irq, devices.items, devices.n, FIELD_ARRAY, &device,
		    .cap = offsetof(struct strv, cap)),
	{ 0 },
};
