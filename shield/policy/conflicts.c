/* SPDX-License-Identifier: MIT */
#include "shield/policy/conflicts.h"

#include <string.h>

#define UNIT_MAX (64 * 1024)

static const struct {
	const char *comm, *what, *cure;
} daemons[] = {
	{ "intel_lpmd", "sets AllowedCPUs= of system.slice, user.slice and machine.slice",
	  "keep it from low power mode while a VM runs ('intel_lpmd_control OFF'), or stop it" },
	{ "tuned", "may set affinities, IRQ masks and governors",
	  "choose a profile without isolated cores ('tuned-adm active' names yours)" },
	{ "kubelet", "gives containers CPUs of their own when its CPU manager policy is static",
	  "name the guest CPUs in its reservedSystemCPUs" },
	{ "gamemoded", "may pin games to cores and park others",
	  "set pin_cores=no and park_cores=no in gamemode.ini" },
};

static void find_daemons(const struct tasks *tasks, struct strv *warnings)
{
	for (size_t d = 0; d < ARRAY_SIZE(daemons); d++)
		for (size_t i = 0; i < tasks->n; i++) {
			if (tasks->items[i].tid != tasks->items[i].tgid ||
			    strcmp(tasks->items[i].comm, daemons[d].comm) != 0)
				continue;
			strv_addf(warnings, "%s is running and %s: %s", daemons[d].comm,
				  daemons[d].what, daemons[d].cure);
			break;
		}
}

/* The CPUs that a line of a unit file gives a unit, or NULL. */
static const char *allowed_cpus(const char *line)
{
	static const char *const keys[] = { "AllowedCPUs", "StartupAllowedCPUs" };

	line += strspn(line, " \t");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t n = strlen(keys[i]);
		const char *value = line + n;

		if (strncmp(line, keys[i], n) != 0)
			continue;
		value += strspn(value, " \t");
		if (*value == '=')
			return value + 1 + strspn(value + 1, " \t");
	}
	return NULL;
}

static void read_file(struct sys *sys, const char *file, int length, const char *unit,
		      struct strv *warnings)
{
	_cleanup_free_ char *text = NULL, *cpus = NULL;
	char *save = NULL;

	if (sys_read(sys, file, UNIT_MAX, &text) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *value = allowed_cpus(line);

		if (!value)
			continue;
		free(cpus); /* the last one counts, and an empty one takes all back */
		cpus = *value ? xstrdup(value) : NULL;
	}
	if (cpus)
		strv_addf(
			warnings,
			"%s limits %.*s to CPUs %s; a shield that has some of them takes them from "
			"it meanwhile, one of all of them is refused, and before Linux 6.7 one of "
			"any ('systemctl revert %.*s' forgets the limit)",
			file, length, unit, cpus, length, unit);
}

/* A unit's own file, or a directory UNIT.d with drop-ins. */
static void read_unit(struct sys *sys, const char *dir, const char *name, struct strv *warnings)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	_cleanup_strv_ struct strv files = { 0 };
	size_t n = strlen(name);

	if (n <= 2 || strcmp(name + n - 2, ".d") != 0) {
		read_file(sys, path, (int)n, name, warnings);
		return;
	}
	if (sys->ops->list(sys->ctx, path, &files) < 0)
		return;
	strv_sort(&files);
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", path, files.items[i]);

		read_file(sys, file, (int)n - 2, name, warnings);
	}
}

/* Only where people, set-property and systemd-run write, not what packages ship;
 * and not our own. */
static void find_units(struct sys *sys, struct strv *warnings)
{
	static const char *const dirs[] = {
		"/etc/systemd/system",		 "/etc/systemd/system.control",
		"/usr/local/lib/systemd/system", "/run/systemd/system",
		"/run/systemd/system.control",	 "/run/systemd/transient"
	};

	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		_cleanup_strv_ struct strv names = { 0 };

		if (sys->ops->list(sys->ctx, dirs[d], &names) < 0)
			continue;
		strv_sort(&names);
		for (size_t i = 0; i < names.n; i++)
			if (strncmp(names.items[i], "shield", 6) != 0)
				read_unit(sys, dirs[d], names.items[i], warnings);
	}
}

/* cset(1) leaves its sets behind: of cgroup v1, and with late versions of v2. */
static void find_cset(struct sys *sys, struct strv *warnings)
{
	static const char *const dirs[] = { "/cpusets", "/dev/cpuset", "/sys/fs/cgroup/cpuset",
					    "/sys/fs/cgroup" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *user = xasprintf("%s/user/cpuset.cpus", dirs[i]);

		if (sys_exists(sys, user))
			strv_addf(warnings,
				  "cset has made sets in %s: 'cset shield --reset' removes "
				  "them",
				  dirs[i]);
	}
}

void conflicts_find(struct sys *sys, const struct tasks *tasks, struct strv *warnings)
{
	find_daemons(tasks, warnings);
	find_units(sys, warnings);
	find_cset(sys, warnings);
}
