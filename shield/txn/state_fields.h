/* SPDX-License-Identifier: MIT */
/*
 * state_fields: a struct as a JSON object and back, both from one table of its members, so that
 * what is written and what is read cannot differ. A row without a key ends the table.
 *
 *	static const struct field process_fields[] = {
 *		FIELD("pid", struct process, pid, FIELD_NUMBER, .max = PID_MAX_LIMIT),
 *		FIELD("start", struct process, start, FIELD_NUMBER, .max = INT64_MAX), { 0 } };
 */
#ifndef SHIELD_TXN_STATE_FIELDS_H
#define SHIELD_TXN_STATE_FIELDS_H

#include "shield/base/cpuset.h"

#include <jansson.h>

enum field_type {
	FIELD_NUMBER, /* of 4 or 8 bytes, 0 to .max */
	FIELD_NAME,   /* an enum, .max of its .names */
	FIELD_LIST,   /* struct cpuset, as cpulist */
	FIELD_TEXT,   /* char *, UTF-8 */
	FIELD_BYTES,  /* char *, not always (text_encode()); NULL is left out */
	FIELD_FLAG,   /* bool; false is left out */
	FIELD_OBJECT, /* a struct, with a table .of its own */
	FIELD_ARRAY,  /* a pointer to .n items, each as the row .of says */
	FIELD_MAP,    /* the same, as an object: the first member of an item, char *, is its key */
};

struct field {
	const char *key;
	enum field_type type;
	size_t at, size; /* in the struct; of an item, where there are items */
	/* From there on: where the number of items is, and of those with room (0: not kept). */
	size_t n, cap;
	const struct field *of;
	const char *const *names;
	long long max;
	bool optional;			/* it may be missing (an item: null), and stays zeroed */
	bool (*has)(const void *whole); /* is it written for this struct? NULL: always */
};

#define FIELD(key_, struct_, member, type_, ...)                                 \
	{                                                                        \
		.key = (key_), .type = (type_), .at = offsetof(struct_, member), \
		.size = sizeof(((struct_ *)NULL)->member), __VA_ARGS__           \
	}
#define FIELD_ITEMS(key_, struct_, items, count, type_, of_, ...)                     \
	{                                                                             \
		.key = (key_), .type = (type_), .at = offsetof(struct_, items),       \
		.size = sizeof(*((struct_ *)NULL)->items), .of = (of_),               \
		.n = offsetof(struct_, count) - offsetof(struct_, items), __VA_ARGS__ \
	}

/* The caller owns it. */
json_t *fields_put(const struct field *fields, const void *whole);
/* Into a zeroed struct. -1 with an err that begins with the key where it is not as the table
 * says, an unknown key too; the struct is its owner's to clear. */
int fields_get(const struct field *fields, json_t *json, void *whole, struct err *err);

#endif
