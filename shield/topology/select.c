/* SPDX-License-Identifier: MIT */
#include "shield/topology/select.h"

#include "shield/base/pci_address.h"
#include "shield/base/similar.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define LIST_CHARS "0123456789,-:^"

int select_error(struct select *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(s->err, ERR_USAGE, "%s", text);
}

int select_trailing(struct select *s)
{
	if (isalnum((unsigned char)*s->at))
		return select_error(s, "an operator is missing; join sets with +, - or &");
	if (*s->at == ')')
		return select_error(s, "\")\" closes nothing");
	return select_error(s, "unexpected character; write it like 0-3,8 or \"p-cores - core:0\"");
}

/* The offset in a list of the element that brought in the CPU or number. */
static size_t offset_of(const char *list, unsigned wanted)
{
	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		const char *item = at + (*at == '^');
		char *end;
		unsigned long first = strtoul(item, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, NULL, 10);
		if (wanted == first)
			return (size_t)(item - list);
		if (wanted == last)
			return (size_t)(end + 1 - list);
		if (wanted > first && wanted < last)
			return (size_t)(item - list);
	}
	return 0;
}

/* A character that does not belong to the list or word before it. */
static int unexpected(struct select *s)
{
	if (*s->at == '-')
		return select_error(s, "put a space before \"-\" to take CPUs away");
	if (strchr(",^", *s->at))
		return select_error(s,
				    "unexpected \"%c\"; only numbers are listed: write it like "
				    "0-3,8,^2 or \"all - 2 + 3\"",
				    *s->at);
	return select_error(s, "unexpected \"%c\"; write it like 0-3,8", *s->at);
}

/* A list of numbers, of CPUs, caches, nodes …; `of`: those that exist. */
static int parse_numbers(struct select *s, const char *what, const struct cpuset *of,
			 struct cpuset *in, struct cpuset *out)
{
	_cleanup_free_ char *list = xstrndup(s->at, strspn(s->at, LIST_CHARS));
	_cleanup_free_ char *have = cpulist_format(of);
	_cleanup_cpuset_ struct cpuset missing = { 0 };
	bool cpus = strcmp(what, "CPU") == 0;
	struct err err = { 0 };
	size_t at = 0;

	if (!*list)
		return select_error(s, "a number is missing; this machine has %ss %s", what, have);
	if (cpulist_parse_parts(list, in, out, &at, &err) < 0) {
		/* Say where in the whole expression, not in the list. */
		char *place = strstr(err.text, " at character "), *cause = strstr(err.text, "\": ");

		s->at += at;
		if (list[at] && strstr(err.text, "unexpected text"))
			return unexpected(s);
		if (place)
			*place = '\0';
		return select_error(s, "%s; write it like 0-3,8; this machine has %ss %s",
				    cause ? cause + 3 : err.text, what, have);
	}
	/* One that is offline may be excluded. */
	cpuset_copy(&missing, out);
	cpuset_andnot(&missing, cpus ? &s->env->topo->present : of);
	if (cpuset_empty(&missing)) {
		cpuset_copy(&missing, in);
		cpuset_andnot(&missing, out);
		cpuset_andnot(&missing, of);
	}
	if (!cpuset_empty(&missing) && !s->env->foreign) {
		int first = cpuset_next(&missing, -1);

		s->at += offset_of(list, (unsigned)first);
		if (cpus && cpuset_has(&s->env->topo->present, (unsigned)first))
			return select_error(s,
					    "CPU %d is offline; bring it online with: "
					    "echo 1 > /sys/devices/system/cpu/cpu%d/online",
					    first, first);
		return select_error(s, "%s %d does not exist; this machine has %s", what, first,
				    have);
	}
	if (cpuset_empty(in))
		return select_error(s, "there is nothing to exclude from; write it like 0-7,^3 or "
				       "\"all - 3\"");
	s->at += strlen(list);
	return 0;
}

static int parse_cpus(struct select *s, struct selection *ret)
{
	_cleanup_cpuset_ struct cpuset in = { 0 }, out = { 0 }, written = { 0 };

	if (parse_numbers(s, "CPU", &s->env->topo->online, &in, &out) < 0)
		return -1;
	cpuset_copy(&written, &in);
	if (!s->env->split) {
		topology_complete(s->env->topo, &in);
		topology_complete(s->env->topo, &out);
	}
	cpuset_andnot(&in, &out);
	cpuset_copy(&ret->cpus, &in);
	cpuset_copy(&ret->named, &in);
	cpuset_or(&s->completed, &in);
	cpuset_or(&s->written, &written);
	return 0;
}

static int field_core(const struct topo_cpu *cpu)
{
	return cpu->core;
}
static int field_l3(const struct topo_cpu *cpu)
{
	return cpu->l3;
}
static int field_node(const struct topo_cpu *cpu)
{
	return cpu->node;
}
static int field_package(const struct topo_cpu *cpu)
{
	return cpu->package;
}

typedef int field_fn(const struct topo_cpu *cpu);

struct word {
	const char *name;
	bool argument; /* followed by ":" and more */
	int (*parse)(struct select *s, const struct word *word, struct selection *ret);
	const char *what; /* of groups in words, of kinds as topo_cpu has it */
	field_fn *field;  /* of groups */
};

/* l3:largest, the one with V-Cache. */
static int parse_largest(struct select *s, struct selection *ret)
{
	static const char *const names[] = { "largest" };
	_cleanup_free_ char *name = xstrndup(s->at, strspn(s->at, NAME_CHARS));
	const struct topo_cpu *best = NULL;

	if (strcmp(name, names[0]) != 0)
		return select_error(s, "an L3 cache has a number, or is the \"largest\"%s",
				    similar_find(name, names, 1) ? "; did you mean that?" : "");
	for (size_t i = 0; i < s->env->topo->n; i++) {
		const struct topo_cpu *cpu = &s->env->topo->cpus[i];

		if (cpu->l3 >= 0 && (!best || cpu->l3_bytes > best->l3_bytes))
			best = cpu;
	}
	if (!best && !s->env->foreign)
		return select_error(s, "this machine has no L3 cache");
	for (size_t i = 0; best && i < s->env->topo->n; i++) {
		const struct topo_cpu *cpu = &s->env->topo->cpus[i];

		if (cpu->l3 == best->l3)
			cpuset_add(&ret->cpus, cpu->cpu);
		else if (!s->env->foreign && cpu->l3 >= 0 && cpu->l3_bytes == best->l3_bytes)
			return select_error(s,
					    "no L3 cache is the largest: %d and %d are alike; "
					    "choose one by number",
					    best->l3, cpu->l3);
	}
	s->at += strlen("largest");
	return 0;
}

/* WORD:LIST, by a number that each CPU has. */
static int parse_group(struct select *s, const struct word *word, struct selection *ret)
{
	const char *what = word->what;
	field_fn *field = word->field;
	bool by_size = field == field_l3;
	_cleanup_cpuset_ struct cpuset of = { 0 }, in = { 0 }, out = { 0 };

	for (size_t i = 0; i < s->env->topo->n; i++)
		if (field(&s->env->topo->cpus[i]) >= 0)
			cpuset_add(&of, (unsigned)field(&s->env->topo->cpus[i]));
	if (cpuset_empty(&of) && !s->env->foreign)
		return select_error(s, "this machine tells no %s numbers; write CPU numbers", what);
	if (by_size && isalpha((unsigned char)*s->at))
		return parse_largest(s, ret);
	if (parse_numbers(s, what, &of, &in, &out) < 0)
		return -1;
	cpuset_andnot(&in, &out);
	for (size_t i = 0; i < s->env->topo->n; i++) {
		const struct topo_cpu *cpu = &s->env->topo->cpus[i];

		if (field(cpu) >= 0 && cpuset_has(&in, (unsigned)field(cpu)))
			cpuset_add(&ret->cpus, cpu->cpu);
	}
	if (field == field_core)
		cpuset_copy(&ret->named, &ret->cpus);
	return 0;
}

static int parse_near(struct select *s, const struct word *word, struct selection *ret)
{
	size_t n = strspn(s->at, "0123456789abcdefABCDEF:.");
	_cleanup_free_ char *written = xstrndup(s->at, n);
	_cleanup_free_ char *address = pci_address_parse(written), *path = NULL, *text = NULL;

	(void)word;
	if (!address)
		return select_error(s, "expected " PCI_ADDRESS_EXPECTED "; lspci -D lists them");
	path = xasprintf("/sys/bus/pci/devices/%s/local_cpulist", address);
	if (sys_read_line(s->env->sys, path, &text) < 0) {
		s->at += s->env->foreign ? n : 0;
		if (s->env->foreign)
			return 0;
		return select_error(s, "there is no PCI device %s; lspci -D lists them", address);
	}
	if (cpulist_parse(text, &ret->cpus, NULL) < 0)
		return select_error(s, "%s is not a CPU list: \"%.40s\"", path, text);
	cpuset_and(&ret->cpus, &s->env->topo->online);
	s->at += n;
	return 0;
}

static int parse_selector(struct select *s, struct selection *ret);

/* Does core 0 stay with the host, even where a word includes it? Not if it is
 * named. */
static bool kept(const struct select *s, const struct selection *from)
{
	const struct topo_cpu *first = &s->env->topo->cpus[0];

	return s->env->keep_first && !cpuset_within(&first->siblings, &from->named);
}

/* cores:N@SELECTOR, the last N whole cores: the host keeps the first. */
static int parse_cores(struct select *s, const struct word *word, struct selection *ret)
{
	_cleanup_selection_ struct selection from = { 0 };
	const char *number = s->at;
	size_t digits = strspn(s->at, "0123456789");
	unsigned long wanted = strtoul(s->at, NULL, 10);
	const char *but = "";
	unsigned have;

	(void)word;
	if (digits == 0 || digits > 5 || wanted == 0)
		return select_error(s, "expected how many cores, as in cores:6 or cores:6@l3:1");
	s->at += digits;
	if (*s->at == '@') {
		s->at++;
		if (parse_selector(s, &from) < 0)
			return -1;
	} else {
		cpuset_copy(&from.cpus, &s->env->topo->online);
	}
	if (kept(s, &from) && cpuset_intersects(&from.cpus, &s->env->topo->cpus[0].siblings)) {
		cpuset_andnot(&from.cpus, &s->env->topo->cpus[0].siblings);
		but = ": core 0 stays with the host unless it is named by number";
	}
	have = topology_whole_cores(s->env->topo, &from.cpus);
	if (wanted > have && !s->env->foreign) {
		s->at = number;
		return select_error(s, "%lu whole core%s not there, only %u%s", wanted,
				    wanted == 1 ? " is" : "s are", have, but);
	}
	for (size_t i = s->env->topo->n; i-- > 0 && wanted;) {
		const struct topo_cpu *cpu = &s->env->topo->cpus[i];

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu ||
		    !cpuset_within(&cpu->siblings, &from.cpus))
			continue;
		cpuset_or(&ret->cpus, &cpu->siblings);
		wanted--;
	}
	cpuset_copy(&ret->named, &from.named);
	cpuset_and(&ret->named, &ret->cpus);
	return 0;
}

static int parse_kind(struct select *s, const struct word *word, struct selection *ret)
{
	for (size_t i = 0; i < s->env->topo->n; i++)
		if (strcmp(s->env->topo->cpus[i].kind, word->what) == 0)
			cpuset_add(&ret->cpus, s->env->topo->cpus[i].cpu);
	return 0;
}

static int parse_all(struct select *s, const struct word *word, struct selection *ret)
{
	(void)word;
	cpuset_copy(&ret->cpus, &s->env->topo->online);
	return 0;
}

static int parse_housekeeping(struct select *s, const struct word *word, struct selection *ret)
{
	if (!s->env->housekeeping) {
		s->at -= strlen(word->name);
		return select_error(s, "the housekeeping CPUs are what the guest leaves: they "
				       "cannot be named here");
	}
	cpuset_copy(&ret->cpus, s->env->housekeeping);
	return 0;
}

static const struct word words[] = {
	{ "all", false, parse_all, NULL, NULL },
	{ "core", true, parse_group, "core", field_core },
	{ "cores", true, parse_cores, NULL, NULL },
	{ "e-cores", false, parse_kind, "E", NULL },
	{ "housekeeping", false, parse_housekeeping, NULL, NULL },
	{ "l3", true, parse_group, "L3 cache", field_l3 },
	{ "lp-e-cores", false, parse_kind, "LP-E", NULL },
	{ "near", true, parse_near, NULL, NULL },
	{ "node", true, parse_group, "node", field_node },
	{ "p-cores", false, parse_kind, "P", NULL },
	{ "package", true, parse_group, "package", field_package },
};

static const struct word *find_word(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i].name) == n && strncmp(words[i].name, name, n) == 0)
			return &words[i];
	return NULL;
}

static int unknown_word(struct select *s, size_t n)
{
	const char *names[ARRAY_SIZE(words)], *meant;
	_cleanup_free_ char *name = xstrndup(s->at, n);

	/* "all-3": a name that goes on with what was meant as an operator */
	for (size_t i = 1; i < n; i++)
		if (s->at[i] == '-' && find_word(s->at, i)) {
			s->at += i;
			return select_error(s, "put a space before \"-\" to take CPUs away");
		}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		names[i] = words[i].name;
	meant = similar_find(name, names, ARRAY_SIZE(words));
	if (meant)
		return select_error(s, "unknown word \"%.40s\"; did you mean \"%s\"?", name, meant);
	return select_error(s,
			    "unknown word \"%.40s\"; write CPU numbers, core:, l3:, node:, "
			    "package:, cores:, near:, p-cores, e-cores, lp-e-cores, all or "
			    "housekeeping",
			    name);
}

static int parse_word(struct select *s, struct selection *ret)
{
	size_t n = strspn(s->at, NAME_CHARS);
	const struct word *word = find_word(s->at, n);
	const char *start = s->at;

	if (!word)
		return unknown_word(s, n);
	s->at += n;
	if (word->argument != (*s->at == ':'))
		return select_error(s,
				    !word->argument ? "\"%s\" takes no number"
				    : word->parse == parse_near
					    ? "\":\" and a PCI address are missing after \"%s\""
					    : "\":\" and a number are missing after \"%s\"",
				    word->name);
	if (word->argument)
		s->at++;
	if (word->parse(s, word, ret) < 0)
		return -1;
	if (!cpuset_empty(&ret->cpus) || s->env->foreign)
		return 0;
	s->at = start;
	return select_error(s, "this machine has no %s; 'shield topology' shows what it has",
			    word->name);
}

static int parse_selector(struct select *s, struct selection *ret)
{
	if (isdigit((unsigned char)*s->at) || *s->at == '^')
		return parse_cpus(s, ret);
	if (isalpha((unsigned char)*s->at))
		return parse_word(s, ret);
	if (*s->at == '-')
		return select_error(s, "a CPU number cannot be negative");
	return select_error(s, *s->at ? "expected CPU numbers or a word"
				      : "CPU numbers or a word are missing");
}

int select_parse(struct select *s, struct selection *ret)
{
	if (parse_selector(s, ret) < 0)
		return -1;
	/* A number or name that goes on: "0-3x" */
	if (*s->at && (isalnum((unsigned char)*s->at) || strchr(",:^-", *s->at)))
		return unexpected(s);
	s->at += strspn(s->at, " \t");
	return 0;
}
