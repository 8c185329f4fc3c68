/* SPDX-License-Identifier: MIT */
/*
 * cmd: what every command shares. A command is one file with one function,
 * named in the table of main.c.
 *
 * Data goes to stdout, messages to stderr. A command returns the exit status.
 */
#ifndef SHIELD_CMD_CMD_H
#define SHIELD_CMD_CMD_H

#include "shield/base/err.h"
#include "shield/base/strv.h"
#include "shield/sys/sys.h"

#include <argp.h>
#include <jansson.h>
#include <syslog.h>

/* What the global options say. */
struct app {
	struct sys sys;
	struct sys host;     /* what sys was, once sys is a preview of it */
	const char *sysroot; /* "" or --sysroot */
	bool dry_run;	     /* -n */
	bool json;	     /* -J */
	bool quiet;	     /* -q: no messages but errors */
	bool verbose;	     /* -v: every step, as it is done */
	bool color;	     /* stdout may be coloured */
};

/*
 * Parse a command's own options with glibc's argp, the global ones beside
 * them. argp->parser may be NULL; the input of the command's parser is
 * state->input. Usage errors end the program with status 2, --help with 0.
 */
void cmd_parse(struct app *app, const struct argp *argp, int argc, char **argv, unsigned flags,
	       void *input);

/* For ARGP_KEY_ARG: the one thing (a "name", say) that the command takes. */
void cmd_one_argument(struct argp_state *state, const char **value, const char *what, char *arg);

/* The name of the shield that the messages from here on are about; NULL: of
 * none. Where stderr is the journal they go there with it and their priority
 * (journal.h); who reads a terminal knows what he asked for. */
void cmd_about(const char *name);
/* That name, or "". */
const char *cmd_subject(void);

/* What libraries print on stderr (wrong usage, with the words that were wrong): to the
 * journal as well, as errors; elsewhere escaped. */
void cmd_open_stderr(void);

/* A terminal, and NO_COLOR is not set (no-color.org: an empty one says
 * nothing). */
bool cmd_wants_color(void);

/* Print "shield: TEXT" to stderr and return the status that goes with it. On a
 * terminal also the further lines that a text may have (an excerpt, a caret). */
int cmd_fail(const struct err *err);
/* The same with these lines wherever stderr goes: for commands that check a file. */
int cmd_fail_shown(const struct err *err);

/* "shield: TEXT" to stderr, unless -q; cmd_say: with a priority other than
 * LOG_INFO (syslog(3)), of which LOG_WARNING is told to people as well. */
void cmd_note(const struct app *app, const char *fmt, ...) _printf_(2, 3);
void cmd_say(const struct app *app, int priority, const char *fmt, ...) _printf_(3, 4);
/* "shield: warning: TEXT" for each line, unless -q. */
void cmd_warn(const struct app *app, const struct strv *warnings);

/* Print a document to stdout, its strings escaped (text_escape_lines), and free it; the
 * status: 0, or 1 when stdout cannot be written. */
int cmd_print_json(json_t *document);

/* Flush stdout; 1 with a message when something was lost (a full disk, a
 * closed stdout), else status. Every command returns through it. */
int cmd_finish(int status);

/* A string from outside as JSON, escaped (text_escape_lines). */
json_t *cmd_json_bytes(const char *bytes);
json_t *cmd_json_strings(const struct strv *v);

/* The commands: argv[0] is the command's name. */
typedef int cmd_fn(struct app *app, int argc, char **argv);
cmd_fn cmd_run, cmd_on, cmd_off, cmd_attach, cmd_status, cmd_plan, cmd_recover, cmd_profile,
	cmd_irq, cmd_doctor, cmd_guard, cmd_hook;

/* Run one on this system; main() returns what it does. */
int cmd_start(cmd_fn *command, int argc, char **argv);

#endif
