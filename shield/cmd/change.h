/* SPDX-License-Identifier: MIT */
/*
 * change: what the commands that change something share.
 */
#ifndef SHIELD_CMD_CHANGE_H
#define SHIELD_CMD_CHANGE_H

#include "shield/cmd/cmd.h"
#include "shield/txn/txn.h"

/* Root is needed; ERR_UNSUPPORTED with the cure otherwise. */
int cmd_need_root(const struct app *app, struct err *err);

/* txn_begin() with the trace that -v asks for, and guards before changes (guard.h).
 * Once it has the lock, to the end of the program, a signal does not stop us half-way
 * (SIGKILL does; see txn.h), nor does a reader of our messages that has gone. */
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

/* Print a plan, as text or JSON. */
int cmd_show_plan(const struct app *app, const struct plan *plan);

/* Make and print the plan of `on`. */
int cmd_print_plan(struct app *app, const char *which, const char *partition, bool force);

#endif
