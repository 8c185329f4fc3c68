/* SPDX-License-Identifier: MIT */
/*
 * irqbalance: the daemon that moves interrupts about every ten seconds.
 *
 * It does not see cpuset partitions, so it must be told to leave guest CPUs
 * alone, and again when it is started anew. It listens on
 * /run/irqbalance/irqbalance<PID>.sock; what it is told, and how that becomes a
 * value with an original that can be restored, is in shield/sys/balancer.h. The
 * socket has the number of its process in its name: one that was restarted is
 * another object, and the ban of the former died with it.
 */
#ifndef SHIELD_IRQ_IRQBALANCE_H
#define SHIELD_IRQ_IRQBALANCE_H

#include "shield/plan/plan.h"
#include "shield/sys/sys.h"

struct irqbalance {
	pid_t pid; /* 0: none runs that has a socket */
	char *socket;
	bool without_socket; /* host_snapshot.h: one runs that cannot be told anything */
	int error; /* a negated errno: whether one runs, or what it may use, is not known */
	struct cpuset allowed; /* the CPUs that it may use, as it reports them */
};

/* Is this process irqbalance? 1, 0, or a negated errno. By its name, its program and its
 * user: a process of another user that calls itself so decides nothing. */
int irqbalance_is(struct sys *sys, pid_t pid);
/* Is there one? Fills pid and socket, without a word to it. */
bool irqbalance_find(struct sys *sys, struct irqbalance *b);
/* Does one run that has none? A look at every process. */
bool irqbalance_has_no_socket(struct sys *sys);
/* As irqbalance_find(), and ask it. */
void irqbalance_snapshot(struct sys *sys, struct irqbalance *b);
void irqbalance_clear(struct irqbalance *b);
#define _cleanup_irqbalance_ _cleanup_(irqbalance_clear)

/*
 * It reports a ban that was lifted seconds ago until its next scan, and an
 * original must be true: if it reports one that is not in its configuration
 * (IRQBALANCE_BANNED_CPULIST, IRQBALANCE_BANNED_CPUS), wait for that scan, at
 * most some 12 seconds, and look again. Whether it had to wait.
 */
bool irqbalance_settle(struct sys *sys, struct irqbalance *b);

/* The step that takes guest CPUs away from it; none if none runs. rest: the
 * host's CPUs. */
void irqbalance_plan(const struct irqbalance *b, const struct cpuset *taken,
		     const struct cpuset *rest, struct plan *plan);

/* The path by which the interrupts are known that it leaves alone, allocated. */
char *irqbalance_bans(const struct irqbalance *b);

#endif
