/* SPDX-License-Identifier: MIT */
/* The global options, before and after the command's name. */
#include "shield/cmd/cmd.h"
#include "shield/base/text.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { OPT_COLOR = 0x100, OPT_SYSROOT };

static const struct argp_option options[] = {
	{ "dry-run", 'n', NULL, 0, "show what would be done, change nothing", 100 },
	{ "json", 'J', NULL, 0, "print JSON", 100 },
	{ "verbose", 'v', NULL, 0, "show each step", 100 },
	{ "quiet", 'q', NULL, 0, "no messages but errors", 100 },
	{ "color", OPT_COLOR, "WHEN", 0, "auto, always or never (also: NO_COLOR)", 100 },
	{ "sysroot", OPT_SYSROOT, "DIR", 0, "read a recorded machine below DIR", 100 },
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 100 },
	{ "version", 'V', NULL, 0, "print the version", -1 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct app *app = state->input;

	switch (key) {
	case 'n':
		app->dry_run = true;
		return 0;
	case 'J':
		app->json = true;
		return 0;
	case 'v':
		app->verbose = true;
		return 0;
	case 'q':
		app->quiet = true;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case 'V':
		text_print(stdout, "shield %s\n", SHIELD_VERSION);
		exit(0);
	case OPT_COLOR:
		if (strcmp(arg, "auto") == 0)
			app->color = cmd_wants_color();
		else if (strcmp(arg, "always") == 0 || strcmp(arg, "never") == 0)
			app->color = *arg == 'a';
		else
			argp_error(state, "--color: \"%s\" is none of auto, always, never", arg);
		return 0;
	case OPT_SYSROOT:
		if (access(arg, R_OK | X_OK) < 0)
			argp_error(state, "--sysroot: cannot read the directory \"%s\"", arg);
		app->sysroot = arg;
		sys_close_real(&app->sys);
		sys_open_real(&app->sys, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp globals = { .options = options, .parser = parse };

/* argp passes one input; the child with the global options gets the app. */
struct both {
	struct app *app;
	const struct argp *own;
	void *input;
};

static error_t parse_both(int key, char *arg, struct argp_state *state)
{
	struct both *both = state->input;
	error_t rc = ARGP_ERR_UNKNOWN;

	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = both->app;
		return 0;
	}
	if (both->own->parser) {
		state->input = both->input;
		rc = both->own->parser(key, arg, state);
		state->input = both;
	}
	return rc;
}

void cmd_parse(struct app *app, const struct argp *own, int argc, char **argv, unsigned flags,
	       void *input)
{
	static const struct argp_child children[] = { { &globals, 0, "Global options:", 100 },
						      { 0 } };
	struct argp argp = *own;
	struct both both = { app, own, input };
	_cleanup_free_ char *name = xasprintf("shield %s", argv[0]);
	char *old = argv[0];

	if (argp_err_exit_status == EX_USAGE)
		argp_err_exit_status = ERR_USAGE;
	argp.parser = parse_both;
	argp.children = children;
	argv[0] = *old && strcmp(old, "shield") ? name : old;
	argp_parse(&argp, argc, argv, flags, NULL, &both);
	argv[0] = old;
}
