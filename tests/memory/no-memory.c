/* SPDX-License-Identifier: MIT */
/*
 * no-memory: preloaded, it lets the NO_MEMORY-th allocation of the program and
 * its libraries fail, and every later one. NO_MEMORY=0: none; how many there were
 * goes into the file that NO_MEMORY_COUNT names.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long count, at = -1;

static int fails(void)
{
	if (at < 0) {
		const char *text = getenv("NO_MEMORY");

		at = text ? atol(text) : 0;
	}
	if (__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) < at || !at)
		return 0;
	errno = ENOMEM;
	return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *malloc(size_t size)
{
	static void *(*real)(size_t);

	if (!real)
		real = NEXT(malloc);
	return fails() ? NULL : real(size);
}

void *calloc(size_t n, size_t size)
{
	static void *(*real)(size_t, size_t);

	if (!real)
		real = NEXT(calloc);
	return fails() ? NULL : real(n, size);
}

void *realloc(void *old, size_t size)
{
	static void *(*real)(void *, size_t);

	if (!real)
		real = NEXT(realloc);
	return fails() ? NULL : real(old, size);
}

__attribute__((destructor)) static void say(void)
{
	const char *path = getenv("NO_MEMORY_COUNT");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

	if (fd >= 0) {
		dprintf(fd, "%ld\n", count);
		close(fd);
	}
}
