/* shield status */
#include "shield/cmd/session_cmd.h"
#include "shield/run/audit.h"

#include <string.h>

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

static json_t *shield_json(struct txn *txn, const struct shield *s, const struct problems *problems)
{
	static const char *const phases[] = { "applying", "active", "releasing" };
	_cleanup_cpuset_ struct cpuset host = { 0 };
	_cleanup_free_ char *cgroup = xasprintf("%s%s", txn->mount, s->cgroup);
	json_t *vcpus = json_array(), *partitions = json_array(), *list_of = json_array();

	housekeeping(txn, &host);
	for (size_t i = 0; i < s->partitions.n; i++) {
		const struct partition *p = &s->partitions.items[i];
		_cleanup_free_ char *path = xasprintf("%s%s", txn->mount, p->cgroup);
		_cleanup_free_ char *now = partition_state(txn, p);

		json_array_append_new(partitions, json_pack("{s:s, s:o, s:s}", "cgroup", path,
							    "cpus", list(&p->cpus), "state", now));
	}
	for (size_t i = 0; i < s->n_vcpus; i++)
		json_array_append_new(vcpus, json_pack("{s:I, s:I, s:I}", "index",
						       (json_int_t)s->vcpus[i].index, "tid",
						       (json_int_t)s->vcpus[i].thread.pid, "cpu",
						       (json_int_t)s->vcpus[i].cpu));
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];

		json_array_append_new(
			list_of, json_pack("{s:s, s:s, s:s, s:s, s:s}", "object", p->object,
					   "expected", p->expected, "actual", p->actual, "severity",
					   severity_name(p->severity), "reason", p->reason));
	}
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "name", s->name,
			 "phase", phases[s->phase], "guest", list(&s->guest), "emulator",
			 list(&s->emulator), "housekeeping", list(&host), "cgroup", cgroup,
			 "partitions", partitions, "pid",
			 s->vm.pid ? json_integer(s->vm.pid) : json_null(), "vcpus", vcpus,
			 "problems", list_of);
}

/* One line for each reason, naming everything that it applies to. */
static void print_problems(const struct app *app, const struct problems *problems,
			   enum severity severity, const char *heading)
{
	_cleanup_free_ bool *done = xcalloc(problems->n, sizeof(*done));
	bool any = false;

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->items[i];

		if (p->severity != severity || done[i])
			continue;
		if (!any)
			printf("  %s%s%s\n",
			       app->color && severity == SEVERITY_BROKEN ? "\033[1;31m" : "",
			       heading, app->color && severity == SEVERITY_BROKEN ? "\033[0m" : "");
		any = true;
		if (severity != SEVERITY_IMMOVABLE) {
			printf("    %s: expected %s, is %s (%s)\n", p->object, p->expected,
			       p->actual, p->reason);
			continue;
		}
		printf("    %s:\n", p->reason);
		for (size_t k = i; k < problems->n; k++)
			if (problems->items[k].severity == severity &&
			    strcmp(problems->items[k].reason, p->reason) == 0) {
				done[k] = true;
				printf("      %s on %s\n", problems->items[k].object,
				       problems->items[k].actual);
			}
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
	printf("%s%s%s\n", app->color ? "\033[1m" : "", s->name, app->color ? "\033[0m" : "");
	printf("  CPUs       guest %s, emulator %s, host %s\n", guest, emulator, rest);
	for (size_t i = 0; i < s->partitions.n; i++) {
		_cleanup_free_ char *now = partition_state(txn, &s->partitions.items[i]);

		printf("  partition  %s%s: %s\n", txn->mount, s->partitions.items[i].cgroup, now);
	}
	if (s->vm.pid)
		printf("  VM         process %d\n", (int)s->vm.pid);
	for (size_t i = 0; i < s->n_vcpus; i++)
		printf("  vCPU %-5u CPU %u (thread %d)\n", s->vcpus[i].index, s->vcpus[i].cpu,
		       (int)s->vcpus[i].thread.pid);
	print_problems(app, problems, SEVERITY_BROKEN, "broken");
	print_problems(app, problems, SEVERITY_PENDING, "pending");
	print_problems(app, problems, SEVERITY_IMMOVABLE, "cannot be moved");
}

static int show(struct app *app, struct txn *txn, const char *name, struct err *err)
{
	json_t *shields = json_array();
	bool broken = false, any = false;

	for (size_t i = 0; i < txn->state.n_shields; i++) {
		const struct shield *s = &txn->state.shields[i];
		_cleanup_problems_ struct problems problems = { 0 };

		if (name && strcmp(name, s->name) != 0)
			continue;
		any = true;
		if (audit_shield(txn, s, &problems, err) < 0) {
			json_decref(shields);
			return -1;
		}
		for (size_t k = 0; k < problems.n; k++)
			broken |= problems.items[k].severity == SEVERITY_BROKEN;
		if (app->json)
			json_array_append_new(shields, shield_json(txn, s, &problems));
		else
			print_shield(app, txn, s, &problems);
	}
	if (app->json)
		cmd_print_json(json_pack("{s:i, s:o}", "version", 1, "shields", shields));
	else
		json_decref(shields);
	if (!any && !app->json) {
		if (name)
			printf("%s is not active\n", name);
		else
			printf("no shield is active\n");
	}
	return any ? broken : ERR_INACTIVE;
}

int cmd_status(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse,
		"[NAME]",
		"Show what is active, and whether the kernel still agrees. Exit status 0: it does; "
		"1: something is broken; 3: not shielded.",
		NULL,
		NULL,
		NULL,
	};
	struct options o = { 0 };
	struct txn txn = { 0 };
	struct err err = { 0 };
	int status;

	cmd_parse(app, &argp, argc, argv, 0, &o);
	if (txn_view(&txn, &app->sys, &err) < 0)
		return cmd_fail(&err);
	status = show(app, &txn, o.name, &err);
	txn_end(&txn);
	return status < 0 ? cmd_fail(&err) : cmd_finish(status);
}
