/* SPDX-License-Identifier: MIT */
/*
 * balancer: what irqbalance may use, as if it were a kernel file.
 *
 * irqbalance answers on a socket, one request a connection, root only:
 *
 *	"setup"			"SLEEP 10 … BANNED 000000f0"
 *	"settings cpus 4-7"	bans these and no others; no answer
 *	"settings cpus NULL"	back to its own configuration (an empty list
 *				crashes it)
 *	"settings ban irqs 34 35"  leaves these alone and no others; NONE
 *
 * "setup" says "IRQ 34 LOAD …" for each that it leaves alone. A message ends at
 * 500 bytes, a hundred numbers or so: what is beyond is not banned.
 *
 * A ban counts, and is reported, from its next scan on: up to SLEEP seconds
 * later. In that scan it sleeps for SLEEP seconds more and does not answer; if
 * the asker has gone when it comes to answer, it dies of SIGPIPE (1.9.2). So it
 * is asked seldom and with a long time limit, never to look whether it has
 * obeyed. Unless it is told something it bans the CPUs of isolcpus= and
 * nohz_full= by itself and does not report these.
 *
 * The value here is the set of CPUs that it may use: all but those banned and
 * those of isolcpus= and nohz_full=. So guest CPUs are taken out of it as out of
 * any other mask.
 */
#ifndef SHIELD_SYS_BALANCER_H
#define SHIELD_SYS_BALANCER_H

#include "shield/sys/sys.h"

/* 0 or a negated errno; -ENOENT when no process listens. *sleep, unless NULL:
 * seconds between two scans. */
int balancer_read(struct sys *sys, const char *socket, struct cpuset *allowed, unsigned *sleep);
int balancer_write(struct sys *sys, const char *socket, const struct cpuset *allowed);

/* The numbers of the interrupts that it leaves alone. */
int balancer_read_irqs(struct sys *sys, const char *socket, struct cpuset *numbers);
int balancer_write_irqs(struct sys *sys, const char *socket, const struct cpuset *numbers);

/*
 * What an order ("settings …") changes, for a preview: the interrupts that it leaves
 * alone (*bans), or the CPUs that it may use, now and after it. 0 or a negated errno.
 */
int balancer_order(struct sys *sys, const char *socket, const char *order, bool *bans,
		   struct cpuset *before, struct cpuset *after);

#endif
