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

json_t *state_irq_to_json(const struct state_irq *irq)
{
	json_t *rules = json_array(), *devices = json_array();

	for (size_t i = 0; i < irq->n_rules; i++) {
		_cleanup_free_ char *cpus = cpulist_format(&irq->rules[i].cpus);

		json_array_append_new(
			rules, json_pack("{s:s, s:s}", "match", irq->rules[i].match, "cpus", cpus));
	}
	for (size_t i = 0; i < irq->devices.n; i++)
		json_array_append_new(devices, json_string(irq->devices.items[i]));
	return json_pack("{s:s, s:o, s:o}", "vfio", profile_vfio_name(irq->vfio), "rules", rules,
			 "devices", devices);
}

static int read_rule(json_t *json, struct state_irq *irq)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };
	const char *match, *cpus;

	if (json_unpack_ex(json, NULL, JSON_STRICT, "{s:s, s:s}", "match", &match, "cpus", &cpus) <
		    0 ||
	    cpulist_parse(cpus, &set, NULL) < 0)
		return -1;
	add_rule(irq, match, &set);
	return 0;
}

int state_irq_from_json(const json_t *json, struct state_irq *irq)
{
	json_t *rules, *devices, *value;
	const char *vfio;
	size_t i;
	int mode;

	if (!json)
		return 0;
	if (json_unpack_ex((json_t *)json, NULL, JSON_STRICT, "{s:s, s:o, s:o}", "vfio", &vfio,
			   "rules", &rules, "devices", &devices) < 0 ||
	    !json_is_array(rules) || !json_is_array(devices))
		return -1;
	mode = profile_vfio_parse(vfio);
	if (mode < 0)
		return -1;
	irq->vfio = (enum profile_vfio)mode;
	json_array_foreach (rules, i, value)
		if (read_rule(value, irq) < 0)
			return -1;
	json_array_foreach (devices, i, value) {
		if (!json_is_string(value))
			return -1;
		strv_add(&irq->devices, json_string_value(value));
	}
	return 0;
}
