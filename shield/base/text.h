/* SPDX-License-Identifier: MIT */
/*
 * text: bytes that other programs chose (names of threads, of interrupts, of
 * cgroups), made safe to print and to store as JSON.
 */
#ifndef SHIELD_BASE_TEXT_H
#define SHIELD_BASE_TEXT_H

#include "shield/base/mem.h"

/* A copy in which control characters, backslashes and bytes that are not valid
 * UTF-8 are written "\xHH". Equal bytes give equal text. */
char *text_escape(const char *bytes);

/*
 * Bytes as valid UTF-8, and the same bytes again, for what is stored and must come
 * back: the kernel takes names of cgroups and interfaces that are not UTF-8. Text that
 * is stays as it is, backslashes included (names of units have them); any other
 * byte 0x80 to 0xff becomes one character of U+10FE80 to U+10FEFF (private use), and
 * so do the bytes of such a character itself. Both allocated.
 */
char *text_encode(const char *bytes);
char *text_decode(const char *text);

#endif
