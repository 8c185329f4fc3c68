/* SPDX-License-Identifier: MIT */
#include "profiles/locate.h"

#include <stdbool.h>
#include <string.h>

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Past a value of any kind: brackets are counted, strings are jumped over. */
static const char *skip_value(const char *at)
{
	unsigned depth = 0;

	do {
		at = skip_space(at);
		if (*at == '"') {
			at = skip_string(at);
		} else if (*at == '{' || *at == '[') {
			depth++;
			at++;
		} else if (*at == '}' || *at == ']') {
			depth--;
			at++;
		} else if (*at == ',' || *at == ':') {
			at++;
		} else {
			at += strcspn(at, " \t\r\n,:{}[]\"");
		}
	} while (depth && *at);
	return at;
}

static bool key_is(const char *token, const char *end, const char *key)
{
	json_t *string = json_loadb(token, (size_t)(end - token), JSON_DECODE_ANY, NULL);
	bool same = string && strcmp(json_string_value(string), key) == 0;

	json_decref(string);
	return same;
}

const char *locate(const char *text, const struct json_position *place, const char **ret_key)
{
	const char *at;

	if (!place)
		return skip_space(text);
	at = locate(text, place->in, NULL);
	if (!at || *at != (place->key ? '{' : '['))
		return NULL;
	at = skip_space(at + 1);
	for (size_t i = 0; *at && *at != '}' && *at != ']'; i++) {
		const char *key = at, *end = at;

		if (place->key) {
			end = skip_string(at);
			at = skip_space(skip_space(end) + 1);
		}
		if (place->key ? key_is(key, end, place->key) : i == place->index) {
			if (ret_key)
				*ret_key = key;
			return at;
		}
		at = skip_space(skip_value(at));
		if (*at == ',')
			at = skip_space(at + 1);
	}
	return NULL;
}

const char *locate_in_string(const char *value, size_t n)
{
	const char *at = value + 1;

	/* An escape stands for one byte here; expressions have none beyond. */
	for (; n && *at && *at != '"'; n--) {
		if (*at == '\\' && at[1] == 'u')
			at += strnlen(at, 6);
		else
			at += *at == '\\' && at[1] ? 2 : 1;
	}
	return at;
}

void locate_line(const char *text, const char *at, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (; text < at; text++) {
		if (*text == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)*text & 0xc0) != 0x80) {
			++*column;
		}
	}
}
