/* SPDX-License-Identifier: MIT */
#include "shield/topology/map.h"
#include "shield/base/text.h"

#include <string.h>

#define RESET "\033[0m"

/* Guests are bright, emulators of the same shield the same colour, but dim. */
static const char *const colors[] = { "32", "36", "35", "33", "34", "31" };

static int guest_of(const struct topo_owner *owners, size_t n, unsigned cpu)
{
	for (size_t i = 0; i < n; i++)
		if (cpuset_has(&owners[i].guest, cpu))
			return (int)i;
	return -1;
}

static int emulator_of(const struct topo_owner *owners, size_t n, unsigned cpu)
{
	for (size_t i = 0; i < n; i++)
		if (cpuset_has(&owners[i].emulator, cpu))
			return (int)i;
	return -1;
}

char *owner_text(const struct topo_owner *owners, size_t n, unsigned cpu)
{
	int guest = guest_of(owners, n, cpu);
	int emulator = emulator_of(owners, n, cpu);

	if (guest >= 0)
		return xasprintf("guest:%s", owners[guest].name);
	if (emulator >= 0)
		return xasprintf("emulator:%s", owners[emulator].name);
	return xstrdup("host");
}

/* '.' for the host, 'A' and so on for guests, 'a' and so on for emulators. */
static char mark_of(const struct topo_owner *owners, size_t n, unsigned cpu, const char **color)
{
	int guest = guest_of(owners, n, cpu);
	int emulator = emulator_of(owners, n, cpu);

	*color = NULL;
	if (guest < 0 && emulator < 0)
		return '.';
	*color = colors[(size_t)(guest >= 0 ? guest : emulator) % ARRAY_SIZE(colors)];
	return (char)(guest >= 0 ? 'A' + guest % 26 : 'a' + emulator % 26);
}

/* -1, not known, comes last. */
static int compare(int a, int b)
{
	return (unsigned)a < (unsigned)b ? -1 : a != b;
}

static int by_group(const void *a, const void *b)
{
	const struct topo_cpu *x = *(const struct topo_cpu *const *)a;
	const struct topo_cpu *y = *(const struct topo_cpu *const *)b;
	int order = compare(x->package, y->package);

	order = order ? order : compare(x->node, y->node);
	order = order ? order : compare(x->l3, y->l3);
	order = order ? order : compare(x->core, y->core);
	return order ? order : x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

bool map_same_group(const struct topo_cpu *x, const struct topo_cpu *y)
{
	return x->package == y->package && x->node == y->node && x->l3 == y->l3;
}

char *map_heading(const struct topo_cpu *cpu)
{
	_cleanup_free_ char *package =
		cpu->package < 0 ? xstrdup("") : xasprintf("package %d, ", cpu->package);
	_cleanup_free_ char *node = cpu->node < 0 ? xstrdup("") : xasprintf("node %d, ", cpu->node);

	if (cpu->l3 < 0)
		return xasprintf("%s%sno L3", package, node);
	return xasprintf("%s%sL3 %d (%.4g MiB)", package, node, cpu->l3,
			 (double)cpu->l3_bytes / (1 << 20));
}

/* One core: its CPUs, each with the mark of its owner. Returns the width. */
static int print_core(const struct topo_cpu *cpu, const struct topo_owner *owners, size_t n,
		      bool color, FILE *out)
{
	int width = 0;

	for (int c = cpuset_next(&cpu->siblings, -1); c >= 0; c = cpuset_next(&cpu->siblings, c)) {
		const char *hue;
		char mark = mark_of(owners, n, (unsigned)c, &hue);
		_cleanup_free_ char *text = xasprintf("%s%d%c", width ? " " : "", c, mark);

		if (color && hue)
			text_print(out, "\033[%s;%sm%s" RESET, mark >= 'a' ? "2" : "1", hue, text);
		else
			text_put(out, text);
		width += (int)strlen(text);
	}
	return width;
}

static int cell_width(const struct topology *topo)
{
	int widest = 0;

	for (size_t i = 0; i < topo->n; i++) {
		const struct cpuset *all = &topo->cpus[i].siblings;
		int width = 0;

		for (int c = cpuset_next(all, -1); c >= 0; c = cpuset_next(all, c))
			width += snprintf(NULL, 0, "%s%d.", width ? " " : "", c);
		widest = width > widest ? width : widest;
	}
	return widest;
}

static void print_legend_line(const char *mark, const char *text, const struct cpuset *cpus,
			      const char *hue, FILE *out)
{
	_cleanup_free_ char *list = cpulist_format(cpus);

	if (hue)
		text_print(out, "\033[%s;%sm%s  %-24s" RESET "  %s\n", *mark >= 'a' ? "2" : "1",
			   hue, mark, text, list);
	else
		text_print(out, "%s  %-24s  %s\n", mark, text, list);
}

static void print_legend(const struct topology *topo, const struct topo_owner *owners, size_t n,
			 bool color, FILE *out)
{
	_cleanup_cpuset_ struct cpuset host = { 0 }, offline = { 0 };

	cpuset_copy(&host, &topo->online);
	cpuset_copy(&offline, &topo->present);
	cpuset_andnot(&offline, &topo->online);
	for (size_t i = 0; i < n; i++) {
		cpuset_andnot(&host, &owners[i].guest);
		cpuset_andnot(&host, &owners[i].emulator);
	}
	fputc('\n', out);
	print_legend_line(".", "host", &host, NULL, out);
	for (size_t i = 0; i < n; i++) {
		const char *hue = color ? colors[i % ARRAY_SIZE(colors)] : NULL;
		char mark[2] = { (char)('A' + i % 26), '\0' };
		_cleanup_free_ char *guest = xasprintf("guest of %s", owners[i].name);
		_cleanup_free_ char *emulator = xasprintf("emulator of %s", owners[i].name);

		print_legend_line(mark, guest, &owners[i].guest, hue, out);
		*mark = (char)('a' + i % 26);
		if (!cpuset_empty(&owners[i].emulator))
			print_legend_line(mark, emulator, &owners[i].emulator, hue, out);
	}
	if (!cpuset_empty(&offline))
		print_legend_line("-", "offline", &offline, NULL, out);
}

const struct topo_cpu **map_order(const struct topology *topo)
{
	const struct topo_cpu **cpus = xcalloc(topo->n, sizeof(*cpus));

	for (size_t i = 0; i < topo->n; i++)
		cpus[i] = &topo->cpus[i];
	qsort(cpus, topo->n, sizeof(*cpus), by_group);
	return cpus;
}

void map_print(const struct topology *topo, const struct topo_owner *owners, size_t n, int width,
	       bool color, FILE *out)
{
	_cleanup_free_ const struct topo_cpu **cpus = map_order(topo);
	const struct topo_cpu *last = NULL;
	int cell = cell_width(topo) + 2, column = 0;

	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = cpus[i];

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu)
			continue; /* drawn with its core */
		if (last && (!map_same_group(last, cpu) || strcmp(last->kind, cpu->kind) != 0 ||
			     column + cell > width)) {
			fputc('\n', out);
			column = 0;
		}
		if (!last || !map_same_group(last, cpu)) {
			_cleanup_free_ char *heading = map_heading(cpu);

			text_print(out, "%s\n", heading);
		}
		if (column == 0) {
			bool name_kind = *cpu->kind && (!last || !map_same_group(last, cpu) ||
							strcmp(last->kind, cpu->kind) != 0);

			column = text_print(out, "  %-5s", name_kind ? cpu->kind : "");
		} else {
			column += text_print(out, "  ");
		}
		last = cpu;
		column += print_core(cpu, owners, n, color, out);
		/* Pad only where another cell follows on the line. */
		for (size_t next = i + 1; next < topo->n; next++) {
			if (cpuset_next(&cpus[next]->siblings, -1) != (int)cpus[next]->cpu)
				continue;
			if (!map_same_group(cpu, cpus[next]) ||
			    strcmp(cpu->kind, cpus[next]->kind) != 0)
				break;
			while ((column - 7) % cell != cell - 2 && column + cell <= width) {
				fputc(' ', out);
				column++;
			}
			break;
		}
	}
	fputc('\n', out);
	print_legend(topo, owners, n, color, out);
}
