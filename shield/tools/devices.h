/* SPDX-License-Identifier: MIT */
/*
 * devices: where interrupts and PCI devices are, for `shield topology`.
 */
#ifndef SHIELD_TOOLS_DEVICES_H
#define SHIELD_TOOLS_DEVICES_H

#include "shield/cmd/cmd.h"
#include "shield/topology/topology.h"

/* In lines of at most `width` columns: for each CPU the interrupts that it
 * serves, and for each node the devices that a driver has. */
void devices_print(struct app *app, const struct topology *topo, int width);

/* "offline", "interrupts" and "devices" of a document. */
void devices_json(struct app *app, const struct topology *topo, json_t *document);

#endif
