/* SPDX-License-Identifier: MIT */
#include "shield/vm/detach.h"

#include "shield/base/mem.h"
#include "shield/sys/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

_Noreturn static void worker(void (*work)(void *ctx, int answer), void *ctx, int answer)
{
	int null = open("/dev/null", O_RDWR);

	/* A reader of the caller's output must not have to wait for us, nor we
	 * end because our answer is not waited for any more. */
	setsid();
	signal(SIGPIPE, SIG_IGN);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	work(ctx, answer);
	_exit(0);
}

int detach(struct sys *sys, void (*work)(void *ctx, int answer), void *ctx, long long deadline,
	   char *text, size_t size)
{
	int ends[2];
	size_t got = 0;
	ssize_t n = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		worker(work, ctx, ends[1]);
	}
	close(ends[1]);
	while (pid > 0 && got + 1 < size &&
	       sys->ops->poll(sys->ctx, &(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1,
			      sys_left(sys, deadline)) > 0) {
		n = read(ends[0], text + got, size - 1 - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	close(ends[0]);
	text[got] = '\0';
	return got ? (int)got : -1;
}
