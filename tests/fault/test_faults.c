/* SPDX-License-Identifier: MIT */
/*
 * Every operation of every command fails, one after the other, with each errno
 * that it can return, once and from then on. The judge knows nothing of how it
 * works: the kernel is as before or as wanted, the answer says which, nothing
 * stays open, and one recovery without faults brings the originals back.
 */
#include "tests/fault/scenes.h"

#include <errno.h>
#include <string.h>

static const struct scene_case scenes[] = {
	{ "on", { { 0 } }, CMD_ON, "win11" },
	{ "off", { { CMD_ON, "win11", 0 } }, CMD_OFF, "win11" },
	{ "attach", { { CMD_ON, "win11", 0 } }, CMD_ATTACH, "win11" },
	{ "off with a VM",
	  { { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "threads",
	  { { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 }, { CMD_BIRTH, "win11", 0 } },
	  CMD_THREADS,
	  "win11" },
	{ "off with a thread just born",
	  { { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 }, { CMD_BIRTH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "second on", { { CMD_ON, "win11", 0 } }, CMD_ON, "lin" },
	{ "first off", { { CMD_ON, "win11", 0 }, { CMD_ON, "lin", 0 } }, CMD_OFF, "win11" },
	{ "recover", { { CMD_ON, "win11", 18 } }, CMD_RECOVER, "win11" },
	{ "on with irqbalance", { { CMD_BALANCE, "x", 0 } }, CMD_ON, "win11" },
	{ "off with irqbalance",
	  { { CMD_BALANCE, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "on with systemd", { { CMD_SYSTEMD, "x", 0 } }, CMD_ON, "win11" },
	{ "off with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "attach with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_ATTACH,
	  "win11" },
	{ "off with a VM and systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "second on with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_ON,
	  "lin" },
	{ "first off with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ON, "lin", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "recover with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 26 } },
	  CMD_RECOVER,
	  "win11" },
	{ "on with a later systemd", { { CMD_SYSTEMD_261, "x", 0 } }, CMD_ON, "win11" },
	{ "off with a VM and a later systemd",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "domain", { { CMD_START, "vm", 0 } }, CMD_DOMAIN, "vm" },
	{ "domain off", { { CMD_START, "vm", 0 }, { CMD_DOMAIN, "vm", 0 } }, CMD_OFF, "vm" },
	{ "domain with a thread of a vCPU",
	  { { CMD_START, "vm", 0 }, { CMD_BIRTH_DOMAIN, "vm", 0 } },
	  CMD_DOMAIN,
	  "vm" },
	{ "domain with a thread of a vCPU off",
	  { { CMD_START, "vm", 0 }, { CMD_BIRTH_DOMAIN, "vm", 0 }, { CMD_DOMAIN, "vm", 0 } },
	  CMD_OFF,
	  "vm" },
	{ "domain follows",
	  { { CMD_START, "vm", 0 }, { CMD_DOMAIN, "vm", 0 }, { CMD_REPIN, "vm", 0 } },
	  CMD_FOLLOW,
	  "vm" },
};

/* The kernel as it may be afterwards. */
struct reference {
	struct world prepared;
	char *original, *before, *goal;
	struct fault_event *trace;
	size_t count;
};

static void refer(struct reference *r, enum flavour flavour, const struct scene_case *s)
{
	struct faulty f = { 0 };
	struct outcome outcome;
	struct world w;
	struct sys sys;

	r->original = scene_original(flavour, s);
	scene_prepare(&r->prepared, flavour, s);
	world_copy(&w, &r->prepared);
	r->before = fake_snapshot_kernel(w.fake);
	faulty_sys(&f, &w.sys, &sys);
	world_run(&w, &sys, s->command, s->shield, &outcome);
	if (outcome.rc < 0)
		fail_msg("%s on %s: %s", s->name, fake_flavour_name(flavour), outcome.err.text);
	r->goal = fake_snapshot_kernel(w.fake);
	r->trace = take_ptr(f.trace);
	r->count = f.count;
	f.count = f.cap = 0;
	faulty_clear(&f);
	world_clear(&w);
}

/* The kernel says for good that an object cannot be as it was: a CPU set that
 * it takes no more, a controller that another cgroup came to need. Then it is
 * enough to say so. */
static bool excused(const struct scene_case *s, const struct fault_event *event, int error,
		    const struct outcome *o)
{
	bool cpus = event->op == OP_SETAFFINITY || strstr(event->object, "/smp_affinity_list");
	bool control = strstr(event->object, "/cgroup.subtree_control");

	return s->command != CMD_ON && s->command != CMD_ATTACH && o->told &&
	       ((cpus && error == EINVAL) || (control && error == EBUSY));
}

static char *judge(struct world *w, const struct reference *r, const struct outcome *o, bool pardon)
{
	_cleanup_free_ char *now = fake_snapshot_kernel(w->fake), *why = NULL, *after = NULL;
	_cleanup_free_ char *to_before = text_diff(r->before, now);
	_cleanup_free_ char *to_goal = text_diff(r->goal, now), *to_original = NULL;
	struct err err = o->err;

	if (fake_open_fds(w->fake))
		return xasprintf("%u descriptors stay open", fake_open_fds(w->fake));
	if (o->rc < 0 && !*err.text)
		return xstrdup("no message");
	if (o->rc < 0 && err.kind != ERR_INCOMPLETE && *to_before && *to_goal)
		return xasprintf("failed (%s), but not as before:\n%s", err.text, to_before);
	if (o->rc == 0 && *to_goal && !pardon && !(o->told && diff_is_soft(to_goal)))
		return xasprintf("succeeded, but not as wanted:\n%s", to_goal);
	why = world_restore(w);
	if (why)
		return xasprintf("(%d %s) then without faults: %s", o->rc, err.text, why);
	after = fake_snapshot_kernel(w->fake);
	to_original = text_diff(r->original, after);
	if (*to_original && !pardon)
		return xasprintf("(%d %s) after recovery and off:\n%s", o->rc, err.text,
				 to_original);
	return NULL;
}

struct tally {
	unsigned runs, met, failed;
	struct strv shown;
};

/* Print one failure of each kind: numbers apart, they are all alike. */
static void complain(struct tally *tally, const char *where, const char *why)
{
	_cleanup_free_ char *kind = xasprintf("%s%.60s", where, why);
	size_t n = 0;

	for (size_t i = 0; kind[i]; i++)
		if (kind[i] < '0' || kind[i] > '9')
			kind[n++] = kind[i];
	kind[n] = '\0';
	tally->failed++;
	if (strv_contains(&tally->shown, kind))
		return;
	strv_add(&tally->shown, kind);
	print_error("%s: %s\n", where, why);
}

static void attempt(enum flavour flavour, const struct scene_case *s, const struct reference *r,
		    size_t at, enum fault_mode mode, int error, struct tally *tally)
{
	static const char *const modes[] = {
		[FAULT_ONCE] = "once",		 [FAULT_STUCK] = "there",
		[FAULT_ALL] = "everywhere",	 [FAULT_SHORT] = "short",
		[FAULT_LATE] = "late",		 [FAULT_LATER] = "later",
		[FAULT_SILENT] = "done",	 [FAULT_VANISH] = "done and away",
		[FAULT_AWAY] = "away from then",
	};
	struct faulty f = { .mode = mode, .at = at, .error = error };
	const struct fault_event *event = &r->trace[at - 1];
	_cleanup_free_ char *why = NULL;
	struct outcome outcome;
	struct world w;
	struct sys sys;

	world_copy(&w, &r->prepared);
	faulty_sys(&f, &w.sys, &sys);
	world_run(&w, &sys, s->command, s->shield, &outcome);
	faulty_end(&f);
	tally->runs++;
	tally->met += f.met;
	why = judge(&w, r, &outcome, excused(s, event, error, &outcome));
	if (why) {
		_cleanup_free_ char *where = xasprintf(
			"%s, %s: operation %zu of %zu (%s %s): %s %s", s->name,
			fake_flavour_name(flavour), at, r->count, fault_op_name(event->op),
			event->object, error ? err_errno(error) : "", modes[mode]);

		complain(tally, where, why);
	}
	faulty_clear(&f);
	world_clear(&w);
}

static bool has_systemd(const struct scene_case *s)
{
	return s->before[0].command == CMD_SYSTEMD || s->before[0].command == CMD_SYSTEMD_261;
}

static void snapshot(const struct scene_case *s)
{
	struct tally tally = { 0 };

	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *differs = NULL;
		struct reference r;

		if (!scene_possible(flavour, s))
			continue;
		refer(&r, flavour, s);
		differs = world_preview(&r.prepared, s->command, s->shield);
		if (differs)
			complain(&tally, fake_flavour_name(flavour), differs);
		for (size_t at = 1; at <= r.count; at++) {
			enum fault_op op = r.trace[at - 1].op;

			if (at % scene_sample_of != scene_sample)
				continue;

			for (const int *e = fault_op_errnos(op); *e; e++) {
				/* The rest is as without systemd. */
				if (has_systemd(s) && !fault_op_bus(op) && e != fault_op_errnos(op))
					break;
				attempt(flavour, s, &r, at, FAULT_ONCE, *e, &tally);
				/* No call is interrupted for ever. */
				if (*e == EINTR ||
				    (e != fault_op_errnos(op) && !fault_op_changes(op)))
					continue;
				attempt(flavour, s, &r, at, FAULT_STUCK, *e, &tally);
			}
			if (fault_op_changes(op) || at < 40)
				attempt(flavour, s, &r, at, FAULT_ALL, *fault_op_errnos(op),
					&tally);
			if (op == OP_READ || op == OP_WRITE)
				attempt(flavour, s, &r, at, FAULT_SHORT, 0, &tally);
			for (enum fault_mode m = FAULT_LATE; fault_op_asks(op) && m <= FAULT_AWAY;
			     m++)
				if (m != FAULT_AWAY || fault_op_bus(op))
					attempt(flavour, s, &r, at, m, 0, &tally);
		}
		world_clear(&r.prepared);
		free(r.original);
		free(r.before);
		free(r.goal);
		free(r.trace);
	}
	print_message("%s: %u runs, %u met their fault, %u failed\n", s->name, tally.runs,
		      tally.met, tally.failed);
	strv_clear(&tally.shown);
	assert_int_equal(tally.failed, 0);
	assert_int_equal(tally.met, tally.runs);
}

static void run_scene(void **state)
{
	snapshot(*state);
}

int main(int argc, char **argv)
{
	return scene_main(argc, argv, scenes, ARRAY_SIZE(scenes), run_scene);
}
