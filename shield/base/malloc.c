/* SPDX-License-Identifier: MIT */
/*
 * malloc for the whole process, libraries included: it cannot fail either.
 *
 * hwloc and libcgroup do not look at what malloc returns everywhere: without
 * memory they crash, or (worse) go on with half a topology. So a failing
 * allocation ends the process wherever it happens, as in mem.h. The GNU C
 * library and ELF let a program replace these functions for all of its code;
 * the work is left to the ones that come next. The address sanitizer brings its
 * own, which end the process as well.
 */
#include "shield/base/mem.h"

#include <dlfcn.h>

#ifndef __SANITIZE_ADDRESS__

static void *next(const char *name)
{
	void *fn = dlsym(RTLD_NEXT, name);

	if (!fn)
		mem_exhausted();
	return fn;
}

void *malloc(size_t size)
{
	static void *(*real)(size_t);
	void *p;

	if (!real)
		real = next("malloc");
	p = real(size);
	if (!p)
		mem_exhausted();
	return p;
}

void *calloc(size_t count, size_t size)
{
	static void *(*real)(size_t, size_t);
	void *p;

	if (!real)
		real = next("calloc");
	p = real(count, size);
	if (!p)
		mem_exhausted();
	return p;
}

void *realloc(void *old, size_t size)
{
	static void *(*real)(void *, size_t);
	void *p;

	if (!real)
		real = next("realloc");
	p = real(old, size);
	if (!p && size)
		mem_exhausted();
	return p;
}

#endif
