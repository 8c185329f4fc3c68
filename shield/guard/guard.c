/* SPDX-License-Identifier: MIT */
#include "shield/guard/guard.h"

#include "shield/event/uevents.h"
#include "shield/guard/look.h"
#include "shield/sys/libsystemd.h"
#include "shield/task/task.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* What no event announces is looked for this often. */
#define SLOW_MS 10000
/* Interrupts and threads that nothing announces (irqevents.h, procevents.h) are
 * looked for this often. */
#define UNHEARD_MS 1000
/* A new kernel thread sets its own affinity first; give it that time. */
#define SETTLE_MS 30
#define SETTLED_MS 300
/* Another program breaks it again and again: not looked at more often than
 * this. */
#define WORN_MS 1000
/* CPUs that come and go come and go together. */
#define HOTPLUG_MS 200

/* Did any of the new threads end up on a guest CPU? */
static bool misplaced(struct guard *g)
{
	bool found = false;

	for (size_t i = 0; i < g->n_new_threads; i++) {
		_cleanup_cpuset_ struct cpuset allowed = { 0 };
		const struct new_thread *t = &g->new_threads[i];

		if (task_affinity(g->sys, t->tid, &allowed) == 0 &&
		    cpuset_intersects(&allowed, t->vm ? &g->guest : &g->taken))
			found = true;
	}
	/* A slow one may not have come to rest yet: look again. */
	if (found || g->looks++) {
		g->looks = 0;
		g->n_new_threads = 0;
	}
	return found;
}

static void procevents_ready(void *ctx, int fd, short ignored)
{
	struct procevent events[32];
	struct guard *g = ctx;
	int n;

	(void)fd;
	(void)ignored;
	while ((n = procevents_read(&g->procevents, events, ARRAY_SIZE(events))) > 0)
		for (int i = 0; i < n; i++) {
			if (g->n_new_threads == NEW_THREADS_MAX)
				guard_look_in(g, 0);
			else
				g->new_threads[g->n_new_threads++] =
					(struct new_thread){ events[i].tid,
							     events[i].what == PROCEVENTS_THREAD };
		}
	if (n == -EOVERFLOW)
		guard_look_in(g, 0);
	g->new_threads_at = sys_deadline(g->sys, SETTLE_MS);
}

/* What happened is looked up, not believed. (Other things are made in /run, too;
 * and who makes a socket does not listen to it at once.) */
static void inotify_ready(void *ctx, int fd, short events)
{
	char buffer[4096] __attribute__((aligned(8)));
	struct guard *g = ctx;
	ssize_t n;

	(void)events;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buffer + at);
			bool named = e->len && strncmp(e->name, "irqbalance", 10) == 0;

			at += (ssize_t)sizeof(*e) + e->len;
			if (named)
				guard_look_in(g, IRQ_MS);
			else if (e->wd != g->run_wd)
				guard_look_in(g, backoff_worn(&g->backoff) ? WORN_MS : 0);
		}
}

static void uevents_ready(void *ctx, int fd, short events)
{
	struct guard *g = ctx;

	(void)events;
	if (!uevents_cpu(fd))
		return;
	g->hotplug = true;
	guard_look_in(g, HOTPLUG_MS);
}

static void resume_ready(void *ctx, int fd, short events)
{
	struct guard *g = ctx;

	(void)fd;
	(void)events;
	g->hotplug |= resume_seen(&g->resume, g->sys);
	guard_look_in(g, HOTPLUG_MS);
}

static void wait_for_event(struct guard *g)
{
	loop_turn(&g->loop, g->n_new_threads && g->new_threads_at < g->look_at ? g->new_threads_at
									       : g->look_at);
}

/* New threads that did not end up on guest CPUs are looked at once more. */
static void look_at_new_threads(struct guard *g)
{
	if (!g->n_new_threads || sys_left(g->sys, g->new_threads_at))
		return;
	if (misplaced(g))
		guard_look_in(g, 0);
	g->new_threads_at = sys_deadline(g->sys, SETTLED_MS);
}

static void say_ready(void)
{
	if (getenv("NOTIFY_SOCKET") && libsystemd_load() == 0)
		sd_notify(0, "READY=1");
}

/* It may be the only process that can: it is tried until it works. */
static int begin_at_last(struct guard *g, struct err *err)
{
	while (guard_begin(g, err) < 0) {
		if (err->kind == ERR_INACTIVE)
			return -1;
		guard_complain(g, err);
		sys_pause(g->sys, AGAIN_MS);
	}
	return 0;
}

static void watch(struct guard *g)
{
	struct err ignored;
	bool stay = true;

	/* Not before the lock is ours: `on` itself takes CPUs offline for a flush. */
	g->uevent_fd = uevents_open();
	resume_open(&g->resume, g->sys);
	procevents_open(&g->procevents, g->sys, guard_thread_events(g), g->vm.pid, &ignored);
	loop_watch(&g->loop, g->inotify_fd, POLLIN, inotify_ready, g);
	loop_watch(&g->loop, g->uevent_fd, POLLIN, uevents_ready, g);
	loop_watch(&g->loop, g->resume.fd, POLLIN, resume_ready, g);
	loop_watch(&g->loop, g->procevents.fd, POLLIN, procevents_ready, g);
	malloc_trim(0); /* of what `on` needed */
	/* First what was started before we listened, once it has set its
	 * affinity. */
	g->look_at = sys_deadline(g->sys, IRQ_MS);
	while (stay) {
		if (!sys_left(g->sys, g->look_at)) {
			g->look_at = sys_deadline(g->sys, g->irqs.fd >= 0 && g->procevents.fd >= 0
								  ? SLOW_MS
								  : UNHEARD_MS);
			stay = guard_look(g);
		} else {
			wait_for_event(g);
			look_at_new_threads(g);
		}
	}
	procevents_close(&g->procevents);
}

int guard_main(struct sys *sys, const char *name, struct err *err)
{
	struct guard g = {
		.sys = sys,
		.loop = { .sys = sys },
		.name = name,
		.vm_fd = -1,
		.uevent_fd = -1,
		.resume = { .fd = -1 },
		.owner_fd = -1,
		.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.procevents = { -1 },
		.irqs = { .fd = -1 },
	};
	sigset_t none;
	int rc;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* The command that started us goes on as soon as PID 1 is known to look
	 * after us. */
	say_ready();
	rc = begin_at_last(&g, err);
	if (rc == 0)
		watch(&g);
	closep(&g.vm_fd);
	closep(&g.owner_fd);
	closep(&g.inotify_fd);
	irqevents_close(&g.irqs);
	closep(&g.uevent_fd);
	resume_close(&g.resume);
	cpuset_clear(&g.taken);
	cpuset_clear(&g.guest);
	return rc;
}
