/* SPDX-License-Identifier: MIT */
#include "profiles/find.h"

#include "profiles/profile.h"
#include "shield/base/similar.h"

#include <string.h>

/* Beside the program itself: BIN/../lib/shield/profiles.d, wherever it was
 * installed. A recorded machine has another program. */
static void add_own(struct sys *sys, struct strv *dirs)
{
	_cleanup_free_ char *exe = NULL, *own = NULL;
	char *slash;

	if (sys->readonly || sys_readlink(sys, "/proc/self/exe", &exe) < 0)
		return;
	for (int up = 0; up < 2; up++) {
		slash = strrchr(exe, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
	own = xasprintf("%s/lib/shield/profiles.d", exe);
	if (sys_exists(sys, own) && !strv_contains(dirs, own))
		strv_add(dirs, own);
}

/* Where profiles are looked for, the first that counts first. */
static void list_directories(struct sys *sys, struct strv *dirs)
{
	strv_add(dirs, "/etc/shield/profiles.d");
	strv_add(dirs, "/run/shield/profiles.d");
	add_own(sys, dirs);
	if (!strv_contains(dirs, SHIELD_PROFILEDIR))
		strv_add(dirs, SHIELD_PROFILEDIR);
	if (!strv_contains(dirs, "/usr/lib/shield/profiles.d"))
		strv_add(dirs, "/usr/lib/shield/profiles.d");
}

static bool ends_in_json(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

char *find_directories(struct sys *sys)
{
	_cleanup_strv_ struct strv dirs = { 0 };
	char *all = NULL;

	list_directories(sys, &dirs);
	for (size_t d = 0; d < dirs.n; d++) {
		char *longer = xasprintf("%s%s%s", d ? all : "", d ? ", " : "", dirs.items[d]);

		free(all);
		all = longer;
	}
	return all;
}

/* The names in every directory, without .json. */
void find_all(struct sys *sys, struct strv *names)
{
	_cleanup_strv_ struct strv dirs = { 0 };

	list_directories(sys, &dirs);
	for (size_t d = 0; d < dirs.n; d++) {
		_cleanup_strv_ struct strv entries = { 0 };

		if (sys->ops->list(sys->ctx, dirs.items[d], &entries) < 0)
			continue;
		for (size_t i = 0; i < entries.n; i++) {
			char *name = entries.items[i];

			if (!ends_in_json(name))
				continue;
			name[strlen(name) - 5] = '\0';
			if (profile_check_name(name, NULL) == 0 && !strv_contains(names, name))
				strv_add(names, name);
		}
	}
	strv_sort(names);
}

static int unknown(struct sys *sys, const char *name, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_free_ char *where = NULL;
	const char *meant;

	find_all(sys, &names);
	meant = similar_find(name, (const char *const *)names.items, names.n);
	if (meant)
		return err_set(err, ERR_USAGE,
			       "there is no profile \"%s\"; did you mean \"%s\"? 'shield profile "
			       "list' shows all",
			       name, meant);
	where = find_directories(sys);
	return err_set(err, ERR_USAGE,
		       "there is no profile \"%s\" in %s; write one there, or give a path; "
		       "'shield profile list' shows all",
		       name, where);
}

/* The path of NAME.json, in the directory of a path or in the usual ones. */
static char *path_of(struct sys *sys, const char *name, const char *beside)
{
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	_cleanup_strv_ struct strv dirs = { 0 };

	if (beside) {
		char *path = xasprintf("%.*s%s.json", slash ? (int)(slash + 1 - beside) : 0, beside,
				       name);

		if (sys_exists(sys, path))
			return path;
		free(path);
		return NULL;
	}
	list_directories(sys, &dirs);
	for (size_t d = 0; d < dirs.n; d++) {
		char *path = xasprintf("%s/%s.json", dirs.items[d], name);

		if (sys_exists(sys, path))
			return path;
		free(path);
	}
	return NULL;
}

static int check_own_name(const struct document *doc, const char *name, struct err *err)
{
	struct json_position place = { .key = "name" };
	const char *own = json_string_value(json_object_get(doc->root, "name"));

	if (!own || strcmp(own, name) == 0)
		return 0;
	return document_error(doc, &place, err,
			      "\"%.80s\" is in a file that is called %s.json; rename one of them",
			      own, name);
}

int find_read(struct sys *sys, const char *which, const struct document *beside,
	      struct document *doc, struct err *err)
{
	bool is_path = !beside && (strchr(which, '/') || ends_in_json(which));
	bool outside = sys->readonly && (is_path || (beside && beside->outside));
	_cleanup_free_ char *path = NULL;
	struct sys real = { 0 };
	struct sys *from = sys;
	int rc;

	if (!is_path && profile_check_name(which, err) < 0)
		return -1;
	if (outside) {
		sys_open_real(&real, "");
		real.readonly = true; /* as the machine that it is read for */
		from = &real;
	}
	path = is_path ? xstrdup(which) : beside ? path_of(from, which, beside->path) : NULL;
	if (!path) {
		outside = false;
		from = sys;
		path = path_of(sys, which, NULL);
	}
	rc = path ? document_read(from, path, doc, err) : unknown(sys, which, err);
	if (real.ops)
		sys_close_real(&real);
	if (rc < 0)
		return -1;
	doc->outside = outside;
	if (!is_path && check_own_name(doc, which, err) < 0) {
		document_clear(doc);
		return -1;
	}
	return 0;
}
