/* SPDX-License-Identifier: MIT */
/*
 * kinds: performance cores and efficiency cores.
 *
 * hwloc makes a kind of every difference, a favoured core's turbo included.
 * What counts here is the sort of core, from the first of these that says:
 *
 *	/sys/devices/cpu_core/cpus, cpu_atom/cpus, cpu_lowpower/cpus	Intel
 *	cpuN/cpu_capacity						ARM
 *	hwloc: cores that share their L2 beside cores that own theirs	Intel,
 *							where the files are missing
 *	cpuN/cpufreq/cpuinfo_max_freq, acpi_cppc/highest_perf		AMD's dense
 *							cores
 *
 * Numbers make another sort only where more than a tenth lies between one CPU
 * and the next: one sort of core differs by a few parts in a thousand, or from
 * its best core to its worst in small steps. CPUs with the same MIDR_EL1 (ARM)
 * are of one sort with any numbers. Two sorts are "P" and "E", more of them
 * "K0" (the weakest), "K1", …
 *
 * An efficiency core without an L3, where others have one, is "LP-E".
 */
#ifndef SHIELD_TOPOLOGY_KINDS_H
#define SHIELD_TOPOLOGY_KINDS_H

#include "shield/topology/topology.h"

#include <hwloc.h>

/* Fill in the kind of every CPU; all "" where the cores are alike. */
void kinds_load(struct sys *sys, hwloc_topology_t hwloc, struct topology *topo);

#endif
