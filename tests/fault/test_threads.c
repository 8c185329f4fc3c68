/* SPDX-License-Identifier: MIT */
/*
 * Threads that vCPUs start, as KVM's kvm-nx-lpage-recovery and the workers
 * of io_uring: they leave the partition for the cgroup of their process, what was
 * placed stays where it is, and after the end they have what they would have had
 * without a shield, after any kill at any time.
 */
#include "shield/ops/audit.h"
#include "shield/task/task.h"
#include "tests/fault/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define VCPUS "/shield-win11/vcpus"
#define DOMAIN "/machine.slice/vm.scope/libvirt"

static void run(struct world *w, enum command command, const char *name)
{
	struct outcome outcome;

	world_run(w, &w->sys, command, name, &outcome);
	if (outcome.rc < 0)
		fail_msg("command %d: %s", (int)command, outcome.err.text);
}

static void attached(struct world *w, enum flavour flavour)
{
	world_init(w, flavour);
	run(w, CMD_ON, "win11");
	run(w, CMD_ATTACH, "win11");
}

static void assert_in(struct world *w, pid_t tid, const char *cgroup)
{
	_cleanup_free_ char *now = NULL;

	assert_int_equal(task_cgroup(&w->sys, tid, tid, &now), 0);
	assert_string_equal(now, cgroup);
}

static void assert_cpus(struct world *w, pid_t tid, const char *list)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *now = NULL;

	assert_int_equal(task_affinity(&w->sys, tid, &cpus), 0);
	now = cpulist_format(&cpus);
	assert_string_equal(now, list);
}

static size_t count(struct world *w, const char *name, enum severity severity);

/* How many things are broken, of all that `status` looks at but processes (the
 * guard does not run). */
static size_t broken(struct world *w, const char *name)
{
	return count(w, name, SEVERITY_BROKEN);
}

static size_t count(struct world *w, const char *name, enum severity severity)
{
	_cleanup_problems_ struct problems problems = { 0 };
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	size_t n = 0;

	if (txn_view(&txn, &w->sys, &err) < 0 ||
	    audit_shield(&txn, state_shield(&txn.state, name), &problems, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < problems.n; i++)
		n += problems.items[i].severity == severity &&
		     strcmp(problems.items[i].object, "guard") != 0;
	return n;
}

static void leaves(void **state)
{
	(void)state;
	for (enum flavour f = 0; f < FAKE_FLAVOURS; f++) {
		struct world w;
		pid_t born;

		attached(&w, f);
		assert_int_equal(broken(&w, "win11"), 0);
		born = fake_birth(w.fake, w.vcpu, "kvm-nx-lpage-re", 0);
		assert_in(&w, born, VCPUS);
		assert_cpus(&w, born, "3");
		assert_int_equal(broken(&w, "win11"), 1);
		run(&w, CMD_THREADS, "win11");
		assert_in(&w, born, "/shield-win11");
		assert_cpus(&w, born, "1,6"); /* of the emulator and the I/O thread */
		assert_in(&w, w.vcpu, VCPUS);
		assert_cpus(&w, w.vcpu, "3");
		assert_int_equal(broken(&w, "win11"), 0);
		run(&w, CMD_OFF, "win11");
		assert_cpus(&w, born, "0-7");
		world_clear(&w);
	}
}

/* Not only the first vCPU's, not only one, and those of a process that QEMU forked. */
static void each_one(void **state)
{
	struct world w;
	pid_t born[3];

	(void)state;
	attached(&w, FAKE_7);
	born[0] = fake_birth(w.fake, w.vcpu, "iou-wrk-1", 0);
	born[1] = fake_birth(w.fake, w.vcpu, "CPU 0/KVM", 0);
	born[2] = fake_birth(w.fake, w.vcpu + 1, "gst", 0);
	run(&w, CMD_THREADS, "win11");
	for (size_t i = 0; i < ARRAY_SIZE(born); i++)
		assert_in(&w, born[i], "/shield-win11");
	assert_in(&w, w.vcpu, VCPUS);
	assert_in(&w, w.vcpu + 1, VCPUS);
	assert_int_equal(broken(&w, "win11"), 0);
	world_clear(&w);
}

/* A stranger's thread is for `status` to tell, and what the kernel fixes cannot
 * be moved, nor is it called broken. */
static void stay(void **state)
{
	struct world w;
	pid_t fixed, stranger;

	(void)state;
	attached(&w, FAKE_6_1);
	fixed = fake_birth(w.fake, w.vcpu, "iou-wrk-1", FAKE_NOAFF);
	run(&w, CMD_THREADS, "win11");
	assert_in(&w, fixed, VCPUS);
	assert_int_equal(broken(&w, "win11"), 0);
	stranger = fake_process(w.fake, "stranger", "shield-win11/vcpus");
	run(&w, CMD_THREADS, "win11");
	assert_in(&w, stranger, VCPUS);
	assert_int_equal(broken(&w, "win11"), 1);
	world_clear(&w);
}

/* QEMU was started on some CPUs: its threads have these again. */
static void chosen(const char *list)
{
	for (enum flavour f = FAKE_6_12; f < FAKE_FLAVOURS; f++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };
		struct world w;
		pid_t born;

		world_init(&w, f);
		cpulist_parse(list, &cpus, NULL);
		for (pid_t t = w.qemu; t <= w.vcpu + 1; t++)
			assert_int_equal(w.sys.ops->setaffinity(w.sys.ctx, t, &cpus), 0);
		run(&w, CMD_ON, "win11");
		run(&w, CMD_ATTACH, "win11");
		born = fake_birth(w.fake, w.vcpu, "kvm-nx-lpage-re", 0);
		run(&w, CMD_THREADS, "win11");
		assert_in(&w, born, "/shield-win11");
		run(&w, CMD_OFF, "win11");
		assert_cpus(&w, w.vcpu, list);
		assert_cpus(&w, born, list);
		world_clear(&w);
	}
}

static void chosen_cpus(void **state)
{
	(void)state;
	chosen("0-1,6"); /* without guest CPUs */
	chosen("1-3");	 /* with some */
	chosen("2-3");	 /* guest CPUs only */
}

/* Killed at each change: the next look completes it; and if the shield ends
 * first, nothing of it remains. */
static void killed(void **state)
{
	(void)state;
	for (enum flavour f = 0; f < FAKE_FLAVOURS; f++) {
		bool died = true;
		size_t n = 0;

		while (died) {
			struct world w;
			pid_t born;

			n++;
			for (int again = 0; again < 2; again++) {
				attached(&w, f);
				born = fake_birth(w.fake, w.vcpu, "kvm-nx-lpage-re", 0);
				died = world_crash(&w, CMD_THREADS, "win11", n, true);
				if (again)
					run(&w, CMD_THREADS, "win11");
				if (again)
					assert_in(&w, born, "/shield-win11");
				run(&w, CMD_OFF, "win11");
				assert_cpus(&w, born, "0-7");
				world_clear(&w);
			}
		}
		assert_true(n > 2);
	}
}

/* libvirt's vCPUs: those started under the shield, and those that were there
 * before and go back. */
static void domain(void **state)
{
	(void)state;
	for (enum flavour f = FAKE_6_12; f < FAKE_FLAVOURS; f++) {
		struct world w;
		pid_t before, born;

		world_init(&w, f);
		run(&w, CMD_START, "vm");
		before = fake_birth(w.fake, w.domain_vcpu, "kvm-nx-lpage-re", 0);
		run(&w, CMD_DOMAIN, "vm");
		assert_in(&w, before, DOMAIN "/emulator");
		assert_cpus(&w, before, "0-3");
		born = fake_birth(w.fake, w.domain_vcpu, "iou-wrk-1", 0);
		assert_in(&w, born, DOMAIN "/vcpu0");
		assert_int_equal(broken(&w, "vm"), 1);
		run(&w, CMD_THREADS, "vm");
		assert_in(&w, born, DOMAIN "/emulator");
		assert_cpus(&w, born, "0-3");
		assert_in(&w, w.domain_vcpu, DOMAIN "/vcpu0");
		assert_int_equal(broken(&w, "vm"), 0);
		/* What libvirt does next is followed as before. */
		run(&w, CMD_REPIN, "vm");
		run(&w, CMD_FOLLOW, "vm");
		assert_cpus(&w, w.domain_vcpu, "6");
		run(&w, CMD_OFF, "vm");
		assert_in(&w, before, DOMAIN "/vcpu0");
		assert_cpus(&w, born, "0-4");
		world_clear(&w);
	}
}

/* run --isolated: what is in the partition is the user's affair, until a VM is. */
static void isolated(void **state)
{
	(void)state;
	for (enum flavour f = 0; f < FAKE_FLAVOURS; f++) {
		_cleanup_cpuset_ struct cpuset one = { 0 };
		pid_t first, second, born;
		struct world w;

		world_init(&w, f);
		run(&w, CMD_ON, "win11");
		first = fake_process(w.fake, "rt", "shield-win11/vcpus");
		second = fake_thread(w.fake, first, "rt-2");
		assert_int_equal(broken(&w, "win11"), 0);
		assert_int_equal(count(&w, "win11", SEVERITY_CHOSEN), 2);
		cpuset_add(&one, 2);
		assert_int_equal(w.sys.ops->setaffinity(w.sys.ctx, first, &one), 0);
		assert_int_equal(count(&w, "win11", SEVERITY_CHOSEN), 1);
		assert_int_equal(w.sys.ops->setaffinity(w.sys.ctx, second, &one), 0);
		assert_int_equal(count(&w, "win11", SEVERITY_CHOSEN), 0);
		assert_int_equal(broken(&w, "win11"), 0);
		fake_exit(w.fake, second);
		fake_exit(w.fake, first);
		run(&w, CMD_ATTACH, "win11");
		born = fake_birth(w.fake, w.vcpu, "kvm-nx-lpage-re", 0);
		assert_in(&w, born, "/shield-win11/vcpus");
		assert_int_equal(broken(&w, "win11"), 1);
		assert_int_equal(count(&w, "win11", SEVERITY_CHOSEN), 0);
		world_clear(&w);
	}
}

static bool active(struct world *w, const char *name)
{
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	if (txn_view(&txn, &w->sys, &err) < 0)
		fail_msg("%s", err.text);
	return state_shield(&txn.state, name) != NULL;
}

/* The hook dies at any change: nothing, or a shield that knows its vCPUs once its
 * guard has looked. */
static void domain_killed(void **state)
{
	size_t kept = 0;
	bool died = true;

	(void)state;
	for (size_t n = 1; died; n++) {
		struct world w;

		world_init(&w, FAKE_7);
		run(&w, CMD_START, "vm");
		died = world_crash(&w, CMD_DOMAIN, "vm", n, true);
		run(&w, CMD_RECOVER, NULL);
		if (active(&w, "vm")) {
			run(&w, CMD_FOLLOW, "vm");
			assert_int_equal(broken(&w, "vm"), 0);
			kept += died;
		}
		world_clear(&w);
	}
	assert_true(kept > 0);
}

/* The list of libvirt's threads is in no order: the oldest one is the vCPU. */
static void plugged(void **state)
{
	struct world w;
	pid_t vcpu;

	(void)state;
	world_init(&w, FAKE_7);
	run(&w, CMD_START, "vm");
	run(&w, CMD_DOMAIN, "vm");
	/* One of its vCPUs is not in the file yet. */
	vcpu = fake_birth(w.fake, w.domain_vcpu, "CPU 0/KVM", 0);
	fake_exit(w.fake, w.domain_vcpu);
	run(&w, CMD_THREADS, "vm");
	assert_in(&w, vcpu, DOMAIN "/vcpu0");
	world_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves),	 cmocka_unit_test(each_one),
		cmocka_unit_test(stay),		 cmocka_unit_test(chosen_cpus),
		cmocka_unit_test(killed),	 cmocka_unit_test(domain),
		cmocka_unit_test(domain_killed), cmocka_unit_test(isolated),
		cmocka_unit_test(plugged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
