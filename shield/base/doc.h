/* SPDX-License-Identifier: MIT */
/*
 * doc: what a row of a table means, in words, for the manual and the schema that are
 * made of the table (profiles/schema/generate.c). The program itself does without: only
 * the generator has the texts compiled in. Leaving one out does not compile in either.
 *
 * `code` in a text is a word of the manual's own; "x" is a value.
 */
#ifndef SHIELD_BASE_DOC_H
#define SHIELD_BASE_DOC_H

#ifdef SHIELD_DOCS
#define DOC(text) ("" text)
#else
#define DOC(text) (sizeof(char[sizeof("" text) > 1 ? 1 : -1]) ? NULL : NULL)
#endif

#endif
