/* SPDX-License-Identifier: MIT */
/*
 * names: an enum and what each of its values is called, from one list, so that
 * neither can have what the other lacks:
 *
 *	#define SIZES(X) X(SIZE_SMALL, "small") X(SIZE_LARGE, "large")
 *	enum size { SIZES(NAMES_ITEM) };
 *	static const char *const sizes[] = { SIZES(NAMES_TEXT) };
 */
#ifndef SHIELD_BASE_NAMES_H
#define SHIELD_BASE_NAMES_H

#include <string.h>

#define NAMES_ITEM(item, ...) item,
#define NAMES_TEXT(item, text, ...) [item] = (text),
/* "|small|large", for a list of choices */
#define NAMES_CHOICE(item, text, ...) "|" text
/* Where each has a third part, what it means: "; \"small\": MEANING; \"large\": MEANING" */
#define NAMES_ABOUT(item, text, about) "; \"" text "\": " about

/* The value that is called so, or -1. names: n of them. */
static inline int names_find(const char *const *names, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], text) == 0)
			return (int)i;
	return -1;
}

#endif
