/*
 * shield hook libvirt: what libvirt's hook calls (scripts/libvirt-hook), as
 *
 *	shield hook [OPTION…] libvirt NAME OPERATION SUB-OPERATION EXTRA
 *
 * with the domain's XML on standard input. Nothing is printed on standard
 * output, which after some operations would replace the XML; libvirt is never
 * called, which would be a deadlock; and libvirt waits for nothing but a domain
 * that is not to run without its shield: the work has two seconds, and goes on
 * by itself after that. (https://libvirt.org/hooks.html)
 */
#include "profiles/domain.h"
#include "profiles/find.h"
#include "profiles/profile.h"
#include "shield/cgroup/libvirt.h"
#include "shield/cmd/session_cmd.h"
#include "shield/run/detach.h"
#include "shield/run/guard.h"
#include "shield/run/journal.h"
#include "shield/run/session.h"
#include "shield/task/task.h"

#include <string.h>

#define ANSWER_MS 1000
#define REFUSED 1

enum { OPT_ALL = 0x200, OPT_ON_ERROR };

struct hook {
	struct app *app;
	bool all, required;
	const char *caller, *domain, *operation;
	char *name; /* of the shield */
};

static const struct argp_option options[] = {
	{ "all", OPT_ALL, NULL, 0, "shield every domain that pins its vCPUs", 0 },
	{ "on-error", OPT_ON_ERROR, "ignore|fail", 0,
	  "what becomes of a domain that cannot be shielded: it runs without (ignore), or it does not "
	  "start",
	  0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hook *h = state->input;

	switch (key) {
	case OPT_ALL:
		h->all = true;
		return 0;
	case OPT_ON_ERROR:
		if (strcmp(arg, "ignore") != 0 && strcmp(arg, "fail") != 0)
			argp_error(state, "--on-error: \"%s\" is neither ignore nor fail", arg);
		h->required = strcmp(arg, "fail") == 0;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			h->caller = arg;
		else if (state->arg_num == 1)
			h->domain = arg;
		else if (state->arg_num == 2)
			h->operation = arg;
		return 0; /* of the rest nothing depends */
	case ARGP_KEY_END:
		if (!h->operation || strcmp(h->caller, "libvirt") != 0)
			argp_error(state, "expected: libvirt DOMAIN OPERATION …");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The number of QEMU's process, from the file that libvirt writes. */
static int read_pid(struct hook *h, pid_t *pid, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("/run/libvirt/qemu/%s.pid", h->domain), *text = NULL;
	int rc = strchr(h->domain, '/') ? -EINVAL : sys_read_line(&h->app->sys, path, &text);
	long n = rc < 0 ? 0 : strtol(text, NULL, 10);

	if (n <= 0 || n > 1 << 22)
		return err_set(err, ERR_FAILED, "%s: %s", path,
			       rc < 0 ? err_errno(rc) : "no process number");
	*pid = (pid_t)n;
	return 0;
}

/* A shield of that name whose VM has ended, and nobody has noticed yet. */
static int clear(struct txn *txn, const char *name, pid_t pid, struct err *err)
{
	const struct shield *s = state_shield(&txn->state, name);

	if (!s || !s->vm.pid || s->vm.pid == pid || task_alive(txn->sys, s->vm.pid, s->vm.start))
		return 0;
	return session_off(txn, name, err);
}

static void report(const struct hook *h, const struct txn *txn, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->n; i++)
		journal(LOG_WARNING, h->name, "domain %s: %s", h->domain, warnings->items[i]);
	for (size_t i = 0; i < txn->report.n; i++)
		journal(LOG_NOTICE, h->name, "domain %s: %s", h->domain, txn->report.items[i]);
	for (size_t i = 0; i < txn->unmoved.n; i++)
		journal(LOG_WARNING, h->name, "domain %s: not moved: %s", h->domain,
			txn->unmoved.items[i]);
}

static int begin(struct hook *h, struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *guest = NULL;
	struct txn txn = { .lock = -1 };
	struct err unguarded = { 0 };
	pid_t pid = 0;
	int rc;

	if (read_pid(h, &pid, err) < 0 || cmd_begin(h->app, false, &txn, err) < 0)
		return -1;
	rc = clear(&txn, h->name, pid, err);
	if (rc == 0)
		rc = session_domain(&txn, h->name, pid, &warnings, err);
	if (rc == 0)
		guest = cpulist_format(&state_shield(&txn.state, h->name)->guest);
	report(h, &txn, &warnings);
	txn_end(&txn);
	if (rc < 0)
		return -1;
	if (guard_spawn(&h->app->sys, h->name, &unguarded) < 0)
		journal(LOG_WARNING, h->name, "%s", unguarded.text);
	journal(LOG_INFO, h->name, "domain %s has CPUs %s for itself", h->domain, guest);
	return 0;
}

static int end(struct hook *h, struct err *err)
{
	const struct strv none = { 0 };
	struct txn txn = { .lock = -1 };
	const struct shield *s;
	bool active;
	int rc;

	if (cmd_begin(h->app, false, &txn, err) < 0)
		return -1;
	s = state_shield(&txn.state, h->name);
	/* `run` may have one of that name. */
	active = s && libvirt_is_place(s->cgroup, &s->partitions);
	rc = active ? session_off(&txn, h->name, err) : 0;
	report(h, &txn, &none);
	for (size_t i = 0; i < txn.leftover.n; i++)
		journal(LOG_ERR, h->name, "left: %s", txn.leftover.items[i]);
	txn_end(&txn);
	if (rc == 0 && active)
		journal(LOG_INFO, h->name, "domain %s has ended; its CPUs are the host's again",
			h->domain);
	return rc;
}

static int work(void *ctx)
{
	struct hook *h = ctx;
	bool starts = strcmp(h->operation, "started") == 0;
	struct err err = { 0 };

	if ((starts ? begin(h, &err) : end(h, &err)) == 0)
		return 0;
	journal(LOG_ERR, h->name, "domain %s %s: %s", h->domain,
		starts ? "is not shielded" : "has ended, but its shield has not", err.text);
	if (h->required)
		cmd_fail(&err);
	return REFUSED;
}

/* Does anything say that this domain is to be shielded? */
static bool wanted(struct hook *h, const struct domain *domain)
{
	_cleanup_strv_ struct strv names = { 0 };

	find_all(&h->app->sys, &names);
	if (domain->shielded || strv_contains(&names, h->name))
		return true;
	for (size_t i = 0; h->all && i < domain->n_vcpus; i++)
		if (!cpuset_empty(&domain->vcpus[i]))
			return true;
	return false;
}

static int started(struct hook *h, const char *xml)
{
	_cleanup_domain_ struct domain domain = { 0 };
	struct err err = { 0 };

	if (domain_parse(xml, &domain, &err) < 0) {
		journal(LOG_ERR, h->name, "domain %s is not shielded: its description: %s",
			h->domain, err.text);
		return h->required ? REFUSED : 0;
	}
	if (!wanted(h, &domain))
		return 0;
	h->required |= domain.required;
	if (h->required)
		return work(h);
	detach(work, h, ANSWER_MS);
	return 0;
}

int cmd_hook(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"libvirt DOMAIN OPERATION SUB-OPERATION EXTRA",
		"Called by libvirt's hook for QEMU, with the domain's XML on standard input. Shields a "
		"domain from its start to its end: if there is a profile of its name, if its <metadata> "
		"says so, or with --all.",
		NULL,
		NULL,
		NULL,
	};
	struct hook h = { .app = app };
	_cleanup_free_ char *xml = NULL;
	int status = 0, rc;

	cmd_parse(app, &argp, argc, argv, ARGP_IN_ORDER, &h);
	/* libvirt would take it ill if nobody read it, whatever the operation. */
	rc = sys_read(&app->sys, "/dev/stdin", 0, &xml);
	h.name = domain_shield_name(h.domain);
	if (strcmp(h.operation, "started") == 0)
		status = started(&h, rc < 0 ? "" : xml);
	else if (strcmp(h.operation, "stopped") == 0 || strcmp(h.operation, "release") == 0)
		detach(work, &h, ANSWER_MS);
	free(h.name);
	return status;
}
