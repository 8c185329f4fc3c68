/* SPDX-License-Identifier: MIT */
/* shield attach */
#include "shield/cmd/change.h"
#include "shield/ops/attach.h"

#include <string.h>

enum { OPT_MOVE = 0x200 };

struct options {
	const char *name;
	pid_t pid;
	bool force, move;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	long pid;

	switch (key) {
	case 'p':
		pid = strtol(arg, &end, 10);
		if (*end || pid <= 0 || pid > 1 << 22)
			argp_error(state, "--pid: invalid PID \"%s\"; write a number like 1234",
				   arg);
		o->pid = (pid_t)pid;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case OPT_MOVE:
		o->move = true;
		return 0;
	case ARGP_KEY_ARG:
		cmd_one_argument(state, &o->name, "name", arg);
		return 0;
	case ARGP_KEY_END:
		if (!o->pid)
			argp_error(state, "--pid PID is missing: name a running QEMU");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_attach(struct app *app, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "pid", 'p', "PID", 0, "the PID of QEMU", 0 },
		{ "force", 'f', NULL, 0, "take back what others changed", 0 },
		{ "move", OPT_MOVE, NULL, 0,
		  "also a VM of libvirt or Proxmox VE, out of the cgroup that these have made", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse,
		"[NAME] --pid PID",
		"Put the vCPU threads of a running QEMU under an active shield.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status;

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (cmd_begin(app, o.force, &txn, &err) < 0)
		return cmd_fail(&err);
	cmd_end_abandoned(app, &txn);
	if (!o.name && txn.state.n_shields == 1)
		o.name = txn.state.shields[0].name;
	if (!o.name) {
		err_set(&err, txn.state.n_shields ? ERR_USAGE : ERR_INACTIVE, "%s",
			txn.state.n_shields
				? "several shields are active: name one"
				: "no shield is active; 'shield on PROFILE' begins one");
		txn_end(&txn);
		return cmd_fail(&err);
	}
	cmd_about(o.name);
	if (!o.move && shield_check_manager(&txn, o.name, o.pid, &err) < 0) {
		txn_end(&txn);
		return cmd_fail(&err);
	}
	if (shield_attach_running(&txn, o.name, o.pid, &err) < 0) {
		txn_end(&txn);
		return cmd_fail(&err);
	}
	status = cmd_report(app, &txn);
	cmd_note(app, "process %d: %zu vCPUs are in the shield %s", (int)o.pid,
		 state_shield(&txn.state, o.name)->n_vcpus, o.name);
	cmd_end(app, &txn);
	return cmd_done(app, status);
}
