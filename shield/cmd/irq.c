/* SPDX-License-Identifier: MIT */
/* shield irq: every interrupt, by device. */
#include "irq/count.h"
#include "shield/base/text.h"
#include "irq/irq.h"
#include "shield/cmd/cmd.h"
#include "shield/ops/irq_policies.h"
#include "shield/sys/clock.h"
#include "shield/txn/txn.h"

#include <math.h>
#include <string.h>

struct options {
	double interval; /* seconds; 0: no --watch */
	unsigned long rounds;
	bool all;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;

	switch (key) {
	case 'w':
		o->interval = arg ? strtod(arg, &end) : 1;
		if (arg &&
		    (*end || !isfinite(o->interval) || o->interval < 0.1 || o->interval > 3600))
			argp_error(state,
				   "--watch: \"%s\" is not a number of seconds from 0.1 to 3600",
				   arg);
		return 0;
	case 'c':
		o->rounds = strtoul(arg, &end, 10);
		if (*end || !o->rounds || *arg == '-')
			argp_error(state, "--count: \"%s\" is not a number above 0", arg);
		return 0;
	case 'a':
		o->all = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "takes no argument: \"%s\" is too many", arg);
		return 0;
	case ARGP_KEY_END:
		if (o->rounds && o->interval == 0)
			o->interval = 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* One interrupt, with what the state file knows of it. */
struct row {
	const struct irq *irq;
	const char *class;
	const char *owner;    /* the shield whose it is, by its VM or its profile, or "" */
	const char *original; /* its mask before any shield, or NULL */
	bool fixed;	      /* cannot be moved */
	bool stray;	      /* may fire on guest CPUs, and is not theirs */
	bool pending;	      /* moves when it next fires */
	double rate;
};

struct table {
	struct txn txn; /* a view */
	struct irqs irqs;
	struct irq_policies policies;
	struct row *rows;
	struct cpuset possible, watched;
};

static void table_clear(struct table *t)
{
	irq_policies_clear(&t->policies);
	txn_end(&t->txn);
	irqs_clear(&t->irqs);
	free(t->rows);
	cpuset_clear(&t->possible);
	cpuset_clear(&t->watched);
}

static void describe(const struct table *t, struct row *row)
{
	_cleanup_free_ char *path = irq_path(row->irq->number);
	const struct object *o = state_file_object(&t->txn.state, path);
	size_t vm = irq_vm(row->irq, t->policies.items, t->policies.n);

	row->class = irq_class_name(row->irq->class);
	row->owner = vm < t->policies.n ? t->policies.items[vm].name : "";
	row->fixed = !irq_movable(row->irq);
	row->pending = !row->fixed && *row->irq->actions && !cpuset_empty(&row->irq->effective) &&
		       !cpuset_intersects(&row->irq->effective, &row->irq->mask);
	if (!o || (o->identity && !irq_is(t->txn.sys, row->irq->number, o->identity)))
		return;
	if (!o->refused)
		row->original = o->original;
	else if (!row->fixed)
		row->class = irq_class_name(*row->irq->device && strstr(row->irq->chip, "MSI")
						    ? IRQ_MANAGED
						    : IRQ_PER_CPU);
	row->fixed |= o->refused;
	/* What a rule meant, and could not move, is the host's. */
	for (size_t i = 0; i < o->n_claims && !o->refused; i++)
		if (o->claims[i].set)
			row->owner = o->claims[i].shield;
}

/* A fixed one fires where it is, regardless of its mask. */
static bool is_stray(const struct table *t, const struct row *row)
{
	const struct irq *irq = row->irq;
	bool known = row->fixed && !cpuset_empty(&irq->effective);

	return t->txn.state.n_shields && !*row->owner && *irq->actions &&
	       cpuset_intersects(known ? &irq->effective : &irq->mask, &t->watched);
}

/* By device, then by number; what belongs to no device comes last. */
static int by_device(const void *a, const void *b)
{
	const struct irq *x = ((const struct row *)a)->irq, *y = ((const struct row *)b)->irq;

	if (!*x->device != !*y->device)
		return *x->device ? -1 : 1;
	if (strcmp(x->device, y->device) != 0)
		return strcmp(x->device, y->device);
	return x->number < y->number ? -1 : x->number > y->number;
}

static int read_table(struct app *app, struct table *t, struct err *err)
{
	if (txn_view(&t->txn, &app->sys, err) < 0 || irqs_snapshot(&app->sys, &t->irqs, err) < 0)
		return -1;
	sys_read_cpulist(&app->sys, "/sys/devices/system/cpu/possible", &t->possible);
	for (size_t i = 0; i < t->txn.state.n_shields; i++)
		cpuset_or(&t->watched, &t->txn.state.shields[i].guest);
	if (cpuset_empty(&t->watched))
		cpuset_copy(&t->watched, &t->possible);
	irq_policies_read(&app->sys, &t->txn.state, &t->policies);
	t->rows = xcalloc(t->irqs.n, sizeof(*t->rows));
	for (size_t i = 0; i < t->irqs.n; i++) {
		t->rows[i].irq = &t->irqs.items[i];
		describe(t, &t->rows[i]);
		t->rows[i].stray = is_stray(t, &t->rows[i]);
	}
	if (t->irqs.n)
		qsort(t->rows, t->irqs.n, sizeof(*t->rows), by_device);
	return 0;
}

static json_t *row_json(const struct row *row, bool rates)
{
	const struct irq *irq = row->irq;
	_cleanup_free_ char *mask = cpulist_format(&irq->mask);
	_cleanup_free_ char *effective = cpulist_format(&irq->effective);
	json_t *json =
		json_pack("{s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b}",
			  "irq", (json_int_t)irq->number, "actions", cmd_json_bytes(irq->actions),
			  "chip", cmd_json_bytes(irq->chip), "device", cmd_json_bytes(irq->device),
			  "driver", cmd_json_bytes(irq->driver), "mask", mask, "effective",
			  effective, "class", row->class, "owner", row->owner, "original",
			  row->original ? json_string(row->original) : json_null(), "movable",
			  !row->fixed, "pending", row->pending, "stray", row->stray);

	if (rates)
		json_object_set_new(json, "rate", json_real(row->rate));
	return json;
}

static void print_json(const struct table *t, bool rates)
{
	_cleanup_free_ char *watched = cpulist_format(&t->watched);
	json_t *list = json_array();

	for (size_t i = 0; i < t->irqs.n; i++)
		json_array_append_new(list, row_json(&t->rows[i], rates));
	cmd_print_json(
		json_pack("{s:i, s:s, s:o}", "version", 1, "watched", watched, "irqs", list));
}

/* As wide as what stands in them, headings included. */
struct widths {
	int mask, effective, owner;
};

static void widen(int *width, const char *text)
{
	int n = (int)strlen(text);

	if (n > *width)
		*width = n;
}

static bool shown(const struct row *row, const struct options *o)
{
	return o->all || (o->interval != 0 ? row->rate != 0 : *row->irq->actions != '\0');
}

static struct widths measure(const struct table *t, const struct options *o)
{
	struct widths w = { sizeof("MASK") - 1, sizeof("CPU") - 1, sizeof("SHIELD") - 1 };

	for (size_t i = 0; i < t->irqs.n; i++) {
		const struct row *row = &t->rows[i];
		_cleanup_free_ char *mask = cpulist_format(&row->irq->mask);
		_cleanup_free_ char *effective = cpulist_format(&row->irq->effective);

		if (!shown(row, o))
			continue;
		widen(&w.mask, mask);
		widen(&w.effective, effective);
		widen(&w.owner, row->owner);
	}
	return w;
}

static void print_row(const struct app *app, const struct row *row, const struct widths *w,
		      bool rates)
{
	const struct irq *irq = row->irq;
	_cleanup_free_ char *mask = cpulist_format(&irq->mask);
	_cleanup_free_ char *effective = cpulist_format(&irq->effective);
	bool colored = app->color && row->stray;

	text_put(stdout, colored ? "\033[33m" : "");
	text_print(stdout, "%c %5u  %-*s  %-*s  %-9s  %-*s", row->stray ? '*' : ' ', irq->number,
		   w->mask, mask, w->effective, effective, row->class, w->owner,
		   *row->owner ? row->owner : "-");
	if (rates)
		text_print(stdout, "  %9.1f", row->rate);
	text_print(stdout, "  %s", *irq->actions ? irq->actions : "-");
	if (row->original && strcmp(row->original, mask) != 0)
		text_print(stdout, "  (was %s)", row->original);
	if (row->pending)
		text_print(stdout, "  (moves when it next fires)");
	text_put(stdout, colored ? "\033[0m\n" : "\n");
}

/* What the marks mean, where there are any. */
static void print_legend(const struct table *t)
{
	size_t fixed = 0, movable = 0;

	for (size_t i = 0; i < t->irqs.n; i++)
		*(t->rows[i].fixed ? &fixed : &movable) += t->rows[i].stray;
	if (fixed)
		text_print(
			stdout,
			"* can fire on guest CPUs, and cannot be moved: a managed one fires only "
			"for I/O submitted there (isolcpus=managed_irq at boot keeps it away)\n");
	if (movable)
		text_print(stdout, "* can fire on guest CPUs: 'shield status' says why\n");
}

static void print_total(const struct table *t)
{
	double own = 0, others = 0;

	for (size_t i = 0; i < t->irqs.n; i++)
		*(*t->rows[i].owner ? &own : &others) += t->rows[i].rate;
	if (t->txn.state.n_shields)
		text_print(stdout, "total %.1f per s of the guests, %.1f per s of the host\n", own,
			   others);
	else
		text_print(stdout, "total %.1f per s\n", others);
}

static void print_text(const struct app *app, const struct table *t, const struct options *o)
{
	bool rates = o->interval != 0;
	const struct widths w = measure(t, o);
	const char *device = NULL;

	text_put(stdout, app->color ? "\033[1m" : "");
	text_print(stdout, "    IRQ  %-*s  %-*s  CLASS      %-*s%s  ACTIONS", w.mask, "MASK",
		   w.effective, "CPU", w.owner, "SHIELD", rates ? "      PER S" : "");
	text_put(stdout, app->color ? "\033[0m\n" : "\n");
	for (size_t i = 0; i < t->irqs.n; i++) {
		const struct row *row = &t->rows[i];

		if (!shown(row, o))
			continue;
		if (!device || strcmp(device, row->irq->device) != 0) {
			device = row->irq->device;
			if (*device)
				text_print(stdout, "%s  %s\n", device,
					   *row->irq->driver ? row->irq->driver : "no driver");
			else
				text_print(stdout, "no PCI device\n");
		}
		print_row(app, row, &w, rates);
	}
	if (rates)
		print_total(t);
	print_legend(t);
}

/* When it began to count, in milliseconds: the look takes its time, too. */
static long long count(struct app *app, const struct table *t, unsigned long long *counts,
		       bool *cut)
{
	long long now = sys_deadline(&app->sys, 0);

	for (size_t i = 0; i < t->irqs.n; i++)
		counts[i] = irq_count(&app->sys, t->rows[i].irq->number, &t->possible, &t->watched,
				      cut);
	return now;
}

/* One interval of --watch: two counts, and the rates between them. */
static int watch(struct app *app, const struct options *o, struct err *err)
{
	_cleanup_(table_clear)
	struct table t = { .txn.lock = -1 };
	_cleanup_free_ unsigned long long *before = NULL, *after = NULL;
	_cleanup_free_ char *watched = NULL;
	bool cut = false;
	long long begun;
	double seconds;

	if (read_table(app, &t, err) < 0)
		return -1;
	before = xcalloc(t.irqs.n, sizeof(*before));
	after = xcalloc(t.irqs.n, sizeof(*after));
	begun = count(app, &t, before, &cut);
	sys_pause(&app->sys, (int)(o->interval * 1000));
	seconds = (double)(count(app, &t, after, &cut) - begun) / 1000;
	if (cut)
		cmd_note(app,
			 "warning: the kernel does not count all of these CPUs: it gives a page "
			 "of numbers for each interrupt");
	/* A number that went to another device meanwhile counts from 0. */
	for (size_t i = 0; i < t.irqs.n; i++)
		t.rows[i].rate =
			after[i] < before[i] ? 0 : (double)(after[i] - before[i]) / seconds;
	if (app->json) {
		print_json(&t, true);
	} else {
		watched = cpulist_format(&t.watched);
		text_put(stdout, app->color ? "\033[H\033[J" : "");
		text_print(stdout, "%s CPUs %s\n", t.txn.state.n_shields ? "guest" : "all",
			   watched);
		print_text(app, &t, o);
	}
	return cmd_finish(0);
}

int cmd_irq(struct app *app, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "watch", 'w', "SECONDS", OPTION_ARG_OPTIONAL,
		  "show how many a second guest CPUs handle (all CPUs if nothing is shielded)", 0 },
		{ "count", 'c', "N", 0, "stop watching after N times", 0 },
		{ "all", 'a', NULL, 0, "also those that no driver uses, or that do not fire", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse,
		NULL,
		"Show every interrupt by device: its mask, the CPU that handles it, its class, "
		"and the shield that has put it on its own CPUs. 'managed' and 'per-cpu' ones "
		"cannot be moved. A * marks what can fire on guest CPUs and is not their VM's.",
		NULL,
		NULL,
		NULL,
	};
	_cleanup_(table_clear)
	struct table t = { .txn.lock = -1 };
	struct options o = { 0 };
	struct err err = { 0 };

	cmd_parse(app, &argp, argc, argv, 0, &o);
	for (unsigned long i = 0; o.interval != 0; i++) {
		int status = watch(app, &o, &err);

		if (status < 0)
			return cmd_fail(&err);
		if (status || (o.rounds && i + 1 == o.rounds))
			return status;
	}
	if (read_table(app, &t, &err) < 0)
		return cmd_fail(&err);
	if (app->json)
		print_json(&t, false);
	else
		print_text(app, &t, &o);
	return cmd_finish(0);
}
