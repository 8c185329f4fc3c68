/* SPDX-License-Identifier: MIT */
/*
 * err: how a function says what went wrong.
 *
 * Every function that can fail takes `struct err *err` last, returns 0 or -1
 * (or a pointer or NULL) and, on failure, leaves one line in err: the object,
 * the cause and, where there is one, the cure. Callers add context with
 * err_wrap() on the way out; only commands print. The struct has a fixed size,
 * so that reporting an error never allocates. Text is cut at its end if long.
 */
#ifndef SHIELD_BASE_ERR_H
#define SHIELD_BASE_ERR_H

#include "shield/base/mem.h"

/* The kinds are the exit statuses of the program. */
enum err_kind {
	ERR_NONE = 0,
	ERR_FAILED = 1,	     /* failed, and rolled back clean */
	ERR_USAGE = 2,	     /* wrong usage or a bad profile */
	ERR_INACTIVE = 3,    /* no such shield is active */
	ERR_UNSUPPORTED = 4, /* no permission, or the host cannot do it */
	ERR_INCOMPLETE = 5,  /* rollback incomplete; what is left was printed */
};

struct err {
	enum err_kind kind;
	char text[1024];
};

/* Set err (which may be NULL) and return -1. A later call replaces it. */
int err_set(struct err *err, enum err_kind kind, const char *fmt, ...) _printf_(3, 4);

/* Put "context: " before the text; returns -1, so `return err_wrap(…)`. */
int err_wrap(struct err *err, const char *fmt, ...) _printf_(2, 3);

/* The text of an errno (takes the positive or the negated number). */
const char *err_errno(int number);

#endif
