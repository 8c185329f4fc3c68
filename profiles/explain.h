/* SPDX-License-Identifier: MIT */
/*
 * explain: why suggest.c chose what it chose, and what is not well about it.
 * A line says only what is true of this machine.
 */
#ifndef SHIELD_PROFILES_EXPLAIN_H
#define SHIELD_PROFILES_EXPLAIN_H

#include "profiles/rank.h"
#include "profiles/suggest.h"

/* Append to the reasons, and to the warnings, of choice->s, whose guest has the
 * first n cores. */
void explain_choice(struct choice *choice, size_t n, const struct suggest_request *request);
void explain_doubts(struct choice *choice, size_t n, const struct suggest_request *request);

#endif
