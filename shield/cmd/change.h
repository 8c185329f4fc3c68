/* SPDX-License-Identifier: MIT */
/*
 * change: what the commands that change something share.
 */
#ifndef SHIELD_CMD_CHANGE_H
#define SHIELD_CMD_CHANGE_H

#include "shield/cmd/cmd.h"
#include "shield/txn/txn.h"

/* Root is needed, but for a preview; ERR_UNSUPPORTED with the cure otherwise. */
int cmd_need_root(const struct app *app, struct err *err);

/* With --dry-run: app->sys is a preview from here on, as after cmd_begin(). */
void cmd_paper(struct app *app);

/*
 * With --dry-run app->sys is a preview (preview.h) from here on, without
 * root and without the lock: the command goes on as it would, and cmd_done() shows what it did.
 * Else txn_begin() with the trace that -v asks for, and guards before changes (guard.h). Once it
 * has the lock, to the end of the program, a signal does not stop us half-way (SIGKILL does; see
 * txn.h), nor does a reader of our messages that has gone.
 */
int cmd_begin(struct app *app, bool force, struct txn *txn, struct err *err);

/* End the shields that no other process would end (shields_abandoned()), as
 * every command that changes something does first; and say so. How many: those
 * that cannot be ended stay, and that is said, too. */
int cmd_end_abandoned(const struct app *app, struct txn *txn);

/* txn_end(), with the guards that are gone started again, and all that were started
 * waited for. */
void cmd_end(struct app *app, struct txn *txn);

/* Print what the transaction reports, and return the status of success: 0, or
 * 64 when something movable did not move. */
int cmd_report(const struct app *app, struct txn *txn);

/* Warn; in the JSON of a preview, where that is asked for. */
void cmd_tell(struct app *app, const struct strv *warnings);

/* The end of a command that changes something: with --dry-run what it would have done is
 * printed, as text or JSON. The exit status. */
int cmd_done(struct app *app, int status);

#endif
