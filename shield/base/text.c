/* SPDX-License-Identifier: MIT */
#include "shield/base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at s, and its character; or 0. */
static size_t sequence(const unsigned char *s, unsigned *ret)
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
	*ret = code;
	return n;
}

/* What a terminal would obey, or not show. */
static bool is_control(unsigned code)
{
	static const struct {
		unsigned first, last;
	} controls[] = {
		{ 0, 0x1f },	    { 0x7f, 0x9f },	{ 0x61c, 0x61c },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};

	for (size_t i = 0; i < ARRAY_SIZE(controls); i++)
		if (code >= controls[i].first && code <= controls[i].last)
			return true;
	return false;
}

enum keep { KEEP_NOTHING, KEEP_EXCERPTS, KEEP_LINES };

static bool is_kept(const char *at, enum keep keep)
{
	return keep == KEEP_LINES      ? *at == '\n' || *at == '\t'
	       : keep == KEEP_EXCERPTS ? strncmp(at, "\n    ", 5) == 0
				       : false;
}

static char *escape(const char *bytes, enum keep keep)
{
	char *text = xmalloc(4 * strlen(bytes) + 1), *at = text;

	while (*bytes) {
		unsigned code;
		size_t n = sequence((const unsigned char *)bytes, &code);

		if (n && (!is_control(code) || is_kept(bytes, keep))) {
			memcpy(at, bytes, n);
			at += n;
			bytes += n;
			continue;
		}
		for (n = n ? n : 1; n > 0; n--)
			at += snprintf(at, 5, "\\x%02x", (unsigned char)*bytes++);
	}
	*at = '\0';
	return text;
}

char *text_escape(const char *bytes)
{
	return escape(bytes, KEEP_NOTHING);
}

char *text_escape_lines(const char *bytes)
{
	return escape(bytes, KEEP_LINES);
}

char *text_escape_message(const char *bytes)
{
	return escape(bytes, KEEP_EXCERPTS);
}

/* What stands between the '%' and the conversion. */
struct conversion {
	bool left;
	int width, precision; /* -1: none */
	char flags[8], length[3], kind;
};

static int number(const char **at)
{
	int n = 0;

	for (; **at >= '0' && **at <= '9' && n < 10000; (*at)++)
		n = 10 * n + (**at - '0');
	return n;
}

/* *at is behind the '%', and then behind the conversion. */
static struct conversion parse_conversion(const char **at, va_list *ap)
{
	struct conversion c = { .precision = -1 };
	size_t n = strspn(*at, "-+ #0");

	snprintf(c.flags, sizeof(c.flags), "%.*s", (int)n, *at);
	*at += n;
	c.width = **at == '*' ? ((*at)++, va_arg(*ap, int)) : number(at);
	c.left = strchr(c.flags, '-') || c.width < 0;
	c.width = c.width < 0 ? -c.width : c.width;
	if (**at == '.') {
		(*at)++;
		c.precision = **at == '*' ? ((*at)++, va_arg(*ap, int)) : number(at);
	}
	n = strspn(*at, "lz");
	snprintf(c.length, sizeof(c.length), "%.*s", (int)n, *at);
	*at += n;
	c.kind = *(*at)++;
	return c;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *format_number(const struct conversion *c, va_list *ap)
{
	char fmt[24];

	/* A precision of -1 is none to printf() as well. */
	snprintf(fmt, sizeof(fmt), "%%%s*.*%s%c", c->flags, c->length, c->kind);
	if (strchr("fg", c->kind))
		return xasprintf(fmt, c->width, c->precision, va_arg(*ap, double));
	if (strcmp(c->length, "ll") == 0)
		return xasprintf(fmt, c->width, c->precision, va_arg(*ap, long long));
	if (*c->length == 'l')
		return xasprintf(fmt, c->width, c->precision, va_arg(*ap, long));
	if (*c->length == 'z')
		return xasprintf(fmt, c->width, c->precision, va_arg(*ap, size_t));
	return xasprintf(fmt, c->width, c->precision, va_arg(*ap, int));
}
#pragma GCC diagnostic pop

/* Characters, not bytes. */
static int length(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static int print_padded(FILE *out, const struct conversion *c, const char *bytes)
{
	_cleanup_free_ char *cut =
		c->precision < 0 ? xstrdup(bytes) : xstrndup(bytes, (size_t)c->precision);
	_cleanup_free_ char *text = text_escape(cut);
	int n = length(text), pad = n < c->width ? c->width - n : 0;

	fprintf(out, "%*s%s%*s", c->left ? 0 : pad, "", text, c->left ? pad : 0, "");
	return n + pad;
}

static int print_conversion(FILE *out, const char **at, va_list *ap)
{
	struct conversion c = parse_conversion(at, ap);
	char one[2] = { '%', '\0' };
	_cleanup_free_ char *text = NULL;

	switch (c.kind) {
	case 's':
		return print_padded(out, &c, va_arg(*ap, const char *));
	case 'c':
		*one = (char)va_arg(*ap, int);
		return print_padded(out, &c, one);
	case '%':
		return print_padded(out, &c, one);
	default:
		text = format_number(&c, ap);
		fputs(text, out);
		return length(text);
	}
}

int text_print(FILE *out, const char *fmt, ...)
{
	int n = 0;
	va_list ap;

	va_start(ap, fmt);
	while (*fmt) {
		size_t literal = strcspn(fmt, "%");

		fwrite(fmt, 1, literal, out);
		for (; literal > 0; literal--)
			n += (*fmt++ & 0xc0) != 0x80;
		if (!*fmt)
			break;
		fmt++;
		n += print_conversion(out, &fmt, &ap);
	}
	va_end(ap);
	return n;
}

void text_put(FILE *out, const char *text)
{
	fputs(text, out);
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
		unsigned code;
		size_t n = sequence(s, &code);

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
		unsigned code;
		size_t n = sequence(s, &code);

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
