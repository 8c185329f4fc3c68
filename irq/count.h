/* SPDX-License-Identifier: MIT */
/*
 * count: how often an interrupt was handled, CPU by CPU.
 *
 * /sys/kernel/irq/N/per_cpu_count lists all possible CPUs in their order and
 * ends at one page of memory: some 2,000 CPUs, the others are not counted.
 */
#ifndef SHIELD_IRQ_COUNT_H
#define SHIELD_IRQ_COUNT_H

#include "shield/sys/sys.h"

/* On the CPUs of a set, since boot. possible: /sys/devices/system/cpu/possible.
 * 0 when the interrupt is gone. *cut is set if CPUs of the set are not counted. */
unsigned long long irq_count(struct sys *sys, unsigned number, const struct cpuset *possible,
			     const struct cpuset *cpus, bool *cut);

#endif
