/* SPDX-License-Identifier: MIT */
/*
 * backoff: how often the guard repairs what is broken again and again, by a
 * kernel that does not do what it says or by a program that fights for it.
 * A few times at once; then twice as long apart each time, up to five
 * minutes. Quiet for long enough (a minute, and twice the last pause) starts it
 * over. Times are those of deadline.h; the caller says what time it is.
 */
#ifndef SHIELD_BASE_BACKOFF_H
#define SHIELD_BASE_BACKOFF_H

#include <stdbool.h>

#define BACKOFF_FREE 4
#define BACKOFF_PAUSE_MS 500
#define BACKOFF_MAX_MS 300000
#define BACKOFF_QUIET_MS 60000

/* All zero at first. */
struct backoff {
	unsigned tries;
	long long last, next; /* the last try; none before `next` */
};

/* Is there a pause before the next try? */
static inline bool backoff_worn(const struct backoff *p)
{
	return p->tries > BACKOFF_FREE;
}

/* May it be tried now? */
static inline bool backoff_allows(struct backoff *p, long long now)
{
	long long quiet = 2 * (p->next - p->last);

	if (p->tries && now - p->last >= (quiet > BACKOFF_QUIET_MS ? quiet : BACKOFF_QUIET_MS))
		*p = (struct backoff){ 0 };
	return now >= p->next;
}

/* It is tried now. */
static inline void backoff_try(struct backoff *p, long long now)
{
	long long pause = 0;

	if (++p->tries > BACKOFF_FREE) {
		unsigned doubled = p->tries - BACKOFF_FREE - 1;

		pause = doubled < 10 ? BACKOFF_PAUSE_MS << doubled : BACKOFF_MAX_MS;
		if (pause > BACKOFF_MAX_MS)
			pause = BACKOFF_MAX_MS;
	}
	p->last = now;
	p->next = now + pause;
}

#endif
