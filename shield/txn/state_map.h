/* SPDX-License-Identifier: MIT */
/*
 * state_map: which CPUs the threads of a VM get, where its profile says so.
 * They come after the shield begins, to a command that has no profile: it finds
 * this in the state file. Without any of it the key is missing.
 *
 *	"map": { "vcpus": [2, 10, 3, 11], "iothreads": ["0-1", "8"] }
 */
#ifndef SHIELD_TXN_STATE_MAP_H
#define SHIELD_TXN_STATE_MAP_H

#include "profiles/profile.h"
#include "shield/txn/state_fields.h"

struct state_map {
	unsigned *vcpus; /* the CPU of each vCPU; none: "auto" */
	size_t n_vcpus;
	struct cpuset *iothreads; /* of each, in the order of their ids */
	size_t n_iothreads;
};

void state_map_clear(struct state_map *map);
/* Copy it from a profile into a zeroed struct. */
void state_map_take(struct state_map *map, const struct profile *profile);

/* Could Shield have made it for these guest CPUs? */
bool state_map_fits(const struct state_map *map, const struct cpuset *guest);
extern const struct field state_map_fields[];

#endif
