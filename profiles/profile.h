/*
 * profile: the JSON file that says what a shield should be on this machine.
 *
 *	{ "version": 1, "name": "win11", "guest": "2-5", "emulator": "housekeeping" }
 *
 * is the shortest valid one. A profile is looked up by name in
 * /etc/shield/profiles.d, /run/shield/profiles.d and the packaged directories
 * (/usr/lib/shield/profiles.d, and the installation's own), the first that has
 * NAME.json wins; anything with a slash or ending in .json is a path.
 *
 * Profiles are untrusted until checked: regular files of at most 1 MiB, UTF-8,
 * no duplicate and no unknown key. Used by root, the file must belong to root
 * and nobody else may write it.
 */
#ifndef SHIELD_PROFILES_PROFILE_H
#define SHIELD_PROFILES_PROFILE_H

#include "shield/base/cpuset.h"
#include "shield/base/strv.h"
#include "shield/sys/sys.h"
#include "shield/topology/topology.h"

struct profile {
	char *name;
	char *path;		/* where it was read */
	char *text;		/* the document, for the state file */
	struct cpuset guest;	/* never empty */
	struct cpuset emulator; /* empty: the housekeeping CPUs */
	char *user;		/* run the command as this user, or NULL */
	struct strv command;	/* what `run` starts if it is given nothing else */
	bool smt_split;		/* CPUs are taken as they are named, not as cores */
};

/*
 * Find, read and check a profile, and evaluate its CPU expressions on this
 * machine. -1 with ERR_USAGE and a message like
 *	/etc/shield/profiles.d/win11.json:4:12: guest: expected …
 * Warnings (a split core, …) are appended to warnings, one line each.
 */
int profile_load(struct sys *sys, const struct topology *topo, const char *which,
		 struct profile *profile, struct strv *warnings, struct err *err);
void profile_clear(struct profile *profile);
#define _cleanup_profile_ _cleanup_(profile_clear)

/* Names that a shield may have: 1 to 64 of A-Z a-z 0-9 . _ - @ +, not starting
 * with a dot or a dash. ERR_USAGE otherwise. */
int profile_check_name(const char *name, struct err *err);

#endif
