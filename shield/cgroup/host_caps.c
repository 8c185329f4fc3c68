/* SPDX-License-Identifier: MIT */
#include "shield/cgroup/host_caps.h"

#include "shield/sys/kfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void host_caps_clear(struct host_caps *host)
{
	for (size_t i = 0; i < host->n_siblings; i++) {
		free(host->siblings[i].path);
		cpuset_clear(&host->siblings[i].cpus);
		cpuset_clear(&host->siblings[i].exclusive);
	}
	free(host->siblings);
	free(host->mount);
	free(host->controllers);
	free(host->home);
	cpuset_clear(&host->online);
	cpuset_clear(&host->present);
	cpuset_clear(&host->isolcpus);
	*host = (struct host_caps){ 0 };
}

/* With hybrid cgroups systemd gives no cgroup the cpuset controller. */
#define UNIFIED                                                                              \
	"remove systemd.unified_cgroup_hierarchy=0 from the kernel command line (or set it " \
	"to 1) and reboot"

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || strchr(" ,", at[-1])) && strchr(" ,\n", at[n]))
			return true;
	return false;
}

/* Why is there no cpuset on cgroup v2? Only asked after it was missed. */
static int diagnose(struct sys *sys, struct err *err)
{
	_cleanup_free_ char *mounts = NULL, *cmdline = NULL;
	char *save = NULL;
	bool v2 = false, whole = false, systemd = sys_exists(sys, "/run/systemd/system");

	if (sys_read_line(sys, "/proc/cmdline", &cmdline) == 0 &&
	    strstr(cmdline, "cgroup_disable=") && strstr(cmdline, "cpuset"))
		return err_set(err, ERR_UNSUPPORTED,
			       "the cpuset controller is disabled: remove cgroup_disable=cpuset "
			       "from the kernel command line and reboot");
	if (sys_read(sys, "/proc/self/mounts", 0, &mounts) < 0)
		mounts = xstrdup("");
	for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *where = strchr(line, ' '), *type = where ? strchr(where + 1, ' ') : NULL;

		if (!type)
			continue;
		if (strncmp(type, " cgroup2 ", 9) == 0) {
			v2 = true;
			whole |= strncmp(where, " /sys/fs/cgroup ", 16) == 0;
		}
		if (strncmp(type, " cgroup ", 8) == 0 && has_word(type + 8, "cpuset")) {
			*type = '\0';
			return err_set(err, ERR_UNSUPPORTED,
				       "the cpuset controller is bound to cgroup v1 (%s), so there "
				       "are no partitions: %s",
				       where + 1,
				       systemd ? UNIFIED : "boot with cgroup_no_v1=cpuset");
		}
	}
	if (!v2)
		return err_set(err, ERR_UNSUPPORTED,
			       "cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup");
	if (systemd && !whole)
		return err_set(err, ERR_UNSUPPORTED,
			       "systemd has its cgroups in v1 (hybrid): " UNIFIED);
	return err_set(err, ERR_UNSUPPORTED,
		       "the kernel has no cpuset controller on cgroup v2: it needs CONFIG_CPUSETS, "
		       "and a host, not a container");
}

static void read_sibling(struct sys *sys, struct host_caps *host, const char *name)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", host->mount, name);
	_cleanup_free_ char *cpus = xasprintf("%s/cpuset.cpus", dir);
	_cleanup_free_ char *exclusive = xasprintf("%s/cpuset.cpus.exclusive", dir);
	_cleanup_free_ char *partition = xasprintf("%s/cpuset.cpus.partition", dir);
	_cleanup_free_ char *state = NULL;
	struct sibling *s;

	if (!sys_exists(sys, cpus))
		return;
	GROW(host->siblings, host->n_siblings, host->cap_siblings);
	s = &host->siblings[host->n_siblings++];
	s->path = xasprintf("/%s", name);
	sys_read_cpulist(sys, cpus, &s->cpus);
	sys_read_cpulist(sys, exclusive, &s->exclusive);
	s->partition = sys_read_line(sys, partition, &state) == 0 && strcmp(state, "member") != 0;
	if (s->partition && cpuset_empty(&s->exclusive))
		cpuset_copy(&s->exclusive, &s->cpus);
}

static void read_home(struct sys *sys, struct host_caps *host)
{
	_cleanup_free_ char *text = NULL;
	char *line;

	if (sys_read(sys, "/proc/self/cgroup", 0, &text) == 0) {
		line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
		line = line ? strchr(line, '/') : NULL;
		if (line)
			host->home = xstrndup(line, strcspn(line, "\n"));
	}
	if (!host->home)
		host->home = xstrdup("/");
}

/* Only "it is not there" is no; anything else would make another host of it. */
static int probe(struct sys *sys, const char *path, bool *found)
{
	struct stat st;
	int rc = sys->ops->lstat(sys->ctx, path, &st);

	*found = rc == 0;
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

/* "6.12.95" is 612. */
static unsigned release(struct sys *sys)
{
	_cleanup_free_ char *text = NULL;
	unsigned major, minor;

	if (sys_read_line(sys, "/proc/sys/kernel/osrelease", &text) < 0 ||
	    sscanf(text, "%4u.%2u", &major, &minor) != 2)
		return 0;
	return 100 * major + minor;
}

/* What looks like the root of cgroup v2 may be that of a cgroup namespace. All
 * cgroups have cgroup.type but the real root, which alone has the list of
 * isolated CPUs (visible from Linux 6.8). */
static int check_root(struct sys *sys, const struct host_caps *host, struct err *err)
{
	_cleanup_free_ char *type = xasprintf("%s/cgroup.type", host->mount);
	_cleanup_free_ char *events = xasprintf("%s/cgroup.events", host->mount);

	if (host->systemd && strcmp(host->mount, "/sys/fs/cgroup") != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "cgroup v2 is on %s beside v1 (hybrid), where systemd gives no "
			       "cgroup the cpuset controller: " UNIFIED,
			       host->mount);
	if (!host->remote &&
	    (release(sys) >= 608 || sys_exists(sys, type) || sys_exists(sys, events)))
		return err_set(err, ERR_UNSUPPORTED,
			       "%s is not the root of the host's cgroups but that of a container "
			       "(cpuset.cpus.isolated is missing): run shield on the host",
			       host->mount);
	return 0;
}

int host_caps_probe(struct sys *sys, struct host_caps *host, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_free_ char *control = NULL, *isolated = NULL;
	int rc = sys->ops->cgroup_mount(sys->ctx, &host->mount);

	if (rc < 0)
		return diagnose(sys, err);
	control = xasprintf("%s/cgroup.subtree_control", host->mount);
	isolated = xasprintf("%s/cpuset.cpus.isolated", host->mount);
	rc = kfile_read(sys, kfile_find(control, host->mount), control, &host->controllers);
	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "%s: %s", control, err_errno(rc));
	if ((rc = probe(sys, isolated, &host->remote)) < 0 ||
	    (rc = probe(sys, "/sys/devices/virtual/workqueue/cpumask_isolated",
			&host->workqueues)) < 0 ||
	    (rc = probe(sys, "/run/systemd/system", &host->systemd)) < 0)
		return err_set(err, ERR_FAILED, "the host cannot be probed: %s", err_errno(rc));
	if (check_root(sys, host, err) < 0)
		return -1;
	rc = sys_read_cpulist(sys, "/sys/devices/system/cpu/online", &host->online);
	if (rc >= 0)
		rc = sys_read_cpulist(sys, "/sys/devices/system/cpu/present", &host->present);
	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "/sys/devices/system/cpu: %s", err_errno(rc));
	sys_read_cpulist(sys, "/sys/devices/system/cpu/isolated", &host->isolcpus);
	rc = sys->ops->list(sys->ctx, host->mount, &names);
	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "%s: %s", host->mount, err_errno(rc));
	for (size_t i = 0; i < names.n; i++)
		read_sibling(sys, host, names.items[i]);
	read_home(sys, host);
	return 0;
}

bool host_caps_remote(struct sys *sys, const char *mount)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.isolated", mount);

	return sys_exists(sys, path);
}

bool host_caps_housekeeping(struct sys *sys)
{
	return sys_exists(sys, "/sys/devices/system/cpu/housekeeping");
}
