/* SPDX-License-Identifier: MIT */
/*
 * import: `shield profile import DOMAIN.xml`; private to cmd/profile.c.
 */
#ifndef SHIELD_CMD_IMPORT_H
#define SHIELD_CMD_IMPORT_H

#include "shield/cmd/cmd.h"
#include "shield/topology/topology.h"

/* Print the profile that a libvirt domain amounts to, or why it amounts to none;
 * path "-": standard input. Returns the exit status. */
int import_print(struct app *app, const struct topology *topo, const char *path);

#endif
