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

bool state_map_fits(const struct state_map *map, const struct cpuset *guest)
{
	for (size_t i = 0; i < map->n_vcpus; i++)
		if (!cpuset_has(guest, map->vcpus[i]))
			return false;
	for (size_t i = 0; i < map->n_iothreads; i++)
		if (cpuset_empty(&map->iothreads[i]) ||
		    cpuset_intersects(&map->iothreads[i], guest))
			return false;
	return true;
}

static const struct field cpu = { .type = FIELD_NUMBER,
				  .size = sizeof(unsigned),
				  .max = CPUSET_MAX_CPU };
static const struct field iothread = { .type = FIELD_LIST };

const struct field state_map_fields[] = {
	FIELD_ITEMS("vcpus", struct state_map, vcpus, n_vcpus, FIELD_ARRAY, &cpu),
	FIELD_ITEMS("iothreads", struct state_map, iothreads, n_iothreads, FIELD_ARRAY, &iothread),
	{ 0 },
};
