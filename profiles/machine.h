/* SPDX-License-Identifier: MIT */
/*
 * machine: what this machine is called, and which profile is meant for it.
 *
 *	"machine": { "cpu": "*i9-9900K*", "board": "Z390 M GAMING*" }
 *
 * cpu is the model name of /proc/cpuinfo, board and vendor are those of DMI
 * (the board's or the product's), or of the device tree. All that are given
 * must match, as globs (fnmatch(3)); the profile with the most of them wins,
 * and two with equally many are an error.
 */
#ifndef SHIELD_PROFILES_MACHINE_H
#define SHIELD_PROFILES_MACHINE_H

#include "profiles/document.h"

struct machine {
	char *cpu; /* "" where the machine does not say */
	char *board, *product;
	char *vendor, *system_vendor;
};

void machine_read(struct sys *sys, struct machine *machine);
void machine_clear(struct machine *machine);
#define _cleanup_machine_ _cleanup_(machine_clear)

/* How many patterns of a checked document match; 0 if one does not, or if
 * there are none. why (which may be NULL) gets the reason. */
unsigned machine_match(const struct machine *machine, const struct document *doc, char **why);

/*
 * The name of the profile for this machine, and the reason in why. NULL, with
 * what the machine is called in err, if there is none, or more than one.
 * Profiles that cannot be read are skipped with a warning.
 */
char *machine_find(struct sys *sys, char **why, struct strv *warnings, struct err *err);

#endif
