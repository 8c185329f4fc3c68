/* SPDX-License-Identifier: MIT */
/*
 * PID 1 reads its units again (daemon-reload) before any operation of a command, and
 * then makes every cgroup what the unit says: that must change nothing of what the
 * command comes to, nor of what there is afterwards. Those of systemd 261, which has
 * CPUSetPartition=, and those before it.
 */
#include "tests/fault/scenes.h"

static const struct scene_case scenes[] = {
	{ "on", { { CMD_SYSTEMD, "x", 0 } }, CMD_ON, "win11" },
	{ "on, later systemd", { { CMD_SYSTEMD_261, "x", 0 } }, CMD_ON, "win11" },
	{ "second on", { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 } }, CMD_ON, "lin" },
	{ "attach", { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 } }, CMD_ATTACH, "win11" },
	{ "attach, later systemd",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_ATTACH,
	  "win11" },
	{ "off",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "off, later systemd",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "first off",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ON, "lin", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "recover",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 26 } },
	  CMD_RECOVER,
	  "win11" },
};

struct reload {
	struct fake *fake;
	size_t at;
	struct fault_event event; /* the operation that it came before */
};

static void reload(void *ctx, size_t number, const struct fault_event *event)
{
	struct reload *r = ctx;

	if (number != r->at)
		return;
	r->event = *event;
	fake_systemd_reload(r->fake);
}

/* Another kernel than `expected`: NULL if it is the same. */
static char *differs(struct world *w, const char *when, const char *expected)
{
	_cleanup_free_ char *now = fake_snapshot_kernel(w->fake), *diff = text_diff(expected, now);

	return *diff ? xasprintf("%s:\n%s", when, diff) : NULL;
}

/* Run with a reload before operation r->at. NULL, or what is wrong. */
static char *attempt(struct world *w, const struct scene_case *s, struct reload *r,
		     const char *goal, const char *original, size_t *count)
{
	struct faulty f = { .before = reload, .ctx = r };
	struct outcome outcome;
	struct sys sys;
	char *why;

	r->fake = w->fake;
	faulty_sys(&f, &w->sys, &sys);
	world_run(w, &sys, s->command, s->shield, &outcome);
	*count = f.count;
	faulty_clear(&f);
	if (outcome.rc < 0)
		return xasprintf("failed: %s", outcome.err.text);
	why = differs(w, "not as wanted", goal);
	fake_systemd_reload(w->fake);
	if (!why)
		why = differs(w, "after one more reload", goal);
	if (!why)
		why = world_restore(w);
	return why ? why : differs(w, "in the end", original);
}

static unsigned reloads(enum flavour flavour, const struct scene_case *s, unsigned *failed)
{
	_cleanup_free_ char *original = scene_original(flavour, s), *goal = NULL;
	struct world prepared, w;
	struct outcome outcome;
	unsigned runs = 0;
	size_t n = SIZE_MAX; /* until the first has counted them */

	scene_prepare(&prepared, flavour, s);
	world_copy(&w, &prepared);
	world_run(&w, &w.sys, s->command, s->shield, &outcome);
	goal = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	for (size_t at = scene_sample ? scene_sample : scene_sample_of; at <= n;
	     at += scene_sample_of) {
		struct reload r = { .at = at };
		_cleanup_free_ char *why = NULL;

		world_copy(&w, &prepared);
		why = attempt(&w, s, &r, goal, original, &n);
		world_clear(&w);
		runs++;
		if (why && (*failed)++ < 5)
			print_error("%s, %s: before operation %zu of %zu (%s %s): %s\n", s->name,
				    fake_flavour_name(flavour), at, n, fault_op_name(r.event.op),
				    r.event.object, why);
	}
	world_clear(&prepared);
	return runs;
}

static void run_scene(void **state)
{
	const struct scene_case *s = *state;
	unsigned runs = 0, failed = 0;

	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		if (scene_possible(flavour, s))
			runs += reloads(flavour, s, &failed);
	print_message("%s: %u reloads, %u not withstood\n", s->name, runs, failed);
	assert_int_equal(failed, 0);
	assert_true(runs > 0);
}

int main(int argc, char **argv)
{
	return scene_main(argc, argv, scenes, ARRAY_SIZE(scenes), run_scene);
}
