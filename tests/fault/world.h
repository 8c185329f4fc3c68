/* SPDX-License-Identifier: MIT */
/*
 * world: a small machine with everything on it that a shield touches, and the
 * commands as functions, for the tests that fail and kill them.
 *
 * 8 CPUs, each a core. Interrupts: one on all CPUs, one on guest CPUs only, one
 * that refuses. Kernel threads that move and that do not. User threads without
 * and with masks of their own, in the root and in another cgroup. A QEMU with
 * two vCPU threads and an I/O thread. Profiles win11 (CPUs 2-3, emulator 6, with
 * flush, host settings, a vCPU map, and CPU 1 for the I/O thread) and lin (4-5,
 * 7).
 * After CMD_START also a domain vm of libvirt: vCPU 0 on CPU 4, vCPU 1 on 5 and 7,
 * the emulator on 0-4.
 */
#ifndef TESTS_FAULT_WORLD_H
#define TESTS_FAULT_WORLD_H

#include "shield/txn/txn.h"
#include "tests/fake/faulty.h"
#include "tests/fake/kernel.h"

enum command {
	CMD_ON,
	CMD_OFF,
	CMD_ATTACH,
	CMD_RECOVER,
	CMD_ORPHANS, /* recover --discard, where there is no file (any more) */
	CMD_DOMAIN,  /* libvirt's hook, for its domain */
	CMD_FOLLOW,
	CMD_REPAIR,  /* of a partition that needs none, which is down meanwhile */
	CMD_THREADS, /* of the VM: those started in a partition */
	/* what libvirt itself does: start a domain, pin its vCPU 0 to CPU 6,
	 * and 1 to CPUs 3 and 7 */
	CMD_START,
	CMD_REPIN,
	/* irqbalance is started, on a machine with PCI devices */
	CMD_BALANCE,
	/* PID 1 is systemd; beside Linux 6.12 a prompt one. Or a later one, which
	 * has CPUSetPartition= */
	CMD_SYSTEMD,
	CMD_SYSTEMD_261,
	/* a user lets the kernel lose a CPU of it: then 7.3 does, when the pin
	 * of its vCPU 1 becomes CPU 7 only */
	CMD_LOSE,
	/* the first vCPU of QEMU, or of the domain, starts a thread */
	CMD_BIRTH,
	CMD_BIRTH_DOMAIN,
};

struct world {
	struct fake *fake;
	enum flavour flavour;
	struct sys sys; /* without faults */
	pid_t qemu, vcpu, kswapd, cron, worker, domain, domain_vcpu;
};

/* What a command answered. */
struct outcome {
	int rc;
	struct err err;
	bool told; /* something was left alone, immovable or not moved */
};

void world_init(struct world *w, enum flavour flavour);
void world_clear(struct world *w);
/* Another one in the same state: much quicker than what led there. */
void world_copy(struct world *w, const struct world *from);

/* Run a command on a shield through this door. */
void world_run(struct world *w, struct sys *sys, enum command command, const char *name,
	       struct outcome *outcome);

/*
 * Run it on a preview (preview.h), and then, and compare: the same changing calls in the same
 * order, and the preview has changed nothing. NULL, or how they differ; allocated.
 */
char *world_preview(const struct world *w, enum command command, const char *name);

/* The same through a door that dies at operation `at` (the n-th that changes
 * something, if `changes`). Was it met? What the dead process had allocated is
 * no leak. */
bool world_crash(struct world *w, enum command command, const char *name, size_t at, bool changes);

/* Through this door, which dies at its fault; it stays for more. */
bool world_interrupted(struct world *w, struct faulty *f, enum command command, const char *name);

/* Through one that dies within the first write that changes what is isolated. */
bool world_kill_inside(struct world *w, enum command command, const char *name);

/* Without faults: recover, end every shield. NULL, or what went wrong. */
char *world_restore(struct world *w);

/* The lines that are in one of the two texts only; "" if there are none. */
char *text_diff(const char *a, const char *b);
/* Is there nothing more than the process that held the scope of who died? It stays
 * until the scope ends (scope_anchor.h). */
bool diff_is_anchor(const char *diff);
/* Is every differing line about a thread's or interrupt's CPUs, or a host
 * setting? */
bool diff_is_soft(const char *diff);

#endif
