/* SPDX-License-Identifier: MIT */
/* Threads: which of them a snapshot reads. */
#include "shield/task/task.h"
#include "tests/fake/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A process of four threads on a machine of eight CPUs. */
struct world {
	struct fake *fake;
	struct sys_ops ops;
	struct sys sys;
	pid_t pid, plain, pinned, kthread;
	struct cpuset all, some;
};

static pid_t deadline;

static int scheduler(void *ctx, pid_t tid)
{
	return tid == deadline ? (int)TASK_DEADLINE : fake_getscheduler(ctx, tid);
}

static void setup(struct world *w)
{
	*w = (struct world){ .fake = fake_new(FAKE_6_12, 8) };
	fake_sys(w->fake, &w->sys);
	w->ops = *w->sys.ops;
	w->ops.getscheduler = scheduler;
	w->sys.ops = &w->ops;
	w->pid = fake_process(w->fake, "a (b) c", "app");
	w->plain = fake_thread(w->fake, w->pid, "plain");
	w->pinned = fake_thread(w->fake, w->pid, "pinned");
	deadline = fake_thread(w->fake, w->pid, "deadline");
	w->kthread = fake_kthread(w->fake, "kthread", "2-3", 0);
	cpuset_add_range(&w->all, 0, 7);
	cpuset_add_range(&w->some, 2, 3);
	assert_int_equal(fake_setaffinity(w->fake, w->pinned, &w->some), 0);
}

static void teardown(struct world *w)
{
	cpuset_clear(&w->all);
	cpuset_clear(&w->some);
	fake_free(w->fake);
}

static const struct task *find(const struct tasks *tasks, pid_t tid)
{
	const struct task *found = NULL;

	for (size_t i = 0; i < tasks->n; i++)
		if (tasks->items[i].tid == tid) {
			assert_null(found); /* once only */
			found = &tasks->items[i];
		}
	return found;
}

static void snapshot(struct world *w, struct task_filter filter, struct tasks *tasks)
{
	struct err err = { 0 };

	if (tasks_snapshot(&w->sys, &filter, tasks, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_all(void **state)
{
	_cleanup_tasks_ struct tasks tasks = { 0 };
	struct world w;

	(void)state;
	setup(&w);
	snapshot(&w, (struct task_filter){ 0 }, &tasks);
	assert_int_equal(tasks.n, w.fake->n_tasks);
	assert_string_equal(find(&tasks, w.pid)->comm, "a (b) c");
	assert_int_equal(find(&tasks, w.plain)->tgid, w.pid);
	assert_int_equal(find(&tasks, w.plain)->start, 1000 + w.plain);
	assert_true(cpuset_equal(&find(&tasks, w.plain)->allowed, &w.all));
	assert_true(cpuset_equal(&find(&tasks, w.pinned)->allowed, &w.some));
	assert_true(find(&tasks, w.kthread)->flags & TASK_KTHREAD);
	assert_false(find(&tasks, w.pid)->flags & TASK_KTHREAD);
	teardown(&w);
}

static void test_touching(void **state)
{
	_cleanup_tasks_ struct tasks tasks = { 0 };
	_cleanup_cpuset_ struct cpuset seven = { 0 };
	struct world w;

	(void)state;
	setup(&w);
	cpuset_add(&seven, 7);
	snapshot(&w, (struct task_filter){ .touching = &seven }, &tasks);
	assert_non_null(find(&tasks, w.pid));
	assert_non_null(find(&tasks, w.plain));
	assert_null(find(&tasks, w.pinned));
	assert_null(find(&tasks, w.kthread));
	teardown(&w);
}

static void test_kernel(void **state)
{
	_cleanup_tasks_ struct tasks tasks = { 0 };
	struct world w;

	(void)state;
	setup(&w);
	snapshot(&w, (struct task_filter){ .kernel = true, .touching = &w.some }, &tasks);
	assert_non_null(find(&tasks, w.kthread));
	for (size_t i = 0; i < tasks.n; i++)
		assert_true(tasks.items[i].flags & TASK_KTHREAD);
	teardown(&w);
}

/* The first thread of a process is always there: daemons are known by it. */
static void test_ordinary(void **state)
{
	_cleanup_tasks_ struct tasks tasks = { 0 };
	struct world w;

	(void)state;
	setup(&w);
	snapshot(&w, (struct task_filter){ .ordinary = &w.all }, &tasks);
	assert_non_null(find(&tasks, w.pid));
	assert_null(find(&tasks, w.plain));
	assert_non_null(find(&tasks, w.pinned));
	assert_non_null(find(&tasks, deadline));
	assert_non_null(find(&tasks, w.kthread));
	teardown(&w);
}

/* A recorded machine cannot be asked for the scheduler: nothing is left out. */
static void test_recorded(void **state)
{
	_cleanup_tasks_ struct tasks tasks = { 0 };
	struct world w;

	(void)state;
	setup(&w);
	w.ops.getscheduler = NULL;
	snapshot(&w, (struct task_filter){ .ordinary = &w.all }, &tasks);
	assert_int_equal(tasks.n, w.fake->n_tasks);
	teardown(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),	 cmocka_unit_test(test_touching),
		cmocka_unit_test(test_kernel),	 cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
