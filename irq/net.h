/* SPDX-License-Identifier: MIT */
/*
 * net: masks by which network queues choose CPUs in software.
 *
 *	queues/rx-N/rps_cpus	CPUs that received packets are handed to
 *	queues/tx-N/xps_cpus	CPUs that send through this queue
 *	net/core/rps_default_mask, flow_limit_cpu_bitmap
 *
 * An empty mask means that the feature is off; only masks that name guest CPUs
 * are of interest. A queue is known by the index of its interface: interfaces are
 * renamed, and names given again. A new receive queue has rps_default_mask.
 * (Documentation/networking/scaling.rst)
 */
#ifndef SHIELD_IRQ_NET_H
#define SHIELD_IRQ_NET_H

#include "shield/plan/plan.h"
#include "shield/sys/sys.h"

struct net_mask {
	char *path;
	char *index; /* of the interface; NULL for what belongs to none */
	struct cpuset mask;
};

struct net_masks {
	struct net_mask *items; /* only those that are not empty */
	size_t n, cap;
};

void net_snapshot(struct sys *sys, struct net_masks *masks);
void net_clear(struct net_masks *masks);
#define _cleanup_net_ _cleanup_(net_clear)

/* The steps that take guest CPUs out of them. rest: the host's CPUs. A queue that
 * was made with the default mask `born` would have had `original` without
 * shields; NULL: nothing was made. */
void net_plan(const struct net_masks *masks, const struct cpuset *taken, const struct cpuset *rest,
	      const char *born, const char *original, struct plan *plan);
/* Steps for the queues that look as if made with this default mask: to another
 * one, or (the same) so that they are recorded as they are. */
void net_plan_born(const struct net_masks *masks, const char *born, const char *to,
		   struct plan *plan);

#define NET_DEFAULT "/proc/sys/net/core/rps_default_mask"

/* Is this the path of a queue's mask; and is the interface still the one of
 * this index? */
bool net_path(const char *path);
bool net_is(struct sys *sys, const char *path, const char *index);
/* The interfaces, read when they are asked for first. */
struct net_names {
	struct strv names, indexes;
	bool read;
};
void net_names_clear(struct net_names *known);
#define _cleanup_net_names_ _cleanup_(net_names_clear)

/* Where this queue is if the interface of that index was renamed, allocated; NULL
 * if it was not, or is gone. */
char *net_renamed(struct sys *sys, struct net_names *known, const char *path, const char *index);

#endif
