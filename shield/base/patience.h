/*
 * patience: how often the guard repairs what is broken again and again, by a
 * kernel that does not do what it says or by a program that fights for it: a
 * backoff. A few times at once; then twice as long apart each time, up to five
 * minutes. Quiet for long enough (a minute, and twice the last pause) starts it
 * over. Times are those of deadline.h; the caller says what time it is.
 */
#ifndef SHIELD_BASE_PATIENCE_H
#define SHIELD_BASE_PATIENCE_H

#include <stdbool.h>

#define PATIENCE_FREE 4
#define PATIENCE_PAUSE_MS 500
#define PATIENCE_MAX_MS 300000
#define PATIENCE_QUIET_MS 60000

/* All zero at first. */
struct patience {
	unsigned tries;
	long long last, next; /* the last try; none before `next` */
};

/* Is there a pause before the next try? */
static inline bool patience_worn(const struct patience *p)
{
	return p->tries > PATIENCE_FREE;
}

/* May it be tried now? */
static inline bool patience_allows(struct patience *p, long long now)
{
	long long quiet = 2 * (p->next - p->last);

	if (p->tries && now - p->last >= (quiet > PATIENCE_QUIET_MS ? quiet : PATIENCE_QUIET_MS))
		*p = (struct patience){ 0 };
	return now >= p->next;
}

/* It is tried now. */
static inline void patience_try(struct patience *p, long long now)
{
	long long pause = 0;

	if (++p->tries > PATIENCE_FREE) {
		unsigned doubled = p->tries - PATIENCE_FREE - 1;

		pause = doubled < 10 ? PATIENCE_PAUSE_MS << doubled : PATIENCE_MAX_MS;
		if (pause > PATIENCE_MAX_MS)
			pause = PATIENCE_MAX_MS;
	}
	p->last = now;
	p->next = now + pause;
}

#endif
