/* SPDX-License-Identifier: MIT */
/*
 * qmp: a client of QEMU's monitor (QMP), with a deadline on everything.
 *
 * What comes over the socket is taken for hostile: a message is at most 1 MiB
 * and a few levels deep, every number is checked, and an endless stream of
 * events ends at the deadline like silence does. Events may come between a
 * command and its reply and are skipped; replies are matched by id. Messages
 * may span lines, as with -qmp-pretty. (QEMU: docs/interop/qmp-spec;
 * qapi/machine.json for query-cpus-fast.)
 *
 * Waiting is the caller's: a qmp_wait_fn may look after signals and children at
 * the same time and give up when QEMU died. Deadlines are of clock.h.
 */
#ifndef SHIELD_VM_QMP_H
#define SHIELD_VM_QMP_H

#include "shield/vm/vm.h"

#include <jansson.h>

#define QMP_MESSAGE_MAX ((size_t)1 << 20)

/* Wait until fd is ready for events (of poll(2)): 1; timeout_ms has passed: 0;
 * there is nothing to wait for any more: -1 with err. */
typedef int qmp_wait_fn(void *ctx, int fd, short events, int timeout_ms, struct err *err);

struct qmp {
	int fd; /* -1: not connected; may be watched for events */
	/* the module's own */
	struct sys *sys;
	qmp_wait_fn *wait;
	void *ctx;
	char *in;
	size_t start, n_in, cap, scanned; /* a message begins at start, n_in bytes are there */
	unsigned depth;
	bool in_string, escaped;
	json_int_t id;
};

/*
 * Connect to a socket, take the greeting, and leave negotiation mode. wait may
 * be NULL: then poll(2) on the socket alone. On failure *q is closed. A monitor
 * serves one client at a time: another's shows as no greeting until the
 * deadline.
 */
int qmp_connect(struct qmp *q, struct sys *sys, const char *path, qmp_wait_fn *wait, void *ctx,
		long long deadline, struct err *err);
/* The same with a connected socket, which is taken over. */
int qmp_attach(struct qmp *q, struct sys *sys, int fd, qmp_wait_fn *wait, void *ctx,
	       long long deadline, struct err *err);
/* May be called twice, and on a struct with fd -1. */
void qmp_close(struct qmp *q);

/*
 * Run a command without arguments. 0, and if ret is not NULL the "return"
 * value, which the caller frees with json_decref(). 1 with err when QEMU refused
 * the command. -1 with err for everything else: the connection is closed.
 */
int qmp_command(struct qmp *q, const char *name, long long deadline, json_t **ret, struct err *err);

/* query-cpus-fast: the vCPUs, not yet verified (vm.h). Returns as qmp_command;
 * QEMU refuses while it is in -preconfig and has no vCPUs yet. */
int qmp_vcpus(struct qmp *q, long long deadline, struct vm_vcpus *vcpus, struct err *err);

/* query-iothreads, into the same list. */
int qmp_iothreads(struct qmp *q, long long deadline, struct vm_vcpus *vcpus, struct err *err);

/* query-status: "running", "prelaunch", "inmigrate", "preconfig", … */
int qmp_status(struct qmp *q, long long deadline, char status[static 32], struct err *err);

/* cont: start the vCPUs. */
int qmp_cont(struct qmp *q, long long deadline, struct err *err);

/* Throw away what has arrived, without waiting; closes a connection that the
 * other side has closed. For when fd is readable between commands. */
void qmp_drain(struct qmp *q);

#endif
