/* SPDX-License-Identifier: MIT */
/*
 * preview: the host on paper, for --dry-run.
 *
 * A struct sys that reads as the one below it does, keeps for itself all that is
 * written, and shows it to what reads afterwards. A command that runs on it takes
 * every decision that it would take on the host, by the same code; what was kept,
 * call by call and in this order, is what it would do.
 *
 * What the kernel and PID 1 do of their own accord in answer to a write is known
 * here as far as Shield reads it back, and so decides by it:
 *
 *	cgroups.c	a new cgroup has its files; processes are where they were put;
 *			PID 1 makes and removes the cgroups of units
 *	cpus.c		a partition takes its CPUs from the root, and from the threads
 *			that the kernel keeps off them by itself
 *
 * The clock moves only by pauses, which take no time. Nothing waits for the lock,
 * no process is started, and Shield's own files (/run/shield) are not told of.
 */
#ifndef SHIELD_PREVIEW_PREVIEW_H
#define SHIELD_PREVIEW_PREVIEW_H

#include "shield/plan/plan.h"
#include "shield/sys/sys.h"

/* Lay it over below, which must outlive it. sys becomes the preview; release it
 * with preview_close(). */
void preview_open(struct sys *sys, struct sys *below);
void preview_close(struct sys *sys);

/* What was done to it so far; its own until it is closed. */
struct plan *preview_plan(struct sys *sys);

/* The kernel remembers the CPUs that this thread had chosen, although nothing shows
 * them at present: it gets them back when a partition gives up its own. */
void preview_remember(struct sys *sys, pid_t tid, const char *cpulist);

#endif
