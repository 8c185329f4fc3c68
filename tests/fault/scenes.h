/* SPDX-License-Identifier: MIT */
/*
 * scenes: what the tests share that let every operation, or every allocation, of
 * a command fail. A program is a table of scenes; each is a test of its name.
 */
#ifndef TESTS_FAULT_SCENE_H
#define TESTS_FAULT_SCENE_H

#include "tests/fault/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

/* What was done before, what is done, on which shield. */
struct scene_case {
	const char *name;
	struct {
		enum command command;
		const char *shield;
		size_t dies; /* at which change; 0: not at all */
	} before[3];
	enum command command;
	const char *shield;
};

static void scene_prepare(struct world *w, enum flavour flavour, const struct scene_case *s)
{
	struct outcome outcome;

	world_init(w, flavour);
	for (unsigned i = 0; i < ARRAY_SIZE(s->before) && s->before[i].shield; i++) {
		if (s->before[i].dies) {
			if (!world_crash(w, s->before[i].command, s->before[i].shield,
					 s->before[i].dies, true))
				fail_msg("%s: setup: nothing died", s->name);
			continue;
		}
		world_run(w, &w->sys, s->before[i].command, s->before[i].shield, &outcome);
		if (outcome.rc < 0)
			fail_msg("%s: setup: %s", s->name, outcome.err.text);
	}
}

/* libvirt's cgroups can be partitions from 6.7 on. */
static bool scene_possible(enum flavour flavour, const struct scene_case *s)
{
	return flavour != FAKE_6_1 || s->before[0].command != CMD_START;
}

/* The kernel without Shield: what others did stays. */
static char *scene_original(enum flavour flavour, const struct scene_case *s)
{
	struct outcome outcome;
	struct world w;
	char *text;

	world_init(&w, flavour);
	for (unsigned i = 0; i < ARRAY_SIZE(s->before); i++)
		if (s->before[i].command >= CMD_START)
			world_run(&w, &w.sys, s->before[i].command, NULL, &outcome);
	text = fake_snapshot_kernel(w.fake);
	world_clear(&w);
	return text;
}

/* Every operation (or allocation), or ($SHIELD_FAULT_SAMPLE, "K/N") those whose
 * number is K modulo N, for a build with sanitizers (scripts/test). */
static size_t scene_sample, scene_sample_of = 1;

/* A main(): test() is called for each scene, its initial state. With the name of a
 * scene only that one. */
static int scene_main(int argc, char **argv, const struct scene_case *scenes, size_t n,
		      CMUnitTestFunction test)
{
	struct CMUnitTest *tests = xcalloc(n, sizeof(*tests));
	const char *chosen = getenv("SHIELD_FAULT_SAMPLE");
	int failed;

	if (chosen && (sscanf(chosen, "%zu/%zu", &scene_sample, &scene_sample_of) != 2 ||
		       scene_sample >= scene_sample_of)) {
		fprintf(stderr, "SHIELD_FAULT_SAMPLE: \"%s\" is not K/N\n", chosen);
		return 2;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = scenes[i].name,
						.test_func = test,
						.initial_state = (void *)&scenes[i] };
	/* What the macro calls; it counts an array. */
	failed = _cmocka_run_group_tests("tests", tests, n, NULL, NULL);
	free(tests);
	return failed;
}

#endif
