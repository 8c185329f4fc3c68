/* SPDX-License-Identifier: MIT */
#include "irq/irqbalance.h"

#include "shield/sys/balancer.h"
#include "shield/sys/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define DIRECTORY "/run/irqbalance"
#define ENVIRON_MAX 65536

void irqbalance_clear(struct irqbalance *b)
{
	free(b->socket);
	cpuset_clear(&b->allowed);
	*b = (struct irqbalance){ 0 };
}

/* A process that has ended is not it. */
static int not_ended(int rc)
{
	return rc == -ENOENT || rc == -ESRCH ? 0 : rc;
}

/* Is it root's? 1, 0, or a negated errno. */
static int is_roots(struct sys *sys, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)pid), *text = NULL;
	int rc = sys_read(sys, path, 0, &text);

	if (rc < 0)
		return not_ended(rc);
	return strstr(text, "\nUid:\t0\t0\t") != NULL;
}

/* Is it that program, which an upgrade may have removed? Who is not root is not told. */
static int is_program(struct sys *sys, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/exe", (int)pid), *exe = NULL;
	int rc = sys_readlink(sys, path, &exe);
	const char *name;

	if (rc < 0)
		return rc == -EACCES ? 1 : not_ended(rc);
	name = strrchr(exe, '/');
	return name &&
	       (strcmp(name, "/irqbalance") == 0 || strcmp(name, "/irqbalance (deleted)") == 0);
}

int irqbalance_is(struct sys *sys, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/comm", (int)pid), *comm = NULL;
	int rc = sys_read_line(sys, path, &comm);

	if (rc < 0)
		return not_ended(rc);
	if (strcmp(comm, "irqbalance") != 0)
		return 0;
	/* A recorded machine has neither. */
	rc = sys->readonly ? 1 : is_roots(sys, pid);
	return rc <= 0 || sys->readonly ? rc : is_program(sys, pid);
}

bool irqbalance_has_no_socket(struct sys *sys)
{
	_cleanup_irqbalance_ struct irqbalance b = { 0 };
	_cleanup_strv_ struct strv pids = { 0 };

	if (irqbalance_find(sys, &b) || sys->ops->list(sys->ctx, "/proc", &pids) < 0)
		return false;
	for (size_t i = 0; i < pids.n; i++)
		if (isdigit((unsigned char)*pids.items[i]) &&
		    irqbalance_is(sys, atoi(pids.items[i])) > 0)
			return true;
	return false;
}

bool irqbalance_find(struct sys *sys, struct irqbalance *b)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = sys->ops->list(sys->ctx, DIRECTORY, &names);

	b->error = rc == -ENOENT ? 0 : rc;
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		int number, end = 0, is;

		if (sscanf(names.items[i], "irqbalance%9d.sock%n", &number, &end) != 1 || !end ||
		    names.items[i][end])
			continue;
		/* One that was killed leaves its socket behind. */
		is = irqbalance_is(sys, number);
		if (is < 0)
			b->error = is;
		if (is <= 0)
			continue;
		b->pid = number;
		b->socket = xasprintf(DIRECTORY "/%s", names.items[i]);
		return true;
	}
	return false;
}

void irqbalance_snapshot(struct sys *sys, struct irqbalance *b)
{
	int rc;

	if (!irqbalance_find(sys, b))
		return;
	rc = balancer_read(sys, b->socket, &b->allowed, NULL);
	if (rc < 0 && rc != -EACCES) /* root may ask it: it is there */
		irqbalance_clear(b);
	b->error = rc == -ENOENT ? 0 : rc;
}

/* Its environment, which has a NUL after each variable; 0 or a negated errno. */
static int read_environ(struct sys *sys, pid_t pid, char *buffer, size_t size)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/environ", (int)pid);
	int fd = sys->ops->open(sys->ctx, path, O_RDONLY);
	size_t at = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	while ((n = sys->ops->read(sys->ctx, fd, buffer + at, size - 1 - at)) > 0)
		at += (size_t)n;
	sys->ops->close(sys->ctx, fd);
	memset(buffer + at, 0, size - at);
	return 0;
}

/* Take the CPUs out that its configuration bans, as its unit sets it. */
static void without_configured(struct sys *sys, pid_t pid, struct cpuset *cpus)
{
	static const char list[] = "IRQBALANCE_BANNED_CPULIST=", mask[] = "IRQBALANCE_BANNED_CPUS=";
	_cleanup_free_ char *text = xmalloc(ENVIRON_MAX);
	_cleanup_cpuset_ struct cpuset banned = { 0 };

	if (read_environ(sys, pid, text, ENVIRON_MAX) < 0)
		return;
	for (const char *at = text; at < text + ENVIRON_MAX - 1; at += strlen(at) + 1) {
		if (strncmp(at, list, sizeof(list) - 1) == 0)
			cpulist_parse(at + sizeof(list) - 1, &banned, NULL);
		else if (strncmp(at, mask, sizeof(mask) - 1) == 0)
			cpumask_parse(at + sizeof(mask) - 1, &banned, NULL);
	}
	cpuset_andnot(cpus, &banned);
}

bool irqbalance_settle(struct sys *sys, struct irqbalance *b)
{
	_cleanup_cpuset_ struct cpuset now = { 0 }, all = { 0 };
	unsigned sleep = 10;

	if (!b->pid || sys_read_cpulist(sys, "/sys/devices/system/cpu/present", &all) < 0)
		return false;
	without_configured(sys, b->pid, &all);
	if (cpuset_within(&all, &b->allowed) || balancer_read(sys, b->socket, &now, &sleep) < 0)
		return false;
	for (unsigned i = 0; i <= 2 * sleep + 2 && i < 120; i++) {
		sys_pause(sys, 500);
		cpuset_clear(&now);
		if (balancer_read(sys, b->socket, &now, NULL) < 0)
			return false;
		if (!cpuset_equal(&now, &b->allowed))
			break;
	}
	cpuset_copy(&b->allowed, &now);
	return true;
}

void irqbalance_plan(const struct irqbalance *b, const struct cpuset *taken,
		     const struct cpuset *rest, struct plan *plan)
{
	_cleanup_cpuset_ struct cpuset left = { 0 };
	_cleanup_free_ char *from = NULL, *to = NULL;

	if (!b->pid || !cpuset_intersects(&b->allowed, taken))
		return;
	cpuset_copy(&left, &b->allowed);
	cpuset_andnot(&left, taken);
	from = cpulist_format(&b->allowed);
	to = cpulist_format(cpuset_intersects(&left, rest) ? &left : rest);
	plan_write(plan, b->socket, from, to)->avoid = true;
}

char *irqbalance_bans(const struct irqbalance *b)
{
	return xasprintf("%s/irqs", b->socket);
}
