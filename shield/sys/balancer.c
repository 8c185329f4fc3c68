/* SPDX-License-Identifier: MIT */
#include "shield/sys/balancer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The two orders, each with a list behind it. */
#define BAN_CPUS "settings cpus"
#define BAN_IRQS "settings ban irqs"

/* All CPUs, and those of them that it uses when nothing is banned. What is not known
 * is not an empty set: it would be told another ban than was meant. */
static int read_cpus(struct sys *sys, struct cpuset *present, struct cpuset *used)
{
	static const char *const quiet[] = { "/sys/devices/system/cpu/isolated",
					     "/sys/devices/system/cpu/nohz_full" };
	int rc = sys_read_cpulist(sys, "/sys/devices/system/cpu/present", present);

	if (rc < 0)
		return rc;
	cpuset_copy(used, present);
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };

		/* "(null)" in nohz_full of some kernels means none. */
		rc = sys_read_cpulist(sys, quiet[i], &cpus);
		if (rc < 0 && rc != -ENOENT && rc != -EBADMSG)
			return rc;
		cpuset_andnot(used, &cpus);
	}
	return cpuset_empty(present) ? -EBADMSG : 0;
}

static int ask(struct sys *sys, const char *socket, const char *request, char **answer)
{
	int rc = sys->ops->ask ? sys->ops->ask(sys->ctx, socket, request, answer) : -ENOENT;

	return rc == -ECONNREFUSED ? -ENOENT : rc;
}

int balancer_read(struct sys *sys, const char *socket, struct cpuset *allowed, unsigned *sleep)
{
	_cleanup_cpuset_ struct cpuset banned = { 0 }, present = { 0 };
	_cleanup_free_ char *answer = NULL;
	char *at;
	int rc = ask(sys, socket, "setup", &answer);

	if (rc < 0)
		return rc;
	at = strstr(answer, "BANNED ");
	if (!at || cpumask_parse(at + strlen("BANNED "), &banned, NULL) < 0)
		return -EBADMSG;
	rc = read_cpus(sys, &present, allowed);
	if (rc < 0)
		return rc;
	cpuset_andnot(allowed, &banned);
	at = strstr(answer, "SLEEP ");
	if (sleep)
		*sleep = at ? (unsigned)strtoul(at + strlen("SLEEP "), NULL, 10) : 10;
	return 0;
}

int balancer_write(struct sys *sys, const char *socket, const struct cpuset *allowed)
{
	_cleanup_cpuset_ struct cpuset all = { 0 }, banned = { 0 };
	_cleanup_free_ char *list = NULL, *request = NULL;
	int rc = read_cpus(sys, &banned, &all);

	if (rc < 0)
		return rc;
	cpuset_andnot(&banned, allowed);
	list = cpulist_format(&banned);
	request = xasprintf(BAN_CPUS " %s", cpuset_within(&all, allowed) || !*list ? "NULL" : list);
	return ask(sys, socket, request, NULL);
}

int balancer_read_irqs(struct sys *sys, const char *socket, struct cpuset *numbers)
{
	_cleanup_free_ char *answer = NULL;
	int rc = ask(sys, socket, "setup", &answer);
	unsigned number;

	if (rc < 0)
		return rc;
	if (!strstr(answer, "BANNED "))
		return -EBADMSG;
	for (const char *at = answer; (at = strstr(at, "IRQ ")); at++)
		if (sscanf(at, "IRQ %9u LOAD", &number) == 1 && number <= CPUSET_MAX_CPU)
			cpuset_add(numbers, number);
	return 0;
}

int balancer_write_irqs(struct sys *sys, const char *socket, const struct cpuset *numbers)
{
	char request[500] = BAN_IRQS;
	size_t n = strlen(request);

	if (cpuset_empty(numbers))
		return ask(sys, socket, BAN_IRQS " NONE", NULL);
	for (int irq = cpuset_next(numbers, -1); irq >= 0 && n < sizeof(request) - 8;
	     irq = cpuset_next(numbers, irq))
		n += (size_t)snprintf(request + n, sizeof(request) - n, " %d", irq);
	return ask(sys, socket, request, NULL);
}

int balancer_order(struct sys *sys, const char *socket, const char *order, bool *bans,
		   struct cpuset *before, struct cpuset *after)
{
	_cleanup_cpuset_ struct cpuset present = { 0 }, banned = { 0 };
	unsigned number;
	int n, rc;

	*bans = strncmp(order, BAN_IRQS, strlen(BAN_IRQS)) == 0;
	if (*bans) {
		for (order += strlen(BAN_IRQS); sscanf(order, " %9u%n", &number, &n) == 1;
		     order += n)
			cpuset_add(after, number);
		return balancer_read_irqs(sys, socket, before);
	}
	rc = balancer_read(sys, socket, before, NULL);
	if (rc == 0)
		rc = read_cpus(sys, &present, after);
	/* "NULL": none is banned */
	if (rc == 0 && cpulist_parse(order + strlen(BAN_CPUS " "), &banned, NULL) == 0)
		cpuset_andnot(after, &banned);
	return rc;
}
