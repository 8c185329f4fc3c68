/* SPDX-License-Identifier: MIT */
/*
 * Domains whose emulator or I/O threads are pinned to CPUs of vCPUs, as many are:
 * what these keep, which vCPU is not isolated, and that all of it is put back.
 */
#include "shield/ops/domain.h"
#include "shield/ops/off.h"
#include "shield/sys/sys_write.h"
#include "tests/fault/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SCOPE "machine.slice/vm.scope/libvirt/"
#define ROOT "/sys/fs/cgroup/" SCOPE

/* vCPU 0 is on CPU 4, vCPU 1 on 5 and 7. NULL: there is none */
static const struct {
	const char *emulator, *iothread;	 /* pins before, */
	const char *emulator_now, *iothread_now; /* and where they may run then */
	const char *vcpu0, *vcpu1;		 /* isolated or member; NULL: no shield */
	const char *said;
} cases[] = {
	{ "0-3", NULL, "0-3", NULL, "isolated", "isolated", NULL },
	{ "3", NULL, "3", NULL, "isolated", "isolated", NULL },
	{ "3-4", NULL, "3", NULL, "isolated", "isolated",
	  "the emulator is pinned to CPUs 3-4, some of which vCPUs have: it keeps the others, CPU 3" },
	{ "4", NULL, "4", NULL, "member", "isolated",
	  "the emulator may run on CPU 4 only, which vCPUs have: so vCPU 0 shares CPU 4" },
	{ "4-5,7", NULL, "4", NULL, "member", "isolated", "vCPU 0 shares CPU 4" },
	{ "5", NULL, "5", NULL, "isolated", "member", "vCPU 1 shares CPU 5,7" },
	{ "0-7", "4-7", "0-3,6", "6", "isolated", "isolated",
	  "I/O thread 1 is pinned to CPUs 4-7, some of which vCPUs have: it keeps the others, CPU 6" },
	{ "0", "5,7", "0", "5,7", "isolated", "member", "<iothreadpin iothread='1' cpuset='…'/>" },
	{ "4", "4-5", "4", "4", "member", "isolated", "I/O thread 1 is pinned to CPUs 4-5" },
	{ "4", "5", NULL, NULL, NULL, NULL, "I/O thread 1 may run on CPU 5 only" },
};

static void put(struct world *w, const char *file, const char *text)
{
	_cleanup_free_ char *path = xasprintf(ROOT "%s", file);

	assert_int_equal(sys_write(&w->sys, path, text), 0);
}

static void assert_reads(struct world *w, const char *file, const char *expected)
{
	_cleanup_free_ char *path = xasprintf(ROOT "%s", file), *text = NULL;

	if (!expected)
		return;
	assert_int_equal(sys_read_line(&w->sys, path, &text), 0);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: is %s, expected %s", file, text, expected);
}

static bool said(const struct strv *warnings, const char *what)
{
	for (size_t i = 0; i < warnings->n; i++)
		if (strstr(warnings->items[i], what))
			return true;
	return false;
}

static void start(struct world *w, size_t i)
{
	struct outcome outcome;

	world_run(w, &w->sys, CMD_START, "vm", &outcome);
	put(w, "emulator/cpuset.cpus", cases[i].emulator);
	if (!cases[i].iothread)
		return;
	w->sys.ops->cgroup_create(w->sys.ctx, SCOPE "iothread1");
	put(w, "iothread1/cgroup.type", "threaded");
	put(w, "iothread1/cpuset.cpus", cases[i].iothread);
}

/* Is what is to be said said, as a warning or as the reason of a refusal? */
static bool is_shielded(struct world *w, size_t i)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int rc = txn_begin(&txn, &w->sys, false, &err);

	assert_int_equal(rc, 0);
	rc = shield_on_domain(&txn, "vm", w->domain, &warnings, &err);
	txn_end(&txn);
	if (rc < 0 && cases[i].vcpu0)
		fail_msg("case %zu: %s", i, err.text);
	if (cases[i].said &&
	    !(rc < 0 ? strstr(err.text, cases[i].said) != NULL : said(&warnings, cases[i].said)))
		fail_msg("case %zu: not said: %s", i, cases[i].said);
	if (!cases[i].said && (said(&warnings, "emulator") || said(&warnings, "I/O thread")))
		fail_msg("case %zu: said without a reason", i);
	return rc == 0;
}

static void end(struct world *w)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	if (txn_begin(&txn, &w->sys, false, &err) < 0 || shield_off(&txn, "vm", &err) < 0)
		fail_msg("%s", err.text);
	txn_end(&txn);
}

static void check(enum flavour flavour, size_t i)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct world w;

	world_init(&w, flavour);
	start(&w, i);
	before = fake_snapshot_kernel(w.fake);
	if (is_shielded(&w, i)) {
		assert_reads(&w, "vcpu0/cpuset.cpus.partition", cases[i].vcpu0);
		assert_reads(&w, "vcpu1/cpuset.cpus.partition", cases[i].vcpu1);
		assert_reads(&w, "vcpu0/cpuset.cpus.effective", "4");
		assert_reads(&w, "vcpu1/cpuset.cpus.effective", "5,7");
		assert_reads(&w, "emulator/cpuset.cpus.effective", cases[i].emulator_now);
		assert_reads(&w, "iothread1/cpuset.cpus.effective", cases[i].iothread_now);
		end(&w);
	} else {
		assert_null(cases[i].vcpu0);
	}
	after = fake_snapshot_kernel(w.fake);
	assert_string_equal(before, after);
	world_clear(&w);
}

static void test_pins(void **state)
{
	(void)state;
	for (enum flavour f = FAKE_6_12; f < FAKE_FLAVOURS; f++)
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
			check(f, i);
}

/* libvirt pins it anew, and the guard sees that. */
static void follow(struct world *w, const char *pin)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	put(w, "emulator/cpuset.cpus", pin);
	if (txn_begin(&txn, &w->sys, false, &err) < 0 || shield_follow(&txn, "vm", &err) < 0 ||
	    txn_repair(&txn, "vm", true, &err) < 0)
		fail_msg("%s: %s", pin, err.text);
	txn_end(&txn);
}

/* Pins of the emulator while the domain is shielded, and what they lead to. */
static const struct {
	const char *pin, *emulator, *vcpu0;
} pins[] = {
	{ "2,4", "2", "isolated" }, { "4", "4", "member" },	    { "0", "0", "isolated" },
	{ "0,4", "0", "isolated" }, { "0,3-4", "0,3", "isolated" },
};

static void test_follow(void **state)
{
	(void)state;
	for (enum flavour f = FAKE_6_12; f < FAKE_FLAVOURS; f++)
		for (size_t first = 0; first < 4; first++) {
			struct world w;

			world_init(&w, f);
			start(&w, first);
			assert_true(is_shielded(&w, first));
			for (size_t i = 0; i < ARRAY_SIZE(pins); i++) {
				follow(&w, pins[i].pin);
				assert_reads(&w, "emulator/cpuset.cpus", pins[i].emulator);
				assert_reads(&w, "vcpu0/cpuset.cpus.partition", pins[i].vcpu0);
				assert_reads(&w, "vcpu1/cpuset.cpus.partition", "isolated");
			}
			end(&w);
			assert_reads(&w, "emulator/cpuset.cpus", "0,3-4");
			assert_reads(&w, "vcpu0/cpuset.cpus.partition", "member");
			assert_reads(&w, "vcpu1/cpuset.cpus.partition", "member");
			world_clear(&w);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pins),
					    cmocka_unit_test(test_follow) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
