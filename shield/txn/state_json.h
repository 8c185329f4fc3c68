/* SPDX-License-Identifier: MIT */
/*
 * state_json: the state as a JSON document, and back, checked.
 */
#ifndef SHIELD_TXN_STATE_JSON_H
#define SHIELD_TXN_STATE_JSON_H

#include "shield/txn/state.h"

/* The document; the caller owns it. */
json_t *state_to_json(const struct state *state, const char *boot_id);

/* The boot that the document is of, or NULL. Borrowed. */
const char *state_json_boot(const json_t *document);

/* Fill an empty state. -1 with ERR_FAILED and what is wrong: a type, a range,
 * an unknown key, a path that Shield never writes, a value that the kernel
 * file does not take. */
int state_from_json(const json_t *document, const char *mount, struct state *state,
		    struct err *err);

/* One shield, and a shield of the state that is to be as it was then. */
json_t *state_shield_to_json(const struct shield *shield);
void state_shield_back(struct state *state, const char *name, json_t *json);

#endif
