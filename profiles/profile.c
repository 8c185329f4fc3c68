#include "profiles/profile.h"

#include "profiles/document.h"
#include "profiles/fields.h"
#include "profiles/find.h"
#include "shield/base/text.h"
#include "shield/topology/expr.h"

#include <string.h>

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+"
#define NAME_MAX_LENGTH 64

int profile_check_name(const char *name, struct err *err)
{
	size_t n = strlen(name), good = strspn(name, NAME_CHARS);
	_cleanup_free_ char *shown = text_escape(name);

	if (n == 0)
		return err_set(err, ERR_USAGE, "a name cannot be empty");
	if (name[good]) {
		_cleanup_free_ char *bad = xstrndup(name + good, 1);
		_cleanup_free_ char *escaped = text_escape(bad);

		return err_set(err, ERR_USAGE,
			       "the name \"%.80s\" has a \"%s\"; use A-Z a-z 0-9 . _ - @ +", shown,
			       escaped);
	}
	if (n > NAME_MAX_LENGTH)
		return err_set(err, ERR_USAGE,
			       "the name \"%.20s...\" has %zu characters; use %d at most", shown, n,
			       NAME_MAX_LENGTH);
	if (*name == '.' || *name == '-')
		return err_set(err, ERR_USAGE,
			       "the name \"%s\" starts with a \"%c\"; start it with "
			       "a letter or a digit",
			       shown, *name);
	return 0;
}

/* What the evaluation of one profile needs. */
struct load {
	struct sys *sys;
	const struct topology *topo;
	const struct document *doc;
	struct profile *profile;
	struct strv *warnings;
	struct err *err;
};

/* Evaluate the CPU expression at place. */
static int evaluate(struct load *load, const struct place *place, const json_t *value,
		    struct expr_env *env, struct cpuset *set)
{
	_cleanup_strv_ struct strv notes = { 0 };
	struct err why = { 0 };

	env->sys = load->sys;
	env->topo = load->topo;
	env->split = load->profile->smt_split;
	if (expr_eval(env, json_string_value(value), set, &notes, &why) < 0)
		return document_string_error(load->doc, place, env->at, load->err, "%s", why.text);
	for (size_t i = 0; i < notes.n; i++) {
		_cleanup_free_ char *where = document_where(load->doc, place);

		strv_addf(load->warnings, "%s: %s", where, notes.items[i]);
	}
	return 0;
}

static int read_guest(struct load *load)
{
	struct place place = { .key = "guest" };
	json_t *value = json_object_get(load->doc->root, "guest");
	struct expr_env env = { .keep_first = true };
	_cleanup_free_ char *list = NULL;

	if (!value)
		return document_error(load->doc, &place, load->err,
				      "is missing; say which CPUs the guest gets, like \"2-5\"");
	if (evaluate(load, &place, value, &env, &load->profile->guest) < 0)
		return -1;
	if (!cpuset_equal(&load->profile->guest, &load->topo->online))
		return 0;
	list = cpulist_format(&load->topo->online);
	return document_error(
		load->doc, &place, load->err,
		"takes every CPU of this machine (%s); leave the host a core at least", list);
}

static int read_emulator(struct load *load)
{
	struct place place = { .key = "emulator" };
	json_t *value = json_object_get(load->doc->root, "emulator");
	_cleanup_cpuset_ struct cpuset housekeeping = { 0 }, set = { 0 }, both = { 0 };
	struct expr_env env = { .housekeeping = &housekeeping };

	cpuset_copy(&housekeeping, &load->topo->online);
	cpuset_andnot(&housekeeping, &load->profile->guest);
	if (!value || strcmp(json_string_value(value), "housekeeping") == 0)
		return 0;
	if (evaluate(load, &place, value, &env, &set) < 0)
		return -1;
	cpuset_copy(&both, &set);
	cpuset_and(&both, &load->profile->guest);
	if (!cpuset_empty(&both)) {
		_cleanup_free_ char *list = cpulist_format(&both);

		return document_error(load->doc, &place, load->err,
				      "CPU %s belongs to the guest as well; choose others, or "
				      "\"housekeeping\"",
				      list);
	}
	cpuset_copy(&load->profile->emulator, &set);
	return 0;
}

static void read_words(struct load *load)
{
	json_t *root = load->doc->root, *word;
	struct profile *profile = load->profile;
	const char *user = json_string_value(json_object_get(root, "user"));
	const char *smt = json_string_value(json_object_get(root, "smt"));
	size_t i;

	profile->name = xstrdup(json_string_value(json_object_get(root, "name")));
	profile->path = xstrdup(load->doc->path);
	profile->text = xstrdup(load->doc->text);
	profile->user = user ? xstrdup(user) : NULL;
	profile->smt_split = smt && strcmp(smt, "split") == 0;
	json_array_foreach (json_object_get(root, "command"), i, word)
		strv_add(&profile->command, json_string_value(word));
}

int profile_load(struct sys *sys, const struct topology *topo, const char *which,
		 struct profile *profile, struct strv *warnings, struct err *err)
{
	_cleanup_document_ struct document doc = { 0 };
	_cleanup_profile_ struct profile p = { 0 };
	struct load load = { sys, topo, &doc, &p, warnings, err };

	if (find_read(sys, which, NULL, &doc, err) < 0 || fields_check(&doc, err) < 0)
		return -1;
	read_words(&load);
	if (read_guest(&load) < 0 || read_emulator(&load) < 0)
		return -1;
	*profile = p;
	p = (struct profile){ 0 };
	return 0;
}

void profile_clear(struct profile *profile)
{
	free(profile->name);
	free(profile->path);
	free(profile->text);
	free(profile->user);
	cpuset_clear(&profile->guest);
	cpuset_clear(&profile->emulator);
	strv_clear(&profile->command);
	*profile = (struct profile){ 0 };
}
