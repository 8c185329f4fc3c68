/* SPDX-License-Identifier: MIT */
#include "shield/policy/settings.h"

#include "shield/sys/kfile.h"

#include <errno.h>
#include <string.h>

#define CPUFREQ "/sys/devices/system/cpu/cpufreq"

void policy_flush(struct sys *sys, const struct host_snapshot *snapshot,
		  const struct shield_spec *spec, const struct cpuset *active, struct plan *plan)
{
	const char *where = spec->profile->path;
	bool standing = !cpuset_empty(active);

	if (!spec->profile->flush)
		return;
	for (size_t i = 0; i < snapshot->host.n_siblings; i++)
		standing |= snapshot->host.siblings[i].partition;
	if (standing) {
		strv_addf(&plan->warnings,
			  "%s: flush is left out: a partition exists already, and kernels damage "
			  "it when CPUs go offline",
			  where);
		return;
	}
	for (int c = cpuset_next(&spec->guest, -1); c >= 0; c = cpuset_next(&spec->guest, c)) {
		_cleanup_free_ char *path = xasprintf("/sys/devices/system/cpu/cpu%d/online", c);

		if (sys_exists(sys, path))
			plan_write(plan, path, "1", "0");
		else
			strv_addf(&plan->warnings,
				  "%s: flush leaves out CPU %d, which cannot go offline", where, c);
	}
}

static int unreadable(const char *path, int rc, struct err *err)
{
	return err_set(err, ERR_FAILED, "%s: cannot be read: %s", path, err_errno(rc));
}

/* The cpufreq policies that a guest CPU is in. */
static int find_clocks(struct sys *sys, const struct cpuset *guest, const char *file,
		       struct strv *paths, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = sys->ops->list(sys->ctx, CPUFREQ, &names);

	if (rc < 0 && rc != -ENOENT)
		return unreadable(CPUFREQ, rc, err);
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *members =
			xasprintf(CPUFREQ "/%s/related_cpus", names.items[i]);
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_free_ char *text = NULL;

		rc = sys_read_line(sys, members, &text);
		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			return unreadable(members, rc, err);
		for (char *s = text; *s; s++) /* "0 1 2" */
			*s = *s == ' ' ? ',' : *s;
		if (cpulist_parse(text, &cpus, NULL) == 0 && cpuset_intersects(&cpus, guest))
			strv_addf(paths, CPUFREQ "/%s/%s", names.items[i], file);
	}
	return 0;
}

/* The files of a setting: one, or one for each guest CPU. */
static int find_files(struct sys *sys, const struct kfile *row, const struct cpuset *guest,
		      struct strv *paths, struct err *err)
{
	const char *hash = strchr(row->pattern, '#');

	if (!hash)
		strv_add(paths, row->pattern);
	else if (strncmp(row->pattern, CPUFREQ, strlen(CPUFREQ)) == 0)
		return find_clocks(sys, guest, strrchr(row->pattern, '/') + 1, paths, err);
	else
		for (int c = cpuset_next(guest, -1); c >= 0; c = cpuset_next(guest, c))
			strv_addf(paths, "%.*s%d%s", (int)(hash - row->pattern), row->pattern, c,
				  hash + 1);
	return 0;
}

/* Does the file beside it that lists the words have this one? */
static int check_choice(struct sys *sys, const struct kfile *row, const char *path,
			const char *word, const struct profile *profile, struct err *err)
{
	_cleanup_free_ char *dir = NULL, *file = NULL, *text = NULL, *spaced = NULL, *wanted = NULL;

	if (!row->choices)
		return 0;
	dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	file = xasprintf("%s/%s", dir, row->choices);
	if (sys_read_line(sys, file, &text) < 0)
		return 0;
	spaced = xasprintf(" %s ", text);
	wanted = xasprintf(" %s ", word);
	if (strstr(spaced, wanted))
		return 0;
	return err_set(err, ERR_USAGE, "%s: host.%s: \"%s\" is not known here; choose one of: %s",
		       profile->path, row->setting, word, text);
}

static void plan_value(const struct kfile *row, const char *path, const char *from,
		       const char *wanted, const struct cpuset *taken, struct plan *plan)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *to = NULL;

	if (!row->cpus) {
		plan_write(plan, path, from, wanted);
		return;
	}
	cpulist_parse(from, &cpus, NULL);
	cpuset_andnot(&cpus, taken);
	to = cpulist_format(&cpus);
	plan_write(plan, path, from, to)->avoid = true;
}

/* What the kernel rewrites with it stays as it is. */
static int plan_dragged(struct sys *sys, const char *path, struct plan *plan, struct err *err)
{
	_cleanup_free_ char *now = NULL;
	int rc = kfile_read(sys, kfile_find(path, NULL), path, &now);

	if (rc < 0)
		return unreadable(path, rc, err);
	plan_write(plan, path, now, now);
	return 0;
}

static int plan_setting(struct sys *sys, const struct shield_spec *spec, const struct kfile *row,
			const char *wanted, struct plan *plan, struct err *err)
{
	_cleanup_strv_ struct strv paths = { 0 };
	size_t found = 0;

	if (find_files(sys, row, &spec->guest, &paths, err) < 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++) {
		_cleanup_free_ char *from = NULL;
		int rc = kfile_read(sys, row, paths.items[i], &from);

		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			return unreadable(paths.items[i], rc, err);
		if (check_choice(sys, row, paths.items[i], wanted, spec->profile, err) < 0)
			return -1;
		plan_value(row, paths.items[i], from, wanted, &spec->taken, plan);
		found++;
	}
	if (found && row->drags && plan_dragged(sys, row->drags, plan, err) < 0)
		return -1;
	if (!found)
		strv_addf(&plan->warnings, "%s: host.%s: this machine has no %s; left out",
			  spec->profile->path, row->setting, row->pattern);
	return 0;
}

int policy_settings(struct sys *sys, const struct shield_spec *spec, struct plan *plan,
		    struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach (spec->profile->host, key, value) {
		const struct kfile *row = kfile_setting(key);
		_cleanup_free_ char *wanted =
			json_is_integer(value)
				? xasprintf("%lld", (long long)json_integer_value(value))
			: json_is_string(value) ? xstrdup(json_string_value(value))
						: NULL;

		if (row && wanted && plan_setting(sys, spec, row, wanted, plan, err) < 0)
			return -1;
	}
	return 0;
}
