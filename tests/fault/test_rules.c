/* SPDX-License-Identifier: MIT */
/*
 * The rules of a transaction, each by itself, where breaking it does not show in
 * what is left of a command that fails or dies: whose value is kept, what a
 * number stands for, which file is followed, and what is looked at twice.
 */
#include "shield/ops/audit.h"
#include "shield/ops/off.h"
#include "shield/ops/on.h"
#include "shield/ops/place_new.h"
#include "tests/fault/world.h"
#include "shield/sys/kfile.h"
#include "shield/sys/sys_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define DEFAULT_MASK "/proc/irq/default_smp_affinity"

static void run(struct world *w, enum command command)
{
	struct outcome outcome;

	world_run(w, &w->sys, command, "win11", &outcome);
	if (outcome.rc < 0)
		fail_msg("%s", outcome.err.text);
}

static char *read_line(struct world *w, const char *path)
{
	char *text = NULL;

	assert_int_equal(sys_read_line(&w->sys, path, &text), 0);
	return text;
}

static void assert_reads(struct world *w, const char *path, const char *expected)
{
	_cleanup_free_ char *text = read_line(w, path);

	assert_string_equal(text, expected);
}

/* The shield ends by hand, with or without --force; what was said. */
static void end(struct world *w, bool force, struct strv *report)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	if (txn_begin(&txn, &w->sys, force, &err) < 0 || shield_off(&txn, "win11", &err) < 0)
		fail_msg("%s", err.text);
	*report = txn.report;
	txn.report = (struct strv){ 0 };
	txn_end(&txn);
}

static bool said(const struct strv *report, const char *object, const char *what)
{
	for (size_t i = 0; i < report->n; i++)
		if (strstr(report->items[i], object) && strstr(report->items[i], what))
			return true;
	return false;
}

/* What someone else has set since stays, and is told; with --force it does not. */
static void test_theirs(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (unsigned force = 0; force < 2; force++) {
			_cleanup_strv_ struct strv report = { 0 };
			_cleanup_free_ char *original = NULL;
			struct world w;

			world_init(&w, flavour);
			original = read_line(&w, DEFAULT_MASK);
			run(&w, CMD_ON);
			assert_int_equal(sys_write(&w.sys, DEFAULT_MASK, "1"), 0);
			end(&w, force, &report);
			assert_reads(&w, DEFAULT_MASK, force ? original : "01");
			assert_int_equal(said(&report, DEFAULT_MASK, "someone else"), !force);
			assert_false(sys_exists(&w.sys, STATE_FILE));
			world_clear(&w);
		}
}

/* The number of a thread that has ended goes to another one, whose CPUs are its
 * own. (In the state file, for the fake gives no number twice.) */
static void test_thread_number(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_strv_ struct strv report = { 0 };
		_cleanup_free_ char *before = NULL;
		struct txn txn = { .lock = -1 };
		struct err err = { 0 };
		struct world w;
		size_t found = 0;

		world_init(&w, flavour);
		run(&w, CMD_ON);
		assert_int_equal(txn_begin(&txn, &w.sys, false, &err), 0);
		for (size_t i = 0; i < txn.state.n_objects; i++)
			if (txn.state.objects[i]->task.pid == w.kswapd) {
				txn.state.objects[i]->task.start++;
				found++;
			}
		/* Linux 7 moves kernel threads by itself. */
		assert_int_equal(found, flavour == FAKE_7 && !found ? 0 : 1);
		assert_int_equal(txn_save(&txn, &err), 0);
		txn_end(&txn);
		cpuset_add(&cpus, 7);
		assert_int_equal(w.sys.ops->setaffinity(w.sys.ctx, w.kswapd, &cpus), 0);
		end(&w, true, &report);
		cpuset_clear(&cpus);
		assert_int_equal(w.sys.ops->getaffinity(w.sys.ctx, w.kswapd, &cpus), 0);
		before = cpulist_format(&cpus);
		assert_string_equal(before, "7");
		world_clear(&w);
	}
}

/* A reboot has undone everything: the file of another boot counts for nothing. */
static void test_other_boot(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_state_ struct state read = { 0 };
		_cleanup_free_ char *before = NULL, *after = NULL;
		struct err err = { 0 };
		struct world w;

		world_init(&w, flavour);
		run(&w, CMD_ON);
		fake_file(w.fake, "/proc/sys/kernel/random/boot_id", "another\n");
		assert_int_equal(state_load(&w.sys, "/sys/fs/cgroup", &read, &err), 0);
		assert_int_equal(read.n_shields, 0);
		assert_int_equal(read.n_objects, 0);
		before = fake_snapshot_kernel(w.fake);
		run(&w, CMD_OFF);
		after = fake_snapshot_kernel(w.fake);
		assert_string_equal(before, after);
		world_clear(&w);
	}
}

/* A file that others could have written says nothing. */
static void test_owner(void **state)
{
	static const struct {
		unsigned mode, uid, links;
	} wrong[] = {
		{ 0100644, 1000, 1 }, { 0100664, 0, 1 }, { 0100646, 0, 1 }, { 0100644, 0, 2 }
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		_cleanup_state_ struct state read = { 0 };
		struct err err = { 0 };
		struct world w;

		world_init(&w, FAKE_6_12);
		run(&w, CMD_ON);
		assert_int_equal(state_load(&w.sys, "/sys/fs/cgroup", &read, &err), 0);
		state_clear(&read);
		fake_chattr(w.fake, STATE_FILE, wrong[i].mode, wrong[i].uid, wrong[i].links);
		assert_int_equal(state_load(&w.sys, "/sys/fs/cgroup", &read, &err), -1);
		assert_non_null(strstr(err.text, "cannot be trusted"));
		world_clear(&w);
	}
}

/* Only what Shield itself could have written is read. */
static void test_paths(void **state)
{
	static const char *const others[] = { "/etc/passwd", "/proc/irq/../../etc/passwd",
					      "/proc/sysrq-trigger" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		_cleanup_free_ char *text = NULL, *file = NULL;
		_cleanup_state_ struct state read = { 0 };
		struct err err = { 0 };
		struct world w;
		char *at;

		world_init(&w, FAKE_6_12);
		run(&w, CMD_ON);
		assert_int_equal(sys_read(&w.sys, STATE_FILE, 1 << 20, &text), 0);
		at = strstr(text, DEFAULT_MASK);
		assert_non_null(at);
		file = xasprintf("%.*s%s%s", (int)(at - text), text, others[i],
				 at + strlen(DEFAULT_MASK));
		fake_file(w.fake, STATE_FILE, file);
		assert_int_equal(state_load(&w.sys, "/sys/fs/cgroup", &read, &err), -1);
		assert_non_null(strstr(err.text, "a path that Shield never writes"));
		world_clear(&w);
	}
}

static bool broken(const struct problems *problems, const char *object)
{
	for (size_t i = 0; i < problems->n; i++)
		if (problems->items[i].severity == SEVERITY_BROKEN &&
		    strstr(problems->items[i].object, object))
			return true;
	return false;
}

/* What `status` is to see is seen. */
static void assert_broken(struct world *w, const char *object, bool expected)
{
	_cleanup_problems_ struct problems problems = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	assert_int_equal(txn_view(&txn, &w->sys, &err), 0);
	assert_int_equal(txn.state.n_shields, 1);
	assert_int_equal(audit_shield(&txn, &txn.state.shields[0], &problems, &err), 0);
	assert_int_equal(broken(&problems, object), expected);
	txn_end(&txn);
}

static void test_status(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct world w;

		world_init(&w, flavour);
		run(&w, CMD_ON);
		assert_broken(&w, "/", false);
		assert_int_equal(sys_write(&w.sys, DEFAULT_MASK, "ff"), 0);
		assert_broken(&w, DEFAULT_MASK, true);
		assert_broken(&w, "cpuset.cpus.partition", false);
		assert_int_equal(
			sys_write(&w.sys, "/sys/fs/cgroup/shield-win11/vcpus/cpuset.cpus.partition",
				  "member"),
			0);
		assert_broken(&w, "cpuset.cpus.partition", true);
		world_clear(&w);
	}
}

/* While a command holds the lock, one that only looks does not wait for it. */
static void test_view(void **state)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	unsigned taken;
	struct world w;

	(void)state;
	world_init(&w, FAKE_6_12);
	run(&w, CMD_ON);
	taken = fake_flocks(w.fake);
	assert_int_equal(txn_view(&txn, &w.sys, &err), 0);
	assert_int_equal(txn.state.n_shields, 1);
	assert_int_equal(txn.lock, -1);
	assert_int_equal(fake_flocks(w.fake), taken);
	txn_end(&txn);
	assert_int_equal(txn_begin(&txn, &w.sys, false, &err), 0);
	assert_int_equal(fake_flocks(w.fake), taken + 1);
	txn_end(&txn);
	world_clear(&w);
}

/* Threads and interrupts that appear under a shield go where the others are. */
static void test_new_threads(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		_cleanup_free_ char *mask = NULL;
		struct txn txn = { .lock = -1 };
		struct err err = { 0 };
		struct world w;
		size_t found;
		pid_t born;

		world_init(&w, flavour);
		run(&w, CMD_ON);
		fake_irq(w.fake, 40, "new", "2-3", 0);
		born = fake_kthread(w.fake, "jbd2/vda1-8", NULL, 0);
		assert_int_equal(txn_begin(&txn, &w.sys, false, &err), 0);
		assert_int_equal(shield_place_new(&txn, &found, &err), 0);
		txn_end(&txn);
		mask = read_line(&w, "/proc/irq/40/smp_affinity_list");
		assert_null(strpbrk(mask, "23"));
		assert_int_equal(w.sys.ops->getaffinity(w.sys.ctx, born, &cpus), 0);
		assert_false(cpuset_has(&cpus, 2) || cpuset_has(&cpus, 3));
		assert_true(found >= 1);
		world_clear(&w);
	}
}

/* What a dry run of `off` says is what `off` does: one shield of two, then both. */
static void test_preview_off(void **state)
{
	static const char *const names[] = { "win11", "lin" };

	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct outcome outcome;
		struct world w;

		world_init(&w, flavour);
		run(&w, CMD_ON);
		world_run(&w, &w.sys, CMD_ON, "lin", &outcome);
		assert_int_equal(outcome.rc, 0);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			char *differs = world_preview(&w, CMD_OFF, names[i]);

			if (differs)
				fail_msg("%s: %s", names[i], differs);
		}
		world_clear(&w);
	}
}

/* Others are at work in the kernel, too: before an operation on `path` that follows a
 * change of it, `other` gets this value, once. */
struct meddler {
	struct faulty faulty;
	struct sys sys;
	struct world *w;
	enum fault_op op;
	const char *path;
	unsigned changes; /* so many */
	const char *other, *value;
};

static void meddle(void *ctx, size_t number, const struct fault_event *event)
{
	struct meddler *m = ctx;
	const char *other = m->other;

	(void)number;
	if (!other || strcmp(event->object, m->path) != 0)
		return;
	if (!m->changes && event->op == m->op) {
		m->other = NULL;
		assert_int_equal(sys_write(&m->w->sys, other, m->value), 0);
	}
	if (m->changes && fault_op_changes(event->op))
		m->changes--;
}

static int on_with(struct meddler *m, struct txn *txn, struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *name = NULL;
	int rc;

	m->faulty = (struct faulty){ .before = meddle, .ctx = m };
	faulty_sys(&m->faulty, &m->w->sys, &m->sys);
	assert_int_equal(txn_begin(txn, &m->sys, false, err), 0);
	rc = shield_on(txn, "win11", "isolated", (struct process){ 0 }, &warnings, &name, err);
	assert_null(m->other);
	return rc;
}

/* A value that does not stay is told, for it is read back. */
static void test_read_back(void **state)
{
	static const char path[] = "/proc/sys/vm/stat_interval";

	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct meddler m = {
			.op = OP_READ, .path = path, .changes = 1, .other = path, .value = "7"
		};
		struct txn txn = { .lock = -1 };
		struct err err = { 0 };
		struct world w;
		int rc;

		world_init(&w, flavour);
		m.w = &w;
		rc = on_with(&m, &txn, &err);
		if (rc == 0 && !said(&txn.unmoved, path, "reads \"7\""))
			fail_msg("%s: no message says that it is 7", fake_flavour_name(flavour));
		txn_end(&txn);
		faulty_clear(&m.faulty);
		world_clear(&w);
	}
}

/* A partition that is none when all is done: nothing was changed. */
static void test_partition(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct meddler m = {
			.op = OP_RENAME,
			.path = STATE_FILE,
			.changes = 1,
			.other = "/sys/fs/cgroup/shield-win11/vcpus/cpuset.cpus.partition",
			.value = "member"
		};
		_cleanup_free_ char *before = NULL, *after = NULL, *diff = NULL;
		struct txn txn = { .lock = -1 };
		struct err err = { 0 };
		struct world w;

		world_init(&w, flavour);
		before = fake_snapshot(w.fake);
		m.w = &w;
		assert_int_equal(on_with(&m, &txn, &err), -1);
		assert_non_null(strstr(err.text, "cpuset.cpus.partition"));
		txn_end(&txn);
		faulty_clear(&m.faulty);
		after = fake_snapshot(w.fake);
		/* (Making it a member gives threads other CPUs, which are
		 * theirs.) */
		diff = text_diff(before, after);
		if (!diff_is_soft(diff))
			fail_msg("%s: %s", fake_flavour_name(flavour), diff);
		world_clear(&w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_theirs),	    cmocka_unit_test(test_thread_number),
		cmocka_unit_test(test_other_boot),  cmocka_unit_test(test_owner),
		cmocka_unit_test(test_paths),	    cmocka_unit_test(test_status),
		cmocka_unit_test(test_view),	    cmocka_unit_test(test_new_threads),
		cmocka_unit_test(test_preview_off), cmocka_unit_test(test_read_back),
		cmocka_unit_test(test_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
