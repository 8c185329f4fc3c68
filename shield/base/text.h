/* SPDX-License-Identifier: MIT */
/*
 * text: bytes that other programs chose (names of threads, of interrupts, of
 * cgroups), made safe to print and to store as JSON.
 *
 * A terminal obeys what it is sent: a thread's name can clear it, a bidirectional
 * control shows a name as another one. So what is printed goes through text_print(),
 * which escapes each string that it is given; banned.h forbids printf() and its kin
 * elsewhere. What libraries print on stderr (argp, getopt) is escaped there (cmd.h).
 */
#ifndef SHIELD_BASE_TEXT_H
#define SHIELD_BASE_TEXT_H

#include "shield/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * A copy in which each byte of these is written "\xHH": control characters (below U+0020,
 * U+007F to U+009F), what changes the direction of text or is invisible (U+061C, U+200B to
 * U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF, U+FFF9 to U+FFFB, U+E0000 to
 * U+E007F), and bytes that are not valid UTF-8. Escaping twice is as good as once.
 *	text_escape		a name: one line
 *	text_escape_lines	a document: newlines and tabs stay
 *	text_escape_message	a message: newlines stay before four spaces, with which an
 *				excerpt begins; a name cannot start a line of its own
 */
char *text_escape(const char *bytes);
char *text_escape_lines(const char *bytes);
char *text_escape_message(const char *bytes);

/*
 * fprintf(), except that the strings given for %s are escaped as by text_escape(), and
 * that widths count characters. Returns the number of characters. Knows the flags
 * "-+ #0", widths, precisions, l, ll and z, and the conversions d i u x X c s f g %.
 */
int text_print(FILE *out, const char *fmt, ...) _printf_(2, 3);

/* Text that is safe already (it was printed with text_print(), or escaped), as it is. */
void text_put(FILE *out, const char *text);

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
