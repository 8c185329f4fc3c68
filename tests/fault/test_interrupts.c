/* SPDX-License-Identifier: MIT */
/*
 * Interrupts through whole commands, where a virtual machine cannot: what each
 * error of a write means, interrupts that vanish while they are looked at, masks
 * whose CPUs are gone when they come back, the masks of network queues, and two
 * thousand of them.
 */
#include "irq/net.h"
#include "shield/ops/audit.h"
#include "shield/ops/new_irqs.h"
#include "shield/ops/off.h"
#include "shield/ops/on.h"
#include "shield/ops/place_new.h"
#include "tests/fault/world.h"
#include "shield/sys/sys_write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A command, and what it said. */
struct said {
	struct strv report, immovable, unmoved, leftover;
};

static void said_clear(struct said *said)
{
	strv_clear(&said->report);
	strv_clear(&said->immovable);
	strv_clear(&said->unmoved);
	strv_clear(&said->leftover);
}

static void move(struct strv *to, struct strv *from)
{
	*to = *from;
	*from = (struct strv){ 0 };
}

static void run(struct world *w, enum command command, struct said *said)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_free_ char *name = NULL;
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	int rc = txn_begin(&txn, &w->sys, false, &err);

	said_clear(said);
	if (rc == 0 && command == CMD_ON)
		rc = shield_on(&txn, "win11", "isolated", (struct process){ 0 }, &warnings, &name,
			       &err);
	else if (rc == 0 && command == CMD_OFF)
		rc = shield_off(&txn, "win11", &err);
	if (rc < 0 && !txn.leftover.n)
		fail_msg("%s", err.text);
	move(&said->report, &txn.report);
	move(&said->immovable, &txn.immovable);
	move(&said->unmoved, &txn.unmoved);
	move(&said->leftover, &txn.leftover);
	txn_end(&txn);
}

static bool has(const struct strv *lines, const char *a, const char *b)
{
	for (size_t i = 0; i < lines->n; i++)
		if (strstr(lines->items[i], a) && strstr(lines->items[i], b))
			return true;
	return false;
}

static void assert_text(struct world *w, const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(sys_read_line(&w->sys, path, &text), 0);
	assert_string_equal(text, expected);
}

/* Hexadecimal, however long. */
static void assert_mask(struct world *w, const char *path, const char *expected)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(sys_read_line(&w->sys, path, &text), 0);
	assert_int_equal(strtoul(text, NULL, 16), strtoul(expected, NULL, 16));
}

/* What is not as before is told by `diff`: lines that begin with - and +. */
static void assert_back(const struct world *w, const char *before, const char *diff)
{
	_cleanup_free_ char *after = fake_snapshot(w->fake), *now = text_diff(before, after);

	assert_string_equal(now, diff);
}

/* Each errno of a write, where it is said, and what is said. */
static void test_errors(void **state)
{
	static const struct {
		int error;
		bool immovable; /* or not moved; without words: it is gone */
		const char *words;
	} errors[] = {
		{ ENOSPC, false, "no interrupt vector is left on these CPUs" },
		{ EINVAL, false, "none of these CPUs is online" },
		{ ERANGE, false, "this kernel cannot have such a CPU" },
		{ EOVERFLOW, false, "this kernel cannot have such a CPU" },
		{ EBUSY, false, "/proc/irq/24/" },
		{ EIO, true, "/proc/irq/24/" },
		{ EPERM, true, "/proc/irq/24/" },
		{ ENOENT, false, NULL },
	};

	(void)state;
	for (int flavour = 0; flavour < FAKE_FLAVOURS; flavour++)
		for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
			_cleanup_free_ char *before = NULL;
			struct said said = { 0 };
			struct world w;

			world_init(&w, (enum flavour)flavour);
			before = fake_snapshot(w.fake);
			fake_irq_refuse(w.fake, 24, errors[i].error);
			run(&w, CMD_ON, &said);
			if (errors[i].words)
				assert_text(&w, "/proc/irq/24/smp_affinity_list", "0-7");
			/* The emulator and the I/O thread need CPUs of their own there. */
			assert_text(&w, "/proc/irq/25/smp_affinity_list",
				    flavour == FAKE_6_1 ? "0,4-5,7" : "0-1,4-7");
			assert_int_equal(has(&said.immovable, "/proc/irq/24/", ""),
					 errors[i].immovable);
			assert_int_equal(has(&said.unmoved, "/proc/irq/24/", ""),
					 !errors[i].immovable && errors[i].words);
			if (errors[i].words)
				assert_true(
					has(errors[i].immovable ? &said.immovable : &said.unmoved,
					    "/proc/irq/24/", errors[i].words));
			/* It stays refused: what never moved needs no way back. */
			run(&w, CMD_OFF, &said);
			assert_int_equal(said.leftover.n, 0);
			assert_back(&w, before,
				    errors[i].words ? ""
						    : "-/proc/irq/24/smp_affinity_list: 0-7\n");
			said_clear(&said);
			world_clear(&w);
		}
}

/* What cannot be written back is named and kept, and the next command does it. */
static void test_way_back(void **state)
{
	(void)state;
	for (int flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *before = NULL;
		struct said said = { 0 };
		struct world w;

		world_init(&w, (enum flavour)flavour);
		before = fake_snapshot(w.fake);
		run(&w, CMD_ON, &said);
		fake_irq_refuse(w.fake, 24, ENOSPC);
		run(&w, CMD_OFF, &said);
		assert_true(has(&said.leftover, "/proc/irq/24/", "no interrupt vector is left"));
		fake_irq_refuse(w.fake, 24, 0);
		run(&w, CMD_RECOVER, &said);
		assert_int_equal(said.leftover.n, 0);
		assert_back(&w, before, "");
		said_clear(&said);
		world_clear(&w);
	}
}

/* The guard looks, and there is still no vector left; then the shield ends. */
static void test_full(void **state)
{
	(void)state;
	for (int flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *before = NULL;
		struct said said = { 0 };
		struct world w;

		world_init(&w, (enum flavour)flavour);
		for (unsigned i = 0; i < 250; i++) {
			_cleanup_free_ char *name = xasprintf("vfio-msix[%u](0000:07:00.0)", i);

			fake_irq(w.fake, 1000 + i, name, NULL, 0);
			if (i >= 187)
				fake_irq_refuse(w.fake, 1000 + i, ENOSPC);
		}
		before = fake_snapshot(w.fake);
		run(&w, CMD_ON, &said);
		assert_int_equal(said.unmoved.n, 63);
		for (unsigned look = 0; look < 3; look++) {
			struct txn txn = { .lock = -1 };
			struct err err = { 0 };
			size_t found;

			assert_int_equal(txn_begin(&txn, &w.sys, false, &err), 0);
			assert_int_equal(shield_place_new(&txn, &found, &err), 0);
			txn_end(&txn);
		}
		run(&w, CMD_OFF, &said);
		assert_int_equal(said.leftover.n, 0);
		assert_back(&w, before, "");
		said_clear(&said);
		world_clear(&w);
	}
}

static void add_nodes(struct world *w)
{
	fake_file(w->fake, "/sys/devices/system/node/online", "0-2\n");
	fake_file(w->fake, "/sys/devices/system/node/node0/cpulist", "0-1,4\n");
	fake_file(w->fake, "/sys/devices/system/node/node1/cpulist", "2-3\n");
	fake_file(w->fake, "/sys/devices/system/node/node2/cpulist", "5-7\n");
	fake_file(w->fake, "/sys/devices/system/node/node0/distance", "10 15 30\n");
	fake_file(w->fake, "/sys/devices/system/node/node1/distance", "15 10 30\n");
	fake_file(w->fake, "/sys/devices/system/node/node2/distance", "30 30 10\n");
	fake_file(w->fake, "/proc/irq/25/node", "1\n");
}

/* Interrupt 25 is of node 1, which is all the guest's: node 0 is closest. */
static void test_nodes(void **state)
{
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	add_nodes(&w);
	run(&w, CMD_ON, &said);
	assert_text(&w, "/proc/irq/25/smp_affinity_list", "0-1,4");
	run(&w, CMD_OFF, &said);
	assert_text(&w, "/proc/irq/25/smp_affinity_list", "2-3");
	said_clear(&said);
	world_clear(&w);
}

/* The CPUs that it shall have back are offline: the closest of those there are. */
static void test_offline(void **state)
{
	(void)state;
	for (int flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		struct said said = { 0 };
		struct world w;

		world_init(&w, (enum flavour)flavour);
		add_nodes(&w);
		run(&w, CMD_ON, &said);
		fake_cpu(w.fake, 2, false);
		fake_cpu(w.fake, 3, false);
		run(&w, CMD_OFF, &said);
		assert_int_equal(said.leftover.n, 0);
		assert_true(has(&said.report, "/proc/irq/25/",
				"its CPUs 2-3 are offline; set to 0-1,4"));
		assert_text(&w, "/proc/irq/25/smp_affinity_list", "0-1,4");
		assert_false(sys_exists(&w.sys, STATE_FILE));
		said_clear(&said);
		world_clear(&w);
	}
}

/* What the guard does. */
static size_t look(struct world *w)
{
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	size_t found;

	assert_int_equal(txn_begin(&txn, &w->sys, false, &err), 0);
	assert_int_equal(shield_new_irqs(&txn, &found, &err), 0);
	assert_int_equal(txn.unmoved.n, 0);
	txn_end(&txn);
	return found;
}

/* The CPU of a rule goes: the kernel lets the interrupt use all others, and it
 * has to keep off the guest until the CPU is back. */
static void test_rule_offline(void **state)
{
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	fake_file(w.fake, "/etc/shield/profiles.d/win11.json",
		  "{\"version\":1,\"name\":\"win11\",\"guest\":\"2-3\",\"irq\":{\"rules\":"
		  "[{\"match\":\"action:eth0\",\"cpus\":\"1\"}]}}");
	run(&w, CMD_ON, &said);
	assert_text(&w, "/proc/irq/24/smp_affinity_list", "1");
	fake_cpu(w.fake, 1, false);
	assert_text(&w, "/proc/irq/24/smp_affinity_list", "0,2-7");
	look(&w);
	assert_text(&w, "/proc/irq/24/smp_affinity_list", "0,4-7");
	assert_int_equal(look(&w), 0);
	fake_cpu(w.fake, 1, true);
	look(&w);
	assert_text(&w, "/proc/irq/24/smp_affinity_list", "1");
	assert_int_equal(look(&w), 0);
	run(&w, CMD_OFF, &said);
	assert_text(&w, "/proc/irq/24/smp_affinity_list", "0-7");
	said_clear(&said);
	world_clear(&w);
}

/* A mask that a person wrote is left; one that irqbalance may have written, which
 * has no socket to be told by, is not. */
static void test_deaf_irqbalance(void **state)
{
	static const char mask[] = "/proc/irq/24/smp_affinity_list";

	static const struct {
		uid_t uid;
		const char *exe;
		bool runs;
	} processes[] = {
		{ 0, NULL, false },
		{ 0, "/usr/sbin/irqbalance", true },
		{ 0, "/usr/sbin/irqbalance (deleted)", true },
		/* A user's process of that name, and another program. */
		{ 1000, "/usr/sbin/irqbalance", false },
		{ 0, "/usr/bin/sleep", false },
		{ 0, "/home/u/not-irqbalance", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		bool runs = processes[i].runs;
		struct said said = { 0 };
		struct world w;

		world_init(&w, FAKE_7);
		run(&w, CMD_ON, &said);
		if (processes[i].exe)
			fake_owner(w.fake, fake_process(w.fake, "irqbalance", "system"),
				   processes[i].uid, processes[i].exe);
		sys_write(&w.sys, mask, "3");
		look(&w);
		assert_text(&w, mask, runs ? "0-1,4-7" : "3");
		run(&w, CMD_OFF, &said);
		assert_text(&w, mask, runs ? "0-7" : "3");
		said_clear(&said);
		world_clear(&w);
	}
}

/* How many problems of the shield name this. */
static size_t audited(struct world *w, const char *object)
{
	_cleanup_problems_ struct problems problems = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	size_t n = 0;

	assert_int_equal(txn_view(&txn, &w->sys, &err), 0);
	assert_int_equal(audit_shield(&txn, &txn.state.shields[0], &problems, &err), 0);
	for (size_t i = 0; i < problems.n; i++)
		n += problems.items[i].severity == SEVERITY_BROKEN &&
		     strstr(problems.items[i].object, object);
	txn_end(&txn);
	return n;
}

/* A number that another device has since is another interrupt, for all code. */
static void test_number_again(void **state)
{
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	run(&w, CMD_ON, &said);
	assert_int_equal(audited(&w, "/proc/irq/28/"), 0);
	fake_irq_free(w.fake, 28);
	fake_irq(w.fake, 28, "ahci", "3,6", 0);
	assert_int_equal(audited(&w, "/proc/irq/28/"), 1);
	look(&w);
	assert_int_equal(audited(&w, "/proc/irq/28/"), 0);
	assert_text(&w, "/proc/irq/28/smp_affinity_list", "6");
	run(&w, CMD_OFF, &said);
	assert_text(&w, "/proc/irq/28/smp_affinity_list", "3,6");
	said_clear(&said);
	world_clear(&w);
}

/* Another device of its line gets a driver that does not ask for it: the interrupt
 * is called by that, and is the same. */
static void test_shared_line(void **state)
{
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	fake_file(w.fake, "/sys/bus/pci/devices/0000:00:1f.4/irq", "25\n");
	fake_symlink(w.fake, "/sys/bus/pci/devices/0000:00:1f.4/driver", "../drivers/xhci_hcd");
	run(&w, CMD_ON, &said);
	fake_file(w.fake, "/sys/bus/pci/devices/0000:00:01.0/irq", "25\n");
	fake_symlink(w.fake, "/sys/bus/pci/devices/0000:00:01.0/driver", "../drivers/pcieport");
	look(&w);
	assert_int_equal(audited(&w, "/proc/irq/25/"), 0);
	run(&w, CMD_OFF, &said);
	assert_text(&w, "/proc/irq/25/smp_affinity_list", "2-3");
	said_clear(&said);
	world_clear(&w);
}

/* Behind Intel's VMD addresses have a longer domain. */
static void test_long_domain(void **state)
{
	static const char mask[] = "/proc/irq/30/smp_affinity_list";
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	fake_irq(w.fake, 30, "nvme0q0", "2,6", 0);
	fake_file(w.fake, "/sys/bus/pci/devices/10000:e1:00.0/msi_irqs/30", "msix\n");
	run(&w, CMD_ON, &said);
	assert_text(&w, mask, "6");
	assert_int_equal(look(&w), 0);
	run(&w, CMD_OFF, &said);
	assert_text(&w, mask, "2,6");
	said_clear(&said);
	world_clear(&w);
}

/* Freed between the listing and the look. */
static void test_vanishing(void **state)
{
	struct said said = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	fake_irq_vanish(w.fake, 24);
	run(&w, CMD_ON, &said);
	assert_text(&w, "/proc/irq/25/smp_affinity_list", "0-1,4-7");
	run(&w, CMD_OFF, &said);
	assert_text(&w, "/proc/irq/25/smp_affinity_list", "2-3");
	said_clear(&said);
	world_clear(&w);
}

#define NET "/sys/class/net/"
#define RENAMED 1 /* another interface has the name now */
#define MOVED 2	  /* and this one has another name */

/* The same queue, when its interface is called lan0. */
static char *moved(const char *path)
{
	const char *queue = strstr(path, "/queues/");

	return queue ? xasprintf(NET "lan0%s", queue) : xstrdup(path);
}

static void test_network(void **state)
{
	static const struct {
		const char *path, *text, *under;
	} masks[] = {
		{ NET "eth0/queues/rx-0/rps_cpus", "ff", "f3" },
		{ NET "eth0/queues/rx-1/rps_cpus", "00", "00" }, /* off stays off */
		{ NET "eth0/queues/rx-2/rps_cpus", "03", "03" }, /* not made so */
		{ NET "eth0/queues/tx-0/xps_cpus", "0c", "f3" },
		{ NET "eth0/queues/tx-1/xps_cpus", "03", "03" },
		{ "/proc/sys/net/core/flow_limit_cpu_bitmap", "84", "80" },
		{ "/proc/sys/net/core/rps_default_mask", "0f", "03" },
	};

	(void)state;
	for (int what = 0; what <= MOVED; what++) {
		struct said said = { 0 };
		struct world w;

		world_init(&w, FAKE_7);
		fake_file(w.fake, NET "eth0/ifindex", "2\n");
		for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
			fake_file(w.fake, masks[i].path, masks[i].text);
		run(&w, CMD_ON, &said);
		for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
			assert_mask(&w, masks[i].path, masks[i].under);
		if (what)
			fake_file(w.fake, NET "eth0/ifindex", "3\n");
		if (what == MOVED)
			fake_file(w.fake, NET "lan0/ifindex", "2\n");
		for (size_t i = 0; what == MOVED && i < ARRAY_SIZE(masks); i++) {
			_cleanup_free_ char *path = moved(masks[i].path);

			fake_file(w.fake, path, masks[i].under);
		}
		run(&w, CMD_OFF, &said);
		for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
			_cleanup_free_ char *path =
				what == MOVED ? moved(masks[i].path) : xstrdup(masks[i].path);
			bool other = what == RENAMED && strstr(masks[i].path, NET);
			/* What another one has, looks as if made under the
			 * shield. */
			bool born = other && strstr(masks[i].path, "rx-2");

			assert_mask(&w, path, born ? "0f" : other ? masks[i].under : masks[i].text);
		}
		said_clear(&said);
		world_clear(&w);
	}
}

/* A queue that is made under a shield has its default mask; it gets what it
 * would have had, whether the guard has seen it or not. */
static void test_network_births(void **state)
{
	(void)state;
	for (int seen = 0; seen < 2; seen++) {
		struct said said = { 0 };
		struct world w;

		world_init(&w, FAKE_7);
		fake_file(w.fake, NET_DEFAULT, "0f");
		run(&w, CMD_ON, &said);
		fake_file(w.fake, NET "tap0/ifindex", "9\n");
		fake_file(w.fake, NET "tap0/queues/rx-0/rps_cpus", "03");
		fake_file(w.fake, NET "tap0/queues/rx-1/rps_cpus", "02");
		if (seen)
			look(&w);
		run(&w, CMD_OFF, &said);
		assert_mask(&w, NET "tap0/queues/rx-0/rps_cpus", "0f");
		assert_mask(&w, NET "tap0/queues/rx-1/rps_cpus", "02");
		said_clear(&said);
		world_clear(&w);
	}
}

/* What on and off ask of the kernel for n interrupts more. */
static size_t cost(unsigned n)
{
	struct faulty f = { .mode = FAULT_NONE };
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct outcome outcome;
	struct world w;
	struct sys sys;
	size_t count;

	world_init(&w, FAKE_7);
	for (unsigned i = 0; i < n; i++) {
		_cleanup_free_ char *name = xasprintf("nic-%u", i);

		fake_irq(w.fake, 1000 + i, name, i % 3 ? NULL : "0-1",
			 i % 10 == 3 ? FAKE_MANAGED : 0);
	}
	before = fake_snapshot(w.fake);
	faulty_sys(&f, &w.sys, &sys);
	world_run(&w, &sys, CMD_ON, "win11", &outcome);
	assert_int_equal(outcome.rc, 0);
	world_run(&w, &sys, CMD_OFF, "win11", &outcome);
	assert_int_equal(outcome.rc, 0);
	after = fake_snapshot(w.fake);
	assert_string_equal(before, after);
	count = f.count;
	faulty_clear(&f);
	world_clear(&w);
	return count;
}

static void test_many(void **state)
{
	size_t none = cost(0), some = cost(500), many = cost(2000);

	(void)state;
	/* Linear: the same for each. */
	print_message("%zu operations, %zu for each of 2000 interrupts\n", none,
		      (many - none) / 2000);
	assert_true(many - none <= 4 * (some - none) + (some - none) / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),	       cmocka_unit_test(test_way_back),
		cmocka_unit_test(test_full),	       cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_offline),	       cmocka_unit_test(test_rule_offline),
		cmocka_unit_test(test_number_again),   cmocka_unit_test(test_long_domain),
		cmocka_unit_test(test_shared_line),    cmocka_unit_test(test_deaf_irqbalance),
		cmocka_unit_test(test_vanishing),      cmocka_unit_test(test_network),
		cmocka_unit_test(test_network_births), cmocka_unit_test(test_many),
	};

	mem_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
