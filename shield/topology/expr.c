/* SPDX-License-Identifier: MIT */
/*
 * A recursive-descent parser that evaluates as it goes:
 *
 *	sum	= product { ("+" | "-") product }
 *	product	= factor { "&" factor }
 *	factor	= "(" sum ")" | selector
 *
 * Selectors are in select.c. "-" is an operator only after white space, since
 * it is a part of ranges and names as well.
 */
#include "shield/topology/expr.h"

#include "shield/topology/select.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX 4096
#define DEPTH_MAX 32

static int parse_sum(struct select *s, struct selection *ret);

static void skip_space(struct select *s)
{
	s->at += strspn(s->at, " \t");
}

static int parse_factor(struct select *s, struct selection *ret)
{
	skip_space(s);
	if (*s->at != '(')
		return select_parse(s, ret);
	s->at++;
	if (++s->depth > DEPTH_MAX)
		return select_error(s, "more than %d parentheses inside each other", DEPTH_MAX);
	if (parse_sum(s, ret) < 0)
		return -1;
	if (*s->at != ')')
		return select_error(s, "\")\" is missing");
	s->at++;
	s->depth--;
	skip_space(s);
	return 0;
}

static int parse_product(struct select *s, struct selection *ret)
{
	if (parse_factor(s, ret) < 0)
		return -1;
	while (skip_space(s), *s->at == '&') {
		_cleanup_selection_ struct selection right = { 0 };

		s->at++;
		if (parse_factor(s, &right) < 0)
			return -1;
		cpuset_and(&ret->cpus, &right.cpus);
		cpuset_or(&ret->named, &right.named);
		cpuset_and(&ret->named, &ret->cpus);
	}
	return 0;
}

static int parse_sum(struct select *s, struct selection *ret)
{
	if (parse_product(s, ret) < 0)
		return -1;
	while (*s->at == '+' || *s->at == '-') {
		_cleanup_selection_ struct selection right = { 0 };
		char sign = *s->at++;

		if (parse_product(s, &right) < 0)
			return -1;
		if (sign == '+') {
			cpuset_or(&ret->cpus, &right.cpus);
			cpuset_or(&ret->named, &right.named);
		} else {
			cpuset_andnot(&ret->cpus, &right.cpus);
			cpuset_andnot(&ret->named, &right.cpus);
		}
	}
	return 0;
}

/* Core 0 carries what cannot be moved: timers, the kernel's boot CPU. */
static void keep_first(const struct expr_env *env, struct selection *sel, struct strv *notes)
{
	_cleanup_cpuset_ struct cpuset first = { 0 };

	cpuset_copy(&first, &env->topo->cpus[0].siblings);
	cpuset_and(&first, &sel->cpus);
	cpuset_andnot(&first, &sel->named);
	if (!env->keep_first || cpuset_empty(&first))
		return;
	cpuset_andnot(&sel->cpus, &first);
	if (notes) {
		_cleanup_free_ char *list = cpulist_format(&first);

		strv_addf(notes,
			  "CPU %s stays with the host: core 0 is the guest's only when it "
			  "is named by number",
			  list);
	}
}

static void note_siblings(const struct select *s, const struct selection *sel, struct strv *notes)
{
	_cleanup_cpuset_ struct cpuset added = { 0 };

	cpuset_copy(&added, &s->completed);
	cpuset_andnot(&added, &s->written);
	cpuset_and(&added, &sel->cpus);
	if (notes && !cpuset_empty(&added)) {
		_cleanup_free_ char *list = cpulist_format(&added);

		strv_addf(notes,
			  "CPU %s added, the SMT siblings of those that are named; "
			  "\"smt\": \"split\" leaves them out",
			  list);
	}
}

/* The expression and a caret, shortened where it is long. What is not ASCII is
 * one "?" a character: the caret must not stray. */
static void show_place(const char *text, size_t at, struct err *err)
{
	size_t from = at > 40 ? at - 40 : 0, have = strlen(err->text), n = 0;
	int column = 0;
	char line[73];

	if (!*text)
		return;
	for (size_t i = from; text[i] && n < sizeof(line) - 1; i++) {
		char c = text[i];

		if (i == at)
			column = (int)n;
		if (((unsigned char)c & 0xc0) != 0x80)
			line[n++] = (char)(c >= ' ' && c <= '~' ? c : '?');
	}
	if (!text[at])
		column = (int)n;
	line[n] = '\0';
	if (have + n + (size_t)column + 16 < sizeof(err->text))
		snprintf(err->text + have, sizeof(err->text) - have, "\n    %s\n    %*s^", line,
			 column, "");
}

static int evaluate(struct select *s, struct selection *sel, struct strv *notes)
{
	if (strlen(s->text) > TEXT_MAX) {
		s->at += TEXT_MAX;
		return select_error(s, "the expression is longer than %d characters", TEXT_MAX);
	}
	skip_space(s);
	if (*s->at == '\0')
		return select_error(s, "it names no CPU; write it like 2-7 or cores:6");
	if (parse_sum(s, sel) < 0)
		return -1;
	if (*s->at != '\0')
		return select_trailing(s);
	keep_first(s->env, sel, notes);
	note_siblings(s, sel, notes);
	if (!cpuset_empty(&sel->cpus) || s->env->foreign)
		return 0;
	s->at = s->text;
	return select_error(s, "no CPU is left of it on this machine");
}

int expr_eval(struct expr_env *env, const char *text, struct cpuset *set, struct strv *notes,
	      struct err *err)
{
	_cleanup_selection_ struct selection sel = { 0 };
	struct select s = { .env = env, .text = text, .at = text, .err = err };
	int rc = evaluate(&s, &sel, notes);

	cpuset_clear(&s.written);
	cpuset_clear(&s.completed);
	if (rc < 0) {
		env->at = (size_t)(s.at - text);
		if (err)
			show_place(text, env->at, err);
		return -1;
	}
	cpuset_copy(set, &sel.cpus);
	return 0;
}
