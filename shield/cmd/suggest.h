/* SPDX-License-Identifier: MIT */
/*
 * suggest: the output of `shield profile suggest`; private to cmd/profile.c.
 */
#ifndef SHIELD_CMD_SUGGEST_H
#define SHIELD_CMD_SUGGEST_H

#include "profiles/suggest.h"
#include "shield/cmd/cmd.h"

/* Print the split, or why there is none; returns the exit status. */
int suggest_print(struct app *app, const struct topology *topo,
		  const struct suggest_request *request);

#endif
