/*
 * irqevents: hear from the kernel that an interrupt was given a vector, or a mask.
 *
 * The tracepoint irq_vectors:vector_config fires whenever an x86 interrupt is
 * aimed at a CPU: when it is requested, and when its mask moves it. A mask that
 * is written does not fire it while the interrupt's CPU is in the new mask: then
 * the kernel leaves it where it is. So a probe on irq_set_affinity_locked(), by
 * which every mask is set, whoever does it (a driver at ifup, a change of rings
 * or CPU hotplug; irqbalance; a person). Nothing else announces either (no
 * uevent, no inotify on /proc/irq). Both are read through perf_event_open(2),
 * since that ends with the process: a tracefs instance or a probe of our own
 * would outlive a guard that is killed.
 *
 * What it costs: two events and two pages of memory a CPU; a CPU on which a vector
 * is set up (a module loads, a guest starts its driver) or a mask written writes
 * 40 bytes and wakes us. Where nothing changes, nothing runs. irqbalance causes
 * one wake-up a scan at most, as do our own writes.
 *
 * Needs root, CONFIG_PERF_EVENTS and tracefs mounted in one of its two places;
 * elsewhere and on other architectures (ERR_UNSUPPORTED) the caller looks at
 * intervals. Without the probe (no CONFIG_KPROBE_EVENTS, or a kernel locked down
 * to confidentiality) an interrupt is still never aimed at a guest CPU unheard
 * of, and a mask that aims it nowhere else waits for the slow look.
 * (arch/x86/include/asm/trace/irq_vectors.h, kernel/irq/manage.c,
 * perf_event_open(2))
 */
#ifndef SHIELD_RUN_IRQEVENTS_H
#define SHIELD_RUN_IRQEVENTS_H

#include "shield/sys/sys.h"

struct irqevents {
	int fd; /* for poll(2), POLLIN; -1: closed */
	struct irqevents_ring {
		int fd, probe; /* probe: -1 where there is none */
		void *pages;
	} * rings;
	size_t n;
};

/* Listen on these CPUs. On failure e->fd is -1. */
int irqevents_open(struct irqevents *e, struct sys *sys, const struct cpuset *online,
		   struct err *err);
/* May be called on a zeroed struct whose fd is -1. */
void irqevents_close(struct irqevents *e);

/* Forget what was announced so far: the caller is about to look for itself. */
void irqevents_drain(struct irqevents *e);

#endif
