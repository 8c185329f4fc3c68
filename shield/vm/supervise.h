/* SPDX-License-Identifier: MIT */
/*
 * supervise: the run of a VM, from the command line to its exit status. It
 * knows processes and monitors; what happens to the host is in the hooks.
 *
 * QEMU itself is started frozen (-S) with a monitor of our own:
 *
 *	place(vm) -> exec -> QMP: vCPU threads -> pin -> cont -> wait
 *
 * Any other command may end up in QEMU (a script, quickemu), once, several
 * times or never. Its descendants are watched, by process events or by looking
 * once a second:
 *
 *	place -> exec -> wait, until a QEMU with vCPU threads is there
 *	      -> is_vm -> pin -> wait, until it ends -> vm_ended -> wait …
 *
 * vCPUs that are plugged in later are pinned, too: pin is called again with
 * the whole list. A -daemonize QEMU, or one that a script left behind, is waited
 * for after the command itself has ended.
 *
 * Signals go to the command (child.h). If it dies and leaves the VM, or if we
 * are asked twice, they go to the VM as well.
 */
#ifndef SHIELD_VM_SUPERVISE_H
#define SHIELD_VM_SUPERVISE_H

#include "shield/vm/child.h"
#include "shield/vm/vm.h"

struct supervise_hooks {
	/* The process waits before exec: put it where it belongs. vm: it becomes
	 * QEMU itself. A failure ends it. */
	int (*place)(void *ctx, pid_t pid, bool vm, struct err *err);
	/* A command that was placed as no VM has QEMU, this process, below it.
	 * Followed by pin. */
	int (*is_vm)(void *ctx, pid_t qemu, struct err *err);
	/* These are all its vCPU threads now, checked to be threads of it. */
	int (*pin)(void *ctx, pid_t qemu, const struct vm_vcpus *vcpus, struct err *err);
	/* It could not be pinned, for this cause, and goes on as it is, as the
	 * user asked (options->keep): now the host may have its CPUs back. */
	void (*abandon)(void *ctx, pid_t qemu, const struct err *cause);
	/* QEMU has ended; the command may go on. NULL: of no interest. */
	void (*vm_ended)(void *ctx, pid_t qemu);
	/* One line for the user, about what is not a failure. */
	void (*note)(void *ctx, const char *text);
};

struct supervise_options {
	char *const *argv;
	const struct user_account *user; /* or NULL */
	const int *keep_fds;		 /* that he gets beside the streams */
	size_t n_keep_fds;
	bool privileges;    /* he may gain some (confine.h) */
	const char *socket; /* the path for QEMU's monitor (qmp_launch.h) */
	int qmp_timeout;    /* seconds to find the vCPUs in; 0: 30 */
	bool keep;	    /* a VM that cannot be pinned goes on; else it is killed */
};

/*
 * Run it to its end. c is from child_init(), and not started. 0: the command
 * ran, *status is its own. -1 with err: *status is 126 or 127 if it could not
 * be executed, else 125; nothing of it is left running but what it had left
 * behind itself.
 *
 * When the command was not a VM, processes that it left in the background may
 * still live. When a -daemonize QEMU ends with an error, that is the status.
 */
int supervise(struct child *c, struct sys *sys, const struct supervise_options *options,
	      const struct supervise_hooks *hooks, void *ctx, int *status, struct err *err);

#endif
