/* SPDX-License-Identifier: MIT */
/*
 * similar: "did you mean …?" for words that are not known.
 */
#ifndef SHIELD_BASE_SIMILAR_H
#define SHIELD_BASE_SIMILAR_H

#include <stddef.h>

/* The candidate that was probably meant by word, or NULL: the one that takes
 * the fewest edits, at most one in three of the word's letters. */
const char *similar_find(const char *word, const char *const *candidates, size_t n);

#endif
