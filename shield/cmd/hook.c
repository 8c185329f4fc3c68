/* SPDX-License-Identifier: MIT */
/*
 * shield hook libvirt: what libvirt's hook calls (scripts/libvirt-hook), as
 *
 *	shield hook libvirt NAME OPERATION SUB-OPERATION EXTRA
 *
 * with the domain's XML on standard input. Nothing is printed on standard
 * output, which after some operations would replace the XML; libvirt is never
 * called, which would be a deadlock; and libvirt is never kept waiting: there is
 * an answer after ANSWER_MS, even while another command holds the lock, and the
 * work goes on by itself after that. A domain that is not to run without its
 * shield does not start if there is none after NEEDED_MS.
 * (https://libvirt.org/hooks.html)
 */
#include "profiles/domain.h"
#include "profiles/find.h"
#include "profiles/profile.h"
#include "shield/sys/clock.h"
#include "shield/cgroup/libvirt.h"
#include "shield/cmd/change.h"
#include "shield/cmd/hook_conf.h"
#include "shield/ops/domain.h"
#include "shield/ops/off.h"
#include "shield/sys/journal.h"
#include "shield/task/task.h"
#include "shield/vm/detach.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 1000
#define NEEDED_MS 1500
#define REFUSED 1
#define KEPT_MAX (16 << 20) /* libvirt's own limit for a description is 4 MiB */

struct hook {
	struct app *app;
	const char *caller, *domain, *operation;
	char *name; /* of the shield */
	bool required;
	long long deadline; /* of the answer */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct hook *h = state->input;

	switch (key) {
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

/* All of standard input, even if it is too much, but not for ever: libvirt would
 * fail if it were left unread, with any operation. *ret is what was read of it (up to
 * KEPT_MAX), also with an error. */
static int read_description(struct hook *h, char **ret)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	struct sys *sys = &h->app->sys;
	long long deadline = sys_deadline(sys, ANSWER_MS);
	size_t size = 0, room = 1, kept = 0;
	char buffer[16384];
	ssize_t n;

	*ret = xcalloc(1, 1);
	for (;;) {
		if (sys->ops->poll(sys->ctx, &p, 1, sys_left(sys, deadline)) <= 0)
			return -ETIMEDOUT;
		n = sys->ops->read(sys->ctx, 0, buffer, sizeof(buffer));
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > KEPT_MAX)
			continue;
		if (size >= room)
			*ret = xrealloc(*ret, room = 2 * size, 1);
		memcpy(*ret + kept, buffer, (size_t)n);
		kept = size;
		(*ret)[kept] = '\0';
	}
	if (size > DOMAIN_XML_MAX)
		return -EFBIG;
	return size ? 0 : -ENODATA;
}

/* The number of QEMU's process, from the file that libvirt writes. */
static int read_pid(struct hook *h, pid_t *pid, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("/run/libvirt/qemu/%s.pid", h->domain), *text = NULL;
	int rc = strchr(h->domain, '/') ? -EINVAL : sys_read_line(&h->app->sys, path, &text);
	long n = rc < 0 ? 0 : strtol(text, NULL, 10);

	if (n <= 0 || n > 1 << 22)
		return err_set(err, ERR_FAILED, "%s: %s", path,
			       rc < 0 ? err_errno(rc) : "invalid PID; does the domain still run?");
	*pid = (pid_t)n;
	return 0;
}

static void report(const struct hook *h, struct txn *txn, const struct strv *warnings)
{
	if (h->app->dry_run) {
		cmd_tell(h->app, warnings);
		cmd_report(h->app, txn);
		return;
	}
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
	pid_t pid = 0;
	int rc;

	if (read_pid(h, &pid, err) < 0 || cmd_begin(h->app, false, &txn, err) < 0)
		return -1;
	cmd_end_abandoned(h->app, &txn);
	rc = shield_on_domain(&txn, h->name, pid, &warnings, err);
	if (rc == 0)
		guest = cpulist_format(&state_shield(&txn.state, h->name)->guest);
	report(h, &txn, &warnings);
	txn_end(&txn);
	if (rc == 0 && !h->app->dry_run)
		journal(LOG_INFO, h->name, "domain %s is shielded: CPUs %s", h->domain, guest);
	return rc;
}

static bool prepares(const struct hook *h)
{
	return strcmp(h->operation, "prepare") == 0;
}

/* It was begun by `on`, has no VM, and waits for nothing that runs. */
static bool is_idle(struct sys *sys, const struct shield *s)
{
	return s->phase == PHASE_ACTIVE && !process_alive(sys, &s->vm) &&
	       !process_alive(sys, &s->owner);
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
	/* `run` may have one of that name, and so may a domain that runs: "a b" and
	 * "a_b" are both a_b. */
	active = s && (prepares(h) ? is_idle(txn.sys, s)
				   : libvirt_is_cgroup(s->cgroup, &s->partitions) &&
					     !task_alive(txn.sys, s->vm.pid, s->vm.start));
	rc = active ? shield_off(&txn, h->name, err) : 0;
	report(h, &txn, &none);
	/* cmd_report() has told of them in a dry run. */
	for (size_t i = 0; !h->app->dry_run && i < txn.leftover.n; i++)
		journal(LOG_ERR, h->name, "left: %s", txn.leftover.items[i]);
	txn_end(&txn);
	if (rc == 0 && active && !h->app->dry_run)
		journal(LOG_INFO, h->name,
			prepares(h) ? "domain %s: its shield had no VM, and was ended: "
				      "libvirt could not start it there"
				    : "domain %s has ended; its CPUs are the host's again",
			h->domain);
	return rc;
}

/* With --dry-run, which only people ask for: on standard output after all. */
static int show(struct hook *h, int (*act)(struct hook *h, struct err *err))
{
	struct err err = { 0 };

	return act(h, &err) < 0 ? cmd_fail(&err) : cmd_done(h->app, 0);
}

static void work(void *ctx, int answer)
{
	struct hook *h = ctx;
	bool starts = strcmp(h->operation, "started") == 0;
	struct err err = { 0 };

	if ((starts ? begin(h, &err) : end(h, &err)) < 0)
		journal(LOG_ERR, h->name, "domain %s %s: %s", h->domain,
			starts ? "is not shielded" : "has ended, but its shield has not", err.text);
	/* With its NUL: the answer to "what went wrong?" may be "". */
	h->app->sys.ops->write(h->app->sys.ctx, answer, err.text, strlen(err.text) + 1);
}

/* Does anything say that this domain is to be shielded? */
static bool wanted(struct hook *h, const struct domain *domain, bool all)
{
	_cleanup_strv_ struct strv names = { 0 };

	find_all(&h->app->sys, &names);
	if (domain->shielded || strv_contains(&names, h->name))
		return true;
	for (size_t i = 0; all && i < domain->n_vcpus; i++)
		if (!cpuset_empty(&domain->vcpus[i]))
			return true;
	return false;
}

/* The status for libvirt, which shows what is on standard error. */
static int refuse(const struct hook *h, struct err *err)
{
	if (!h->required)
		return 0;
	err_wrap(err, "domain %s does not start without its shield (on-error)", h->domain);
	cmd_fail(err);
	return REFUSED;
}

static int started(struct hook *h, const char *xml, int rc)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_strv_ struct strv complaints = { 0 };
	struct hook_conf conf;
	struct err err = { 0 };

	hook_conf_read(&h->app->sys, &conf, &complaints);
	for (size_t i = 0; i < complaints.n; i++)
		journal(LOG_ERR, h->name, "%s", complaints.items[i]);
	h->required = conf.required;
	if (rc == -EFBIG)
		err_set(&err, ERR_FAILED, "it is longer than %d bytes", DOMAIN_XML_MAX);
	else if (rc < 0)
		err_set(&err, ERR_FAILED, "it could not be read: %s", err_errno(rc));
	if (rc < 0 || domain_parse(xml, &domain, &err) < 0) {
		journal(LOG_ERR, h->name, "domain %s is not shielded: its description: %s",
			h->domain, err.text);
		h->required |= domain_demands(xml);
		return refuse(h, &err);
	}
	if (!wanted(h, &domain, conf.all))
		return 0;
	if (h->app->dry_run)
		return show(h, begin);
	h->required |= domain.required;
	if (geteuid() != 0) {
		err_set(&err, ERR_UNSUPPORTED,
			"it is one of qemu:///session, whose libvirt is not root: define it in "
			"qemu:///system");
		journal(LOG_ERR, h->name, "domain %s is not shielded: %s", h->domain, err.text);
		return refuse(h, &err);
	}
	if (h->required)
		h->deadline += NEEDED_MS - ANSWER_MS;
	if (detach(&h->app->sys, work, h, h->deadline, err.text, sizeof(err.text)) < 0)
		err_set(&err, ERR_FAILED,
			"it was not complete after %d ms: another command of Shield is at work "
			"('shield status'), or the host is very busy; start the domain again",
			NEEDED_MS);
	else if (*err.text)
		err.kind = ERR_FAILED;
	return err.kind ? refuse(h, &err) : 0;
}

/* What libvirt will pin to CPUs of which the shield has all; NULL: nothing. The kernel
 * refuses that, and the domain does not start. */
static char *find_clash(const struct domain *d, const struct cpuset *taken, char **cpus)
{
	const struct cpuset *set = NULL;
	char *what = NULL;

	for (size_t i = 0; i < d->n_vcpus && !what; i++) {
		set = &d->vcpus[i];
		if (!d->off[i] && !cpuset_empty(set) && cpuset_within(set, taken))
			what = xasprintf("vCPU %zu", i);
	}
	for (size_t i = 0; i < d->n_iothreads && !what; i++) {
		set = &d->iothreads[i];
		if (!cpuset_empty(set) && cpuset_within(set, taken))
			what = xasprintf("I/O thread %zu", i + 1);
	}
	if (!what && !cpuset_empty(&d->emulator) && cpuset_within(&d->emulator, taken)) {
		set = &d->emulator;
		what = xstrdup("the emulator");
	}
	*cpus = what ? cpulist_format(set) : NULL;
	return what;
}

/* Of a shield that is this domain's by its name nothing is in the way afterwards; of
 * another one libvirt's own error would not tell. */
static int check_clash(struct hook *h, const struct domain *domain, const struct shield *s)
{
	_cleanup_free_ char *cpus = NULL, *what = find_clash(domain, &s->taken, &cpus);
	char text[sizeof(((struct err *)NULL)->text)] = "";
	struct err err = { 0 };

	if (!what)
		return 0;
	if (h->app->dry_run && strcmp(s->name, h->name) == 0 && is_idle(&h->app->sys, s))
		return show(h, end);
	/* If it takes longer, it may still be over when QEMU is there to be pinned. */
	if (strcmp(s->name, h->name) == 0 && is_idle(&h->app->sys, s) &&
	    (detach(&h->app->sys, work, h, h->deadline + NEEDED_MS - ANSWER_MS, text,
		    sizeof(text)) < 0 ||
	     !*text))
		return 0;
	/* Its VM has ended, and so does it at this moment. */
	if (s->vm.pid && !process_alive(&h->app->sys, &s->vm))
		return 0;
	err_set(&err, ERR_FAILED,
		"domain %s cannot start: it pins %s to CPU %s, which the shield %s has, and the "
		"kernel refuses that (\"cannot set CPU affinity\"); end that first: shield off %s",
		h->domain, what, cpus, s->name, s->name);
	journal(LOG_ERR, h->name, "%s", err.text);
	cmd_fail(&err);
	return REFUSED;
}

/* Before QEMU is started. What is wrong with the description `started` tells. */
static int prepared(struct hook *h, const char *xml, int rc)
{
	_cleanup_domain_ struct domain domain = { 0 };
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int status = 0;

	if (rc < 0 || !sys_exists(&h->app->sys, STATE_FILE) ||
	    domain_parse(xml, &domain, &err) < 0 || txn_view(&txn, &h->app->sys, &err) < 0)
		return 0;
	for (size_t i = 0; i < txn.state.n_shields && !status; i++)
		status = check_clash(h, &domain, &txn.state.shields[i]);
	return status;
}

static int ended(struct hook *h)
{
	char ignored[2];

	if (h->app->dry_run)
		return show(h, end);
	if (sys_exists(&h->app->sys, STATE_FILE))
		detach(&h->app->sys, work, h, h->deadline, ignored, sizeof(ignored));
	return 0;
}

/* Since when libvirt waits: where the host is busy, linking takes its time, too. */
static int age_ms(struct sys *sys)
{
	_cleanup_task_ struct task self = { 0 };
	struct timespec now;
	long long age;

	if (task_read(sys, getpid(), getpid(), &self) < 0)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &now);
	age = now.tv_sec * 1000LL + now.tv_nsec / 1000000 -
	      (long long)(self.start * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
	return age < 0 ? 0 : age > ANSWER_MS ? ANSWER_MS : (int)age;
}

int cmd_hook(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse,
		"libvirt DOMAIN OPERATION SUB-OPERATION EXTRA",
		"Called by libvirt's hook for QEMU, with the domain's XML on standard input. Shields a "
		"domain from its start to its end: if there is a profile of its name, if its <metadata> "
		"says so, or if " HOOK_CONF
		" does. Answers after a second at the latest; what is not "
		"done by then goes on by itself, while the domain runs.",
		NULL,
		NULL,
		NULL,
	};
	struct hook h = { .app = app,
			  .deadline = sys_deadline(&app->sys, ANSWER_MS - age_ms(&app->sys)) };
	_cleanup_free_ char *xml = NULL;
	int status = 0, rc;

	cmd_parse(app, &argp, argc, argv, ARGP_IN_ORDER, &h);
	rc = read_description(&h, &xml);
	h.name = domain_shield_name(h.domain);
	if (strcmp(h.operation, "started") == 0)
		status = started(&h, xml, rc);
	else if (prepares(&h))
		status = prepared(&h, xml, rc);
	else if (strcmp(h.operation, "stopped") == 0 || strcmp(h.operation, "release") == 0)
		status = ended(&h);
	free(h.name);
	return status;
}
