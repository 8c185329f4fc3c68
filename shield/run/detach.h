/*
 * detach: work that may not keep its caller waiting.
 */
#ifndef SHIELD_RUN_DETACH_H
#define SHIELD_RUN_DETACH_H

/*
 * Call work(ctx) in a process of its own, with no terminal and no standard
 * streams, and wait for it at most ms milliseconds; then it goes on alone. What
 * it returned (0 to 255), or -1: it goes on, or has ended otherwise.
 */
int detach(int (*work)(void *ctx), void *ctx, int ms);

#endif
