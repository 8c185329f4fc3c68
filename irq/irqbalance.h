/*
 * irqbalance: the daemon that moves interrupts about every ten seconds.
 *
 * It listens on /run/irqbalance/irqbalance<PID>.sock, one request a connection,
 * from root only. It does not see cpuset partitions, so it must be told to leave
 * guest CPUs alone ("ban" them), and again when it is started anew. What it is
 * told counts from its next scan on, and replaces what it was told before; what
 * it was told before is what it goes back to.
 *
 * So that the transaction can treat it like a kernel file, its value is written
 * as the CPUs that it *may* use: all CPUs but those that are banned, and but
 * those of isolcpus= and nohz_full=, which it bans by itself as long as nobody
 * tells it anything, and does not report.
 *
 * (irqbalance 1.9, irqbalance.c sock_handle(); an empty list crashes it, "NULL"
 * takes it back to its own configuration.)
 */
#ifndef SHIELD_IRQ_IRQBALANCE_H
#define SHIELD_IRQ_IRQBALANCE_H

#include "shield/sys/sys.h"

/* The process and its socket (allocated); -ENOENT if none runs, or none that
 * has a socket. */
int irqbalance_find(struct sys *sys, pid_t *pid, char **socket);

#endif
