/* SPDX-License-Identifier: MIT */
#include "shield/base/strv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void strv_take(struct strv *v, char *s)
{
	GROW(v->items, v->n, v->cap);
	v->items[v->n++] = s;
}

void strv_add(struct strv *v, const char *s)
{
	strv_take(v, xstrdup(s));
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_take(v, xvasprintf(fmt, ap));
	va_end(ap);
}

bool strv_contains(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->items[i], s) == 0)
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y)) {
		unsigned long m = strtoul(x, NULL, 10), n = strtoul(y, NULL, 10);

		if (m != n)
			return m < n ? -1 : 1;
	}
	return strcmp(x, y);
}

void strv_sort(struct strv *v)
{
	if (v->n)
		qsort(v->items, v->n, sizeof(*v->items), compare);
}

void strv_clear(struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){ 0 };
}
