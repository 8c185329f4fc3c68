#include "shield/policy/managers.h"

#include <string.h>

#define DROPIN_MAX (64 * 1024)

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

/* The value of AllowedCPUs= in a drop-in, or NULL. */
static char *allowed_cpus(char *text)
{
	static const char key[] = "AllowedCPUs=";
	char *save = NULL, *found = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, sizeof(key) - 1) == 0)
			found = line[sizeof(key) - 1] ? line + sizeof(key) - 1 : NULL;
	return found;
}

static void read_unit(struct sys *sys, const char *dir, const char *unit, struct strv *warnings)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, unit);
	_cleanup_strv_ struct strv files = { 0 };

	if (sys->ops->list(sys->ctx, path, &files) < 0)
		return;
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_free_ char *file = xasprintf("%s/%s", path, files.items[i]), *text = NULL;
		char *cpus;

		if (sys_read(sys, file, DROPIN_MAX, &text) < 0 || !(cpus = allowed_cpus(text)))
			continue;
		strv_addf(
			warnings,
			"%s limits %.*s to CPUs %s; guest CPUs among them are taken from it while "
			"the shield is active ('systemctl revert %.*s' forgets the limit)",
			file, (int)strlen(unit) - 2, unit, cpus, (int)strlen(unit) - 2, unit);
	}
}

/* Only where people and set-property write, not what packages ship. */
static void find_dropins(struct sys *sys, struct strv *warnings)
{
	static const char *const dirs[] = { "/etc/systemd/system", "/etc/systemd/system.control",
					    "/run/systemd/system.control" };

	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		_cleanup_strv_ struct strv names = { 0 };

		if (sys->ops->list(sys->ctx, dirs[d], &names) < 0)
			continue;
		strv_sort(&names);
		for (size_t i = 0; i < names.n; i++) {
			size_t n = strlen(names.items[i]);

			if (n > 2 && strcmp(names.items[i] + n - 2, ".d") == 0)
				read_unit(sys, dirs[d], names.items[i], warnings);
		}
	}
}

/* cset(1) works with cgroup v1 and leaves its sets behind. */
static void find_cset(struct sys *sys, struct strv *warnings)
{
	static const char *const dirs[] = { "/cpusets", "/dev/cpuset", "/sys/fs/cgroup/cpuset" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *user = xasprintf("%s/user/cpuset.cpus", dirs[i]);

		if (sys_exists(sys, user))
			strv_addf(warnings,
				  "cset has made sets in %s: 'cset shield --reset' removes "
				  "them",
				  dirs[i]);
	}
}

void managers_find(struct sys *sys, const struct tasks *tasks, struct strv *warnings)
{
	find_daemons(tasks, warnings);
	find_dropins(sys, warnings);
	find_cset(sys, warnings);
}
