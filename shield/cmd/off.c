/* SPDX-License-Identifier: MIT */
/* shield off, shield recover */
#include "shield/cmd/change.h"
#include "shield/ops/abandoned.h"
#include "shield/ops/off.h"
#include "shield/ops/orphans.h"

struct options {
	const char *name;
	bool all, force, discard;
};

static error_t parse_off(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'a':
		o->all = true;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case ARGP_KEY_ARG:
		cmd_one_argument(state, &o->name, "name", arg);
		return 0;
	case ARGP_KEY_END:
		if (o->all && o->name)
			argp_error(state, "either a name or --all");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Without a name: the only one there is. */
static int choose(const struct state *state, const struct options *o, struct strv *names,
		  struct err *err)
{
	if (o->name) {
		strv_add(names, o->name);
		return 0;
	}
	if (!o->all && state->n_shields > 1)
		return err_set(err, ERR_USAGE, "%zu shields are active: name one, or say --all",
			       state->n_shields);
	for (size_t i = state->n_shields; i-- > 0;)
		strv_add(names, state->shields[i].name);
	return 0;
}

int cmd_off(struct app *app, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "all", 'a', NULL, 0, "end all shields", 0 },
		{ "force", 'f', NULL, 0, "take back what others changed meanwhile", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_off,
		"[NAME]",
		"End a shield and put everything back. A VM that still runs goes on, unshielded. "
		"Does nothing when there is nothing to end.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { 0 };
	_cleanup_strv_ struct strv names = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status = 0, ended;

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (cmd_begin(app, o.force, &txn, &err) < 0)
		return cmd_fail(&err);
	ended = cmd_end_abandoned(app, &txn);
	if (choose(&txn.state, &o, &names, &err) < 0) {
		txn_end(&txn);
		return cmd_fail(&err);
	}
	if (!names.n && !ended)
		cmd_note(app, "no shield is active");
	for (size_t i = 0; i < names.n; i++) {
		bool active = state_shield(&txn.state, names.items[i]) != NULL;

		cmd_about(names.items[i]);
		if (shield_off(&txn, names.items[i], &err) < 0)
			status = cmd_fail(&err);
		else if (active)
			cmd_note(app, "%s has ended; its CPUs are the host's again",
				 names.items[i]);
		else if (!ended)
			cmd_note(app, "%s is not active", names.items[i]);
	}
	if (names.n > 1)
		cmd_about(NULL); /* what follows is of all of them */
	cmd_report(app, &txn);
	cmd_end(app, &txn);
	return cmd_done(app, status);
}

static error_t parse_recover(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	(void)arg;
	if (key != 'D')
		return ARGP_ERR_UNKNOWN;
	o->discard = true;
	return 0;
}

/* Shields that no state file tells of: end them, or say that they are there. The
 * exit status, or -1 if there are none. */
static int orphans(struct app *app, struct txn *txn, bool end)
{
	_cleanup_strv_ struct strv names = { 0 };
	struct err err = { 0 };
	int status = 0;

	shields_orphaned(txn, &names);
	for (size_t i = 0; i < names.n; i++) {
		cmd_about(names.items[i]);
		if (!end)
			cmd_note(app,
				 "%s: has CPUs, but is in no state file; 'shield recover "
				 "--discard' restores them",
				 names.items[i]);
		else if (shield_end_orphan(txn, names.items[i], &err) < 0)
			status = cmd_fail(&err);
		else
			cmd_note(app,
				 "%s: ended, its CPUs are the host's again; interrupts and host "
				 "settings stay as they are, since what they were is not known",
				 names.items[i]);
	}
	return names.n ? status : -1;
}

/* Put a damaged state file aside, under the lock. */
static int discard(struct app *app, struct err *err)
{
	_cleanup_state_ struct state state = { 0 };
	_cleanup_free_ char *mount = NULL;
	struct err why = { 0 };
	int lock, rc;

	if (cmd_need_root(app, err) < 0)
		return -1;
	if (app->sys.ops->cgroup_mount(app->sys.ctx, &mount) < 0)
		mount = NULL;
	lock = state_lock(&app->sys, err);
	if (lock < 0)
		return -1;
	rc = state_load(&app->sys, mount, &state, &why);
	if (rc < 0) {
		rc = state_set_aside(&app->sys, err);
		if (rc == 0)
			cmd_note(app, "put aside as " STATE_FILE ".damaged: %s", why.text);
	} else {
		cmd_note(app, "the state file is sound: nothing to discard");
	}
	app->sys.ops->close(app->sys.ctx, lock);
	return rc;
}

int cmd_recover(struct app *app, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "discard", 'D', NULL, 0,
		  "put a damaged state file aside first, and end the shields that are in no state "
		  "file",
		  0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_recover,
		"",
		"Finish or undo what an interrupted shield left. Every command that changes "
		"something does this first.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { 0 };
	_cleanup_strv_ struct strv dead = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status = 0, lost, ended;

	cmd_parse(app, &argp, argc, argv, 0, &o);
	cmd_paper(app);
	if (o.discard && discard(app, &err) < 0)
		return cmd_fail(&err);
	if (cmd_begin(app, false, &txn, &err) < 0)
		return cmd_fail(&err);
	ended = cmd_end_abandoned(app, &txn);
	/* Those that could not be ended. */
	shields_abandoned(&txn, &dead);
	lost = orphans(app, &txn, o.discard);
	if (lost > 0)
		status = lost;
	if (cmd_report(app, &txn) == 0 && !ended && !dead.n && lost < 0 && !txn.report.n &&
	    !txn.leftover.n)
		cmd_note(app, "nothing to recover");
	if (txn.leftover.n || dead.n)
		status = ERR_INCOMPLETE;
	cmd_end(app, &txn);
	return cmd_done(app, status);
}
