/* SPDX-License-Identifier: MIT */
#include "shield/base/cpuset.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static hwloc_bitmap_t bits(struct cpuset *set)
{
	if (!set->bits) {
		set->bits = hwloc_bitmap_alloc();
		if (!set->bits)
			mem_exhausted();
	}
	return set->bits;
}

static void check(int rc)
{
	if (rc < 0)
		mem_exhausted();
}

void cpuset_clear(struct cpuset *set)
{
	if (set->bits)
		hwloc_bitmap_free(set->bits);
	set->bits = NULL;
}

void cpuset_copy(struct cpuset *dst, const struct cpuset *src)
{
	if (src->bits)
		check(hwloc_bitmap_copy(bits(dst), src->bits));
	else
		cpuset_clear(dst);
}

void cpuset_from_words(struct cpuset *set, const unsigned long *words, size_t n)
{
	check(hwloc_bitmap_from_ulongs(bits(set), (unsigned)n, words));
}

void cpuset_add(struct cpuset *set, unsigned cpu)
{
	check(hwloc_bitmap_set(bits(set), cpu));
}

void cpuset_add_range(struct cpuset *set, unsigned first, unsigned last)
{
	check(hwloc_bitmap_set_range(bits(set), first, (int)last));
}

void cpuset_remove(struct cpuset *set, unsigned cpu)
{
	if (set->bits)
		check(hwloc_bitmap_clr(set->bits, cpu));
}

void cpuset_or(struct cpuset *dst, const struct cpuset *src)
{
	if (src->bits)
		check(hwloc_bitmap_or(bits(dst), bits(dst), src->bits));
}

void cpuset_and(struct cpuset *dst, const struct cpuset *src)
{
	if (!src->bits)
		cpuset_clear(dst);
	else
		check(hwloc_bitmap_and(bits(dst), bits(dst), src->bits));
}

void cpuset_andnot(struct cpuset *dst, const struct cpuset *src)
{
	if (src->bits)
		check(hwloc_bitmap_andnot(bits(dst), bits(dst), src->bits));
}

bool cpuset_has(const struct cpuset *set, unsigned cpu)
{
	return set->bits && hwloc_bitmap_isset(set->bits, cpu);
}

bool cpuset_empty(const struct cpuset *set)
{
	return !set->bits || hwloc_bitmap_iszero(set->bits);
}

bool cpuset_equal(const struct cpuset *a, const struct cpuset *b)
{
	if (!a->bits || !b->bits)
		return cpuset_empty(a) && cpuset_empty(b);
	return hwloc_bitmap_isequal(a->bits, b->bits);
}

bool cpuset_intersects(const struct cpuset *a, const struct cpuset *b)
{
	return a->bits && b->bits && hwloc_bitmap_intersects(a->bits, b->bits);
}

bool cpuset_within(const struct cpuset *a, const struct cpuset *b)
{
	if (cpuset_empty(a))
		return true;
	return b->bits && hwloc_bitmap_isincluded(a->bits, b->bits);
}

unsigned cpuset_count(const struct cpuset *set)
{
	return set->bits ? (unsigned)hwloc_bitmap_weight(set->bits) : 0;
}

int cpuset_next(const struct cpuset *set, int prev)
{
	return set->bits ? hwloc_bitmap_next(set->bits, prev) : -1;
}

int cpuset_last(const struct cpuset *set)
{
	return set->bits ? hwloc_bitmap_last(set->bits) : -1;
}

/* Where a parser stands, for its messages. */
struct cursor {
	const char *text, *at;
	struct err *err;
};

static int complain(const struct cursor *c, const char *what)
{
	return err_set(c->err, ERR_USAGE, "CPU list \"%.80s\": %s at character %zu%s", c->text,
		       what, (size_t)(c->at - c->text) + 1, "; write it like 0-3,8");
}

static int parse_number(struct cursor *c, unsigned *ret, unsigned max)
{
	unsigned long n = 0;
	const char *start = c->at;

	if (!isdigit((unsigned char)*c->at))
		return complain(c, *c->at == '-' ? "a number cannot be negative"
						 : "a number is missing");
	for (; isdigit((unsigned char)*c->at); c->at++) {
		n = n * 10 + (unsigned long)(*c->at - '0');
		if (n > max) {
			c->at = start;
			return complain(c, "the number is too large");
		}
	}
	*ret = (unsigned)n;
	return 0;
}

#define WORD_BITS (8 * sizeof(unsigned long))

/* words |= words << by, in n words */
static void or_shifted(unsigned long *words, size_t n, unsigned by)
{
	size_t skip = by / WORD_BITS;
	unsigned bits = by % WORD_BITS;

	for (size_t i = n; i-- > skip;) {
		unsigned long low = i > skip && bits ? words[i - skip - 1] : 0;

		words[i] |= words[i - skip] << bits;
		if (low)
			words[i] |= low >> (WORD_BITS - bits);
	}
}

/* Each pass doubles how many there are: a megabyte of such ranges takes no longer than
 * one of others. */
static void add_strided(struct cpuset *set, unsigned first, unsigned last, unsigned stride)
{
	unsigned long words[(CPUSET_MAX_CPU + 1) / WORD_BITS] = { 0 };
	_cleanup_cpuset_ struct cpuset all = { 0 }, range = { 0 };
	size_t n = last / WORD_BITS + 1;

	words[first / WORD_BITS] = 1UL << first % WORD_BITS;
	for (unsigned by = stride; by <= last - first; by *= 2)
		or_shifted(words, n, by);
	cpuset_from_words(&all, words, n);
	cpuset_add_range(&range, first, last);
	cpuset_and(&all, &range);
	cpuset_or(set, &all);
}

/* One element: N, N-M or N-M:STRIDE. */
static int parse_range(struct cursor *c, struct cpuset *set)
{
	unsigned first = 0, last, stride = 1;
	const char *start = c->at;

	if (parse_number(c, &first, CPUSET_MAX_CPU) < 0)
		return -1;
	last = first;
	if (*c->at == '-') {
		c->at++;
		if (parse_number(c, &last, CPUSET_MAX_CPU) < 0)
			return -1;
		if (last < first) {
			c->at = start;
			return complain(c, "a range runs backwards");
		}
		if (*c->at == ':') {
			start = ++c->at;
			if (parse_number(c, &stride, CPUSET_MAX_CPU) < 0)
				return -1;
			if (stride == 0) {
				c->at = start;
				return complain(c, "a stride cannot be 0");
			}
		}
	}
	if (stride == 1)
		cpuset_add_range(set, first, last);
	else
		add_strided(set, first, last, stride);
	return 0;
}

static int parse_list(struct cursor *c, struct cpuset *in, struct cpuset *out)
{
	c->at += strspn(c->at, " \t\n");
	if (*c->at == '\0')
		return 0;
	for (;;) {
		bool exclude = *c->at == '^';

		c->at += exclude;
		if (parse_range(c, exclude ? out : in) < 0)
			return -1;
		if (*c->at != ',')
			break;
		c->at++;
	}
	c->at += strspn(c->at, " \t\n");
	return *c->at == '\0' ? 0 : complain(c, "unexpected text");
}

int cpulist_parse_parts(const char *text, struct cpuset *in, struct cpuset *out, size_t *at,
			struct err *err)
{
	struct cursor c = { text, text, err };
	int rc = parse_list(&c, in, out);

	if (rc < 0)
		*at = (size_t)(c.at - c.text);
	return rc;
}

int cpulist_parse(const char *text, struct cpuset *set, struct err *err)
{
	_cleanup_cpuset_ struct cpuset in = { 0 }, out = { 0 };
	size_t at;

	if (cpulist_parse_parts(text, &in, &out, &at, err) < 0)
		return -1;
	cpuset_andnot(&in, &out);
	cpuset_copy(set, &in);
	return 0;
}

char *cpulist_format(const struct cpuset *set)
{
	char *text;

	if (cpuset_empty(set))
		return xstrdup("");
	if (hwloc_bitmap_list_asprintf(&text, set->bits) < 0)
		mem_exhausted();
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int cpumask_parse(const char *text, struct cpuset *set, struct err *err)
{
	_cleanup_cpuset_ struct cpuset result = { 0 };
	size_t n = strcspn(text, " \t\n");
	unsigned bit = 0;

	if (n == 0 || n > (CPUSET_MAX_CPU + 1) / 4 * 9 / 8 || text[n + strspn(text + n, " \t\n")])
		return err_set(err, ERR_USAGE, "\"%.80s\" is not a CPU mask", text);
	for (size_t i = n; i-- > 0;) {
		int digit = hex_digit(text[i]);

		if (text[i] == ',')
			continue;
		if (digit < 0)
			return err_set(err, ERR_USAGE, "\"%.80s\" is not a CPU mask", text);
		for (unsigned b = 0; b < 4; b++)
			if (digit & (1 << b))
				cpuset_add(&result, bit + b);
		bit += 4;
	}
	cpuset_copy(set, &result);
	return 0;
}

char *cpumask_format(const struct cpuset *set)
{
	int last = cpuset_last(set);
	unsigned words = last < 0 ? 1 : (unsigned)last / 32 + 1;
	char *text = xmalloc(words * 9 + 1), *at = text;

	for (unsigned w = words; w-- > 0;) {
		uint32_t word = 0;

		for (unsigned b = 0; b < 32; b++)
			if (cpuset_has(set, w * 32 + b))
				word |= UINT32_C(1) << b;
		at += snprintf(at, 10, "%08x%s", word, w ? "," : "");
	}
	return text;
}
