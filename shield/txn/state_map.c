/* SPDX-License-Identifier: MIT */
#include "shield/txn/state_map.h"

void state_map_clear(struct state_map *map)
{
	for (size_t i = 0; i < map->n_iothreads; i++)
		cpuset_clear(&map->iothreads[i]);
	free(map->iothreads);
	free(map->vcpus);
	*map = (struct state_map){ 0 };
}

void state_map_take(struct state_map *map, const struct profile *profile)
{
	map->vcpus = xcalloc(profile->n_vcpus, sizeof(*map->vcpus));
	map->iothreads = xcalloc(profile->n_iothreads, sizeof(*map->iothreads));
	for (; map->n_vcpus < profile->n_vcpus; map->n_vcpus++)
		map->vcpus[map->n_vcpus] = profile->vcpus[map->n_vcpus];
	for (; map->n_iothreads < profile->n_iothreads; map->n_iothreads++)
		cpuset_copy(&map->iothreads[map->n_iothreads],
			    &profile->iothreads[map->n_iothreads]);
}

json_t *state_map_to_json(const struct state_map *map)
{
	json_t *vcpus = json_array(), *iothreads = json_array();

	for (size_t i = 0; i < map->n_vcpus; i++)
		json_array_append_new(vcpus, json_integer(map->vcpus[i]));
	for (size_t i = 0; i < map->n_iothreads; i++) {
		_cleanup_free_ char *cpus = cpulist_format(&map->iothreads[i]);

		json_array_append_new(iothreads, json_string(cpus));
	}
	return json_pack("{s:o, s:o}", "vcpus", vcpus, "iothreads", iothreads);
}

int state_map_from_json(const json_t *json, const struct cpuset *guest, struct state_map *map)
{
	json_t *vcpus, *iothreads, *value;
	size_t i;

	if (!json)
		return 0;
	if (json_unpack_ex((json_t *)json, NULL, JSON_STRICT, "{s:o, s:o}", "vcpus", &vcpus,
			   "iothreads", &iothreads) < 0 ||
	    !json_is_array(vcpus) || !json_is_array(iothreads))
		return -1;
	map->vcpus = xcalloc(json_array_size(vcpus), sizeof(*map->vcpus));
	map->iothreads = xcalloc(json_array_size(iothreads), sizeof(*map->iothreads));
	json_array_foreach (vcpus, i, value) {
		json_int_t cpu = json_integer_value(value);

		if (!json_is_integer(value) || cpu < 0 || cpu > CPUSET_MAX_CPU ||
		    !cpuset_has(guest, (unsigned)cpu))
			return -1;
		map->vcpus[map->n_vcpus++] = (unsigned)cpu;
	}
	json_array_foreach (iothreads, i, value) {
		struct cpuset *set = &map->iothreads[map->n_iothreads++];

		if (!json_is_string(value) ||
		    cpulist_parse(json_string_value(value), set, NULL) < 0 || cpuset_empty(set) ||
		    cpuset_intersects(set, guest))
			return -1;
	}
	return 0;
}
