/* SPDX-License-Identifier: MIT */
/* shield guard: not for people; systemd starts it for `on` and `run`. */
#include "shield/cmd/change.h"
#include "shield/guard/guard.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **name = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		*name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!*name)
			argp_error(state, "which shield?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_guard(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		NULL, parse, "NAME", "Guard an active shield until it ends.", NULL, NULL, NULL,
	};
	const char *name = NULL;
	struct err err = { 0 };

	cmd_parse(app, &argp, argc, argv, 0, &name);
	cmd_about(name);
	if (cmd_need_root(app, &err) == 0 && guard_main(&app->sys, name, &err) == 0)
		return 0;
	if (err.kind != ERR_INACTIVE)
		return cmd_fail(&err);
	cmd_note(app, "%s", err.text); /* there is nothing to guard any more */
	return ERR_INACTIVE;
}
