/* SPDX-License-Identifier: MIT */
/*
 * irqevents: hear from the kernel that an interrupt was given a vector, or a mask.
 *
 * The tracepoint irq_vectors:vector_config fires whenever an x86 interrupt is
 * aimed at a CPU: when it is requested, and when its mask moves it. A mask that
 * is written does not fire it while the interrupt's CPU is in the new mask: then
 * the kernel leaves it where it is. So a probe on irq_set_affinity_locked(), by
 * which every mask is set, by the kernel (ifup, a change of rings, CPU hotplug),
 * by irqbalance or by a user. Nothing else announces either (no
 * uevent, no inotify on /proc/irq).
 *
 * At both a BPF program of ten instructions puts a word into a ring and wakes
 * us: for all CPUs, those too that come later. perf events without one would be
 * an event a CPU, each of which takes the kernel a grace period of RCU to end.
 * All of it ends with the process: a tracefs instance or a probe made there would
 * outlive a guard that is killed.
 *
 * What it costs: two events, two programs and a ring of one page; each set-up of a vector (a module
 * loads, a guest starts its driver) and each write of a mask writes 16 bytes there. Where nothing
 * changes, nothing runs. irqbalance causes one wake-up a scan at most, as do our own writes.
 *
 * Needs root, CONFIG_PERF_EVENTS, CONFIG_BPF_EVENTS and tracefs mounted in one of
 * its two places; elsewhere and on other architectures (ERR_UNSUPPORTED) the
 * caller looks at intervals. Without the probe alone (no CONFIG_KPROBE_EVENTS) an
 * interrupt is still never aimed at a guest CPU unheard of, and a mask that aims
 * it nowhere else waits for the slow look.
 * (arch/x86/include/asm/trace/irq_vectors.h, kernel/irq/manage.c, bpf(2),
 * perf_event_open(2), Documentation/bpf/ringbuf.rst)
 */
#ifndef SHIELD_EVENT_IRQEVENTS_H
#define SHIELD_EVENT_IRQEVENTS_H

#include "shield/sys/sys.h"

struct irqevents {
	int fd;				    /* of the ring, for poll(2), POLLIN; -1: closed */
	int events[2];			    /* the tracepoint and the probe, with their programs */
	unsigned long *consumed, *produced; /* the second cannot be written */
};

/* On failure e->fd is -1. */
int irqevents_open(struct irqevents *e, struct sys *sys, struct err *err);
/* May be called on a zeroed struct whose fd is -1. */
void irqevents_close(struct irqevents *e);

/* Forget what was announced so far: the caller is about to look for itself. */
void irqevents_drain(struct irqevents *e);

#endif
