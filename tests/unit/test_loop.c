/* SPDX-License-Identifier: MIT */
/* The loop: who is called, and until when a turn waits. Its clock is the tests' (clock.h). */
#include "shield/event/loop.h"
#include "tests/fake/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct sys sys;

struct pipes {
	struct loop loop;
	int ends[2][2];
	int calls[2];
	bool nest; /* the first takes a turn itself */
	bool stop; /* the first ends the second */
};

static int setup(void **state)
{
	static struct pipes p;

	p = (struct pipes){ .loop = { .sys = &sys } };
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pipe2(p.ends[i], O_CLOEXEC), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pipes *p = *state;

	for (size_t i = 0; i < 2; i++)
		for (size_t end = 0; end < 2; end++)
			close(p->ends[i][end]);
	return 0;
}

static void ready(void *ctx, int fd, short events)
{
	struct pipes *p = ctx;
	int which = fd == p->ends[1][0];
	char byte;

	p->calls[which]++;
	if (events & POLLIN)
		assert_int_equal(read(fd, &byte, 1), 1);
	if (which == 0 && p->stop) {
		loop_unwatch(&p->loop, p->ends[1][0]);
		close(p->ends[1][0]);
		p->ends[1][0] = dup(p->ends[0][0]);
		loop_watch(&p->loop, p->ends[1][0], POLLIN, ready, p);
	}
	if (which == 0 && p->nest) {
		p->nest = false;
		assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	}
}

static void say(struct pipes *p, int which)
{
	assert_int_equal(write(p->ends[which][1], "", 1), 1);
}

static void watch_both(struct pipes *p)
{
	for (size_t i = 0; i < 2; i++)
		loop_watch(&p->loop, p->ends[i][0], POLLIN, ready, p);
}

static void expect(const struct pipes *p, int first, int second)
{
	assert_int_equal(p->calls[0], first);
	assert_int_equal(p->calls[1], second);
}

static void calls_what_is_ready(void **state)
{
	struct pipes *p = *state;

	watch_both(p);
	say(p, 1);
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 0, 1);
	say(p, 0);
	say(p, 1);
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 1, 2);
}

static void waits_until_a_moment(void **state)
{
	struct pipes *p = *state;
	long long begun = sys_deadline(&sys, 0);

	watch_both(p);
	assert_int_equal(loop_turn(&p->loop, begun), 0);
	assert_int_equal(loop_turn(&p->loop, begun - 5), 0);
	assert_int_equal(loop_turn(&p->loop, begun + 3600000), 0);
	assert_int_equal(sys_deadline(&sys, 0), begun + 3600000);
	say(p, 0); /* what is ready comes before what is due */
	assert_int_equal(loop_turn(&p->loop, begun), 1);
	expect(p, 1, 0);
}

static void forgets(void **state)
{
	struct pipes *p = *state;

	watch_both(p);
	loop_watch(&p->loop, p->ends[0][0], POLLIN, ready, p); /* again: no harm */
	assert_int_equal(p->loop.n, 2);
	say(p, 0);
	say(p, 1);
	loop_watch(&p->loop, p->ends[0][0], 0, ready, p);
	loop_watch(&p->loop, -1, POLLIN, ready, p);
	loop_unwatch(&p->loop, -1);
	loop_unwatch(&p->loop, 999);
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 0, 1);
	assert_int_equal(loop_turn(&p->loop, 0), 0);
	loop_watch(&p->loop, p->ends[0][0], POLLIN, ready, p);
	assert_int_equal(p->loop.n, 2); /* its place was free */
	assert_int_equal(loop_turn(&p->loop, 0), 1);
	expect(p, 1, 1);
}

/* The second was ready, too, but that was another one. */
static void handlers_may_watch(void **state)
{
	struct pipes *p = *state;

	watch_both(p);
	p->stop = true;
	say(p, 0);
	say(p, 1);
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 1, 0);
}

/* Nothing is called twice for it. */
static void handlers_may_take_turns(void **state)
{
	struct pipes *p = *state;

	watch_both(p);
	p->nest = true;
	say(p, 0);
	say(p, 1);
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 1, 1);
	assert_int_equal(loop_turn(&p->loop, 0), 0);
}

static void tells_of_an_end(void **state)
{
	struct pipes *p = *state;

	watch_both(p);
	close(p->ends[1][1]);
	p->ends[1][1] = -1;
	assert_int_equal(loop_turn(&p->loop, LOOP_FOREVER), 1);
	expect(p, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(calls_what_is_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_until_a_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(handlers_may_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(handlers_may_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_of_an_end, setup, teardown),
	};
	char path[] = "/tmp/test_loop.XXXXXX";

	close(mkstemp(path));
	clock_open(path);
	unlink(path);
	sys_open_real(&sys, "");
	clock_sys(&sys);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
