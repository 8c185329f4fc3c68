/* SPDX-License-Identifier: MIT */
/*
 * locate: where in a JSON text a value stands. The text must be valid.
 */
#ifndef SHIELD_PROFILES_LOCATE_H
#define SHIELD_PROFILES_LOCATE_H

#include "profiles/document.h"

/* The first byte of the value at place (NULL: the document), and of its key in
 * ret_key if that is not NULL. NULL if there is no such value. */
const char *locate(const char *text, const struct json_position *place, const char **ret_key);

/* The byte of the JSON text that stands for byte n of the string at value. */
const char *locate_in_string(const char *value, size_t n);

/* Line and column, from 1, in characters. */
void locate_line(const char *text, const char *at, unsigned *line, unsigned *column);

#endif
