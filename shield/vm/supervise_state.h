/* SPDX-License-Identifier: MIT */
/*
 * supervise_state: what supervise.c (the life of the command) and
 * supervise_vm.c (finding and pinning QEMU) share. No other file includes it.
 *
 *	            no vm, no candidate     nothing to pin (yet)
 *	candidate   a QEMU by its name, whose vCPUs are not known yet
 *	vm          QEMU, pinned; or abandoned, and only waited for
 */
#ifndef SHIELD_VM_SUPERVISE_STATE_H
#define SHIELD_VM_SUPERVISE_STATE_H

#include "shield/event/procevents.h"
#include "shield/vm/qmp.h"
#include "shield/vm/qmp_launch.h"
#include "shield/vm/supervise.h"

struct supervision {
	struct child *c;
	struct sys *sys;
	const struct supervise_options *options;
	const struct supervise_hooks *hooks;
	void *ctx;
	bool direct; /* the command is QEMU */
	struct qmp_launch launch;
	struct qmp qmp;		  /* to a direct QEMU */
	struct procevents events; /* fd -1: we look at intervals instead */

	pid_t candidate;
	long long candidate_until; /* when to give it up */
	struct vm_vcpus seen;	   /* by names, in the last look */
	unsigned looks;		   /* at the candidate; at the VM since its last new thread */

	pid_t vm;
	int vm_fd;     /* its pidfd */
	pid_t last_vm; /* remembered for its status: */
	int vm_status; /* once it has ended as our child; else -1 */
	struct vm_vcpus vcpus;
	struct strv threads; /* all of its threads in the last look */
	bool abandoned;

	long long look_at; /* the next look; 0: when something happens */
	long long linger;  /* how long to look for a VM after the command ended */
	bool fd_ready;	   /* a QMP call waits for it */
};

/* supervise.c */

/* Wait for one event and take note of it: 1, 0 after timeout_ms, -1. */
int supervise_pump(struct supervision *s, int timeout_ms, struct err *err);
/* Has the command ended for good, with nothing left that could be the VM? */
bool supervise_gone(const struct supervision *s);
/* A qmp_wait_fn: pumps meanwhile. */
int supervise_wait_fd(void *ctx, int fd, short events, int timeout_ms, struct err *err);

/* supervise_vm.c */

/* Bring a direct QEMU to run: 0; 1 when it ended before; -1. */
int supervise_start_vm(struct supervision *s, struct err *err);
/* Look for QEMU, for its vCPUs, for more vCPUs: -1 when it cannot be pinned. */
int supervise_look(struct supervision *s, struct err *err);
/* From now on wait for this process, however it ends. */
int supervise_watch_vm(struct supervision *s, pid_t pid, struct err *err);
void supervise_forget_vm(struct supervision *s);
/* Read what its own monitor says while it is not asked anything. */
void supervise_watch_monitor(struct supervision *s);
/* A QEMU by its name was seen. */
void supervise_candidate(struct supervision *s, pid_t pid);
/* The VM has a new thread: look soon; for a burst of them once. */
void supervise_new_thread(struct supervision *s);
/* Look in ms milliseconds, or earlier if that is planned already. */
void supervise_look_in(struct supervision *s, int ms);

#endif
