/* SPDX-License-Identifier: MIT */
/* How often the guard repairs: see backoff.h. */
#include "shield/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What is broken again every `every` ms, for so long: the number of repairs. */
static unsigned repairs(struct backoff *p, long long from, long long ms, long long every)
{
	unsigned n = 0;

	for (long long now = from; now < from + ms; now += every)
		if (backoff_allows(p, now)) {
			backoff_try(p, now);
			n++;
		}
	return n;
}

/* Broken again at once, always: a few dozen times in a day. */
static void never_a_hot_loop(void **state)
{
	struct backoff p = { 0 };

	(void)state;
	assert_int_equal(repairs(&p, 1000, 1, 1), 1);
	assert_in_range(repairs(&p, 1001, 1000, 1), BACKOFF_FREE, BACKOFF_FREE + 2);
	assert_true(backoff_worn(&p));
	assert_in_range(repairs(&p, 2001, 3600000, 1), 15, 25);
	assert_in_range(repairs(&p, 3602001, 23 * 3600000LL, 100), 200, 23 * 12 + 2);
}

/* Now and then: every time at once. */
static void seldom(void **state)
{
	struct backoff p = { 0 };

	(void)state;
	assert_int_equal(repairs(&p, 0, 100LL * BACKOFF_QUIET_MS, BACKOFF_QUIET_MS), 100);
	assert_false(backoff_worn(&p));
}

/* Quiet for twice the last pause starts over. */
static void forgiven(void **state)
{
	struct backoff p = { 0 };

	(void)state;
	repairs(&p, 0, 7200000, 10);
	assert_false(backoff_allows(&p, p.last + BACKOFF_MAX_MS - 1));
	assert_true(backoff_allows(&p, p.last + 2LL * BACKOFF_MAX_MS));
	assert_int_equal(p.tries, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_a_hot_loop),
		cmocka_unit_test(seldom),
		cmocka_unit_test(forgiven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
