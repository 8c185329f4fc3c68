/* SPDX-License-Identifier: MIT */
/*
 * discover: hwloc's own view, for those few that need it. All others use
 * topology.h.
 */
#ifndef SHIELD_TOPOLOGY_DISCOVER_H
#define SHIELD_TOPOLOGY_DISCOVER_H

#include "shield/sys/sys.h"

#include <hwloc.h>
#include <stdbool.h>

/* Load the machine of this system into *ret; -1 with ERR_UNSUPPORTED. Release with
 * discover_clear(). whole: with all that hwloc knows, for drawing; else what topology.h tells, in
 * half the time. */
int discover(struct sys *sys, bool whole, hwloc_topology_t *ret, struct err *err);
void discover_clear(hwloc_topology_t *hwloc);
#define _cleanup_discover_ _cleanup_(discover_clear)

#endif
