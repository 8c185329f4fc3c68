/* SPDX-License-Identifier: MIT */
/* shield status */
#include "shield/cmd/change.h"
#include "shield/base/text.h"
#include "shield/ops/audit.h"
#include "shield/sys/clock.h"

#include <string.h>
#include <sys/stat.h>

#define LOOKS_MAX 8
#define LOOK_MS 300
/* What is shown one by one; more of a kind are counted, but for -v. */
#define EACH_MAX 4
#define VCPUS_MAX 8

struct options {
	const char *name;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	cmd_one_argument(state, &o->name, "name", arg);
	return 0;
}

static json_t *list(const struct cpuset *set)
{
	_cleanup_free_ char *text = cpulist_format(set);

	return json_string(text);
}

static void housekeeping(const struct txn *txn, struct cpuset *set)
{
	_cleanup_cpuset_ struct cpuset taken = { 0 };

	state_taken(&txn->state, &taken);
	cpuset_copy(set, &txn->online);
	cpuset_andnot(set, &taken);
}

/* What the partition file says now. */
static char *partition_state(struct txn *txn, const struct partition *p)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cpuset.cpus.partition", txn->mount, p->cgroup);
	char *text;

	return sys_read_line(txn->sys, path, &text) < 0 ? xstrdup("missing") : text;
}

/* Of the first partition that does not hold, or of the first. */
static char *worst_partition(struct txn *txn, const struct shield *s)
{
	char *worst = NULL;

	for (size_t i = 0; i < s->partitions.n; i++) {
		_cleanup_free_ char *now = partition_state(txn, &s->partitions.items[i]);
		bool good = strcmp(now, "isolated") == 0 || strcmp(now, "root") == 0;

		if (worst && good)
			continue;
		free(worst);
		worst = take_ptr(now);
		if (!good)
			break;
	}
	return worst ? worst : xstrdup("missing");
}

static json_t *shield_json(struct txn *txn, const struct shield *s, const struct problems *problems)
{
	_cleanup_cpuset_ struct cpuset host = { 0 };
	_cleanup_free_ char *cgroup = xasprintf("%s%s", txn->mount, s->cgroup);
	_cleanup_free_ char *partition = worst_partition(txn, s);
	json_t *vcpus = json_array(), *partitions = json_array(), *list_of = json_array();

	housekeeping(txn, &host);
	for (size_t i = 0; i < s->partitions.n; i++) {
		const struct partition *p = &s->partitions.items[i];
		_cleanup_free_ char *path = xasprintf("%s%s", txn->mount, p->cgroup);
		_cleanup_free_ char *now = partition_state(txn, p);

		json_array_append_new(partitions,
				      json_pack("{s:o, s:o, s:s}", "cgroup", cmd_json_bytes(path),
						"cpus", list(&p->cpus), "state", now));
	}
	for (size_t i = 0; i < s->n_vcpus; i++)
		json_array_append_new(vcpus, json_pack("{s:I, s:I, s:I}", "index",
						       (json_int_t)s->vcpus[i].index, "tid",
						       (json_int_t)s->vcpus[i].thread.pid, "cpu",
						       (json_int_t)s->vcpus[i].cpu));
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];

		json_array_append_new(list_of, json_pack("{s:o, s:o, s:o, s:s, s:o}", "object",
							 cmd_json_bytes(p->object), "expected",
							 cmd_json_bytes(p->expected), "actual",
							 cmd_json_bytes(p->actual), "severity",
							 severity_name(p->severity), "reason",
							 cmd_json_bytes(p->reason)));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "name", s->name,
			 "phase", phase_name(s->phase), "guest", list(&s->guest), "emulator",
			 list(&s->emulator), "housekeeping", list(&host), "cgroup", cgroup,
			 "partition", partition, "partitions", partitions, "pid",
			 s->vm.pid ? json_integer(s->vm.pid) : json_null(), "vcpus", vcpus,
			 "problems", list_of);
}

static bool same_class(const struct problem *x, const struct problem *y)
{
	return x->severity == y->severity && strcmp(x->reason, y->reason) == 0;
}

static size_t count_class(const struct problems *problems, const struct problem *of)
{
	size_t n = 0;

	for (size_t i = 0; i < problems->n; i++)
		n += same_class(&problems->items[i], of);
	return n;
}

/* Has one of its class come before? */
static bool said(const struct problems *problems, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_class(&problems->items[k], &problems->items[i]))
			return true;
	return false;
}

static void print_each(const struct problems *problems, const struct problem *of)
{
	bool immovable = of->severity == SEVERITY_IMMOVABLE;

	if (immovable)
		text_print(stdout, "    %s:\n", of->reason);
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];

		if (!same_class(p, of))
			continue;
		if (immovable)
			text_print(stdout, "      %s on %s\n", p->object, p->actual);
		else
			text_print(stdout, "    %s: expected %s, is %s (%s)\n", p->object,
				   p->expected, p->actual, p->reason);
	}
}

static void print_count(const struct problem *of, size_t n)
{
	if (of->severity == SEVERITY_IMMOVABLE)
		text_print(stdout, "    %zu: %s\n", n, of->reason);
	else
		text_print(stdout, "    %s and %zu more: expected %s, is %s (%s)\n", of->object,
			   n - 1, of->expected, of->actual, of->reason);
}

/* A line in a colour, or without. */
static void print_bright(const char *text, const char *color, const char *plain)
{
	text_put(stdout, color ? color : plain);
	text_print(stdout, "%s", text);
	text_put(stdout, color ? "\033[0m\n" : "\n");
}

/* One line for each reason and how many there are, or (-v) all that it applies to. */
static void print_problems(const struct app *app, const struct problems *problems,
			   enum severity severity, const char *heading)
{
	bool red = app->color && severity == SEVERITY_BROKEN, any = false;

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];
		size_t n = count_class(problems, p);

		if (p->severity != severity || said(problems, i))
			continue;
		if (!any)
			print_bright(heading, red ? "  \033[1;31m" : NULL, "  ");
		any = true;
		if (app->verbose || (severity != SEVERITY_IMMOVABLE && n <= EACH_MAX))
			print_each(problems, p);
		else
			print_count(p, n);
	}
}

static void print_vcpus(const struct app *app, const struct shield *s)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *list = NULL;

	for (size_t i = 0; i < s->n_vcpus; i++) {
		if (app->verbose || s->n_vcpus <= VCPUS_MAX)
			text_print(stdout, "  vCPU %-5u CPU %u (thread %d)\n", s->vcpus[i].index,
				   s->vcpus[i].cpu, (int)s->vcpus[i].thread.pid);
		cpuset_add(&cpus, s->vcpus[i].cpu);
	}
	if (app->verbose || s->n_vcpus <= VCPUS_MAX)
		return;
	list = cpulist_format(&cpus);
	text_print(stdout, "  vCPUs      %zu, on CPUs %s (-v: which is where)\n", s->n_vcpus, list);
}

/* libvirt's vCPUs have one each. */
static void print_partitions(const struct app *app, struct txn *txn, const struct shield *s)
{
	_cleanup_free_ char *worst = worst_partition(txn, s);

	if (!app->verbose && s->partitions.n > EACH_MAX) {
		text_print(stdout, "  partition  %zu below %s%s: %s\n", s->partitions.n, txn->mount,
			   s->cgroup, worst);
		return;
	}
	for (size_t i = 0; i < s->partitions.n; i++) {
		_cleanup_free_ char *now = partition_state(txn, &s->partitions.items[i]);

		text_print(stdout, "  partition  %s%s: %s\n", txn->mount,
			   s->partitions.items[i].cgroup, now);
	}
}

static void print_shield(struct app *app, struct txn *txn, const struct shield *s,
			 const struct problems *problems)
{
	_cleanup_cpuset_ struct cpuset host = { 0 };
	_cleanup_free_ char *guest = cpulist_format(&s->guest);
	_cleanup_free_ char *emulator = cpulist_format(&s->emulator), *rest = NULL;

	housekeeping(txn, &host);
	rest = cpulist_format(&host);
	print_bright(s->name, app->color ? "\033[1m" : NULL, "");
	text_print(stdout, "  CPUs       guest %s, emulator %s, host %s\n", guest, emulator, rest);
	print_partitions(app, txn, s);
	if (s->vm.pid)
		text_print(stdout, "  VM         process %d\n", (int)s->vm.pid);
	print_vcpus(app, s);
	print_problems(app, problems, SEVERITY_BROKEN, "broken");
	print_problems(app, problems, SEVERITY_PENDING, "pending");
	print_problems(app, problems, SEVERITY_CHOSEN, "as it was asked for");
	print_problems(app, problems, SEVERITY_IMMOVABLE,
		       app->verbose ? "cannot be moved" : "cannot be moved (-v: each of them)");
}

/* What one look has found: problems[i] are those of the shield i. */
struct view {
	struct txn txn;
	struct problems *problems;
	bool any, broken;
};

static void view_clear(struct view *v)
{
	for (size_t i = 0; v->problems && i < v->txn.state.n_shields; i++)
		problems_clear(&v->problems[i]);
	free(v->problems);
	txn_end(&v->txn);
	*v = (struct view){ 0 };
}
#define _cleanup_view_ _cleanup_(view_clear)

static bool meant(const char *name, const struct shield *s)
{
	return !name || strcmp(name, s->name) == 0;
}

static int look(struct app *app, const char *name, struct view *v, struct err *err)
{
	const struct state *state = &v->txn.state;

	if (txn_view(&v->txn, &app->sys, err) < 0)
		return -1;
	v->problems = xcalloc(state->n_shields, sizeof(*v->problems));
	for (size_t i = 0; i < state->n_shields; i++) {
		struct problems *p = &v->problems[i];

		if (!meant(name, &state->shields[i]))
			continue;
		v->any = true;
		if (audit_shield(&v->txn, &state->shields[i], p, err) < 0)
			return -1;
		v->broken |= problems_broken(p, 0);
	}
	return 0;
}

/* Changes with every write of the state file. */
static ino_t state_version(struct app *app)
{
	struct stat st;

	return app->sys.ops->lstat(app->sys.ctx, STATE_FILE, &st) < 0 ? 0 : st.st_ino;
}

/* What is broken while another process is at work on it is looked at again,
 * within reason. */
static int look_well(struct app *app, const char *name, struct view *v, struct err *err)
{
	for (int i = 1;; i++) {
		ino_t version = state_version(app);

		if (look(app, name, v, err) < 0)
			return -1;
		if (!v->broken || *app->sysroot || i == LOOKS_MAX ||
		    (version == state_version(app) && !state_locked(&app->sys)))
			return 0;
		view_clear(v);
		sys_pause(&app->sys, LOOK_MS);
	}
}

static int show(struct app *app, struct view *v, const char *name)
{
	json_t *shields = json_array();

	for (size_t i = 0; i < v->txn.state.n_shields; i++) {
		const struct shield *s = &v->txn.state.shields[i];

		if (!meant(name, s))
			continue;
		if (app->json)
			json_array_append_new(shields, shield_json(&v->txn, s, &v->problems[i]));
		else
			print_shield(app, &v->txn, s, &v->problems[i]);
	}
	if (app->json)
		cmd_print_json(json_pack("{s:i, s:o}", "version", 1, "shields", shields));
	else
		json_decref(shields);
	if (!v->any && !app->json) {
		if (name)
			text_print(stdout, "%s is not active\n", name);
		else
			text_print(stdout, "no shield is active\n");
	}
	return v->any ? v->broken : ERR_INACTIVE;
}

int cmd_status(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse,
		"[NAME]",
		"Show what is active, and whether the kernel still agrees. Exit status 0: it does; "
		"1: something is broken; 3: not shielded. What is many is counted: -v names each.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { 0 };
	_cleanup_view_ struct view view = { 0 };
	struct err err = { 0 };

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (look_well(app, o.name, &view, &err) < 0)
		return cmd_fail(&err);
	return cmd_finish(show(app, &view, o.name));
}
