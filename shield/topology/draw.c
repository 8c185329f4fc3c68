/* SPDX-License-Identifier: MIT */
#include "shield/topology/draw.h"

#include "shield/base/text.h"
#include "shield/topology/discover.h"

#include <string.h>

/* Pixels. */
#define CPU_WIDTH 40
#define CPU_HEIGHT 30
#define GAP 6
#define MARGIN 20
#define LINE 22
#define ROW_WIDTH 960

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
	_cleanup_free_ char *escaped = text_escape(words);

	text_print(out, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
	for (const char *at = escaped; *at; at++)
		switch (*at) {
		case '<':
			text_put(out, "&lt;");
			break;
		case '&':
			text_put(out, "&amp;");
			break;
		default:
			fputc(*at, out);
		}
	text_put(out, "</text>\n");
}

static void box(FILE *out, int x, int y, int width, int height, const char *fill)
{
	text_print(out,
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

static int core_width(const struct topo_cpu *cpu)
{
	int threads = (int)cpuset_count(&cpu->siblings);

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

/* The groups below each other, each kind of core in rows of its own; returns
 * where the next thing goes, and in width how wide the widest row is. */
static int draw_groups(const struct topology *topo, const struct topo_owner *owners, size_t n,
		       int *width, FILE *out)
{
	_cleanup_free_ const struct topo_cpu **cpus = map_order(topo);
	int x = MARGIN, y = MARGIN, kinds = 0, row = CPU_HEIGHT + 3 * GAP;
	const struct topo_cpu *last = NULL;

	for (size_t i = 0; i < topo->n; i++)
		kinds |= *topo->cpus[i].kind;
	row += kinds ? 2 * GAP : 0;
	for (size_t i = 0; i < topo->n; i++) {
		const struct topo_cpu *cpu = cpus[i];
		bool group = !last || !map_same_group(last, cpu);

		if (cpuset_next(&cpu->siblings, -1) != (int)cpu->cpu)
			continue;
		if (last && (group || strcmp(last->kind, cpu->kind) != 0 ||
			     x + core_width(cpu) > ROW_WIDTH)) {
			y += row;
			x = MARGIN;
		}
		if (group) {
			_cleanup_free_ char *heading = map_heading(cpu);

			y += last ? GAP : 0;
			text(out, MARGIN, y + 12, "font-weight=\"bold\"", heading);
			y += LINE + (kinds ? 2 : 0) * GAP;
		}
		draw_core(cpu, owners, n, x, y, out);
		x += core_width(cpu) + GAP;
		*width = x > *width ? x : *width;
		last = cpu;
	}
	return y + row + GAP;
}

void draw_svg(const struct topology *topo, const struct topo_owner *owners, size_t n, FILE *out)
{
	/* Room for a heading and for the names of shields, too. */
	int width = 420, height;
	char *body = NULL;
	size_t size;
	FILE *inner = open_memstream(&body, &size);

	if (!inner)
		mem_exhausted();
	height = draw_groups(topo, owners, n, &width, inner);
	height = draw_legend(owners, n, height, inner) + MARGIN;
	width += MARGIN - GAP;
	if (fclose(inner) != 0)
		mem_exhausted();
	text_print(out,
		   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		   "font-family=\"sans-serif\" font-size=\"13\">\n"
		   "<rect width=\"100%%\" height=\"100%%\" fill=\"#fafafa\"/>\n",
		   width, height);
	text_put(out, body);
	text_put(out, "</svg>\n");
	free(body);
}

/* Sets of CPUs that get a box of their own. */
struct boxes {
	struct {
		struct cpuset cpus;
		char *label;
	} * items;
	size_t n, cap;
};

/* The children of obj that are wholly in `cpus`, as one box, unless that is obj
 * itself; and the same below those that are only partly. */
static void find_boxes(hwloc_obj_t obj, const struct cpuset *cpus, const char *label,
		       struct boxes *boxes)
{
	struct cpuset all = { obj->cpuset };
	_cleanup_cpuset_ struct cpuset box = { 0 };

	if (obj->type == HWLOC_OBJ_CORE || !cpuset_intersects(&all, cpus) ||
	    cpuset_within(&all, cpus))
		return;
	for (unsigned i = 0; i < obj->arity; i++) {
		struct cpuset child = { obj->children[i]->cpuset };

		if (cpuset_within(&child, cpus))
			cpuset_or(&box, &child);
		else
			find_boxes(obj->children[i], cpus, label, boxes);
	}
	if (cpuset_empty(&box))
		return;
	GROW(boxes->items, boxes->n, boxes->cap);
	boxes->items[boxes->n].label = xstrdup(label);
	boxes->items[boxes->n].cpus = box;
	boxes->n++;
	box = (struct cpuset){ 0 };
}

/* lstopo draws of many children that are alike only the first and the last: a
 * box around those of an owner makes them differ, and names him. */
static void add_boxes(hwloc_topology_t hwloc, const struct topo_owner *owners, size_t n)
{
	struct boxes boxes = { 0 };

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *guest = xasprintf("guest of %s", owners[i].name);
		_cleanup_free_ char *emulator = xasprintf("emulator of %s", owners[i].name);

		find_boxes(hwloc_get_root_obj(hwloc), &owners[i].guest, guest, &boxes);
		find_boxes(hwloc_get_root_obj(hwloc), &owners[i].emulator, emulator, &boxes);
	}
	for (size_t i = 0; i < boxes.n; i++) {
		hwloc_obj_t group = hwloc_topology_alloc_group_object(hwloc);

		if (!group)
			mem_exhausted();
		group->cpuset = hwloc_bitmap_dup(boxes.items[i].cpus.bits);
		group->attr->group.dont_merge = 1;
		group = hwloc_topology_insert_group_object(hwloc, group);
		if (group && group->type == HWLOC_OBJ_GROUP && !group->subtype)
			group->subtype = take_ptr(boxes.items[i].label);
		cpuset_clear(&boxes.items[i].cpus);
		free(boxes.items[i].label);
	}
	free(boxes.items);
}

char *draw_xml(struct sys *sys, const struct topo_owner *owners, size_t n, struct err *err)
{
	_cleanup_discover_ hwloc_topology_t hwloc = NULL;
	hwloc_obj_t pu = NULL;
	char *buffer, *xml;
	int size;

	if (discover(sys, true, &hwloc, err) < 0)
		return NULL;
	while ((pu = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_PU, pu))) {
		_cleanup_free_ char *owner = owner_text(owners, n, pu->os_index);
		_cleanup_free_ char *style =
			xasprintf("Background=%s", draw_color(owners, n, pu->os_index));

		if (hwloc_obj_add_info(pu, "lstopoStyle", style) < 0 ||
		    hwloc_obj_add_info(pu, "ShieldOwner", owner) < 0)
			mem_exhausted();
	}
	add_boxes(hwloc, owners, n);
	if (hwloc_topology_export_xmlbuffer(hwloc, &buffer, &size, 0) < 0) {
		err_set(err, ERR_FAILED, "hwloc cannot export the topology as XML");
		return NULL;
	}
	xml = xstrndup(buffer, (size_t)size);
	hwloc_free_xmlbuffer(hwloc, buffer);
	return xml;
}
