/* SPDX-License-Identifier: MIT */
/*
 * library: a shared library that is opened when it is needed, by dlopen(3).
 *
 * Linking takes time at every start, and a large library more than all that `on`
 * does. So what only some commands or some hosts need is not a dependency of
 * the program. A module wraps such a library: one list of its functions, a
 * struct with a pointer to each, and macros by which they keep their own names
 * (profiles/libxml.h, shield/sys/libsystemd.h).
 */
#ifndef SHIELD_BASE_LIBRARY_H
#define SHIELD_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct library_symbol {
	const char *name;
	void *slot; /* a pointer to the function, or to the variable */
};

/* Is it there, with all of these? It stays open. Again costs little. */
bool library_open(const char *soname, const struct library_symbol *symbols, size_t n);

#endif
