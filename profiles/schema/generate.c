/* SPDX-License-Identifier: MIT */
/*
 * Prints what is made of the tables of profile keys (profiles/profile.c) and of host
 * settings (shield/sys/kfile.c): `generate schema` the JSON schema, `generate keys` and
 * `generate settings` the lists of shield-profile(5). scripts/generate puts them into
 * their files. Not a part of the program: compiled with their texts (SHIELD_DOCS).
 */
#include "profiles/fields.h"
#include "profiles/profile.h"
#include "shield/sys/kfile.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 110 /* where a line of the manual is broken */

/* A text without the marks of doc.h. */
static json_t *plain(const char *about)
{
	_cleanup_free_ char *text = xstrdup(about);
	char *to = text;

	for (const char *c = about; *c; c++)
		if (*c != '`')
			*to++ = c == about ? (char)toupper(*c) : *c;
	*to = '\0';
	return json_string(text);
}

static json_t *fragment(const char *text)
{
	json_error_t why;
	json_t *json = json_loads(text, 0, &why);

	if (!json) {
		fprintf(stderr, "generate: %s: %s\n", text, why.text);
		exit(1);
	}
	return json;
}

static json_t *words(const char *choices)
{
	json_t *array = json_array();

	for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		json_array_append_new(array, json_stringn(at, strcspn(at, "|")));
	return array;
}

static void set_range(json_t *schema, json_int_t min, json_int_t max)
{
	if (min == max) {
		json_object_set_new(schema, "const", json_integer(min));
		return;
	}
	json_object_set_new(schema, "minimum", json_integer(min));
	json_object_set_new(schema, "maximum", json_integer(max));
}

/* No other keys than these, but comments. */
static void close_object(json_t *schema, json_t *properties)
{
	json_object_set_new(schema, "additionalProperties", json_false());
	json_object_set_new(schema, "patternProperties", json_pack("{s:b}", "^_comment", true));
	json_object_set_new(schema, "properties", properties);
}

static json_t *setting_schema(const struct kfile *row)
{
	json_t *number = fragment("{ \"type\": \"integer\" }"), *word, *both;

	if (row->min || row->max)
		set_range(number, row->min, row->max);
	if (!row->words)
		return number;
	word = strcmp(row->words, "*") == 0
		       ? fragment("{ \"type\": \"string\", "
				  "\"pattern\": \"^[a-z0-9_-]{1,32}$(?!\\\\n)\" }")
		       : json_pack("{s:o}", "enum", words(row->words));
	if (!row->min && !row->max) {
		json_decref(number);
		return word;
	}
	both = json_pack("{s:[o, o]}", "oneOf", number, word);
	return both;
}

static void settings_schema(json_t *schema)
{
	json_t *properties = json_object();

	for (size_t i = 0; kfile_setting_at(i); i++) {
		const struct kfile *row = kfile_setting_at(i);
		json_t *one = json_pack("{s:o}", "description", plain(row->about));
		json_t *rest = setting_schema(row);

		json_object_update(one, rest);
		json_decref(rest);
		json_object_set_new(properties, row->setting, one);
	}
	close_object(schema, properties);
}

static json_t *schema_of(const struct field *field);

static void members_schema(json_t *schema, const struct field *field)
{
	json_t *properties = json_object(), *required = json_array(), *any = json_array();

	for (const struct field *m = field->members; m->key; m++) {
		json_object_set_new(properties, m->key, schema_of(m));
		json_array_append_new(any, json_pack("{s:[s]}", "required", m->key));
		if (m->required)
			json_array_append_new(required, json_string(m->key));
	}
	close_object(schema, properties);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	if (field->min == 1) /* one of them, at least */
		json_object_set(schema, "anyOf", any);
	json_decref(required);
	json_decref(any);
}

static json_t *schema_of(const struct field *field)
{
	json_t *schema = json_pack("{s:o}", "description", plain(field->about));
	json_t *type = fragment(field->type->schema);

	json_object_update(schema, type);
	json_decref(type);
	if (field->type == &field_integer)
		set_range(schema, field->min, field->max);
	if (field->choices)
		json_object_set_new(schema, "enum", words(field->choices));
	if (field->type == &field_array) {
		json_object_set_new(schema, "items", schema_of(field->members));
		if (field->min)
			json_object_set_new(schema, "minItems", json_integer(field->min));
		if (field->max)
			json_object_set_new(schema, "maxItems", json_integer(field->max));
	}
	if (field->type == &field_object)
		members_schema(schema, field);
	if (field->type == &field_host)
		settings_schema(schema);
	return schema;
}

static void print_schema(void)
{
	const struct field root = {
		.type = &field_object,
		.members = profile_keys,
		.about =
			"What a shield should be on a machine. CPU sets are CPU expressions, strings "
			"like \"2-7,10-15\", \"cores:6\" or \"l3:largest - core:0\"; their grammar is in "
			"shield-profile(5).",
	};
	json_t *schema = json_pack("{s:s, s:s, s:s}", "$schema",
				   "https://json-schema.org/draft/2020-12/schema", "$id",
				   "urn:shield:profile:1", "title", "Shield profile");
	json_t *rest = schema_of(&root);

	json_object_update(schema, rest);
	json_decref(rest);
	json_dumpf(schema, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(schema);
}

/* A text as roff; `code` is bold, and stays on one line. */
static void print_text(const char *text)
{
	bool bold = false;
	int column = printf("%s", strchr(".'", *text) ? "\\&" : "");

	for (const char *c = text; *c; c++) {
		if (*c == ' ' && !bold && column > WIDTH) {
			column = printf("\n%s", strchr(".'", c[1]) ? "\\&" : "") - 1;
		} else if (*c == '`') {
			bold = !bold;
			column += printf(bold ? "\\fB" : "\\fR");
		} else if (strchr("\"-\\", *c)) {
			column += printf(*c == '"' ? "\\(dq" : *c == '-' ? "\\-" : "\\e");
		} else {
			column += printf("%c", c == text ? toupper(*c) : *c);
		}
	}
	printf(".\n");
}

static void print_keys(const struct field *keys)
{
	for (; keys->key; keys++) {
		const struct field *inner = keys->members;

		printf(".TP\n.B %s\n", keys->key);
		print_text(keys->about);
		/* An array of objects has their keys, too. */
		if (keys->type == &field_array && inner->type == &field_object)
			inner = inner->members;
		else if (keys->type != &field_object)
			inner = NULL;
		if (!inner)
			continue;
		printf(".RS\n");
		print_keys(inner);
		printf(".RE\n");
	}
}

static void print_settings(void)
{
	for (size_t i = 0; kfile_setting_at(i); i++) {
		const struct kfile *row = kfile_setting_at(i);
		_cleanup_free_ char *expected = kfile_setting_expected(row), *text = NULL;

		text = xasprintf("%s: %s", expected, row->about);
		printf(".TP\n.B %s\n", row->setting);
		print_text(text);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	mem_init();
	if (strcmp(what, "schema") == 0)
		print_schema();
	else if (strcmp(what, "keys") == 0)
		print_keys(profile_keys);
	else if (strcmp(what, "settings") == 0)
		print_settings();
	else
		return fprintf(stderr, "Usage: generate schema|keys|settings\n"), 2;
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
