/* SPDX-License-Identifier: MIT */
/*
 * assign: which guest CPU each vCPU gets.
 *
 * QMP says where the guest sees a vCPU: socket, die, core, thread. Threads of one
 * core there get siblings of one core here, so that what the guest's scheduler
 * believes is true:
 *
 *	as many cores (or more)		guest core i on host core i; where the
 *	as the guest believes in	guest believes in no siblings, each vCPU has
 *					a core of its own
 *	fewer				CPU after CPU, sibling after sibling, in the
 *					order of the guest's cores
 *
 * Where it is not known (no QMP) each vCPU counts as a core; since QEMU numbers
 * the threads of a core one after the other, siblings still meet.
 */
#ifndef SHIELD_OPS_ASSIGN_H
#define SHIELD_OPS_ASSIGN_H

#include "shield/topology/topology.h"
#include "shield/vm/vm.h"

/* cpus has room for one of each. -1 with ERR_USAGE when there are fewer guest CPUs
 * than vCPUs. */
int assign_vcpus(const struct topology *topo, const struct cpuset *guest,
		 const struct vm_vcpus *vcpus, unsigned *cpus, struct err *err);

/* By a list of the profile: vCPU number i gets CPU map[i]. -1 with ERR_USAGE when
 * it is too short. */
int assign_listed(const unsigned *map, size_t n, const struct vm_vcpus *vcpus, unsigned *cpus,
		  struct err *err);

#endif
