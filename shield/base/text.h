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

#endif
