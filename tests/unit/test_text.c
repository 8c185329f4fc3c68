/* SPDX-License-Identifier: MIT */
/* Names from outside, made safe to print: see text.h. */
#include "shield/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void assert_escaped(const char *bytes, const char *want)
{
	_cleanup_free_ char *once = text_escape(bytes), *twice = text_escape(once);

	assert_string_equal(once, want);
	assert_string_equal(twice, want);
}

static void what_a_terminal_obeys(void **state)
{
	(void)state;
	assert_escaped("\x1b[2J\a\t\n\r\x7f", "\\x1b[2J\\x07\\x09\\x0a\\x0d\\x7f");
	assert_escaped("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0",
		       "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f\xc2\xa0");
	/* U+061C, U+200B, U+200E, U+202E, U+2066, U+FEFF, U+E0041 */
	assert_escaped("\xd8\x9c\xe2\x80\x8b\xe2\x80\x8e\xe2\x80\xae\xe2\x81\xa6",
		       "\\xd8\\x9c\\xe2\\x80\\x8b\\xe2\\x80\\x8e\\xe2\\x80\\xae\\xe2\\x81\\xa6");
	assert_escaped("\xef\xbb\xbf\xf3\xa0\x81\x81", "\\xef\\xbb\\xbf\\xf3\\xa0\\x81\\x81");
	/* A byte 9b alone is CSI to a terminal that is not in UTF-8. */
	assert_escaped("\x9b"
		       "2J\xff\xc3",
		       "\\x9b2J\\xff\\xc3");
	/* Too long for what it is, a surrogate, and beyond the last character. */
	assert_escaped("\xc0\x9b\xed\xa0\x80\xf4\x90\x80\x80",
		       "\\xc0\\x9b\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
}

static void names_stay(void **state)
{
	(void)state;
	assert_escaped("vnet0 (nvme0q1) \\x2d", "vnet0 (nvme0q1) \\x2d");
	assert_escaped("Büro \xe2\x82\xac \xf0\x9f\x98\x80", "Büro \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void lines_where_they_may_be(void **state)
{
	_cleanup_free_ char *lines = text_escape_lines("a\n\tb\x1b");
	_cleanup_free_ char *message = text_escape_message("name\nshield: good\n    2-x\n      ^");

	(void)state;
	assert_string_equal(lines, "a\n\tb\\x1b");
	assert_string_equal(message, "name\\x0ashield: good\n    2-x\n      ^");
}

#define PRINTED(...)                                       \
	({                                                 \
		FILE *_out = open_memstream(&text, &size); \
		int _n = text_print(_out, __VA_ARGS__);    \
		fclose(_out);                              \
		_n;                                        \
	})

static void print_is_printf(void **state)
{
	char *text = NULL;
	size_t size;

	(void)state;
	assert_int_equal(PRINTED("%d|%5u|%-4d|%zu|%lld|%x|%c|%%|%.1f|%9.1f|%.4g", -3, 7u, 12,
				 (size_t)9, -1LL, 255u, '*', 1.25, 2.0, 16.5),
			 44);
	assert_string_equal(text, "-3|    7|12  |9|-1|ff|*|%|1.2|      2.0|16.5");
	free(text);
	assert_int_equal(PRINTED("[%-6s] [%*s] [%.2s] [%-*s]", "ab", 4, "c", "defg", 3, "h"), 26);
	assert_string_equal(text, "[ab    ] [   c] [de] [h  ]");
	free(text);
}

static void strings_are_escaped(void **state)
{
	char *text = NULL;
	size_t size;

	(void)state;
	/* What the format says is ours; a width counts what is seen. */
	assert_int_equal(PRINTED("\033[1m%s|%-4s|%c\n", "\x1b[2J\n", "ü", '\a'), 26);
	assert_string_equal(text, "\033[1m\\x1b[2J\\x0a|ü   |\\x07\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_obeys),   cmocka_unit_test(names_stay),
		cmocka_unit_test(lines_where_they_may_be), cmocka_unit_test(print_is_printf),
		cmocka_unit_test(strings_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
