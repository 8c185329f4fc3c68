/* SPDX-License-Identifier: MIT */
/* shield on, shield plan */
#include "shield/cmd/change.h"
#include "shield/ops/on.h"
#include "shield/task/task.h"

#include <string.h>

enum { OPT_OWNER = 0x200 };

struct options {
	const char *profile;
	const char *partition;
	bool force;
	pid_t owner; /* 0: it stays until 'off' */
};

static const struct argp_option options[] = {
	{ "profile", 'p', "PROFILE", 0, "the profile, by name or as a path", 0 },
	{ "partition", 'P', "KIND", 0, "isolated (for vCPUs, the default) or root (balances)", 0 },
	{ "force", 'f', NULL, 0, "take back what others changed; leave the host one CPU", 0 },
	{ "owner", OPT_OWNER, "PID", 0,
	  "it ends when this process has ended, and the VM, if one was attached", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	long pid;

	switch (key) {
	case OPT_OWNER:
		pid = strtol(arg, &end, 10);
		if (*end || pid <= 0 || pid > 1 << 22)
			argp_error(state, "--owner: invalid PID \"%s\"; write a number like 1234",
				   arg);
		o->owner = (pid_t)pid;
		return 0;
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

static int find_owner(struct app *app, pid_t pid, struct process *owner, struct err *err)
{
	_cleanup_task_ struct task t = { 0 };

	if (pid && task_read(&app->sys, pid, pid, &t) < 0)
		return err_set(err, ERR_USAGE, "--owner: process %d does not exist", (int)pid);
	*owner = (struct process){ pid, t.start };
	return 0;
}

static int on(struct app *app, const struct options *o)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *name = NULL, *guest = NULL;
	struct process owner = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status;

	cmd_about(o->profile);
	if (find_owner(app, o->owner, &owner, &err) < 0 || cmd_begin(app, o->force, &txn, &err) < 0)
		return cmd_fail(&err);
	cmd_end_abandoned(app, &txn);
	if (shield_on(&txn, o->profile, o->partition, owner, &warnings, &name, &err) < 0) {
		cmd_report(app, &txn);
		txn_end(&txn);
		return cmd_fail(&err);
	}
	cmd_about(name);
	cmd_tell(app, &warnings);
	status = cmd_report(app, &txn);
	guest = cpulist_format(&state_shield(&txn.state, name)->guest);
	cmd_end(app, &txn);
	cmd_note(app, "%s is shielded: CPUs %s; 'shield off %s' restores them", name, guest, name);
	return cmd_done(app, status);
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
	app->dry_run = true;
	return on(app, &o);
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

	cmd_parse(app, &argp, argc, argv, 0, &o);
	return on(app, &o);
}
