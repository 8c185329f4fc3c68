/* SPDX-License-Identifier: MIT */
/*
 * fields: what the rows of the table of profile keys (profile.c) may say, and how a
 * document is checked against it. The JSON schema and the lists of shield-profile(5)
 * are made of the same rows (schema/generate.c).
 */
#ifndef SHIELD_PROFILES_FIELDS_H
#define SHIELD_PROFILES_FIELDS_H

#include "profiles/document.h"
#include "shield/base/doc.h"

struct field;
struct load; /* profile.c: a profile that is being read */

/* A value of a profile, and where it stands; json NULL: the key is not there. */
struct field_value {
	const struct document *doc;
	const struct json_position *place;
	json_t *json;
};

/* A sort of value: what checks it, and the same as JSON Schema, but for what stands
 * in the row (choices, members, limits). */
struct field_type {
	int (*check)(const struct document *doc, const struct json_position *place, json_t *value,
		     const struct field *field, struct err *err);
	const char *schema;
};

extern const struct field_type field_string, field_text /* not empty */, field_name, field_cpus,
	field_integer, field_bool, field_choice, field_pci, field_match, field_vcpus, field_array,
	field_object, field_host;

struct field {
	const char *key;
	const struct field_type *type;
	/* Puts it into the profile; -1 with an error. NULL: not of the profile's own. */
	int (*read)(struct load *load, const struct field_value *value);
	const char *expected; /* in words, for messages; NULL: one of the choices */
	const char *about;    /* what it means (doc.h) */
	bool required;
	const char *choices;	     /* of an enumeration: "a|b" */
	const struct field *members; /* of an object; of an array's only sort of element */
	json_int_t min, max; /* a number; of an array how many (max 0: no most), of an object how
			      * many at least */
};

/* A row with all that every row must have; others follow as designators. */
#define FIELD(name, kind, reader, words, text, ...)                                    \
	{                                                                              \
		.key = (name), .type = &(kind), .read = (reader), .expected = (words), \
		.about = DOC(text), ##__VA_ARGS__                                      \
	}

/* Check all of a document against the table. Meaning (does this CPU exist?)
 * is not checked here. */
int fields_check(const struct document *doc, struct err *err);

#endif
