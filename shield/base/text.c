/* SPDX-License-Identifier: MIT */
#include "shield/base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at s, or 0. */
static size_t sequence(const unsigned char *s)
{
	static const unsigned smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80   ? 1
		   : *s < 0xc2 ? 0
		   : *s < 0xe0 ? 2
		   : *s < 0xf0 ? 3
		   : *s < 0xf5 ? 4
			       : 0;
	unsigned code = n > 1 ? *s & (0x7fu >> n) : *s;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (n > 1 && (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)))
		return 0;
	return n;
}

char *text_escape(const char *bytes)
{
	const unsigned char *s = (const unsigned char *)bytes;
	char *text = xmalloc(4 * strlen(bytes) + 1), *at = text;

	while (*s) {
		size_t n = sequence(s);

		if (n == 0 || *s < 0x20 || *s == 0x7f || *s == '\\') {
			at += snprintf(at, 5, "\\x%02x", *s++);
		} else {
			memcpy(at, s, n);
			at += n;
			s += n;
		}
	}
	*at = '\0';
	return text;
}

/* F4 8F BA 80 to F4 8F BB BF: U+10FE80 to U+10FEFF. */
static bool is_code(const unsigned char *s, size_t n)
{
	return n == 4 && s[0] == 0xf4 && s[1] == 0x8f && (s[2] == 0xba || s[2] == 0xbb);
}

char *text_encode(const char *bytes)
{
	const unsigned char *s = (const unsigned char *)bytes;
	char *text = xmalloc(4 * strlen(bytes) + 1), *at = text;

	while (*s) {
		size_t n = sequence(s);

		if (n == 0 || is_code(s, n)) {
			*at++ = '\xf4';
			*at++ = '\x8f';
			*at++ = (char)(*s < 0xc0 ? 0xba : 0xbb);
			*at++ = (char)(0x80 | (*s & 0x3f));
			s++;
		} else {
			memcpy(at, s, n);
			at += n;
			s += n;
		}
	}
	*at = '\0';
	return text;
}

char *text_decode(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	char *bytes = xmalloc(strlen(text) + 1), *at = bytes;

	while (*s) {
		size_t n = sequence(s);

		if (is_code(s, n)) {
			*at++ = (char)((s[2] == 0xba ? 0x80 : 0xc0) | (s[3] & 0x3f));
			s += 4;
		} else {
			*at++ = (char)*s++;
		}
	}
	*at = '\0';
	return bytes;
}
