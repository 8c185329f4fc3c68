/* SPDX-License-Identifier: MIT */
/*
 * advise: what is allowed, and still not what a good engineer would choose.
 */
#ifndef SHIELD_PROFILES_ADVISE_H
#define SHIELD_PROFILES_ADVISE_H

#include "profiles/profile.h"

/* Append a line for each of: split siblings, an L3 shared between guest and
 * host although the machine has several, a guest across nodes or kinds of
 * core, memory (or huge pages) on other nodes only, fewer than two housekeeping cores. */
void advise(struct sys *sys, const struct topology *topo, const struct profile *profile,
	    struct strv *warnings);

#endif
