/* SPDX-License-Identifier: MIT */
/*
 * qmp_launch: a monitor of our own for a QEMU that we start, and the monitors
 * of one that another program started.
 *
 * The socket is made, bound and listening before QEMU exists, and QEMU inherits
 * it: we can connect at once, and no other user can. It is described to QEMU
 * in a configuration (-readconfig) instead of with -chardev and -mon, because
 * these two on the command line switch off QEMU's default monitor, and with it
 * Ctrl-A C and Ctrl-A X of -nographic and the monitor tab of a window. The
 * configuration is a memory file, inherited too, so nothing but the socket is
 * in a directory. (QEMU: softmmu/vl.c, default_monitor; measured with 7.2.)
 */
#ifndef SHIELD_VM_QMP_LAUNCH_H
#define SHIELD_VM_QMP_LAUNCH_H

#include "shield/base/err.h"
#include "shield/base/strv.h"

struct qmp_launch {
	struct strv argv; /* the command line to run, NULL-terminated */
	int keep[2];	  /* descriptors that it must inherit */
	bool frozen;	  /* -S was added: we have to let the machine run */
	char *path;	  /* of the socket; unlinked by qmp_launch_clear() */
};

/*
 * Make the socket at path (mode 0600, a left-over one is replaced; at most 107
 * bytes) and the command line: the caller's, with our monitor and -S at its
 * end. -S is not added, and the machine is not ours to start, when it is there
 * already, or with -incoming or -preconfig, where another program decides when
 * the machine runs. On failure nothing is left behind.
 */
int qmp_launch_prepare(struct qmp_launch *launch, char *const argv[], const char *path,
		       struct err *err);
/* Close our side of the descriptors, once the process has them. */
void qmp_launch_started(struct qmp_launch *launch);
void qmp_launch_clear(struct qmp_launch *launch);

/* Does QEMU's command line have this option, with one dash or two? What
 * follows -append is the guest kernel's and not looked at. */
bool qmp_has_option(char *const argv[], const char *option);

/*
 * The paths of the QMP sockets that a command line makes (-qmp, -qmp-pretty,
 * -mon with -chardev): listening ones that do not wait for their client, since
 * connecting to those that do would start the machine in its owner's place.
 * Paths are as written: relative ones are QEMU's own.
 */
void qmp_find_sockets(char *const argv[], struct strv *paths);

#endif
