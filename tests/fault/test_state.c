/* SPDX-License-Identifier: MIT */
/*
 * A state file that is damaged: cut after every byte, and every bit of every
 * byte flipped (in a sample one bit of every byte). What is cut is refused, with
 * the way to go on, and nothing is changed. A flipped bit may make another file
 * that Shield could have written: then nothing is written but to files that are
 * Shield's to write. And one that is lost.
 */
#include "tests/fault/world.h"
#include "shield/sys/sys_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"

/* With a shield that has a VM; the text of its state file. */
static char *prepare(struct world *w, enum flavour flavour)
{
	struct outcome outcome;
	char *text = NULL;

	world_init(w, flavour);
	world_run(w, &w->sys, CMD_ON, "win11", &outcome);
	world_run(w, &w->sys, CMD_ATTACH, "win11", &outcome);
	assert_int_equal(outcome.rc, 0);
	assert_int_equal(sys_read(&w->sys, STATE_FILE, 1 << 20, &text), 0);
	return text;
}

static void cut(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *before = NULL, *text = NULL, *after = NULL;
		static const enum command commands[] = { CMD_ON, CMD_OFF, CMD_ATTACH, CMD_RECOVER };
		struct world w;

		text = prepare(&w, flavour);
		before = fake_snapshot_kernel(w.fake);
		for (size_t n = 0; n < strlen(text); n++) {
			_cleanup_free_ char *part = xstrndup(text, n);
			struct outcome outcome;

			fake_file(w.fake, STATE_FILE, part);
			world_run(&w, &w.sys, commands[n % ARRAY_SIZE(commands)], "win11",
				  &outcome);
			if (outcome.rc == 0 || !strstr(outcome.err.text, "recover --discard"))
				fail_msg("cut after %zu bytes: %d %s", n, outcome.rc,
					 outcome.err.text);
			assert_int_equal(fake_open_fds(w.fake), 0);
		}
		after = fake_snapshot_kernel(w.fake);
		assert_string_equal(before, after);
		fake_file(w.fake, STATE_FILE, text);
		assert_null(world_restore(&w));
		world_clear(&w);
		print_message("%s: cut after each of %zu bytes: refused\n",
			      fake_flavour_name(flavour), strlen(text));
	}
}

static bool ours(const struct fault_event *event)
{
	const char *path = event->object;

	if (!fault_op_changes(event->op) || event->op == OP_SETAFFINITY)
		return true;
	if (strncmp(path, STATE_DIR, strlen(STATE_DIR)) == 0 && !strstr(path, ".."))
		return true;
	if (event->op == OP_OPEN_WRITE || event->op == OP_WRITE)
		return kfile_find(path, MOUNT) ||
		       strcmp(strrchr(path, '/'), "/cgroup.threads") == 0 ||
		       strcmp(strrchr(path, '/'), "/cgroup.procs") == 0;
	/* Cgroups: below the root, from it, or as a whole path. */
	return !strstr(path, "..");
}

/* The shield ends, with this file. NULL, or what was touched. */
static char *end(enum flavour flavour, const char *file)
{
	struct faulty f = { 0 };
	struct outcome outcome;
	char *touched = NULL;
	struct world w;
	struct sys sys;

	free(prepare(&w, flavour));
	fake_file(w.fake, STATE_FILE, file);
	faulty_sys(&f, &w.sys, &sys);
	world_run(&w, &sys, CMD_OFF, "win11", &outcome);
	for (size_t i = 0; i < f.count && !touched; i++)
		if (!ours(&f.trace[i]))
			touched =
				xasprintf("%s %s", fault_op_name(f.trace[i].op), f.trace[i].object);
	if (!touched && outcome.rc < 0 && !*outcome.err.text)
		touched = xstrdup("nothing, and no message either");
	if (!touched && fake_open_fds(w.fake))
		touched = xstrdup("nothing, but descriptors stay open");
	faulty_clear(&f);
	world_clear(&w);
	return touched;
}

/* Ends that were tried: one of so many accepted files. */
#define EVERY 16

static void flipped(void **state)
{
	/* Where faults are a sample (test_faults.c), of each byte another bit. */
	const size_t stride = getenv("SHIELD_FAULT_SAMPLE") ? 9 : 1;

	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *text = NULL, *before = NULL, *after = NULL;
		size_t accepted = 0, ended = 0;
		struct world w;

		text = prepare(&w, flavour);
		before = fake_snapshot_kernel(w.fake);
		for (size_t i = 0; i < 8 * strlen(text); i += stride) {
			_cleanup_state_ struct state read = { 0 };
			_cleanup_free_ char *file = xstrdup(text), *touched = NULL;
			struct err err = { 0 };

			file[i / 8] = (char)(file[i / 8] ^ (1 << i % 8));
			fake_file(w.fake, STATE_FILE, file);
			if (state_load(&w.sys, MOUNT, &read, &err) < 0) {
				if (!*err.text)
					fail_msg("bit %zu of byte %zu: no message", i % 8, i / 8);
				continue;
			}
			if (accepted++ % EVERY)
				continue;
			ended++;
			touched = end(flavour, file);
			if (touched)
				fail_msg("bit %zu of byte %zu: touched %s", i % 8, i / 8, touched);
		}
		after = fake_snapshot_kernel(w.fake);
		assert_string_equal(before, after);
		world_clear(&w);
		print_message("%s: %zu bits flipped, %zu still a state file, %zu of these ended\n",
			      fake_flavour_name(flavour), 8 * strlen(text) / stride, accepted,
			      ended);
		assert_true(accepted > 0 && accepted < 4 * strlen(text));
	}
}

/* The file is lost under a shield with a VM: its partition is found and ends, also where that
 * is interrupted; what stays are values whose originals are unknown. */
static void lost(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *original = NULL;
		unsigned deaths = 0;
		struct world w;

		world_init(&w, flavour);
		original = fake_snapshot_kernel(w.fake);
		world_clear(&w);
		for (size_t n = 1; n; n++) {
			_cleanup_free_ char *after = NULL, *diff = NULL;
			bool died;

			free(prepare(&w, flavour));
			w.sys.ops->unlink(w.sys.ctx, STATE_FILE);
			died = world_crash(&w, CMD_ORPHANS, NULL, n, true);
			deaths += died;
			/* What it began is in a file again, or nothing was begun. */
			assert_null(world_restore(&w));
			if (died)
				world_crash(&w, CMD_ORPHANS, NULL, 1000, true);
			/* Who else has come to use it is not known either. */
			sys_write(&w.sys, MOUNT "/cgroup.subtree_control", "-cpuset");
			after = fake_snapshot_kernel(w.fake);
			diff = text_diff(original, after);
			if (strstr(diff, MOUNT) || sys_exists(&w.sys, STATE_FILE))
				fail_msg("%s, died at change %zu:\n%s", fake_flavour_name(flavour),
					 n, diff);
			world_clear(&w);
			if (!died)
				break;
		}
		print_message("%s: lost; the end of what was found died at each of %u changes\n",
			      fake_flavour_name(flavour), deaths);
		assert_true(deaths > 5);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut),
		cmocka_unit_test(flipped),
		cmocka_unit_test(lost),
	};

	mem_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
