#include "shield/topology/draw.h"

#include "shield/topology/discover.h"

#include <string.h>

/* Pixels. */
#define CPU_WIDTH 40
#define CPU_HEIGHT 30
#define GAP 6
#define MARGIN 20
#define LINE 22
#define CORES_PER_ROW 8

static const struct {
	const char *guest, *emulator;
} colors[] = {
	{ "#2ca02c", "#c5e8c5" }, { "#1f77b4", "#c4ddf0" }, { "#9467bd", "#e2d8ec" },
	{ "#ff7f0e", "#ffe0c2" }, { "#d62728", "#f5c6c6" }, { "#17becf", "#c2eef3" },
};

#define HOST_COLOR "#ffffff"

const char *draw_color(const struct topo_owner *owners, size_t n, unsigned cpu)
{
	for (size_t i = 0; i < n; i++)
		if (cpuset_has(&owners[i].guest, cpu))
			return colors[i % ARRAY_SIZE(colors)].guest;
	for (size_t i = 0; i < n; i++)
		if (cpuset_has(&owners[i].emulator, cpu))
			return colors[i % ARRAY_SIZE(colors)].emulator;
	return HOST_COLOR;
}

static void text(FILE *out, int x, int y, const char *style, const char *words)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
	for (; *words; words++)
		switch (*words) {
		case '<':
			fputs("&lt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*words, out);
		}
	fputs("</text>\n", out);
}

static void box(FILE *out, int x, int y, int width, int height, const char *fill)
{
	fprintf(out,
		"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" fill=\"%s\" "
		"stroke=\"#444444\"/>\n",
		x, y, width, height, fill);
}

/* A core: its CPUs side by side in a box, and above them what kind it is. */
static void draw_core(const struct topo_cpu *cpu, const struct topo_owner *owners, size_t n, int x,
		      int y, FILE *out)
{
	int threads = (int)cpuset_count(&cpu->siblings), column = 0;

	box(out, x, y, threads * CPU_WIDTH + (threads + 1) * GAP, CPU_HEIGHT + 2 * GAP, "#e8e8e8");
	for (int c = cpuset_next(&cpu->siblings, -1); c >= 0; c = cpuset_next(&cpu->siblings, c)) {
		_cleanup_free_ char *number = xasprintf("%d", c);
		int left = x + GAP + column++ * (CPU_WIDTH + GAP);

		box(out, left, y + GAP, CPU_WIDTH, CPU_HEIGHT, draw_color(owners, n, (unsigned)c));
		text(out, left + CPU_WIDTH / 2, y + GAP + 20, "text-anchor=\"middle\"", number);
	}
	if (*cpu->kind)
		text(out, x + GAP, y - 2, "font-size=\"9\"", cpu->kind);
}

static int widest_core(const struct topology *topo)
{
	int threads = 1;

	for (size_t i = 0; i < topo->n; i++)
		if ((int)cpuset_count(&topo->cpus[i].siblings) > threads)
			threads = (int)cpuset_count(&topo->cpus[i].siblings);
	return threads * CPU_WIDTH + (threads + 1) * GAP;
}

static int draw_legend(const struct topo_owner *owners, size_t n, int y, FILE *out)
{
	for (size_t i = 0; i <= n; i++) {
		_cleanup_free_ char *words =
			i ? xasprintf("guest of %s", owners[i - 1].name) : xstrdup("host");
		size_t hue = i ? (i - 1) % ARRAY_SIZE(colors) : 0;

		box(out, MARGIN, y, 16, 16, i ? colors[hue].guest : HOST_COLOR);
		text(out, MARGIN + 24, y + 13, "", words);
		y += LINE;
		if (i && !cpuset_empty(&owners[i - 1].emulator)) {
			_cleanup_free_ char *more = xasprintf("emulator of %s", owners[i - 1].name);

			box(out, MARGIN, y, 16, 16, colors[hue].emulator);
			text(out, MARGIN + 24, y + 13, "", more);
			y += LINE;
		}
	}
	return y;
}

/* The groups below each other; returns where the next thing goes, and in columns
 * how many cores are beside each other. */
static int draw_groups(const struct topology *topo, const struct topo_owner *owners, size_t n,
		       int core_width, int *columns, FILE *out)
{
	_cleanup_free_ const struct topo_cpu **cpus = map_order(topo);
	const struct topo_cpu *last = NULL;
	int y = MARGIN, column = 0;

	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = cpus[i];

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu)
			continue;
		if (!last || !map_same_group(last, cpu)) {
			_cleanup_free_ char *heading = map_heading(cpu);

			y += last ? CPU_HEIGHT + 5 * GAP : 0;
			text(out, MARGIN, y + 12, "font-weight=\"bold\"", heading);
			y += LINE + (*cpu->kind ? 2 : 1) * GAP;
			column = 0;
		} else if (column == CORES_PER_ROW) {
			y += CPU_HEIGHT + 5 * GAP;
			column = 0;
		}
		draw_core(cpu, owners, n, MARGIN + column++ * (core_width + GAP), y, out);
		*columns = column > *columns ? column : *columns;
		last = cpu;
	}
	return y + CPU_HEIGHT + 5 * GAP;
}

void draw_svg(const struct topology *topo, const struct topo_owner *owners, size_t n, FILE *out)
{
	int core_width = widest_core(topo), columns = 0, height, width;
	char *body = NULL;
	size_t size;
	FILE *inner = open_memstream(&body, &size);

	if (!inner)
		mem_exhausted();
	height = draw_groups(topo, owners, n, core_width, &columns, inner);
	height = draw_legend(owners, n, height, inner) + MARGIN;
	/* Room for a heading and for the names of shields, too. */
	width = 2 * MARGIN + (columns > 4 ? columns : 4) * (core_width + GAP);
	if (fclose(inner) != 0)
		mem_exhausted();
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fafafa\"/>\n%s</svg>\n",
		width, height, body);
	free(body);
}

char *draw_xml(const char *root, const struct topo_owner *owners, size_t n, struct err *err)
{
	_cleanup_discover_ hwloc_topology_t hwloc = NULL;
	hwloc_obj_t pu = NULL;
	char *buffer, *xml;
	int size;

	if (discover(root, true, &hwloc, err) < 0)
		return NULL;
	while ((pu = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, pu))) {
		_cleanup_free_ char *owner = owner_text(owners, n, pu->os_index);
		_cleanup_free_ char *style =
			xasprintf("Background=%s", draw_color(owners, n, pu->os_index));

		if (hwloc_obj_add_info(pu, "lstopoStyle", style) < 0 ||
		    hwloc_obj_add_info(pu, "ShieldOwner", owner) < 0)
			mem_exhausted();
	}
	if (hwloc_topology_export_xmlbuffer(hwloc, &buffer, &size, 0) < 0) {
		err_set(err, ERR_FAILED, "hwloc cannot export the topology as XML");
		return NULL;
	}
	xml = xstrndup(buffer, (size_t)size);
	hwloc_free_xmlbuffer(hwloc, buffer);
	return xml;
}
