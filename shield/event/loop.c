/* SPDX-License-Identifier: MIT */
#include "shield/event/loop.h"

#include <errno.h>
#include <stdlib.h>

/* Where it is, or the first place that is free. */
static size_t slot(const struct loop *l, int fd)
{
	size_t unused = l->n;

	for (size_t i = 0; i < l->n; i++) {
		if (l->fds[i].fd == fd)
			return i;
		if (l->fds[i].fd < 0 && unused == l->n)
			unused = i;
	}
	return unused;
}

void loop_watch(struct loop *l, int fd, short events, loop_fn *ready, void *ctx)
{
	size_t i = slot(l, fd);

	if (!events)
		loop_unwatch(l, fd);
	if (fd < 0 || !events)
		return;
	if (i == LOOP_MAX) /* too few were provided for */
		abort();
	l->n += i == l->n;
	l->fds[i] = (struct pollfd){ .fd = fd, .events = events };
	l->watchers[i].ready = ready;
	l->watchers[i].ctx = ctx;
}

void loop_unwatch(struct loop *l, int fd)
{
	size_t i = slot(l, fd);

	if (fd >= 0 && i < l->n)
		l->fds[i] = (struct pollfd){ .fd = -1 };
}

int loop_turn(struct loop *l, long long until)
{
	int left = until == LOOP_FOREVER ? -1 : sys_left(l->sys, until);
	int rc = l->sys->ops->poll(l->sys->ctx, l->fds, l->n, left);

	if (rc <= 0)
		return rc == -EINTR ? 1 : rc;
	for (size_t i = 0; i < l->n; i++) {
		short events = l->fds[i].revents;

		l->fds[i].revents = 0; /* once, even if the handler takes a turn itself */
		if (events)
			l->watchers[i].ready(l->watchers[i].ctx, l->fds[i].fd, events);
	}
	return 1;
}
