/* SPDX-License-Identifier: MIT */
/*
 * domain: a shield whose cgroups are those of a libvirt domain (cgroup/libvirt.h).
 */
#ifndef SHIELD_OPS_DOMAIN_H
#define SHIELD_OPS_DOMAIN_H

#include "shield/txn/txn.h"

/*
 * Begin the shield of a domain that libvirt has started as process pid, in the
 * cgroups that it has made (cgroup/libvirt.h). The guest CPUs are those of its
 * pins; a profile of its name adds the rest.
 */
int shield_on_domain(struct txn *txn, const char *name, pid_t pid, struct strv *warnings,
		     struct err *err);

/* libvirt has pinned a vCPU to another CPU, or plugged or unplugged one: let the
 * shield follow. Does nothing to shields of our own. -1 with ERR_INCOMPLETE: it
 * is broken, and to be tried again. */
int shield_follow(struct txn *txn, const char *name, struct err *err);

#endif
