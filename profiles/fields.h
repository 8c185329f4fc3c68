/* SPDX-License-Identifier: MIT */
/*
 * fields: which keys a profile may have, and of what type: one table. It says
 * the same as profiles/schema/; a test runs both over the same files.
 */
#ifndef SHIELD_PROFILES_FIELDS_H
#define SHIELD_PROFILES_FIELDS_H

#include "profiles/document.h"

/* Check all of a document against the table. Meaning (does this CPU exist?)
 * is not checked here. */
int fields_check(const struct document *doc, struct err *err);

#endif
