/* shield on, shield plan */
#include "shield/cmd/session_cmd.h"
#include "shield/run/guard.h"
#include "shield/run/session.h"

#include <string.h>

struct options {
	const char *profile;
	const char *partition;
	bool force;
};

static const struct argp_option options[] = {
	{ "profile", 'p', "PROFILE", 0, "the profile, by name or as a path", 0 },
	{ "partition", 'P', "KIND", 0, "isolated (for vCPUs, the default) or root (balances)", 0 },
	{ "force", 'f', NULL, 0, "take back what others changed; leave the host one CPU", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'P':
		if (strcmp(arg, "isolated") != 0 && strcmp(arg, "root") != 0)
			argp_error(state, "--partition: \"%s\" is neither isolated nor root", arg);
		o->partition = arg;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case 'p':
	case ARGP_KEY_ARG:
		cmd_one_argument(state, &o->profile, "profile", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_plan(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"[PROFILE]",
		"Show every write that 'shield on' would make, and make none of them. Without a "
		"profile: the one that matches this machine.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { .partition = "isolated" };

	cmd_parse(app, &argp, argc, argv, 0, &o);
	return cmd_print_plan(app, o.profile, o.partition, o.force);
}

int cmd_on(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"[PROFILE]",
		"Take the guest CPUs of a profile away from the host, until 'shield off'. Without "
		"a profile: the one that matches this machine.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { .partition = "isolated" };
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *name = NULL, *guest = NULL;
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status;

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (app->dry_run)
		return cmd_print_plan(app, o.profile, o.partition, o.force);
	cmd_about(o.profile);
	if (cmd_begin(app, o.force, &txn, &err) < 0)
		return cmd_fail(&err);
	if (session_on(&txn, o.profile, o.partition, (struct process){ 0 }, &warnings, &name,
		       &err) < 0) {
		cmd_report(app, &txn);
		txn_end(&txn);
		return cmd_fail(&err);
	}
	cmd_about(name);
	cmd_warn(app, &warnings);
	status = cmd_report(app, &txn);
	guest = cpulist_format(&state_shield(&txn.state, name)->guest);
	cmd_end(app, &txn, name);
	if (guard_spawn(&app->sys, name, &err) < 0)
		cmd_say(app, LOG_WARNING, "%s", err.text);
	cmd_note(app, "%s is shielded: CPUs %s; 'shield off %s' gives them back", name, guest,
		 name);
	return cmd_finish(status);
}
