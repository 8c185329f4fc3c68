/* SPDX-License-Identifier: MIT */
#include "irq/count.h"

unsigned long long irq_count(struct sys *sys, unsigned number, const struct cpuset *possible,
			     const struct cpuset *cpus, bool *cut)
{
	_cleanup_free_ char *path = xasprintf("/sys/kernel/irq/%u/per_cpu_count", number);
	_cleanup_free_ char *text = NULL;
	unsigned long long sum = 0;
	char *at;

	if (sys_read_line(sys, path, &text) < 0)
		return 0;
	at = text;
	for (int cpu = cpuset_next(possible, -1); cpu >= 0; cpu = cpuset_next(possible, cpu)) {
		bool last = cpuset_next(possible, cpu) < 0;
		unsigned long long n = strtoull(at, &at, 10);

		/* Where the page ends a number may be cut in two. */
		if (cpuset_has(cpus, (unsigned)cpu)) {
			if (*at || last)
				sum += n;
			else
				*cut = true;
		}
		at += *at == ',';
	}
	return sum;
}
