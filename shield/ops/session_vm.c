/* A running VM: its vCPUs, and whether it still lives. */
#include "shield/cgroup/libvirt.h"
#include "shield/cgroup/layout.h"
#include "shield/sys/clock.h"
#include "shield/ops/session.h"
#include "shield/vm/vm_vcpus.h"
#include "shield/task/task.h"

#include <string.h>

#define QMP_MS 5000
/* For one that starts there is another try. */
#define TAKE_OVER_MS 1000

int shield_attach_running(struct txn *txn, const char *name, pid_t pid, struct plan *show,
			  struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	int rc;

	if (shield_check_attach(txn, name, pid, err) < 0)
		return -1;
	rc = vm_vcpus_find(txn->sys, pid, QMP_MS, NULL, NULL, &vcpus, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(err, ERR_FAILED,
			       "process %d: no vCPU threads found. Is it QEMU? Start it with a QMP "
			       "socket (-qmp unix:PATH,server=on,wait=off) or with named threads "
			       "(-name NAME,debug-threads=on)",
			       (int)pid);
	return shield_attach(txn, name, pid, &vcpus, show, err);
}

static bool lives(struct txn *txn, const struct process *p)
{
	return p->pid && task_alive(txn->sys, p->pid, p->start);
}

/* Something still runs in it, started by Shield or by others. */
static bool populated(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.procs", txn->mount, shield->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (sys_read_line(txn->sys, path, &text) < 0)
		return false;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		if ((pid_t)atoi(pid) != shield->anchor.pid)
			return true;
	return false;
}

/* Nothing is in its scope any more, not even what was to hold it, so systemd has
 * removed it, and the CPUs are the host's again already; or is about to. */
static bool dissolved(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *dir = xasprintf("%s%s", txn->mount, shield->cgroup);
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (!layout_is_unit(shield->cgroup, &unit, &slice))
		return false;
	return !sys_exists(txn->sys, dir) ||
	       (shield->anchor.pid && !shield->vm.pid && !lives(txn, &shield->anchor) &&
		!populated(txn, shield));
}

void shields_abandoned(struct txn *txn, struct strv *names)
{
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];

		/* `on` without a VM has no owner, and stays until `off`. */
		if (dissolved(txn, s)) {
			strv_add(names, s->name);
			continue;
		}
		if ((s->vm.pid || s->owner.pid) && !lives(txn, &s->vm) && !lives(txn, &s->owner) &&
		    !populated(txn, s))
			strv_add(names, s->name);
	}
}

/* A QEMU in the shield's cgroup, or 0. */
static pid_t qemu_within(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.procs", txn->mount, shield->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (sys_read_line(txn->sys, path, &text) < 0)
		return 0;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		if (vm_is_qemu(txn->sys, (pid_t)atoi(pid)))
			return (pid_t)atoi(pid);
	return 0;
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
	return shield_attach(txn, name, qemu, &vcpus, NULL, err);
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
	pid_t qemu;

	if (!s || s->phase != PHASE_ACTIVE || !s->owner.pid || lives(txn, &s->owner) ||
	    libvirt_is_cgroup(s->cgroup, &s->partitions) || strcmp(s->partition, "isolated") != 0)
		return 0;
	placed = lives(txn, &s->vm);
	qemu = placed ? s->vm.pid : qemu_within(txn, s);
	if (!qemu)
		return 0;
	if (frozen_by_run(txn->sys, qemu))
		return place_and_start(txn, name, qemu, placed, err) < 0 ? -1 : 1;
	if (!placed && shield_attach_running(txn, name, qemu, NULL, err) < 0)
		return -1;
	return 1;
}
