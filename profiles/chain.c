/* SPDX-License-Identifier: MIT */
#include "profiles/chain.h"

#include "profiles/fields.h"
#include "profiles/find.h"

#include <string.h>

static int extend(struct sys *sys, struct chain *chain, const char *base, struct err *err)
{
	struct json_position place = { .key = "extends" };
	const struct document *last = &chain->docs[chain->n - 1];
	struct document *doc = &chain->docs[chain->n];
	struct err why = { 0 };

	if (chain->n == CHAIN_MAX)
		return document_error(last, &place, err,
				      "more than %d profiles extend each other; merge some of them",
				      CHAIN_MAX);
	if (find_read(sys, base, last, doc, &why) < 0)
		return document_error(last, &place, err, "%s", why.text);
	for (size_t i = 0; i < chain->n; i++)
		if (strcmp(chain->docs[i].path, doc->path) == 0) {
			document_error(
				last, &place, err,
				"%s extends itself, in a circle of %zu; remove one \"extends\"",
				doc->path, chain->n - i);
			document_clear(doc);
			return -1;
		}
	chain->n++;
	return fields_check(doc, err);
}

int chain_load(struct sys *sys, const char *which, struct chain *chain, struct err *err)
{
	const char *base;

	if (find_read(sys, which, NULL, &chain->docs[0], err) < 0)
		return -1;
	chain->n = 1;
	if (fields_check(&chain->docs[0], err) < 0)
		return -1;
	while ((base = json_string_value(
			json_object_get(chain->docs[chain->n - 1].root, "extends"))))
		if (extend(sys, chain, base, err) < 0)
			return -1;
	return 0;
}

void chain_clear(struct chain *chain)
{
	for (size_t i = 0; i < chain->n; i++)
		document_clear(&chain->docs[i]);
	*chain = (struct chain){ 0 };
}

json_t *chain_get(const struct chain *chain, const char *key, const struct document **ret_doc)
{
	for (size_t i = 0; i < chain->n; i++) {
		json_t *value = json_object_get(chain->docs[i].root, key);

		if (value) {
			*ret_doc = &chain->docs[i];
			return value;
		}
	}
	*ret_doc = &chain->docs[0];
	return NULL;
}

char *chain_text(const struct chain *chain)
{
	json_t *all = json_object();
	char *text;

	if (chain->n == 1) {
		json_decref(all);
		return xstrdup(chain->docs[0].text);
	}
	json_object_update(all, chain->docs[0].root);
	for (size_t i = 1; i < chain->n; i++)
		json_object_update_missing(all, chain->docs[i].root);
	json_object_del(all, "extends");
	text = json_dumps(all, JSON_INDENT(2));
	json_decref(all);
	if (!text)
		mem_exhausted();
	return text;
}
