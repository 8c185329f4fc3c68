/* SPDX-License-Identifier: MIT */
#include "shield/ops/take_over.h"

#include "shield/cgroup/libvirt.h"
#include "shield/ops/attach.h"
#include "shield/ops/processes.h"
#include "shield/sys/clock.h"
#include "shield/vm/vm_vcpus.h"

#include <string.h>

/* For one that starts there is another try. */
#define TAKE_OVER_MS 1000

static bool is_qemu(struct txn *txn, const struct shield *shield, pid_t pid)
{
	(void)shield;
	return vm_is_qemu(txn->sys, pid);
}

/* Was it started by `run`, with the monitor and the -S that qmp_launch.c adds? */
static bool frozen_by_run(struct sys *sys, pid_t qemu)
{
	_cleanup_strv_ struct strv argv = { 0 };

	if (vm_cmdline(sys, qemu, &argv) < 0 || argv.n < 4)
		return false;
	return strcmp(argv.items[argv.n - 1], "-S") == 0 &&
	       strncmp(argv.items[argv.n - 2], "/proc/self/fd/", 14) == 0 &&
	       strcmp(argv.items[argv.n - 3], "-readconfig") == 0;
}

static int place_asked(struct txn *txn, const char *name, pid_t qemu, struct qmp *q,
		       struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	long long deadline = sys_deadline(txn->sys, TAKE_OVER_MS);

	if (qmp_vcpus(q, deadline, &vcpus, err) != 0 ||
	    qmp_iothreads(q, deadline, &vcpus, err) != 0 ||
	    vm_vcpus_verify(txn->sys, qemu, &vcpus, err) < 0)
		return -1;
	if (!vcpus.n)
		return err_set(err, ERR_FAILED, "process %d has no vCPUs yet", (int)qemu);
	return shield_attach(txn, name, qemu, &vcpus, err);
}

/* With the monitor that `run` has left. */
static int place_and_start(struct txn *txn, const char *name, pid_t qemu, bool placed,
			   struct err *err)
{
	_cleanup_free_ char *path = xasprintf(STATE_SOCKET, name);
	long long deadline = sys_deadline(txn->sys, TAKE_OVER_MS);
	char status[32] = "";
	struct qmp q;
	int rc;

	if (qmp_connect(&q, txn->sys, path, NULL, NULL, deadline, err) < 0)
		return -1;
	rc = placed ? 0 : place_asked(txn, name, qemu, &q, err);
	if (rc == 0)
		rc = qmp_status(&q, deadline, status, err);
	if (rc == 0 && strcmp(status, "prelaunch") == 0)
		rc = qmp_cont(&q, deadline, err);
	qmp_close(&q);
	return rc == 0 ? 0 : -1;
}

int shield_take_over(struct txn *txn, const char *name, struct err *err)
{
	const struct shield *s = state_shield(&txn->state, name);
	bool placed;
	pid_t qemu = 0;

	if (!s || s->phase != PHASE_ACTIVE || !s->owner.pid || process_alive(txn->sys, &s->owner) ||
	    libvirt_is_cgroup(s->cgroup, &s->partitions) || strcmp(s->partition, "isolated") != 0)
		return 0;
	placed = process_alive(txn->sys, &s->vm);
	if (placed)
		qemu = s->vm.pid;
	else if (!shield_find_process(txn, s, is_qemu, &qemu))
		return 0;
	if (frozen_by_run(txn->sys, qemu))
		return place_and_start(txn, name, qemu, placed, err) < 0 ? -1 : 1;
	if (!placed && shield_attach_running(txn, name, qemu, err) < 0)
		return -1;
	return 1;
}
