/* SPDX-License-Identifier: MIT */
/* shield profile: list, show and check profiles, and suggest one. */
#include "irq/irq.h"
#include "profiles/fields.h"
#include "profiles/find.h"
#include "profiles/machine.h"
#include "profiles/profile.h"
#include "shield/base/text.h"
#include "shield/cmd/cmd.h"
#include "shield/cmd/import.h"
#include "shield/cmd/suggest.h"
#include "shield/policy/irqs.h"
#include "shield/policy/policy.h"

#include <stdio.h>
#include <string.h>

enum { OPT_VCPUS = 0x200, OPT_GPU, OPT_IOTHREADS };

static const struct argp_option options[] = {
	{ "vcpus", OPT_VCPUS, "N", 0, "suggest: how many vCPUs the guest shall have", 1 },
	{ "gpu", OPT_GPU, "ADDRESS", 0, "suggest: a device to be near, 0000:01:00.0", 1 },
	{ "iothreads", OPT_IOTHREADS, "N", 0, "suggest: how many I/O threads there are", 1 },
	{ 0 },
};

struct args {
	struct strv words;
	struct suggest_request request;
	bool wished;
};

static unsigned number(struct argp_state *state, const char *option, const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || n == 0 || n > CPUSET_MAX_CPU)
		argp_error(state, "%s \"%s\": expected a number from 1 to %d", option, arg,
			   CPUSET_MAX_CPU);
	return (unsigned)n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case OPT_VCPUS:
		args->request.vcpus = number(state, "--vcpus", arg);
		break;
	case OPT_IOTHREADS:
		args->request.iothreads = number(state, "--iothreads", arg);
		break;
	case OPT_GPU:
		args->request.gpu = arg;
		break;
	case ARGP_KEY_ARG:
		strv_add(&args->words, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	args->wished = true;
	return 0;
}

/* One profile, and what loading it said. */
struct loaded {
	struct profile profile;
	struct strv warnings;
	struct err err;
	bool good;
	bool other;	      /* good as far as can be said, but for another machine */
	bool foreign;	      /* for another machine, good or not */
	char *path, *machine; /* of the latter, and the CPU that is here */
};

static void loaded_clear(struct loaded *loaded)
{
	profile_clear(&loaded->profile);
	strv_clear(&loaded->warnings);
	free(loaded->path);
	free(loaded->machine);
}

/* A profile for other machines names CPUs that are not here: that is not a fault. */
static bool is_other(struct app *app, const char *which, struct loaded *loaded)
{
	_cleanup_document_ struct document doc = { 0 };
	_cleanup_machine_ struct machine machine = { 0 };

	if (find_read(&app->sys, which, NULL, &doc, NULL) < 0 || fields_check(&doc, NULL) < 0 ||
	    !json_object_get(doc.root, "machine"))
		return false;
	machine_read(&app->sys, &machine);
	if (machine_match(&machine, &doc, NULL))
		return false;
	loaded->path = xstrdup(doc.path);
	loaded->machine = xstrdup(*machine.cpu ? machine.cpu : "unknown");
	return true;
}

static void load(struct app *app, const struct topology *topo, const char *which,
		 struct loaded *loaded)
{
	loaded->good = profile_load(&app->sys, topo, which, &loaded->profile, &loaded->warnings,
				    &loaded->err) == 0;
}

/* With what `on` would refuse; one for another machine as far as can be said here. */
static void check(struct app *app, const struct topology *topo, const char *which,
		  struct loaded *loaded)
{
	loaded->foreign = is_other(app, which, loaded);
	if (loaded->foreign) {
		loaded->other = profile_check_foreign(&app->sys, topo, which, &loaded->err) == 0;
		return;
	}
	load(app, topo, which, loaded);
	if (!loaded->good ||
	    policy_check_profile(&app->sys, topo, &loaded->profile, &loaded->err) == 0)
		return;
	err_wrap(&loaded->err, "%s", loaded->profile.path);
	loaded->good = false;
}

static void set_list(json_t *object, const char *key, const struct cpuset *cpus)
{
	_cleanup_free_ char *list = cpulist_format(cpus);

	json_object_set_new(object, key, json_string(list));
}

static json_t *json_sets(const struct cpuset *sets, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *list = cpulist_format(&sets[i]);

		json_array_append_new(array, json_string(list));
	}
	return array;
}

static json_t *json_vcpus(const struct profile *p)
{
	json_t *array = json_array();

	if (p->n_vcpus == 0) {
		json_decref(array);
		return json_string("auto");
	}
	for (size_t i = 0; i < p->n_vcpus; i++)
		json_array_append_new(array, json_integer(p->vcpus[i]));
	return array;
}

static void get_emulator(const struct topology *topo, const struct profile *profile,
			 struct cpuset *emulator, struct cpuset *housekeeping)
{
	cpuset_copy(housekeeping, &topo->online);
	cpuset_andnot(housekeeping, &profile->guest);
	cpuset_copy(emulator, cpuset_empty(&profile->emulator) ? housekeeping : &profile->emulator);
}

/* What a profile comes to on this machine. */
static json_t *describe(const struct topology *topo, const char *which, const struct loaded *loaded)
{
	_cleanup_cpuset_ struct cpuset emulator = { 0 }, housekeeping = { 0 };
	const struct profile *p = &loaded->profile;
	json_t *object = json_object();

	json_object_set_new(object, "name", cmd_json_bytes(loaded->good ? p->name : which));
	json_object_set_new(object, "valid", json_boolean(loaded->good || loaded->other));
	json_object_set_new(object, "for_this_machine", json_boolean(!loaded->foreign));
	if (loaded->good) {
		get_emulator(topo, p, &emulator, &housekeeping);
		json_object_set_new(object, "path", cmd_json_bytes(p->path));
		set_list(object, "guest", &p->guest);
		set_list(object, "emulator", &emulator);
		set_list(object, "housekeeping", &housekeeping);
		json_object_set_new(object, "smt", json_string(p->smt_split ? "split" : "whole"));
		json_object_set_new(object, "iothreads", json_sets(p->iothreads, p->n_iothreads));
		json_object_set_new(object, "vcpus", json_vcpus(p));
		json_object_set_new(object, "devices", cmd_json_strings(&p->devices));
		json_object_set_new(object, "user", p->user ? json_string(p->user) : json_null());
		json_object_set_new(object, "command", cmd_json_strings(&p->command));
	} else if (loaded->other) {
		json_object_set_new(object, "path", cmd_json_bytes(loaded->path));
	} else {
		json_object_set_new(object, "error", cmd_json_bytes(loaded->err.text));
	}
	json_object_set_new(object, "warnings", cmd_json_strings(&loaded->warnings));
	return object;
}

static void note_none(struct app *app)
{
	_cleanup_free_ char *where = find_directories(&app->sys);

	cmd_note(app, "there are no profiles in %s", where);
}

static int do_list(struct app *app, const struct topology *topo)
{
	_cleanup_strv_ struct strv names = { 0 };
	json_t *all = json_array();

	find_all(&app->sys, &names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_(loaded_clear)
		struct loaded loaded = { 0 };
		_cleanup_free_ char *guest = NULL;

		check(app, topo, names.items[i], &loaded);
		json_array_append_new(all, describe(topo, names.items[i], &loaded));
		guest = cpulist_format(&loaded.profile.guest);
		if (!app->json && loaded.good)
			text_print(stdout, "%-24s  guest %-20s  %s\n", names.items[i], guest,
				   loaded.profile.path);
		else if (!app->json && loaded.other)
			text_print(stdout, "%-24s  for another machine         %s\n",
				   names.items[i], loaded.path);
		else if (!app->json)
			text_print(stdout, "%-24s  not usable: %.*s\n", names.items[i],
				   (int)strcspn(loaded.err.text, "\n"), loaded.err.text);
	}
	if (app->json)
		return cmd_print_json(json_pack("{s:i, s:o}", "version", 1, "profiles", all));
	json_decref(all);
	if (names.n == 0)
		note_none(app);
	return cmd_finish(0);
}

static void print_set(const char *label, const struct cpuset *cpus)
{
	_cleanup_free_ char *list = cpulist_format(cpus);

	text_print(stdout, "%-14s %s\n", label, list);
}

/* which NULL: the profile for this machine. */
static int do_show(struct app *app, const struct topology *topo, const char *which)
{
	_cleanup_cpuset_ struct cpuset emulator = { 0 }, housekeeping = { 0 };
	_cleanup_(loaded_clear)
	struct loaded loaded = { 0 };
	_cleanup_free_ char *text = NULL;
	const struct profile *p = &loaded.profile;

	load(app, topo, which, &loaded);
	if (!loaded.good)
		return cmd_fail_shown(&loaded.err);
	if (app->json) {
		json_t *object = describe(topo, which, &loaded);

		json_object_set_new(object, "version", json_integer(1));
		return cmd_print_json(object);
	}
	cmd_warn(app, &loaded.warnings);
	get_emulator(topo, p, &emulator, &housekeeping);
	text_print(stdout, "%-14s %s\n%-14s %s\n", "name", p->name, "file", p->path);
	print_set("guest", &p->guest);
	print_set("emulator", &emulator);
	print_set("housekeeping", &housekeeping);
	for (size_t i = 0; i < p->n_iothreads; i++)
		print_set(i ? "" : "iothreads", &p->iothreads[i]);
	for (size_t i = 0; i < p->n_vcpus; i++)
		text_print(stdout, i + 1 < p->n_vcpus ? "%s%u," : "%s%u\n",
			   i ? "" : "vcpus          ", p->vcpus[i]);
	if (p->user)
		text_print(stdout, "%-14s %s\n", "user", p->user);
	for (size_t i = 0; i < p->command.n; i++)
		text_print(stdout, "%-14s %s\n", i ? "" : "command", p->command.items[i]);
	text = text_escape_lines(p->text);
	text_put(stdout, "\n");
	text_put(stdout, text);
	text_put(stdout, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
	return cmd_finish(0);
}

static int do_check(struct app *app, const struct topology *topo, struct strv *which)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };
	_cleanup_strv_ struct strv all = { 0 };
	json_t *results = json_array();
	struct err none;
	int status = 0;
	/* A machine that was recorded without its interrupts has none to match. */
	bool known = irqs_snapshot(&app->sys, &irqs, &none) == 0;

	if (which->n == 1) {
		find_all(&app->sys, &all);
		if (all.n == 0)
			note_none(app);
	}
	for (size_t i = 1; i < which->n; i++)
		strv_add(&all, which->items[i]);
	for (size_t i = 0; i < all.n; i++) {
		_cleanup_(loaded_clear)
		struct loaded loaded = { 0 };

		check(app, topo, all.items[i], &loaded);
		if (loaded.good && known)
			policy_unused_rules(&irqs, &loaded.profile, NULL, 0, &loaded.warnings);
		json_array_append_new(results, describe(topo, all.items[i], &loaded));
		if (!loaded.good && !loaded.other)
			status = ERR_USAGE;
		if (app->json)
			continue;
		cmd_warn(app, &loaded.warnings);
		if (loaded.good) {
			_cleanup_free_ char *guest = cpulist_format(&loaded.profile.guest);

			text_print(stdout, "%s: good, guest %s\n", loaded.profile.path, guest);
		} else if (loaded.other) {
			text_print(
				stdout,
				"%s: good, but for another machine than this (CPU \"%s\"), so that "
				"its CPUs were not looked up; --sysroot DIR checks it against a "
				"recorded one\n",
				loaded.path, loaded.machine);
		} else {
			cmd_fail_shown(&loaded.err);
		}
	}
	if (app->json) {
		int rc = cmd_print_json(json_pack("{s:i, s:o}", "version", 1, "profiles", results));

		return status ? status : rc;
	}
	json_decref(results);
	return cmd_finish(status);
}

static int usage(const char *what)
{
	text_print(stderr, "shield: profile: %s\nTry 'shield profile --help'.\n", what);
	return ERR_USAGE;
}

static int dispatch(struct app *app, struct args *args)
{
	_cleanup_topology_ struct topology topo = { 0 };
	struct strv *words = &args->words;
	const char *action = words->n ? words->items[0] : "";
	struct err err = { 0 };
	bool list = strcmp(action, "list") == 0, show = strcmp(action, "show") == 0;
	bool advice = strcmp(action, "suggest") == 0, import = strcmp(action, "import") == 0;

	if (!list && !show && !advice && !import && strcmp(action, "check") != 0)
		return usage(*action ? "expected list, show, check, suggest or import"
				     : "list, show, check, suggest or import is missing");
	if ((list || advice) && words->n > 1)
		return usage("list and suggest take no name");
	if (args->wished && !advice)
		return usage("--vcpus, --gpu and --iothreads are options of suggest");
	if (show && words->n > 2)
		return usage("show takes one name or path, or none for this machine's profile");
	if (import && words->n != 2)
		return usage("import takes the file of a libvirt domain, or - for standard input");
	if (topology_load(&app->sys, &topo, &err) < 0)
		return cmd_fail(&err);
	if (advice)
		return suggest_print(app, &topo, &args->request);
	if (import)
		return import_print(app, &topo, words->items[1]);
	if (list)
		return do_list(app, &topo);
	if (show)
		return do_show(app, &topo, words->n > 1 ? words->items[1] : NULL);
	return do_check(app, &topo, words);
}

int cmd_profile(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "list\nshow [PROFILE]\ncheck [PROFILE...]\nsuggest\nimport DOMAIN.xml",
		.doc = "Profiles: what a shield should be on this machine.\vPROFILE is a name, "
		       "looked up in the profile directories, or the path of a file.",
	};
	struct args args = { 0 };
	int status;

	cmd_parse(app, &argp, argc, argv, 0, &args);
	status = dispatch(app, &args);
	strv_clear(&args.words);
	return status;
}
