/* SPDX-License-Identifier: MIT */
#include "shield/policy/conflicts.h"

#include "shield/policy/overlaps.h"

#include <string.h>

#define UNIT_MAX (64 * 1024)
#define PVE_VMS "/etc/pve/qemu-server"

#define LXD_DOES \
	"writes cpuset.cpus of its instances anew when one starts or stops, or a CPU comes or goes"
#define SWITCHES "sets governors and energy preferences when the power profile changes"
#define TUNED_PPD "choose the profile before the VM starts ('tuned-adm profile NAME'), and leave it"

/* Whom it concerns: each shield, one with host settings for clocks, or `doctor`. */
enum concerns { ALL, CLOCKS, DOCTOR };

/* comm as the kernel has it: 15 characters. */
static const struct {
	const char *comm, *name, *what, *cure;
	enum concerns concerns;
} programs[] = {
	{ "intel_lpmd", NULL, "sets AllowedCPUs= of system.slice, user.slice and machine.slice",
	  "keep it from low power mode while a VM runs ('intel_lpmd_control OFF'), or stop it",
	  ALL },
	{ "tuned", NULL, "may set affinities, IRQ masks and governors",
	  "choose a profile without isolated cores ('tuned-adm active' names yours)", ALL },
	{ "kubelet", NULL,
	  "gives containers CPUs of their own when its CPU manager policy is static",
	  "name the guest CPUs in its reservedSystemCPUs", ALL },
	{ "gamemoded", NULL, "may pin games to cores and park others",
	  "set pin_cores=no and park_cores=no in gamemode.ini", ALL },
	{ "lxd", "LXD", LXD_DOES,
	  "give instances with limits.cpu other CPUs than the guest's ('lxc config set NAME limits.cpu LIST')",
	  ALL },
	{ "incusd", "Incus", LXD_DOES,
	  "give instances with limits.cpu other CPUs than the guest's ('incus config set NAME limits.cpu LIST')",
	  ALL },
	{ "numad", NULL, "moves busy processes and VMs to CPUs near their memory",
	  "stop it while a VM is shielded ('systemctl stop numad'), or start it with -x PID of QEMU",
	  ALL },
	{ "pvestatd", "Proxmox VE (pvestatd)",
	  "spreads containers that have \"cores\" over the CPUs of the host, again and again",
	  "these stay off an active shield by themselves, unlike containers with "
	  "lxc.cgroup2.cpuset.cpus and VMs with \"affinity\": let those name other CPUs than the "
	  "guest's",
	  DOCTOR },
	{ "tuned-ppd", NULL, SWITCHES, TUNED_PPD, CLOCKS },
	{ "power-profiles-", "power-profiles-daemon", SWITCHES,
	  "choose the profile before the VM starts ('powerprofilesctl set performance'), and leave it",
	  CLOCKS },
	{ "tlp-pd", NULL, SWITCHES,
	  "choose the profile before the VM starts ('tlpctl performance'), and leave it", CLOCKS },
	{ "auto-cpufreq", NULL, "sets governors and energy preferences anew every few seconds",
	  "stop it while a VM is shielded ('systemctl stop auto-cpufreq'), or leave \"governor\" out of the profile",
	  CLOCKS },
};

static bool runs(const struct tasks *tasks, const char *comm)
{
	for (size_t i = 0; i < tasks->n; i++)
		if (tasks->items[i].tid == tasks->items[i].tgid &&
		    strcmp(tasks->items[i].comm, comm) == 0)
			return true;
	return false;
}

/* profile NULL: `doctor` asks. */
static bool is_concerned(enum concerns concerns, const struct profile *profile)
{
	return concerns == ALL || !profile ||
	       (concerns == CLOCKS && json_object_get(profile->host, "governor"));
}

static void find_programs(struct sys *sys, const struct tasks *tasks, const struct profile *profile,
			  struct strv *warnings)
{
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (is_concerned(programs[i].concerns, profile) && runs(tasks, programs[i].comm))
			strv_addf(warnings, "%s is running and %s: %s",
				  programs[i].name ?: programs[i].comm, programs[i].what,
				  programs[i].cure);
	/* No daemon: it works whenever the power supply changes, and at resume. */
	if (is_concerned(CLOCKS, profile) && sys_exists(sys, "/run/tlp"))
		strv_add(warnings,
			 "TLP is in use and sets governors and energy preferences whenever the "
			 "power supply changes: leave CPU_SCALING_GOVERNOR_ON_AC out of "
			 "/etc/tlp.conf, or \"governor\" out of the profile");
}

/* A scheduler in BPF, which has all ordinary tasks, and so vCPUs, too.
 * (Documentation/scheduler/sched-ext.rst) */
static void find_scheduler(struct sys *sys, struct strv *warnings)
{
	_cleanup_free_ char *state = NULL, *name = NULL;

	if (sys_read_line(sys, "/sys/kernel/sched_ext/state", &state) < 0 || !*state ||
	    strcmp(state, "disabled") == 0)
		return;
	sys_read_line(sys, "/sys/kernel/sched_ext/root/ops", &name);
	strv_addf(warnings,
		  "the sched_ext scheduler %s is %s and decides when vCPUs run: not all of them "
		  "know isolated CPUs (scx_lavd, scx_bpfland and scx_cake do not read "
		  "cpuset.cpus.isolated); if vCPUs are late, stop it while the VM runs "
		  "('systemctl stop scx', 'scxctl stop')",
		  name && *name ? name : "(without a name)", state);
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

/* VMs of Proxmox VE that taskset(1) is to start on taken CPUs only: it cannot.
 * Behind the first "[" are snapshots. */
static void read_affinity(struct sys *sys, const char *id, const struct cpuset *taken,
			  struct strv *warnings)
{
	_cleanup_free_ char *path = xasprintf(PVE_VMS "/%s.conf", id), *text = NULL;
	char *save = NULL;

	if (sys_read(sys, path, UNIT_MAX, &text) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line && *line != '[';
	     line = strtok_r(NULL, "\n", &save)) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		const char *list = line + strspn(line, " \t");

		if (strncmp(list, "affinity:", 9) != 0)
			continue;
		list += 9 + strspn(list + 9, " \t");
		if (cpulist_parse(list, &cpus, NULL) == 0 && cpuset_within(&cpus, taken))
			strv_addf(warnings,
				  "VM %s of Proxmox VE has affinity %s, all of it CPUs that the "
				  "shield takes: it cannot start while the shield is active, "
				  "unless that is its own (the hookscript begins it once the VM "
				  "runs); 'qm set %s --delete affinity' removes it",
				  id, list, id);
	}
}

static void find_affinities(struct sys *sys, const struct cpuset *taken, struct strv *warnings)
{
	_cleanup_strv_ struct strv names = { 0 };

	if (sys->ops->list(sys->ctx, PVE_VMS, &names) < 0)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		char *dot = strrchr(names.items[i], '.');

		if (!dot || strcmp(dot, ".conf") != 0)
			continue;
		*dot = '\0';
		read_affinity(sys, names.items[i], taken, warnings);
	}
}

void conflicts_find(struct sys *sys, const struct tasks *tasks, const struct profile *profile,
		    struct strv *warnings)
{
	find_programs(sys, tasks, profile, warnings);
	find_scheduler(sys, warnings);
	find_units(sys, warnings);
	find_cset(sys, warnings);
}

void conflicts_find_cpus(struct sys *sys, const struct host_caps *host, const struct cpuset *active,
			 const struct cpuset *taken, const char *domain, struct strv *warnings)
{
	overlaps_find(sys, host, active, taken, domain, warnings);
	find_affinities(sys, taken, warnings);
}
