/* SPDX-License-Identifier: MIT */
/* The CPUs of a VM go offline in the middle of a transaction. Until cpusets have
 * heard of it, the kernel answers that the threads on them may run nowhere
 * (sched_getaffinity(2)), and refuses to set them again. In the middle of any
 * operation, the state file stays one that the next command trusts, and all
 * comes back. */
#include "tests/fault/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct unplug {
	struct world *world;
	size_t at, changes;
};

/* Before a change: what is read between two of them is the same. */
static void unplug(void *ctx, size_t number, const struct fault_event *event)
{
	struct unplug *u = ctx;

	(void)number;
	if (!fault_op_changes(event->op) || ++u->changes != u->at)
		return;
	for (unsigned cpu = 2; cpu <= 3; cpu++)
		fake_cpu_dying(u->world->fake, cpu);
}

/* What the guard does when a CPU has come or gone. */
static void repair(struct sys *sys)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	if (txn_begin(&txn, sys, false, &err) < 0)
		fail_msg("%s", err.text);
	txn_repair(&txn, "win11", false, &err);
	txn_end(&txn);
}

static void run(struct world *w, struct sys *sys, enum command command)
{
	struct outcome outcome;

	world_run(w, sys, command, "win11", &outcome);
}

/* At change `at` of the repair, or of the command. Was there one? */
static bool offline_at(enum flavour flavour, const enum command *command, size_t at)
{
	_cleanup_free_ char *wrong = NULL;
	struct faulty f = { .before = unplug };
	struct unplug u = { .at = at };
	struct world w;
	struct sys sys;
	bool met;

	world_init(&w, flavour);
	u.world = &w;
	f.ctx = &u;
	run(&w, &w.sys, CMD_ON);
	run(&w, &w.sys, CMD_ATTACH);
	faulty_sys(&f, &w.sys, &sys);
	if (command)
		run(&w, &sys, *command);
	else
		repair(&sys);
	met = u.changes >= at;
	repair(&w.sys);
	for (int online = 0; online <= 1; online++) {
		for (unsigned cpu = 2; cpu <= 3; cpu++)
			fake_cpu(w.fake, cpu, online);
		repair(&w.sys);
	}
	wrong = world_restore(&w);
	if (wrong)
		fail_msg("CPUs that go at change %zu: %s", at, wrong);
	faulty_clear(&f);
	world_clear(&w);
	return met;
}

static void test_offline(void **state)
{
	static const enum command commands[] = { CMD_ATTACH, CMD_OFF };
	/* With sanitizers all of them take two minutes. */
	const size_t stride = getenv("SHIELD_FAULT_SAMPLE") ? 4 : 1;

	(void)state;
	for (int flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t c = 0; c <= ARRAY_SIZE(commands); c++) {
			size_t n = 1;

			while (offline_at((enum flavour)flavour,
					  c < ARRAY_SIZE(commands) ? &commands[c] : NULL, n))
				n += stride;
			print_message("%zu changes, one of %zu\n", n - 1, stride);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
