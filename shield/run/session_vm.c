/* A running VM: its vCPUs, and whether it still lives. */
#include "shield/cgroup/place.h"
#include "shield/run/session.h"
#include "shield/run/vm_vcpus.h"
#include "shield/task/task.h"

#include <string.h>

#define QMP_MS 5000

int session_attach_running(struct txn *txn, const char *name, pid_t pid, struct plan *show,
			   struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	int rc;

	if (session_check_attach(txn, name, pid, err) < 0)
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
	return session_attach(txn, name, pid, &vcpus, show, err);
}

static bool lives(struct txn *txn, const struct process *p)
{
	return p->pid && task_alive(txn->sys, p->pid, p->start);
}

/* Whoever started it, something still runs in it. */
static bool populated(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.procs", txn->mount, shield->cgroup);
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	if (sys_read_line(txn->sys, path, &text) < 0)
		return false;
	for (char *pid = strtok_r(text, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save))
		if ((pid_t)atoi(pid) != shield->hold.pid)
			return true;
	return false;
}

/* Nothing is in its scope any more, not even what was to hold it, so systemd has
 * removed it, and the CPUs are the host's again already; or is about to. */
static bool dissolved(struct txn *txn, const struct shield *shield)
{
	_cleanup_free_ char *dir = xasprintf("%s%s", txn->mount, shield->cgroup);
	_cleanup_free_ char *unit = NULL, *slice = NULL;

	if (!place_is_unit(shield->cgroup, &unit, &slice))
		return false;
	return !sys_exists(txn->sys, dir) ||
	       (shield->hold.pid && !shield->vm.pid && !lives(txn, &shield->hold) &&
		!populated(txn, shield));
}

void session_abandoned(struct txn *txn, struct strv *names)
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
