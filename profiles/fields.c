/* SPDX-License-Identifier: MIT */
#include "profiles/fields.h"

#include "profiles/profile.h"
#include "shield/base/pci_address.h"
#include "shield/base/similar.h"
#include "shield/base/text.h"
#include "shield/sys/kfile.h"

#include <ctype.h>
#include <string.h>

#define MEMBERS_MAX 32

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "null";
	}
}

static int wrong_type(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	return document_error(doc, place, err, "expected %s, not %s", field->expected,
			      type_name(value));
}

static int check_string(const struct document *doc, const struct json_position *place,
			json_t *value, const struct field *field, struct err *err)
{
	if (!json_is_string(value))
		return wrong_type(doc, place, value, field, err);
	return 0;
}

static int check_text(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	if (json_is_string(value) && json_string_length(value) == 0)
		return document_error(doc, place, err, "expected %s, not an empty string",
				      field->expected);
	return check_string(doc, place, value, field, err);
}

static int check_name(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	struct err why = { 0 };

	if (!json_is_string(value))
		return wrong_type(doc, place, value, field, err);
	if (profile_check_name(json_string_value(value), &why) < 0)
		return document_error(doc, place, err, "%s", why.text);
	return 0;
}

static int check_integer(const struct document *doc, const struct json_position *place,
			 json_t *value, const struct field *field, struct err *err)
{
	if (!json_is_integer(value))
		return wrong_type(doc, place, value, field, err);
	if (json_integer_value(value) < field->min || json_integer_value(value) > field->max)
		return document_error(doc, place, err, "expected %s, not %lld", field->expected,
				      (long long)json_integer_value(value));
	return 0;
}

static int check_bool(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	return json_is_boolean(value) ? 0 : wrong_type(doc, place, value, field, err);
}

static int check_pci(const struct document *doc, const struct json_position *place, json_t *value,
		     const struct field *field, struct err *err)
{
	const char *string = json_string_value(value);
	_cleanup_free_ char *address = NULL;

	if (!string)
		return wrong_type(doc, place, value, field, err);
	address = pci_address_parse(string);
	if (address)
		return 0;
	return document_error(doc, place, err, "expected %s; lspci -D lists them", field->expected);
}

static int check_match(const struct document *doc, const struct json_position *place, json_t *value,
		       const struct field *field, struct err *err)
{
	static const char *const kinds[] = { "action:", "chip:", "driver:", "pci:" };
	const char *string = json_string_value(value), *glob = NULL;

	if (!string)
		return wrong_type(doc, place, value, field, err);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(string, kinds[i], strlen(kinds[i])) == 0 && string[strlen(kinds[i])]) {
			glob = string + strlen(kinds[i]);
			break;
		}
	/* An address that no device can have is a mistake. */
	if (glob && strncmp(string, "pci:", 4) == 0 &&
	    glob[strspn(glob, "0123456789abcdef:.*?[]-!")])
		return document_error(doc, place, err,
				      "expected pci: and a glob of addresses in lower case, like "
				      "\"pci:0000:01:00.*\"; lspci -D lists them");
	if (glob)
		return 0;
	return document_error(doc, place, err, "expected %s", field->expected);
}

/* "\"a\", \"b\" or \"c\"", of "a|b|c"; the caller frees. */
static char *name_choices(const char *choices)
{
	char *text = xstrdup("");

	for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
		bool last = !strchr(at, '|');
		char *longer = xasprintf("%s%s\"%.*s\"", text,
					 !*text ? ""
					 : last ? " or "
						: ", ",
					 (int)strcspn(at, "|"), at);

		free(text);
		text = longer;
	}
	return text;
}

static int check_choice(const struct document *doc, const struct json_position *place,
			json_t *value, const struct field *field, struct err *err)
{
	const char *names[MEMBERS_MAX], *meant, *string = json_string_value(value);
	_cleanup_free_ char *copy = xstrdup(field->choices), *shown = NULL;
	_cleanup_free_ char *expected = name_choices(field->choices);
	char *rest = copy, *choice;
	size_t n = 0;

	if (!string)
		return document_error(doc, place, err, "expected %s, not %s", expected,
				      type_name(value));
	while ((choice = strsep(&rest, "|")) && n < ARRAY_SIZE(names)) {
		if (strcmp(choice, string) == 0)
			return 0;
		names[n++] = choice;
	}
	shown = text_escape(string);
	meant = similar_find(string, names, n);
	return document_error(doc, place, err, "expected %s, not \"%.60s\"%s%s%s", expected, shown,
			      meant ? "; did you mean \"" : "", meant ? meant : "",
			      meant ? "\"?" : "");
}

static bool has_nul(const json_t *value)
{
	return json_is_string(value) &&
	       strlen(json_string_value(value)) != json_string_length(value);
}

static int check_value(const struct document *doc, const struct json_position *place, json_t *value,
		       const struct field *field, struct err *err)
{
	if (has_nul(value))
		return document_error(doc, place, err,
				      "expected %s, not one with a NUL in it; remove \"\\u0000\"",
				      field->expected);
	return field->type->check(doc, place, value, field, err);
}

/* The elements are all described by field->members. */
static int check_array(const struct document *doc, const struct json_position *place, json_t *value,
		       const struct field *field, struct err *err)
{
	json_t *element;
	size_t i;

	if (!json_is_array(value))
		return wrong_type(doc, place, value, field, err);
	if (json_array_size(value) < (size_t)field->min)
		return document_error(doc, place, err, "expected %s, not an empty array",
				      field->expected);
	if (field->max && json_array_size(value) > (size_t)field->max)
		return document_error(doc, place, err, "expected %s, %lld at most, not %zu",
				      field->expected, (long long)field->max,
				      json_array_size(value));
	json_array_foreach (value, i, element) {
		struct json_position inner = { .in = place, .index = i };

		if (check_value(doc, &inner, element, field->members, err) < 0)
			return -1;
	}
	return 0;
}

static int unknown_key(const struct document *doc, const struct json_position *place,
		       const struct field *members, struct err *err)
{
	const char *names[MEMBERS_MAX], *meant;
	_cleanup_free_ char *all = NULL;
	size_t n = 0;

	for (; n < MEMBERS_MAX && members[n].key; n++) {
		char *longer = xasprintf("%s%s%s", n ? all : "", n ? ", " : "", members[n].key);

		free(all);
		all = longer;
		names[n] = members[n].key;
	}
	meant = similar_find(place->key, names, n);
	if (meant)
		return document_key_error(doc, place, err, "unknown key; did you mean \"%s\"?",
					  meant);
	return document_key_error(doc, place, err, "unknown key; known are %s, and \"_comment\"",
				  all);
}

static int check_required(const struct document *doc, const struct json_position *place,
			  const json_t *value, const struct field *members, struct err *err)
{
	for (const struct field *m = members; m->key; m++) {
		struct json_position inner = { .in = place, .key = m->key };

		if (!m->required || json_object_get(value, m->key))
			continue;
		if (!place)
			return document_error(doc, &inner, err,
					      "is missing; every profile has one");
		return document_error(doc, &inner, err, "is missing; expected %s", m->expected);
	}
	return 0;
}

static int check_object(const struct document *doc, const struct json_position *place,
			json_t *value, const struct field *field, struct err *err)
{
	json_int_t n = 0;
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return wrong_type(doc, place, value, field, err);
	json_object_foreach (value, key, member) {
		struct json_position inner = { .in = place, .key = key };
		const struct field *m = field->members;

		if (strncmp(key, "_comment", strlen("_comment")) == 0)
			continue;
		while (m->key && strcmp(m->key, key) != 0)
			m++;
		if (!m->key)
			return unknown_key(doc, &inner, field->members, err);
		if (check_value(doc, &inner, member, m, err) < 0)
			return -1;
		n++;
	}
	if (n < field->min)
		return document_error(doc, place, err, "expected %s, not an empty object",
				      field->expected);
	return check_required(doc, place, value, field->members, err);
}

static int check_vcpus(const struct document *doc, const struct json_position *place, json_t *value,
		       const struct field *field, struct err *err)
{
	const char *string = json_string_value(value);

	if (string && strcmp(string, "auto") == 0)
		return 0;
	return check_array(doc, place, value, field, err);
}

/* One host setting: the row of its kernel file says what may be asked for. */
static int check_setting(const struct document *doc, const struct json_position *place,
			 json_t *value, const struct kfile *row, struct err *err)
{
	_cleanup_free_ char *expected = kfile_setting_expected(row), *shown = NULL;

	if (!json_is_integer(value) && !json_is_string(value))
		return document_error(doc, place, err, "expected %s, not %s", expected,
				      type_name(value));
	if (!has_nul(value) &&
	    (json_is_integer(value) ? kfile_setting_number(row, json_integer_value(value))
				    : kfile_setting_word(row, json_string_value(value))))
		return 0;
	if (json_is_integer(value))
		return document_error(doc, place, err, "expected %s, not %lld", expected,
				      (long long)json_integer_value(value));
	shown = text_escape(json_string_value(value));
	return document_error(doc, place, err, "expected %s, not \"%.60s\"", expected, shown);
}

static int check_host(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	struct field names[MEMBERS_MAX] = { 0 };
	const char *key;
	json_t *member;

	if (!json_is_object(value))
		return wrong_type(doc, place, value, field, err);
	for (size_t i = 0; i < MEMBERS_MAX - 1 && kfile_setting_at(i); i++)
		names[i].key = kfile_setting_at(i)->setting;
	json_object_foreach (value, key, member) {
		struct json_position inner = { .in = place, .key = key };
		const struct kfile *row = kfile_setting(key);

		if (strncmp(key, "_comment", strlen("_comment")) == 0)
			continue;
		if (!row)
			return unknown_key(doc, &inner, names, err);
		if (check_setting(doc, &inner, member, row, err) < 0)
			return -1;
	}
	return 0;
}

/* (?!\n): Python's $ would take a newline at the end. */
#define NO_NUL DOC("{ \"type\": \"string\", \"pattern\": \"^[^\\\\u0000]*$(?!\\\\n)\" }")

const struct field_type field_string = { check_string, NO_NUL };
const struct field_type field_text = {
	check_text,
	DOC("{ \"type\": \"string\", \"pattern\": \"^[^\\\\u0000]+$(?!\\\\n)\" }"),
};
const struct field_type field_name = {
	check_name,
	DOC("{ \"type\": \"string\", \"minLength\": 1, \"maxLength\": 64,"
	    "  \"pattern\": \"^(?![.-])[A-Za-z0-9._@+-]+$(?!\\\\n)\" }"),
};
const struct field_type field_cpus = {
	check_string,
	DOC("{ \"type\": \"string\","
	    "  \"pattern\": \"^(?=.*[0-9a-z])[- \\\\t0-9a-zA-F,:^@.&+()]+$(?!\\\\n)\" }"),
};
const struct field_type field_integer = { check_integer, DOC("{ \"type\": \"integer\" }") };
const struct field_type field_bool = { check_bool, DOC("{ \"type\": \"boolean\" }") };
const struct field_type field_choice = { check_choice, DOC("{ }") };
const struct field_type field_pci = {
	check_pci,
	DOC("{ \"type\": \"string\", \"pattern\": "
	    "\"^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\\\.[0-7]$(?!\\\\n)\" }"),
};
const struct field_type field_match = {
	check_match,
	DOC("{ \"type\": \"string\", \"pattern\": \"^((action|chip|driver):[^\\\\u0000]+$(?!\\\\n)"
	    "|pci:[-0-9a-f:.*?\\\\[\\\\]!]+$(?!\\\\n))\" }"),
};
const struct field_type field_vcpus = {
	check_vcpus,
	DOC("{ \"oneOf\": [ { \"const\": \"auto\" },"
	    "  { \"type\": \"array\", \"minItems\": 1, \"uniqueItems\": true,"
	    "    \"items\": { \"type\": \"integer\", \"minimum\": 0, \"maximum\": 65535 } } ] }"),
};
const struct field_type field_array = { check_array, DOC("{ \"type\": \"array\" }") };
const struct field_type field_object = { check_object, DOC("{ \"type\": \"object\" }") };
const struct field_type field_host = { check_host, DOC("{ \"type\": \"object\" }") };

int fields_check(const struct document *doc, struct err *err)
{
	const struct field root = { .type = &field_object,
				    .members = profile_keys,
				    .expected = "an object" };

	return check_object(doc, NULL, doc->root, &root, err);
}
