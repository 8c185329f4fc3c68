/* SPDX-License-Identifier: MIT */
/*
 * loop: waits for several descriptors at once, and calls who watches the one that is
 * ready. The guard has one, and so has a command under supervision (child.h), with what
 * its terminal and its monitor add.
 *
 * Signals are a descriptor (signalfd(2)), and so are the ends of processes (pidfds).
 * Time is a moment until which a turn waits, on the clock of the struct sys; what is
 * due then is the caller's to know. So a handler may take turns itself (QEMU is asked
 * something, and signals are still forwarded) without being called from within.
 *
 * It is poll(2) through struct sys, not epoll: a turn is one system call in place
 * of two, watching cannot fail, no descriptor leaks to the command, and with some
 * seven descriptors the kernel has nothing to save.
 *
 * Not here is what waits for one answer with a deadline, or without, and must not have
 * anything else done meanwhile: it calls sys->ops->poll itself (procevents_open,
 * guard_wait, the monitor of a VM that only attach knows, the description in a hook, detach, the
 * rest of a terminal's output, exec of a command).
 */
#ifndef SHIELD_EVENT_LOOP_H
#define SHIELD_EVENT_LOOP_H

#include "shield/sys/clock.h"

#define LOOP_MAX 16 /* descriptors; the most that are used are seven */
#define LOOP_FOREVER LLONG_MAX

/* events: of poll(2), POLLHUP and POLLERR too, whether asked for or not. */
typedef void loop_fn(void *ctx, int fd, short events);

/* { .sys = … } at first; it owns nothing. */
struct loop {
	struct sys *sys;
	/* the module's own */
	size_t n;
	struct pollfd fds[LOOP_MAX]; /* fd -1: free */
	struct {
		loop_fn *ready;
		void *ctx;
	} watchers[LOOP_MAX];
};

/* Call ready(ctx, fd, …) when one of these events has come; in place of what was said
 * of this descriptor before. None (events 0) are waited for no more. fd < 0: nothing. */
void loop_watch(struct loop *l, int fd, short events, loop_fn *ready, void *ctx);

/* Before it is closed: its number may come again. */
void loop_unwatch(struct loop *l, int fd);

/*
 * Wait once, until something is ready or this moment (clock.h) has come. 1: all that was
 * ready has been called, or a signal came; 0: the moment has come; or a negated errno. Handlers may
 * watch and unwatch anything.
 */
int loop_turn(struct loop *l, long long until);

#endif
