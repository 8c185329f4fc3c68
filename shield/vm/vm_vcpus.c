/* SPDX-License-Identifier: MIT */
#include "shield/vm/vm_vcpus.h"

#include "shield/sys/clock.h"
#include "shield/task/task.h"
#include "shield/vm/qmp_launch.h"

static bool ask(struct sys *sys, pid_t pid, const char *path, int ms, qmp_wait_fn *wait, void *ctx,
		struct vm_vcpus *vcpus)
{
	_cleanup_free_ char *here = *path == '/' ? xasprintf("/proc/%d/root%s", (int)pid, path)
						 : xasprintf("/proc/%d/cwd/%s", (int)pid, path);
	_cleanup_vcpus_ struct vm_vcpus found = { 0 };
	long long deadline = sys_deadline(sys, ms);
	struct qmp q;
	bool ok;

	/* Why it did not work is of no interest: the next, or names, may. */
	ok = qmp_connect(&q, sys, here, wait, ctx, deadline, NULL) == 0 &&
	     qmp_vcpus(&q, deadline, &found, NULL) == 0 && found.n &&
	     qmp_iothreads(&q, deadline, &found, NULL) >= 0 &&
	     vm_vcpus_verify(sys, pid, &found, NULL) == 0;
	qmp_close(&q);
	if (!ok)
		return false;
	vm_vcpus_clear(vcpus);
	*vcpus = found;
	found = (struct vm_vcpus){ 0 };
	return true;
}

int vm_vcpus_find(struct sys *sys, pid_t pid, int ms, qmp_wait_fn *wait, void *ctx,
		  struct vm_vcpus *vcpus, struct err *err)
{
	_cleanup_strv_ struct strv argv = { 0 }, paths = { 0 };
	int rc = vm_cmdline(sys, pid, &argv);

	if (rc == 0) {
		GROW(argv.items, argv.n, argv.cap); /* its NULL */
		if (argv.n)
			qmp_find_sockets(argv.items, &paths);
		for (size_t i = 0; i < paths.n; i++)
			if (ask(sys, pid, paths.items[i], ms, wait, ctx, vcpus))
				return 2;
		rc = vm_vcpus_by_name(sys, pid, vcpus);
	}
	if (task_ended(rc))
		return err_set(err, ERR_FAILED, "process %d does not exist", (int)pid);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "process %d cannot be looked at: %s", (int)pid,
			       err_errno(rc));
	return vcpus->n > 0;
}
