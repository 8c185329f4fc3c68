/* SPDX-License-Identifier: MIT */
#include "shield/txn/state_fields.h"

#include "shield/base/names.h"
#include "shield/base/text.h"

static json_t *put(const struct field *f, const void *at);
static int get(const struct field *f, json_t *json, void *at, struct err *err);

static json_t *put_items(const struct field *f, const char *at)
{
	json_t *json = f->type == FIELD_MAP ? json_object() : json_array();
	const char *item;

	memcpy(&item, at, sizeof(item));
	for (size_t left = *(const size_t *)(at + f->n); left > 0; left--, item += f->size) {
		json_t *value = put(f->of, item + f->of->at);

		if (f->type == FIELD_MAP) {
			_cleanup_free_ char *key = text_encode(*(char *const *)item);

			json_object_set_new(json, key, value ? value : json_null());
		} else {
			json_array_append_new(json, value);
		}
	}
	return json;
}

static json_t *put(const struct field *f, const void *at)
{
	_cleanup_free_ char *text = NULL;

	switch (f->type) {
	case FIELD_NUMBER:
		return json_integer(f->size == sizeof(int) ? *(const int *)at
							   : *(const long long *)at);
	case FIELD_NAME:
		return json_string(f->names[*(const unsigned *)at]);
	case FIELD_LIST:
		text = cpulist_format(at);
		return json_string(text);
	case FIELD_TEXT:
		return json_string(*(char *const *)at);
	case FIELD_BYTES:
		text = *(char *const *)at ? text_encode(*(char *const *)at) : NULL;
		return text ? json_string(text) : NULL;
	case FIELD_FLAG:
		return *(const bool *)at ? json_true() : NULL;
	case FIELD_OBJECT:
		return fields_put(f->of, at);
	case FIELD_ARRAY:
	case FIELD_MAP:
		return put_items(f, at);
	}
	return NULL;
}

json_t *fields_put(const struct field *fields, const void *whole)
{
	json_t *json = json_object();

	for (const struct field *f = fields; f->key; f++) {
		json_t *value = NULL;

		if (!f->has || f->has(whole))
			value = put(f, (const char *)whole + f->at);
		if (value)
			json_object_set_new(json, f->key, value);
	}
	return json;
}

/* Room for the items, which get() fills one by one. */
static char *new_items(const struct field *f, size_t n, char *at)
{
	char *items = xcalloc(n, f->size);

	memcpy(at, &items, sizeof(items));
	*(size_t *)(at + f->n) = n;
	if (f->cap)
		*(size_t *)(at + f->cap) = n;
	return items;
}

static int get_array(const struct field *f, json_t *json, char *at, struct err *err)
{
	char *items = new_items(f, json_array_size(json), at);
	json_t *value;
	size_t i;

	if (!json_is_array(json))
		return err_set(err, ERR_FAILED, "not an array");
	json_array_foreach (json, i, value)
		if (get(f->of, value, items + i * f->size + f->of->at, err) < 0)
			return -1;
	return 0;
}

static int get_map(const struct field *f, json_t *json, char *at, struct err *err)
{
	char *item = new_items(f, json_object_size(json), at);
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return err_set(err, ERR_FAILED, "not an object");
	json_object_foreach (json, key, value) {
		*(char **)item = text_decode(key);
		if (!(json_is_null(value) && f->of->optional) &&
		    get(f->of, value, item + f->of->at, err) < 0)
			return -1;
		item += f->size;
	}
	return 0;
}

/* What is neither an object nor has items: is it good? */
static bool get_value(const struct field *f, json_t *json, void *at)
{
	const char *text = json_string_value(json);
	long long n = json_is_integer(json) ? json_integer_value(json) : -1;

	switch (f->type) {
	case FIELD_NAME:
		n = text ? names_find(f->names, (size_t)f->max, text) : -1;
		*(unsigned *)at = n < 0 ? 0 : (unsigned)n;
		return n >= 0;
	case FIELD_NUMBER:
		if (f->size == sizeof(int))
			*(int *)at = (int)n;
		else
			*(long long *)at = n;
		return n >= 0 && n <= f->max;
	case FIELD_LIST:
		return text && cpulist_parse(text, at, NULL) == 0;
	case FIELD_FLAG:
		*(bool *)at = json_is_true(json);
		return json_is_boolean(json);
	case FIELD_TEXT:
	case FIELD_BYTES:
		if (text)
			*(char **)at = f->type == FIELD_TEXT ? xstrdup(text) : text_decode(text);
		return text;
	default:
		return false;
	}
}

static int get(const struct field *f, json_t *json, void *at, struct err *err)
{
	switch (f->type) {
	case FIELD_OBJECT:
		return fields_get(f->of, json, at, err);
	case FIELD_ARRAY:
		return get_array(f, json, at, err);
	case FIELD_MAP:
		return get_map(f, json, at, err);
	default:
		if (get_value(f, json, at))
			return 0;
		return err_set(err, ERR_FAILED, "a value that Shield never writes");
	}
}

static const struct field *find(const struct field *fields, const char *key)
{
	while (fields->key && strcmp(fields->key, key) != 0)
		fields++;
	return fields->key ? fields : NULL;
}

int fields_get(const struct field *fields, json_t *json, void *whole, struct err *err)
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return err_set(err, ERR_FAILED, "not an object");
	json_object_foreach (json, key, value) {
		const struct field *f = find(fields, key);

		if (!f)
			return err_set(err, ERR_FAILED, "%s: unknown key", key);
		if (get(f, value, (char *)whole + f->at, err) < 0)
			return err_wrap(err, "%s", key);
	}
	for (const struct field *f = fields; f->key; f++)
		if (!f->optional && !json_object_get(json, f->key))
			return err_set(err, ERR_FAILED, "%s: missing", f->key);
	return 0;
}
