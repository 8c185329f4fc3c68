/* SPDX-License-Identifier: MIT */
/*
 * The process dies at every change that a command makes; a fresh process then
 * recovers, and dies in that, at every change, too; the third succeeds. And
 * shields that begin and end in any order, killed now and then: after each
 * step the kernel holds what the active ones want, after the last the
 * originals.
 */
#include "tests/fault/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned failed;
static const char *only = "";

static void complain(enum flavour flavour, const char *where, const char *why)
{
	if (failed++ < 20)
		print_error("%s: %s: %s\n", fake_flavour_name(flavour), where, why);
}

/* What a crash interrupts: the command, and what was done before. */
static const struct {
	const char *name;
	unsigned before; /* how many of these were done before */
	enum command commands[4];
	const char *shields[4];
} scenes[] = {
	{ "on", 0, { CMD_ON }, { "win11" } },
	{ "off", 1, { CMD_ON, CMD_OFF }, { "win11", "win11" } },
	{ "attach", 1, { CMD_ON, CMD_ATTACH }, { "win11", "win11" } },
	{ "off with a VM", 2, { CMD_ON, CMD_ATTACH, CMD_OFF }, { "win11", "win11", "win11" } },
	{ "second on", 1, { CMD_ON, CMD_ON }, { "win11", "lin" } },
	{ "first off", 2, { CMD_ON, CMD_ON, CMD_OFF }, { "win11", "lin", "win11" } },
	{ "repair", 1, { CMD_ON, CMD_REPAIR }, { "win11", "win11" } },
	{ "on with irqbalance", 1, { CMD_BALANCE, CMD_ON }, { "x", "win11" } },
	{ "off with irqbalance", 2, { CMD_BALANCE, CMD_ON, CMD_OFF }, { "x", "win11", "win11" } },
	{ "on with systemd", 1, { CMD_SYSTEMD, CMD_ON }, { "x", "win11" } },
	{ "off with systemd", 2, { CMD_SYSTEMD, CMD_ON, CMD_OFF }, { "x", "win11", "win11" } },
	{ "attach with systemd",
	  2,
	  { CMD_SYSTEMD, CMD_ON, CMD_ATTACH },
	  { "x", "win11", "win11" } },
	{ "off with a VM and systemd",
	  3,
	  { CMD_SYSTEMD, CMD_ON, CMD_ATTACH, CMD_OFF },
	  { "x", "win11", "win11", "win11" } },
	{ "on with a later systemd", 1, { CMD_SYSTEMD_261, CMD_ON }, { "x", "win11" } },
	{ "off with a VM and a later systemd",
	  3,
	  { CMD_SYSTEMD_261, CMD_ON, CMD_ATTACH, CMD_OFF },
	  { "x", "win11", "win11", "win11" } },
	{ "second on with systemd", 2, { CMD_SYSTEMD, CMD_ON, CMD_ON }, { "x", "win11", "lin" } },
	{ "first off with systemd",
	  3,
	  { CMD_SYSTEMD, CMD_ON, CMD_ON, CMD_OFF },
	  { "x", "win11", "lin", "win11" } },
	{ "domain", 1, { CMD_START, CMD_DOMAIN }, { "vm", "vm" } },
	{ "off with a thread just born",
	  3,
	  { CMD_ON, CMD_ATTACH, CMD_BIRTH, CMD_OFF },
	  { "win11", "win11", "win11", "win11" } },
	{ "domain with a thread of a vCPU",
	  2,
	  { CMD_START, CMD_BIRTH_DOMAIN, CMD_DOMAIN },
	  { "vm", "vm", "vm" } },
	{ "domain off", 2, { CMD_START, CMD_DOMAIN, CMD_OFF }, { "vm", "vm", "vm" } },
	{ "domain follows",
	  3,
	  { CMD_START, CMD_DOMAIN, CMD_REPIN, CMD_FOLLOW },
	  { "vm", "vm", "vm", "vm" } },
	{ "domain with a lost CPU off",
	  3,
	  { CMD_START, CMD_DOMAIN, CMD_LOSE, CMD_OFF },
	  { "vm", "vm", "vm", "vm" } },
	{ "domain with a lost CPU follows",
	  3,
	  { CMD_START, CMD_DOMAIN, CMD_LOSE, CMD_FOLLOW },
	  { "vm", "vm", "vm", "vm" } },
};

static void prepare(struct world *w, enum flavour flavour, size_t s)
{
	struct outcome outcome;

	world_init(w, flavour);
	for (unsigned i = 0; i < scenes[s].before; i++) {
		world_run(w, &w->sys, scenes[s].commands[i], scenes[s].shields[i], &outcome);
		if (outcome.rc < 0)
			fail_msg("%s: setup: %s", scenes[s].name, outcome.err.text);
	}
}

static void compare(struct world *w, enum flavour flavour, const char *where,
		    const char *const *allowed)
{
	_cleanup_free_ char *now = fake_snapshot_kernel(w->fake), *diff = NULL;

	for (unsigned i = 0; allowed[i]; i++)
		if (strcmp(now, allowed[i]) == 0)
			return;
	diff = text_diff(allowed[1] ? allowed[1] : allowed[0], now);
	if (!allowed[1] || !diff_is_anchor(diff))
		complain(flavour, where, diff);
}

static bool with_systemd(size_t s)
{
	return scenes[s].commands[0] == CMD_SYSTEMD || scenes[s].commands[0] == CMD_SYSTEMD_261;
}

/* PID 1 runs who recovers it, if there is anything to recover. */
static void expect_guard(struct world *w, size_t s, const char *where, const char *const *allowed)
{
	_cleanup_free_ char *now = fake_snapshot_kernel(w->fake);

	if (with_systemd(s) && strcmp(now, allowed[0]) != 0 && strcmp(now, allowed[1]) != 0 &&
	    !fake_guarded(w->fake, scenes[s].shields[scenes[s].before]))
		complain(w->flavour, where, "no process recovers it");
}

/* After the crashes so far: recover, compare, end everything, compare. */
static void come_back(struct world *w, enum flavour flavour, const char *where,
		      const char *const *allowed, const char *original)
{
	const char *const as_before[] = { original, NULL };
	_cleanup_free_ char *why = NULL;
	struct outcome outcome;

	world_run(w, &w->sys, CMD_RECOVER, NULL, &outcome);
	if (outcome.rc < 0) {
		complain(flavour, where, outcome.err.text);
		return;
	}
	compare(w, flavour, where, allowed);
	why = world_restore(w);
	if (why)
		complain(flavour, where, why);
	else
		compare(w, flavour, where, as_before);
}

static unsigned crash_scene(enum flavour flavour, size_t s, unsigned *twice)
{
	enum command command = scenes[s].commands[scenes[s].before];
	const char *shield = scenes[s].shields[scenes[s].before];
	_cleanup_free_ char *original = NULL, *before = NULL, *after = NULL;
	struct outcome outcome;
	struct world prepared, w;
	/* With sanitizers it takes ten times as long (scripts/test). */
	const size_t stride = getenv("SHIELD_FAULT_SAMPLE") ? 9 : 1;
	bool died = true;
	size_t n;

	world_init(&w, flavour);
	for (unsigned i = 0; i < scenes[s].before; i++) /* what others did stays */
		if (scenes[s].commands[i] >= CMD_START)
			world_run(&w, &w.sys, scenes[s].commands[i], NULL, &outcome);
	original = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	prepare(&prepared, flavour, s);
	world_copy(&w, &prepared);
	before = fake_snapshot_kernel(w.fake);
	world_run(&w, &w.sys, command, shield, &outcome);
	after = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	const char *const allowed[] = { before, after, NULL };

	for (n = 1; died; n++) {
		for (size_t m = 0; died; m += stride) {
			_cleanup_free_ char *where = xasprintf(
				"%s, died at change %zu, recovery at %zu", scenes[s].name, n, m);
			bool again = true;

			world_copy(&w, &prepared);
			died = world_crash(&w, command, shield, n, true);
			if (died)
				expect_guard(&w, s, where, allowed);
			if (died && m)
				again = world_crash(&w, CMD_RECOVER, shield, m, true);
			if (died && again)
				come_back(&w, flavour, where, allowed, original);
			*twice += died && m && again;
			world_clear(&w);
			if (!again)
				break;
		}
	}
	world_clear(&prepared);
	return (unsigned)n - 2;
}

static void crashes(void **state)
{
	(void)state;
	failed = 0;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t s = 0; s < ARRAY_SIZE(scenes); s++) {
			unsigned twice = 0, once;

			/* libvirt's cgroups can be partitions from 6.7 on. */
			if (flavour == FAKE_6_1 && scenes[s].commands[0] == CMD_START)
				continue;
			if (!strstr(scenes[s].name, only))
				continue;
			once = crash_scene(flavour, s, &twice);

			print_message("%s, %s: died at each of %u changes, and in the recovery %u "
				      "times\n",
				      scenes[s].name, fake_flavour_name(flavour), once, twice);
			assert_true(once > 0);
		}
	assert_int_equal(failed, 0);
}

/* SIGKILL while the kernel carries out a change of the partition. */
static void killed_inside(void **state)
{
	unsigned deaths = 0;

	(void)state;
	failed = 0;
	/* The workqueues of Linux 6.1 know nothing of partitions. */
	for (enum flavour flavour = FAKE_6_12; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t s = 0; s < ARRAY_SIZE(scenes); s++) {
			_cleanup_free_ char *original = NULL;
			struct outcome outcome;
			struct world w;

			world_init(&w, flavour);
			for (unsigned i = 0; i < scenes[s].before; i++) /* what others did stays */
				if (scenes[s].commands[i] >= CMD_START)
					world_run(&w, &w.sys, scenes[s].commands[i], NULL,
						  &outcome);
			original = fake_snapshot_kernel(w.fake);
			world_clear(&w);
			const char *const allowed[] = { original, NULL };

			prepare(&w, flavour, s);
			if (world_kill_inside(&w, scenes[s].commands[scenes[s].before],
					      scenes[s].shields[scenes[s].before])) {
				_cleanup_free_ char *why = world_restore(&w);

				deaths++;
				if (why)
					complain(flavour, scenes[s].name, why);
				compare(&w, flavour, scenes[s].name, allowed);
			}
			world_clear(&w);
		}
	assert_int_equal(failed, 0);
	assert_true(deaths >= 8);
}

/* Shield's own directory, and what a dead writer left there: no change of the host. */
static bool own_files(const struct fault_event *event)
{
	return (event->op == OP_MKDIR && strcmp(event->object, STATE_DIR) == 0) ||
	       (event->op == OP_UNLINK && strcmp(event->object, STATE_FILE ".new") == 0);
}

/* What a command does before the guard is there: nothing. */
static bool guard_is_first(const struct faulty *f, char **why)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct fault_event *event = &f->trace[i];

		if (event->op == OP_SPAWN || event->op == OP_SERVICE_START)
			return true;
		/* What is on a leash ends with us. */
		if (!fault_op_changes(event->op) || own_files(event) || event->op == OP_SPAWN_HELD)
			continue;
		*why = xasprintf("no guard before the %s of \"%s\"", fault_op_name(event->op),
				 event->object);
		return false;
	}
	*why = xstrdup("no guard at all");
	return false;
}

/* What recovers exists before the first change. */
static void guard_first(void **state)
{
	(void)state;
	failed = 0;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t s = 0; s < ARRAY_SIZE(scenes); s++) {
			struct faulty f = { .mode = FAULT_NONE };
			_cleanup_free_ char *why = NULL;
			struct outcome outcome;
			struct world w;
			struct sys sys;

			if (flavour == FAKE_6_1 && scenes[s].commands[0] == CMD_START)
				continue;
			prepare(&w, flavour, s);
			faulty_sys(&f, &w.sys, &sys);
			world_run(&w, &sys, scenes[s].commands[scenes[s].before],
				  scenes[s].shields[scenes[s].before], &outcome);
			if (!guard_is_first(&f, &why))
				complain(flavour, scenes[s].name, why);
			faulty_clear(&f);
			world_clear(&w);
		}
	assert_int_equal(failed, 0);
}

/* No guard, no shield: and nothing was changed. */
static void refuse_guard(enum flavour flavour, bool systemd)
{
	const enum fault_op op = systemd ? OP_SERVICE_START : OP_SPAWN;
	struct faulty f = { .mode = FAULT_NONE };
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct world prepared, w;
	struct outcome outcome;
	struct sys sys;

	world_init(&prepared, flavour);
	if (systemd)
		world_run(&prepared, &prepared.sys, CMD_SYSTEMD, NULL, &outcome);
	before = fake_snapshot_kernel(prepared.fake);
	world_copy(&w, &prepared);
	faulty_sys(&f, &w.sys, &sys);
	world_run(&w, &sys, CMD_ON, "win11", &outcome);
	assert_int_equal(outcome.rc, 0);
	for (f.at = 1; f.at <= f.count && f.trace[f.at - 1].op != op;)
		f.at++;
	world_clear(&w);
	f.mode = FAULT_ONCE;
	f.error = EAGAIN;
	f.count = 0;
	faulty_sys(&f, &prepared.sys, &sys);
	world_run(&prepared, &sys, CMD_ON, "win11", &outcome);
	assert_true(f.met);
	assert_int_equal(outcome.rc, -1);
	assert_int_equal(outcome.err.kind, ERR_FAILED);
	assert_non_null(strstr(outcome.err.text, "guard"));
	after = fake_snapshot_kernel(prepared.fake);
	assert_string_equal(before, after);
	assert_false(sys_exists(&prepared.sys, STATE_FILE));
	faulty_clear(&f);
	world_clear(&prepared);
}

static void guard_refused(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (int systemd = 0; systemd <= 1; systemd++)
			refuse_guard(flavour, systemd);
}

/* Killed when it has asked PID 1 for operation `at`, which that does when it is
 * asked for the next one, or when all has ended. */
static void kill_asking(enum flavour flavour, size_t s, size_t at)
{
	struct faulty f = { .mode = FAULT_ASKING, .at = at };
	_cleanup_free_ char *original = NULL, *why = NULL, *where = NULL;
	struct outcome outcome;
	struct world w;
	struct sys sys;

	world_init(&w, flavour);
	world_run(&w, &w.sys, CMD_SYSTEMD, NULL, &outcome);
	original = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	prepare(&w, flavour, s);
	const char *const allowed[] = { original, NULL };

	world_interrupted(&w, &f, scenes[s].commands[scenes[s].before],
			  scenes[s].shields[scenes[s].before]);
	where = xasprintf("%s, killed when it had asked for the %s of %s", scenes[s].name,
			  fault_op_name(f.trace[at - 1].op), f.trace[at - 1].object);
	assert_true(f.met);
	faulty_door(&f, &sys);
	world_run(&w, &sys, CMD_RECOVER, NULL, &outcome);
	faulty_end(&f);
	why = outcome.rc < 0 ? xstrdup(outcome.err.text) : world_restore(&w);
	if (why)
		complain(flavour, where, why);
	compare(&w, flavour, where, allowed);
	faulty_clear(&f);
	world_clear(&w);
}

static void killed_asking(void **state)
{
	unsigned asked = 0;

	(void)state;
	failed = 0;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t s = 0; s < ARRAY_SIZE(scenes); s++) {
			struct faulty f = { .mode = FAULT_NONE };
			struct outcome outcome;
			struct world w;
			struct sys sys;

			if (!with_systemd(s))
				continue;
			prepare(&w, flavour, s);
			faulty_sys(&f, &w.sys, &sys);
			world_run(&w, &sys, scenes[s].commands[scenes[s].before],
				  scenes[s].shields[scenes[s].before], &outcome);
			for (size_t i = 0; i < f.count; i++)
				if (fault_op_bus(f.trace[i].op)) {
					kill_asking(flavour, s, i + 1);
					asked++;
				}
			faulty_clear(&f);
			world_clear(&w);
		}
	print_message("killed when it had asked PID 1: %u times\n", asked);
	assert_int_equal(failed, 0);
	assert_true(asked >= 40);
}

static unsigned seed;

static unsigned roll(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* The shields of the walks: four, or as many as have an emulator CPU each where
 * every one needs it. */
static const char *const walkers[] = { "w1", "w2", "w3", "w4" };
#define MAX_WALKERS ARRAY_SIZE(walkers)

static unsigned n_walkers(enum flavour flavour)
{
	return flavour == FAKE_6_1 ? 3 : 4;
}

static void walk_init(struct world *w, enum flavour flavour)
{
	world_init(w, flavour);
	for (unsigned i = 0; i < n_walkers(flavour); i++) {
		_cleanup_free_ char *path = xasprintf("/etc/shield/profiles.d/%s.json", walkers[i]);
		_cleanup_free_ char *text =
			flavour == FAKE_6_1
				? xasprintf("{\"version\":1,\"name\":\"%s\",\"guest\":\"%u\","
					    "\"emulator\":\"%u\"}",
					    walkers[i], 2 * i + 2, 2 * i + 3)
				: xasprintf("{\"version\":1,\"name\":\"%s\",\"guest\":\"%u\"}",
					    walkers[i], i + 2);

		fake_file(w->fake, path, text);
	}
}

/* f(originals, active shields) as the kernel shows it: learnt from walks that
 * are not disturbed, one for each set of active shields. */
static char *learn(enum flavour flavour, unsigned active)
{
	struct outcome outcome;
	struct world w;
	char *text;

	walk_init(&w, flavour);
	for (unsigned i = 0; i < n_walkers(flavour); i++)
		if (active & (1u << i)) {
			world_run(&w, &w.sys, CMD_ON, walkers[i], &outcome);
			if (outcome.rc < 0)
				fail_msg("%s: %s", walkers[i], outcome.err.text);
		}
	text = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	return text;
}

/* Which shields the state file says are active. */
static unsigned active_now(struct world *w)
{
	_cleanup_state_ struct state state = { 0 };
	struct err err = { 0 };
	unsigned active = 0;

	if (state_load(&w->sys, "/sys/fs/cgroup", &state, &err) < 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < MAX_WALKERS; i++)
		active |= state_shield(&state, walkers[i]) ? 1u << i : 0;
	return active;
}

/* Returns the greatest number of shields that were active at once. */
static unsigned walk(enum flavour flavour, char *const *expected)
{
	struct outcome outcome;
	unsigned most = 0;
	struct world w;

	walk_init(&w, flavour);
	for (unsigned step = 0; step < 60; step++) {
		unsigned which = roll(n_walkers(flavour)), active = active_now(&w);
		const char *name = walkers[which];
		enum command command = active & (1u << which) ? CMD_OFF : CMD_ON;
		_cleanup_free_ char *where = xasprintf("seed %u, step %u: %s %s", seed, step,
						       command == CMD_ON ? "on" : "off", name);

		if (roll(3) == 0)
			world_crash(&w, command, name, 1 + roll(40), true);
		else
			world_run(&w, &w.sys, command, name, &outcome);
		world_run(&w, &w.sys, CMD_RECOVER, NULL, &outcome);
		if (outcome.rc < 0)
			complain(flavour, where, outcome.err.text);
		active = active_now(&w);
		most = (unsigned)__builtin_popcount(active) > most
			       ? (unsigned)__builtin_popcount(active)
			       : most;
		const char *const allowed[] = { expected[active], NULL };

		compare(&w, flavour, where, allowed);
	}
	const char *const original[] = { expected[0], NULL };
	_cleanup_free_ char *why = world_restore(&w);

	if (why)
		complain(flavour, "end", why);
	compare(&w, flavour, "end", original);
	world_clear(&w);
	return most;
}

static void random_walks(void **state)
{
	(void)state;
	failed = 0;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		unsigned sets = 1u << n_walkers(flavour), most = 0;
		char *expected[1u << MAX_WALKERS];

		for (unsigned active = 0; active < sets; active++)
			expected[active] = learn(flavour, active);
		for (unsigned i = 0; i < 10; i++) {
			unsigned at_once;

			seed = i;
			at_once = walk(flavour, expected);
			most = at_once > most ? at_once : most;
		}
		for (unsigned active = 0; active < sets; active++)
			free(expected[active]);
		assert_int_equal(most, n_walkers(flavour));
	}
	assert_int_equal(failed, 0);
}

/* The cgroup of the partition goes before the write that ends it. */
static void remove_scope(void *ctx, size_t number, const struct fault_event *event)
{
	static const char file[] = "/vcpus/cpuset.cpus.partition";
	const size_t n = strlen(event->object), m = sizeof(file) - 1;
	struct world *w = ctx;
	char path[sizeof(event->object)];

	(void)number;
	if (event->op != OP_WRITE || n < m || strcmp(event->object + n - m, file) != 0)
		return;
	snprintf(path, sizeof(path), "%.*s/vcpus", (int)(n - m), event->object);
	w->sys.ops->rmdir(w->sys.ctx, path);
}

/* systemd removes a scope as soon as nothing is in it: while it is ended, too. */
static void removed_meanwhile(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct faulty f = { .mode = FAULT_NONE, .before = remove_scope };
		_cleanup_free_ char *before = NULL, *after = NULL;
		struct outcome outcome;
		struct world w;
		struct sys sys;

		world_init(&w, flavour);
		before = fake_snapshot(w.fake);
		world_run(&w, &w.sys, CMD_ON, "win11", &outcome);
		assert_int_equal(outcome.rc, 0);
		f.ctx = &w;
		faulty_sys(&f, &w.sys, &sys);
		world_run(&w, &sys, CMD_OFF, "win11", &outcome);
		assert_int_equal(outcome.rc, 0);
		faulty_clear(&f);
		after = fake_snapshot(w.fake);
		assert_string_equal(before, after);
		world_clear(&w);
	}
}

/* With the name of a test only that one, and of scenes with such names. */
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_first),	 cmocka_unit_test(guard_refused),
		cmocka_unit_test(killed_inside), cmocka_unit_test(removed_meanwhile),
		cmocka_unit_test(killed_asking), cmocka_unit_test(random_walks),
		cmocka_unit_test(crashes),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	only = argc > 2 ? argv[2] : "";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
