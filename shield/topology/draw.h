/* SPDX-License-Identifier: MIT */
/*
 * draw: the map as a picture, and hwloc's XML for lstopo to draw, both with
 * the owners of the CPUs in colour.
 */
#ifndef SHIELD_TOPOLOGY_DRAW_H
#define SHIELD_TOPOLOGY_DRAW_H

#include "shield/topology/map.h"

/* "#rrggbb": white for the host, a strong colour for each shield's guest and
 * a pale one for its emulator. */
const char *draw_color(const struct topo_owner *owners, size_t n, unsigned cpu);

/* An SVG document. */
void draw_svg(const struct topology *topo, const struct topo_owner *owners, size_t n, FILE *out);

/* The topology as lstopo reads it (lstopo -i FILE.xml); the caller frees. NULL
 * with err if the machine cannot be read. */
char *draw_xml(struct sys *sys, const struct topo_owner *owners, size_t n, struct err *err);

#endif
