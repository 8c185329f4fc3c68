/* SPDX-License-Identifier: MIT */
/* shield run: on, the command in the shield, off; in the end its exit status. */
#include "shield/cgroup/layout.h"
#include "shield/cmd/change.h"
#include "shield/ops/attach.h"
#include "shield/ops/convert.h"
#include "shield/ops/off.h"
#include "shield/ops/on.h"
#include "shield/ops/scope_anchor.h"
#include "shield/vm/confine.h"
#include "shield/vm/supervise.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { OPT_USER = 0x200, OPT_ISOLATED, OPT_TIMEOUT, OPT_FAILURE, OPT_KEEP_FD, OPT_PRIVILEGES };

struct run {
	struct app *app;
	const char *profile, *user;
	char **argv;
	bool force, isolated, keep, privileges, told_root;
	int keep_fds[64];
	size_t n_keep_fds;
	int qmp_timeout;
	char *name;		  /* of the shield; NULL before it stands */
	char *cgroup, *partition; /* of its process, and of its vCPUs */
	struct process anchor;
	bool ended;	     /* the shield is off already */
	struct strv command; /* the profile's, with its NULL; argv may point there */
	char *profile_user;
};

static const struct argp_option options[] = {
	{ "profile", 'p', "PROFILE", 0, "the profile, by name or as a path", 0 },
	{ "user", OPT_USER, "USER", 0,
	  "run the command as this user, with nothing of root's but a terminal of its own", 0 },
	{ "keep-fd", OPT_KEEP_FD, "N", 0,
	  "the user's command gets this descriptor too (3<>/dev/tap5); may be repeated", 0 },
	{ "allow-privileges", OPT_PRIVILEGES, NULL, 0,
	  "the user's command may run sudo, qemu-bridge-helper and other set-uid programs", 0 },
	{ "force", 'f', NULL, 0, "take back what others changed; leave the host one CPU", 0 },
	{ "isolated", OPT_ISOLATED, NULL, 0,
	  "for a command that is not a VM: do not balance its threads; it pins them itself", 0 },
	{ "qmp-timeout", OPT_TIMEOUT, "SECONDS", 0, "how long QEMU may take to answer (30)", 0 },
	{ "qmp-failure", OPT_FAILURE, "kill|keep", 0,
	  "what becomes of a VM whose vCPUs cannot be pinned (kill)", 0 },
	{ 0 },
};

/* One that we were started with: our own are close-on-exec. */
static void add_keep_fd(struct run *run, struct argp_state *state, const char *arg)
{
	char *end;
	long fd = strtol(arg, &end, 10);

	if (*end || end == arg || fd < 3 || fd > 1 << 20 || (fcntl((int)fd, F_GETFD) & FD_CLOEXEC))
		argp_error(state,
			   "--keep-fd: \"%s\" is not an open descriptor (3 or higher): open it "
			   "before, as in 3<>/dev/tap5",
			   arg);
	if (run->n_keep_fds == ARRAY_SIZE(run->keep_fds))
		argp_error(state, "--keep-fd: more than %zu", ARRAY_SIZE(run->keep_fds));
	run->keep_fds[run->n_keep_fds++] = (int)fd;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run *run = state->input;
	char *end;
	long seconds;

	switch (key) {
	case 'p':
		run->profile = arg;
		return 0;
	case OPT_USER:
		run->user = arg;
		return 0;
	case OPT_KEEP_FD:
		add_keep_fd(run, state, arg);
		return 0;
	case OPT_PRIVILEGES:
		run->privileges = true;
		return 0;
	case 'f':
		run->force = true;
		return 0;
	case OPT_ISOLATED:
		run->isolated = true;
		return 0;
	case OPT_TIMEOUT:
		seconds = strtol(arg, &end, 10);
		if (*end || end == arg || seconds < 1 || seconds > 86400)
			argp_error(state, "--qmp-timeout: \"%s\" is not a number of seconds", arg);
		run->qmp_timeout = (int)seconds;
		return 0;
	case OPT_FAILURE:
		if (strcmp(arg, "kill") != 0 && strcmp(arg, "keep") != 0)
			argp_error(state, "--qmp-failure: \"%s\" is neither kill nor keep", arg);
		run->keep = strcmp(arg, "keep") == 0;
		return 0;
	case ARGP_KEY_ARG: /* the command: the rest is its own */
		run->argv = &state->argv[state->next - 1];
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Everything inside the partition goes to the cgroup around it. */
static int clear_partition(struct run *run, const char *mount, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cgroup.threads", mount, run->partition);
	struct sys *sys = &run->app->sys;

	/* What forks meanwhile leaves a child behind: until it is empty. */
	for (int i = 0; i < 100; i++) {
		_cleanup_free_ char *text = NULL;
		char *save = NULL;
		int rc = sys_read_line(sys, path, &text);

		if (rc < 0)
			return err_set(err, ERR_FAILED, "%s: %s", path, err_errno(rc));
		if (!*text)
			return 0;
		for (char *t = strtok_r(text, "\n", &save); t; t = strtok_r(NULL, "\n", &save))
			sys->ops->cgroup_attach(sys->ctx, run->cgroup + 1, (pid_t)atoi(t));
	}
	return err_set(err, ERR_FAILED, "%s: still has processes after 100 attempts to move them",
		       path);
}

static int place(void *ctx, pid_t pid, bool vm, struct err *err)
{
	struct run *run = ctx;
	struct sys *sys = &run->app->sys;
	int rc = sys->ops->cgroup_attach(sys->ctx, run->cgroup + 1, pid);

	if (rc == 0 && !vm)
		rc = sys->ops->cgroup_attach(sys->ctx, run->partition + 1, pid);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "the command cannot be put into the cgroup %s: %s",
			       vm ? run->cgroup : run->partition, err_errno(rc));
	scope_anchor_end(sys, &run->anchor); /* else it ends with the scope */
	return 0;
}

static int is_vm(void *ctx, pid_t qemu, struct err *err)
{
	struct run *run = ctx;
	struct txn txn = { .lock = -1 };
	int rc;

	cmd_note(run->app, "process %d is QEMU: its vCPUs get the guest CPUs", (int)qemu);
	if (cmd_begin(run->app, run->force, &txn, err) < 0)
		return -1;
	rc = clear_partition(run, txn.mount, err);
	if (rc == 0)
		rc = shield_convert(&txn, run->name, "isolated", err);
	txn_end(&txn);
	return rc;
}

/* An attacker who breaks out of such a VM has the host. */
static void tell_root(struct run *run, pid_t qemu)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)qemu), *text = NULL;

	if (!run->told_root && sys_read_line(&run->app->sys, path, &text) == 0 &&
	    strstr(text, "\nUid:\t0\t"))
		cmd_note(run->app, "the VM runs as root; with --user USER it does not");
	run->told_root = true;
}

static int pin(void *ctx, pid_t qemu, const struct vm_vcpus *vcpus, struct err *err)
{
	struct run *run = ctx;
	struct txn txn = { .lock = -1 };
	int rc;

	if (cmd_begin(run->app, run->force, &txn, err) < 0)
		return -1;
	rc = shield_attach(&txn, run->name, qemu, vcpus, err);
	cmd_report(run->app, &txn);
	txn_end(&txn);
	if (rc == 0)
		tell_root(run, qemu);
	return rc;
}

/* Give the CPUs back. */
static int end(struct run *run, struct err *err)
{
	struct txn txn = { .lock = -1 };
	int rc;

	if (!run->name || run->ended)
		return 0;
	if (cmd_begin(run->app, run->force, &txn, err) < 0)
		return -1;
	rc = shield_off(&txn, run->name, err);
	cmd_report(run->app, &txn);
	txn_end(&txn);
	run->ended = rc == 0;
	return rc;
}

static void abandon(void *ctx, pid_t qemu, const struct err *cause)
{
	struct run *run = ctx;
	struct err err = { 0 };

	cmd_say(run->app, LOG_WARNING, "%s; process %d goes on without a shield", cause->text,
		(int)qemu);
	if (end(run, &err) < 0)
		cmd_fail(&err);
}

static void note(void *ctx, const char *text)
{
	struct run *run = ctx;

	cmd_note(run->app, "%s", text);
}

/* The shield, with us as its owner, and its guard. */
static int begin(struct run *run, struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct txn txn = { .lock = -1 };
	struct process self = { .pid = getpid() };
	bool vm = vm_is_qemu_command(run->argv[0]) || run->isolated;
	int rc;

	cmd_about(run->profile);
	vm_identity(&run->app->sys, self.pid, &self.start);
	if (cmd_begin(run->app, run->force, &txn, err) < 0)
		return -1;
	cmd_end_abandoned(run->app, &txn);
	rc = shield_on(&txn, run->profile, vm ? "isolated" : "root", self, &warnings, &run->name,
		       err);
	if (rc == 0) {
		const struct shield *shield = state_shield(&txn.state, run->name);

		cmd_about(run->name);
		run->cgroup = xstrdup(shield->cgroup);
		run->partition = xstrdup(shield->partitions.items[0].cgroup);
		run->anchor = shield->anchor;
	}
	if (rc == 0) /* else there is one thing to say */
		cmd_tell(run->app, &warnings);
	cmd_report(run->app, &txn);
	cmd_end(run->app, &txn);
	return rc;
}

static int run_child(struct run *run, const struct user_account *user, struct err *err)
{
	static const struct supervise_hooks hooks = {
		.place = place,
		.is_vm = is_vm,
		.pin = pin,
		.abandon = abandon,
		.note = note,
	};
	_cleanup_free_ char *socket = NULL;
	struct err last = { 0 };
	struct child child;
	int status = CHILD_OURS;

	if (child_init(&child, &run->app->sys, err) < 0)
		return cmd_fail(err), CHILD_OURS;
	if (begin(run, err) < 0) {
		cmd_fail(err);
		child_deinit(&child);
		return CHILD_OURS;
	}
	socket = xasprintf(STATE_SOCKET, run->name);
	if (supervise(&child, &run->app->sys,
		      &(struct supervise_options){ .argv = run->argv,
						   .user = user,
						   .keep_fds = run->keep_fds,
						   .n_keep_fds = run->n_keep_fds,
						   .privileges = run->privileges,
						   .socket = socket,
						   .qmp_timeout = run->qmp_timeout,
						   .keep = run->keep },
		      &hooks, run, &status, err) < 0)
		cmd_fail(err);
	if (user && !run->privileges && status > 0 && status < CHILD_OURS &&
	    !vm_is_qemu_command(run->argv[0]))
		cmd_note(run->app,
			 "if %s needs sudo, qemu-bridge-helper or another set-uid program: "
			 "--allow-privileges",
			 run->argv[0]);
	if (end(run, &last) < 0) {
		cmd_fail(&last);
		status = status ? status : CHILD_OURS;
	}
	child_deinit(&child);
	return status;
}

/* With --dry-run: up to the start of the command, which is not started. */
static int show(struct run *run)
{
	struct sys *sys = &run->app->sys;
	struct err err = { 0 };

	if (begin(run, &err) < 0 || place(run, sys->ops->spawn(sys->ctx, NULL, NULL, NULL),
					  vm_is_qemu_command(run->argv[0]), &err) < 0)
		return cmd_fail(&err), CHILD_OURS;
	return cmd_done(run->app, 0);
}

/* What the command line leaves out, the profile may say. */
static int ask_profile(struct run *run, struct err *err)
{
	_cleanup_topology_ struct topology topo = { 0 };
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_strv_ struct strv ignored = { 0 }; /* told when it is loaded for good */

	if (run->argv && run->user)
		return 0;
	if (topology_load(&run->app->sys, &topo, err) < 0 ||
	    profile_load(&run->app->sys, &topo, run->profile, &profile, &ignored, err) < 0)
		return -1;
	if (!run->user && profile.user)
		run->user = run->profile_user = take_ptr(profile.user);
	if (run->argv)
		return 0;
	if (!profile.command.n)
		return err_set(err, ERR_USAGE,
			       "no command is given, and the profile %s names none: shield run -p "
			       "PROFILE -- qemu-system-x86_64 …",
			       profile.name);
	run->command = profile.command;
	profile.command = (struct strv){ 0 };
	GROW(run->command.items, run->command.n, run->command.cap);
	run->command.items[run->command.n] = NULL;
	run->argv = run->command.items;
	return 0;
}

/* What another user's command would miss is told before anything is done. */
static int check_user(const struct run *run, struct err *err)
{
	const char *needs = run->privileges ? NULL : confine_needs_privileges(run->argv);
	int fd = confine_missing_fd(run->argv, run->keep_fds, run->n_keep_fds);

	if (fd >= 0)
		return err_set(err, ERR_USAGE,
			       "the command uses descriptor %d, which the user's command gets only "
			       "with --keep-fd %d",
			       fd, fd);
	if (needs)
		return err_set(
			err, ERR_USAGE,
			"%s needs its set-uid bit, which the user's command can use only with "
			"--allow-privileges",
			needs);
	return 0;
}

/* 0, or the exit status of what keeps it from being started. */
static int check_command(struct run *run, struct user_account *user, struct err *err)
{
	bool asked = !run->argv;
	int status;

	if (asked && (ask_profile(run, err) < 0 || !run->argv))
		return CHILD_OURS;
	status = child_find_command(run->argv[0], err);
	if (status)
		return status;
	if (cmd_need_root(run->app, err) < 0 || (!asked && ask_profile(run, err) < 0) ||
	    (run->user && (user_lookup(run->user, user, err) < 0 || check_user(run, err) < 0)))
		return CHILD_OURS;
	return 0;
}

int cmd_run(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"[-p PROFILE] [-- COMMAND [ARGUMENT…]]",
		"Run a VM on CPUs of its own, and restore the host when it ends. COMMAND is QEMU, "
		"a script that ends up in QEMU, or any other program; without one, that of the "
		"profile. The exit status is the command's own, 128 + N when signal N killed it, "
		"127 when it does not exist, 126 when it may not be executed, or 125 when the "
		"shield could not be set up.",
		NULL,
		NULL,
		NULL,
	};
	_cleanup_user_ struct user_account user = { 0 };
	struct run run = { .app = app };
	struct err err = { 0 };
	int status;

	argp_err_exit_status = CHILD_OURS;
	cmd_parse(app, &argp, argc, argv, ARGP_IN_ORDER, &run);
	status = check_command(&run, &user, &err);
	if (status)
		cmd_fail(&err);
	else if (app->dry_run)
		status = show(&run);
	else
		status = run_child(&run, run.user ? &user : NULL, &err);
	strv_clear(&run.command);
	free(run.profile_user);
	free(run.name);
	free(run.cgroup);
	free(run.partition);
	return status;
}
