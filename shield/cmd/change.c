/* SPDX-License-Identifier: MIT */
#include "shield/cmd/change.h"

#include "shield/guard/guard.h"
#include "shield/ops/abandoned.h"
#include "shield/ops/off.h"
#include "shield/ops/on_paper.h"
#include "shield/preview/preview.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

int cmd_need_root(const struct app *app, struct err *err)
{
	if (app->dry_run)
		return 0;
	if (*app->sysroot)
		return err_set(err, ERR_USAGE,
			       "--sysroot shows a recorded machine, which cannot be changed; use "
			       "'plan', 'status', 'topology' or 'profile' with it");
	if (geteuid() != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "this changes the kernel and needs root: run it with sudo ('shield "
			       "plan' shows without root what would be done)");
	return 0;
}

static void trace(const char *line)
{
	const struct app app = { 0 }; /* not -q */

	cmd_say(&app, LOG_DEBUG, "%s", line);
}

void cmd_paper(struct app *app)
{
	if (!app->dry_run || app->host.ops)
		return;
	app->host = app->sys;
	preview_open(&app->sys, &app->host);
}

static int begin_on_paper(struct app *app, bool force, struct txn *txn, struct err *err)
{
	cmd_paper(app);
	if (on_paper_remember(&app->sys, err) < 0 ||
	    txn_begin_on_paper(txn, &app->sys, force, err) < 0)
		return -1;
	txn->protect = guard_protect;
	return 0;
}

int cmd_begin(struct app *app, bool force, struct txn *txn, struct err *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t set;

	if (app->dry_run)
		return begin_on_paper(app, force, txn, err);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	/* Waiting for the lock changes nothing, and may be interrupted. */
	if (cmd_need_root(app, err) < 0 || txn_lock(txn, &app->sys, err) < 0)
		return -1;
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (txn_enter(txn, force, err) < 0)
		return -1;
	if (app->verbose)
		txn->trace = trace;
	txn->protect = guard_protect;
	return 0;
}

int cmd_end_abandoned(const struct app *app, struct txn *txn)
{
	_cleanup_free_ char *subject = xstrdup(cmd_subject());
	_cleanup_strv_ struct strv dead = { 0 };
	struct err err = { 0 };
	int n = 0;

	shields_abandoned(txn, &dead);
	for (size_t i = 0; i < dead.n; i++) {
		cmd_about(dead.items[i]);
		if (shield_off(txn, dead.items[i], &err) < 0) {
			cmd_fail(&err);
			continue;
		}
		cmd_note(app, "%s: its VM has ended, so the shield was ended", dead.items[i]);
		n++;
	}
	cmd_about(subject);
	return n;
}

void cmd_end(struct app *app, struct txn *txn)
{
	_cleanup_strv_ struct strv missing = { 0 }, started = { 0 };
	struct err err = { 0 };

	guards_missing(txn, &missing);
	for (size_t i = 0; i < missing.n; i++)
		if (!strv_contains(&txn->protected, missing.items[i]) &&
		    guard_protect(txn, missing.items[i], &err) < 0)
			cmd_say(app, LOG_WARNING, "%s", err.text);
		else
			strv_add(&started, missing.items[i]);
	/* The file names those that PID 1 does not start again. */
	if (started.n && txn_save(txn, &err) < 0)
		cmd_say(app, LOG_WARNING, "%s", err.text);
	for (size_t i = 0; i < txn->protected.n; i++)
		if (!strv_contains(&missing, txn->protected.items[i]))
			strv_add(&started, txn->protected.items[i]);
	txn_end(txn);
	for (size_t i = 0; !app->dry_run && i < started.n; i++)
		if (guard_wait(&app->sys, started.items[i], &err) < 0)
			cmd_say(app, LOG_WARNING, "%s", err.text);
		else if (strv_contains(&missing, started.items[i]))
			cmd_note(app, "%s: its guard was not running, and has been started again",
				 started.items[i]);
}

int cmd_report(const struct app *app, struct txn *txn)
{
	for (size_t i = 0; i < txn->report.n; i++)
		cmd_say(app, LOG_NOTICE, "%s", txn->report.items[i]);
	/* `status` names them, with the reason. */
	for (size_t i = 0; app->verbose && i < txn->immovable.n; i++)
		cmd_note(app, "cannot be moved: %s", txn->immovable.items[i]);
	for (size_t i = 0; i < txn->unmoved.n; i++)
		cmd_say(app, LOG_NOTICE, "not moved: %s", txn->unmoved.items[i]);
	for (size_t i = 0; i < txn->leftover.n; i++)
		cmd_say(app, LOG_ERR, "left: %s", txn->leftover.items[i]);
	return txn->unmoved.n ? 64 : 0;
}

void cmd_tell(struct app *app, const struct strv *warnings)
{
	if (!app->dry_run || !app->json) {
		cmd_warn(app, warnings);
		return;
	}
	for (size_t i = 0; i < warnings->n; i++)
		strv_add(&preview_plan(&app->sys)->warnings, warnings->items[i]);
}

int cmd_done(struct app *app, int status)
{
	if (app->dry_run && app->json)
		return cmd_print_json(plan_json(preview_plan(&app->sys)));
	if (app->dry_run)
		plan_print(preview_plan(&app->sys), stdout);
	return cmd_finish(status);
}
