/* SPDX-License-Identifier: MIT */
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
 * no duplicate and no unknown key. Used by root, the file must belong to root and no other user may
 * write it. All keys are in one table, profile_keys; the schema and the list of
 * shield-profile(5) are made of it.
 */
#ifndef SHIELD_PROFILES_PROFILE_H
#define SHIELD_PROFILES_PROFILE_H

#include "shield/base/cpuset.h"
#include "shield/base/names.h"
#include "shield/base/strv.h"
#include "shield/sys/sys.h"
#include "shield/topology/topology.h"

#include <jansson.h>

#define PROFILE_VFIO(X)                                                    \
	X(VFIO_SPREAD, "spread", "one vCPU's CPU after the other")         \
	X(VFIO_GUEST, "guest", "all guest CPUs")                           \
	X(VFIO_HOUSEKEEPING, "housekeeping", "where those of the host go") \
	X(VFIO_LEAVE, "leave", "where they are")
enum profile_vfio { PROFILE_VFIO(NAMES_ITEM) };
/* The one that is called so, or -1. */
int profile_vfio_parse(const char *name);

/* Where interrupts go whose action, chip, driver or pci address match. */
struct profile_rule {
	char *match; /* "driver:nvme" */
	struct cpuset cpus;
};

struct profile {
	char *name;
	char *path;		/* where it was read */
	char *why;		/* why it was chosen, if by the machine, or NULL */
	char *text;		/* the document, with what it extends */
	struct cpuset guest;	/* never empty */
	struct cpuset emulator; /* empty: the housekeeping CPUs */
	struct cpuset *iothreads;
	size_t n_iothreads;
	unsigned *vcpus;	     /* the CPU of each vCPU */
	size_t n_vcpus;		     /* 0: "auto" */
	bool smt_split;		     /* CPUs are taken as they are named, not as cores */
	unsigned housekeeping_cores; /* that the host keeps at least; 0: not said */
	enum profile_vfio vfio;	     /* where interrupts of the guest's devices go */
	struct strv devices;	     /* the guest's PCI addresses, if it says */
	struct profile_rule *rules;
	size_t n_rules;
	json_t *host;	     /* host settings, checked, or NULL */
	bool flush;	     /* guest CPUs go offline and online once */
	char *user;	     /* run the command as this user, or NULL */
	struct strv command; /* what `run` starts if it is given nothing else */
};

/* The rows of all keys, in the order in which they are read; one without a key ends them. */
struct field;
extern const struct field *const profile_keys;

/*
 * Find, read and check a profile with all that it extends, and evaluate its CPU
 * expressions on this machine. which NULL: the profile that matches this
 * machine (machine.h). -1 with ERR_USAGE and a message like
 *	/etc/shield/profiles.d/win11.json:4:12: guest: expected …
 * Warnings (a split core, …) are appended to warnings, one line each.
 */
int profile_load(struct sys *sys, const struct topology *topo, const char *which,
		 struct profile *profile, struct strv *warnings, struct err *err);
/* Check all of a profile that is for another machine but which CPUs it comes to:
 * what this machine has not is not an error. */
int profile_check_foreign(struct sys *sys, const struct topology *topo, const char *which,
			  struct err *err);
void profile_clear(struct profile *profile);
#define _cleanup_profile_ _cleanup_(profile_clear)

/* Names that a shield may have: 1 to 64 of A-Z a-z 0-9 . _ - @ +, not starting
 * with a dot or a dash; escaped it must fit into the name of a unit. ERR_USAGE
 * otherwise. */
int profile_check_name(const char *name, struct err *err);

#endif
