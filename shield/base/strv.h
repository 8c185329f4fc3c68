/* SPDX-License-Identifier: MIT */
/*
 * strv: a growing list of strings that owns them.
 */
#ifndef SHIELD_BASE_STRV_H
#define SHIELD_BASE_STRV_H

#include "shield/base/mem.h"

#include <stdbool.h>

struct strv {
	char **items;
	size_t n, cap;
};

/* Append a copy of s, or (strv_take) the allocated string itself. */
void strv_add(struct strv *v, const char *s);
void strv_take(struct strv *v, char *s);
/* Append a formatted string. */
void strv_addf(struct strv *v, const char *fmt, ...) _printf_(2, 3);
bool strv_contains(const struct strv *v, const char *s);
/* Sort by number where both are numbers, else by bytes. */
void strv_sort(struct strv *v);
/* Free the strings; the struct is empty and usable afterwards. */
void strv_clear(struct strv *v);

#define _cleanup_strv_ _cleanup_(strv_clear)

#endif
