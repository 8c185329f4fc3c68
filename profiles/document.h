/* SPDX-License-Identifier: MIT */
/*
 * document: a JSON file that is not trusted, and where in it things stand.
 *
 * A document is a regular file of at most 1 MiB, UTF-8, one JSON object
 * without duplicate keys; used by root, only root may have had a hand in it
 * (trusted.h).
 *
 * Complaints have one shape:
 *
 *	PATH:LINE:COLUMN: place.in.the[2].document: what was expected; the cure
 *
 * jansson knows positions of syntax errors only. For all others the text is
 * walked once more, to the place that the complaint is about.
 */
#ifndef SHIELD_PROFILES_DOCUMENT_H
#define SHIELD_PROFILES_DOCUMENT_H

#include "shield/base/err.h"
#include "shield/sys/sys.h"

#include <jansson.h>

struct document {
	char *path;
	char *text;
	json_t *root; /* an object */
	bool outside; /* a path of the real file system, with --sysroot */
};

/* A value of a document: a member of an object, or an element of an array
 * (key is NULL), inside of the value `in` (NULL: the document). Lives on the
 * stack of who walks the document. */
struct json_position {
	const struct json_position *in;
	const char *key;
	size_t index;
};

/* Open, check and parse. A --sysroot machine has no root to be protected:
 * there the owner does not count. */
int document_read(struct sys *sys, const char *path, struct document *doc, struct err *err);
void document_clear(struct document *doc);
#define _cleanup_document_ _cleanup_(document_clear)

/* Complain about the value at place (NULL: the document), or about its key;
 * returns -1 with ERR_USAGE. */
int document_error(const struct document *doc, const struct json_position *place, struct err *err,
		   const char *fmt, ...) _printf_(4, 5);
int document_key_error(const struct document *doc, const struct json_position *place,
		       struct err *err, const char *fmt, ...) _printf_(4, 5);

/* As document_error, about a byte of the string at place. */
int document_string_error(const struct document *doc, const struct json_position *place,
			  size_t byte, struct err *err, const char *fmt, ...) _printf_(5, 6);

/* PATH:LINE:COLUMN: place, for warnings; the caller frees. */
char *document_where(const struct document *doc, const struct json_position *place);

#endif
