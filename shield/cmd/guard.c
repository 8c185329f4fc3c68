/* shield guard: not for people; `on` and `run` start it. */
#include "shield/cmd/session_cmd.h"
#include "shield/run/guard.h"

struct options {
	const char *name;
	int ready_fd;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'r':
		o->ready_fd = atoi(arg);
		return 0;
	case ARGP_KEY_ARG:
		o->name = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->name)
			argp_error(state, "which shield?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_guard(struct app *app, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "ready-fd", 'r', "FD", 0, "tell on this descriptor that it watches", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options, parse, "NAME", "Guard an active shield until it ends.", NULL, NULL, NULL,
	};
	struct options o = { .ready_fd = -1 };
	struct err err = { 0 };

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (cmd_need_root(app, &err) < 0 || guard_main(&app->sys, o.name, o.ready_fd, &err) < 0)
		return cmd_fail(&err);
	return 0;
}
