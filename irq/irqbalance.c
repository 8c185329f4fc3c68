#include "irq/irqbalance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIRECTORY "/run/irqbalance"

int irqbalance_find(struct sys *sys, pid_t *pid, char **socket)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = sys->ops->list(sys->ctx, DIRECTORY, &names);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *proc = NULL, *comm = NULL;
		int number, end = 0;

		if (sscanf(names.items[i], "irqbalance%9d.sock%n", &number, &end) != 1 || !end ||
		    names.items[i][end])
			continue;
		/* One that was killed leaves its socket behind. */
		proc = xasprintf("/proc/%d/comm", number);
		if (sys_read_line(sys, proc, &comm) < 0 || strcmp(comm, "irqbalance") != 0)
			continue;
		*pid = number;
		*socket = xasprintf(DIRECTORY "/%s", names.items[i]);
		return 0;
	}
	return -ENOENT;
}
