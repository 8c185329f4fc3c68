/* SPDX-License-Identifier: MIT */
/*
 * on: begin a shield. As everything in this folder it takes an open transaction
 * (txn_begin) and leaves it open, with txn->report, ->immovable and ->unmoved for
 * the caller to print.
 */
#ifndef SHIELD_OPS_ON_H
#define SHIELD_OPS_ON_H

#include "shield/policy/policy.h"
#include "shield/txn/txn.h"

/*
 * Begin the shield of a profile (a name or a path). owner: the process whose
 * death the guard waits for, or pid 0. name receives the shield's name, which
 * the caller frees. Warnings are appended.
 */
int shield_on(struct txn *txn, const char *which, const char *partition, struct process owner,
	      struct strv *warnings, char **name, struct err *err);

/* Is no shield of that name active, and none that has a CPU which the profile asks
 * for? ERR_FAILED names the one that is. */
int shield_check_free(const struct state *state, const struct profile *profile, struct err *err);

/* What shield_begin() is given; all borrowed. */
struct on_request {
	struct host_snapshot *snapshot;
	const struct profile *profile;
	const char *partition;
	struct process owner;
	/* A domain of libvirt that runs as process vm; NULL: in a cgroup of ours. */
	const struct libvirt_vm *libvirt;
	const struct partitions *partitions;
	struct process vm;
};
/* The second half of shield_on(): the profile is read. */
int shield_begin(struct txn *txn, const struct on_request *request, struct strv *warnings,
		 struct err *err);

#endif
