/* SPDX-License-Identifier: MIT */
/*
 * chain: a profile and those that it extends.
 *
 * A key is taken from the first document of the chain that has it, whole: an
 * object or array of a base is not merged with one of the same key. "machine"
 * and "description" are each document's own.
 */
#ifndef SHIELD_PROFILES_CHAIN_H
#define SHIELD_PROFILES_CHAIN_H

#include "profiles/document.h"

#define CHAIN_MAX 8

struct chain {
	struct document docs[CHAIN_MAX]; /* the profile itself, its base, its base's base, … */
	size_t n;
};

/* Read and check (fields.h) all of them. */
int chain_load(struct sys *sys, const char *which, struct chain *chain, struct err *err);
void chain_clear(struct chain *chain);
#define _cleanup_chain_ _cleanup_(chain_clear)

/* The value of a top-level key and the document that it is from; NULL, and the
 * profile itself, if there is none. */
json_t *chain_get(const struct chain *chain, const char *key, const struct document **ret_doc);

/* One document that says the same, as text; the caller frees. */
char *chain_text(const struct chain *chain);

#endif
