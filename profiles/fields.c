/* SPDX-License-Identifier: MIT */
#include "profiles/fields.h"

#include "profiles/profile.h"
#include "shield/base/pci_address.h"
#include "shield/base/similar.h"
#include "shield/base/text.h"
#include "shield/sys/kfile.h"

#include <ctype.h>
#include <string.h>

struct field {
	const char *key;
	int (*check)(const struct document *doc, const struct json_position *place, json_t *value,
		     const struct field *field, struct err *err);
	const char *expected;	     /* in words, for messages */
	const char *choices;	     /* of an enumeration: "a|b" */
	const struct field *members; /* of an object; of an array's only sort of element */
	json_int_t min, max; /* of a number; of a string's or an array's length, 0: no most */
};

#define MEMBERS_MAX 32
/* Of what is held against each interrupt, or looked up on the machine. */
#define ITEMS_MAX 1024

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
	if (json_string_length(value) < (size_t)field->min)
		return document_error(doc, place, err, "expected %s, not an empty string",
				      field->expected);
	return 0;
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

static int check_choice(const struct document *doc, const struct json_position *place,
			json_t *value, const struct field *field, struct err *err)
{
	const char *names[8], *meant, *string = json_string_value(value);
	_cleanup_free_ char *copy = xstrdup(field->choices), *shown = NULL;
	char *rest = copy, *choice;
	size_t n = 0;

	if (!string)
		return wrong_type(doc, place, value, field, err);
	while ((choice = strsep(&rest, "|")) && n < ARRAY_SIZE(names)) {
		if (strcmp(choice, string) == 0)
			return 0;
		names[n++] = choice;
	}
	shown = text_escape(string);
	meant = similar_find(string, names, n);
	return document_error(doc, place, err, "expected %s, not \"%.60s\"%s%s%s", field->expected,
			      shown, meant ? "; did you mean \"" : "", meant ? meant : "",
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
	return field->check(doc, place, value, field, err);
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
	return 0;
}

/* A rule needs all of its members. */
static int check_rule(const struct document *doc, const struct json_position *place, json_t *value,
		      const struct field *field, struct err *err)
{
	if (check_object(doc, place, value, field, err) < 0)
		return -1;
	for (const struct field *m = field->members; m->key; m++) {
		struct json_position inner = { .in = place, .key = m->key };

		if (!json_object_get(value, m->key))
			return document_error(doc, &inner, err, "is missing; expected %s",
					      m->expected);
	}
	return 0;
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

/* Objects: the members are listed before what has them. */
static const struct field word = { .check = check_string, .expected = "a string" };

static const struct field iothread = {
	.check = check_string,
	.expected = "an I/O thread's CPUs as a string like \"0-1\"",
};

static const struct field vcpu = {
	.check = check_integer,
	.expected = "the number of a vCPU's CPU",
	.max = CPUSET_MAX_CPU,
};

static const struct field machine[] = {
	{ .key = "cpu", .check = check_string, .expected = "a glob like \"*i9-9900K*\"", .min = 1 },
	{ .key = "board", .check = check_string, .expected = "a glob like \"Z390*\"", .min = 1 },
	{ .key = "vendor",
	  .check = check_string,
	  .expected = "a glob like \"Gigabyte*\"",
	  .min = 1 },
	{ 0 },
};

static const struct field rule_members[] = {
	{ .key = "match",
	  .check = check_match,
	  .expected = "action:, chip:, driver: or pci: and a glob, like \"driver:nvme\"" },
	{ .key = "cpus", .check = check_string, .expected = "CPUs as a string like \"0-1\"" },
	{ 0 },
};

static const struct field rule = {
	.check = check_rule,
	.members = rule_members,
	.expected = "a rule like { \"match\": \"driver:nvme\", \"cpus\": \"0-1\" }",
};

static const struct field device = {
	.check = check_pci,
	.expected = "a PCI address like \"0000:01:00.0\"",
};

static const struct field irq[] = {
	{ .key = "vfio",
	  .check = check_choice,
	  .expected = "\"spread\", \"guest\", \"housekeeping\" or \"leave\"",
	  .choices = &("" PROFILE_VFIO(NAMES_CHOICE))[1] },
	{ .key = "devices",
	  .check = check_array,
	  .members = &device,
	  .max = ITEMS_MAX,
	  .expected = "the guest's PCI devices as an array of addresses" },
	{ .key = "rules",
	  .check = check_array,
	  .members = &rule,
	  .max = ITEMS_MAX,
	  .expected = "an array of rules" },
	{ 0 },
};

static const struct field profile[] = {
	{ .key = "version",
	  .check = check_integer,
	  .expected = "the number 1",
	  .min = 1,
	  .max = 1 },
	{ .key = "name", .check = check_name, .expected = "the profile's name as a string" },
	{ .key = "description", .check = check_string, .expected = "a text" },
	{ .key = "extends", .check = check_name, .expected = "the name of a profile" },
	{ .key = "machine",
	  .check = check_object,
	  .members = machine,
	  .expected = "an object with \"cpu\", \"board\" or \"vendor\"",
	  .min = 1 },
	{ .key = "guest",
	  .check = check_string,
	  .expected = "the guest's CPUs as a string like \"2-5\" or \"cores:6\"" },
	{ .key = "emulator",
	  .check = check_string,
	  .expected = "\"housekeeping\" or CPUs as a string like \"0-1\"" },
	{ .key = "iothreads",
	  .check = check_array,
	  .members = &iothread,
	  .max = ITEMS_MAX,
	  .expected = "CPUs for each I/O thread, as an array of strings" },
	{ .key = "vcpus",
	  .check = check_vcpus,
	  .members = &vcpu,
	  .expected = "\"auto\", or the CPU of each vCPU as an array of numbers",
	  .min = 1 },
	{ .key = "smt",
	  .check = check_choice,
	  .expected = "\"whole\" or \"split\"",
	  .choices = "whole|split" },
	{ .key = "housekeeping_cores",
	  .check = check_integer,
	  .expected = "how many whole cores the host keeps, at least 1",
	  .min = 1,
	  .max = CPUSET_MAX_CPU },
	{ .key = "irq",
	  .check = check_object,
	  .members = irq,
	  .expected = "an object with \"vfio\", \"devices\" or \"rules\"" },
	{ .key = "host", .check = check_host, .expected = "an object of host settings" },
	{ .key = "flush", .check = check_bool, .expected = "true or false" },
	{ .key = "user", .check = check_string, .expected = "the name of a user", .min = 1 },
	{ .key = "command",
	  .check = check_array,
	  .members = &word,
	  .min = 1,
	  .expected = "the command's words as an array of strings" },
	{ 0 },
};

int fields_check(const struct document *doc, struct err *err)
{
	static const struct field root = { .check = check_object,
					   .members = profile,
					   .expected = "an object" };
	static const char *const required[] = { "version", "name" };

	if (check_object(doc, NULL, doc->root, &root, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		struct json_position place = { .key = required[i] };

		if (!json_object_get(doc->root, required[i]))
			return document_error(doc, &place, err,
					      "is missing; every profile has one");
	}
	return 0;
}
