/* SPDX-License-Identifier: MIT */
/* shield profile suggest: a split for this machine, and what goes with it. */
#include "profiles/suggest.h"

#include "shield/base/text.h"
#include "shield/cmd/suggest.h"

#include "profiles/machine.h"
#include "shield/cmd/cmd.h"

#include <stdio.h>
#include <string.h>

/* Memory of each node of the guest in the lines that are shown. */
#define CELL_GIB 8

static json_t *list(const struct cpuset *cpus)
{
	_cleanup_free_ char *text = cpulist_format(cpus);

	return json_string(text);
}

/* Brackets and the like in names would mean something in a glob. */
static json_t *glob(const char *name)
{
	char *text = xmalloc(2 * strlen(name) + 1), *at = text;
	json_t *json;

	for (; *name; name++) {
		if (strchr("*?[\\", *name))
			*at++ = '\\';
		*at++ = *name;
	}
	*at = '\0';
	json = json_string(text);
	free(text);
	return json;
}

static json_t *profile_of(const struct machine *machine, const struct suggestion *s)
{
	json_t *profile = json_object(), *names = json_object(), *iothreads = json_array();
	json_t *vcpus = json_array();

	if (*machine->cpu)
		json_object_set_new(names, "cpu", glob(machine->cpu));
	if (*machine->board)
		json_object_set_new(names, "board", glob(machine->board));
	json_object_set_new(profile, "version", json_integer(1));
	json_object_set_new(profile, "name", json_string("vm"));
	if (json_object_size(names))
		json_object_set(profile, "machine", names);
	json_decref(names);
	json_object_set_new(profile, "guest", list(&s->guest));
	/* In the order of the guest's nodes, which "auto" does not know. */
	for (unsigned i = 0; i < s->n_vcpus; i++)
		json_array_append_new(vcpus, json_integer(s->vcpus[i]));
	if (s->n_cells > 1)
		json_object_set(profile, "vcpus", vcpus);
	json_decref(vcpus);
	json_object_set_new(profile, "emulator", json_string("housekeeping"));
	for (unsigned i = 0; i < s->n_iothreads; i++)
		json_array_append_new(iothreads, list(&s->iothreads[i]));
	if (s->n_iothreads)
		json_object_set(profile, "iothreads", iothreads);
	json_decref(iothreads);
	if (s->devices.n)
		json_object_set_new(profile, "irq",
				    json_pack("{s:o}", "devices", cmd_json_strings(&s->devices)));
	return profile;
}

/* AMD's CPUs show siblings to a guest only with this feature, and QEMU does not
 * set it by itself. */
static bool needs_topoext(const struct machine *machine, const struct suggestion *s)
{
	return s->threads > 1 && strncmp(machine->cpu, "AMD ", 4) == 0;
}

/* Sockets of the guest: one for each of its nodes, if these are alike. */
static unsigned sockets_of(const struct suggestion *s)
{
	for (size_t i = 1; i < s->n_cells; i++)
		if (s->cells[i].vcpus != s->cells[0].vcpus)
			return 1;
	return s->n_cells > 1 ? (unsigned)s->n_cells : 1;
}

/* The vCPUs of a cell: "0-7". */
static char *cell_vcpus(const struct suggestion *s, size_t cell)
{
	unsigned first = 0;

	for (size_t i = 0; i < cell; i++)
		first += s->cells[i].vcpus;
	return s->cells[cell].vcpus == 1
		       ? xasprintf("%u", first)
		       : xasprintf("%u-%u", first, first + s->cells[cell].vcpus - 1);
}

static FILE *open_text(char **text, size_t *size)
{
	FILE *out = open_memstream(text, size);

	if (!out)
		mem_exhausted();
	return out;
}

/* Where the memory is: the guest's own nodes, if the host's are several. */
static void print_numatune(const struct suggestion *s, FILE *out)
{
	_cleanup_cpuset_ struct cpuset nodes = { 0 };
	_cleanup_free_ char *list = NULL;

	if (!s->bound)
		return;
	for (size_t i = 0; i < s->n_cells; i++)
		cpuset_add(&nodes, (unsigned)s->cells[i].node);
	list = cpulist_format(&nodes);
	text_print(out, "<numatune>\n  <memory mode='strict' nodeset='%s'/>\n", list);
	for (size_t i = 0; s->n_cells > 1 && i < s->n_cells; i++)
		text_print(out, "  <memnode cellid='%zu' mode='strict' nodeset='%d'/>\n", i,
			   s->cells[i].node);
	text_print(out, "</numatune>\n");
}

static void print_cpu(const struct machine *machine, const struct suggestion *s, FILE *out)
{
	unsigned sockets = sockets_of(s);

	text_print(out,
		   "<cpu mode='host-passthrough'>\n"
		   "  <topology sockets='%u' dies='1' cores='%u' threads='%u'/>\n",
		   sockets, s->n_vcpus / s->threads / sockets, s->threads);
	if (needs_topoext(machine, s))
		text_print(out, "  <feature policy='require' name='topoext'/>\n");
	if (s->n_cells > 1)
		text_print(out, "  <numa>\n");
	for (size_t i = 0; s->n_cells > 1 && i < s->n_cells; i++) {
		_cleanup_free_ char *vcpus = cell_vcpus(s, i);

		text_print(out, "    <cell id='%zu' cpus='%s' memory='%d' unit='GiB'/>\n", i, vcpus,
			   CELL_GIB);
	}
	text_print(out, s->n_cells > 1 ? "  </numa>\n</cpu>\n" : "</cpu>\n");
}

/* The lines of a libvirt domain. */
static char *libvirt_of(const struct machine *machine, const struct suggestion *s)
{
	_cleanup_free_ char *host = cpulist_format(&s->housekeeping);
	char *text = NULL;
	size_t size;
	FILE *out = open_text(&text, &size);

	text_print(out, "<vcpu placement='static'>%u</vcpu>\n", s->n_vcpus);
	if (s->n_iothreads)
		text_print(out, "<iothreads>%u</iothreads>\n", s->n_iothreads);
	text_print(out, "<cputune>\n");
	for (unsigned i = 0; i < s->n_vcpus; i++)
		text_print(out, "  <vcpupin vcpu='%u' cpuset='%u'/>\n", i, s->vcpus[i]);
	text_print(out, "  <emulatorpin cpuset='%s'/>\n", host);
	for (unsigned i = 0; i < s->n_iothreads; i++) {
		_cleanup_free_ char *cpus = cpulist_format(&s->iothreads[i]);

		text_print(out, "  <iothreadpin iothread='%u' cpuset='%s'/>\n", i + 1, cpus);
	}
	text_print(out, "</cputune>\n");
	print_numatune(s, out);
	print_cpu(machine, s, out);
	if (fclose(out) != 0)
		mem_exhausted();
	return text;
}

/* The options for the memory of each node of the guest. */
static void print_memory(const struct suggestion *s, FILE *out)
{
	if (!s->bound && s->n_cells < 2)
		return;
	text_print(out, " -m %zuG", s->n_cells * CELL_GIB);
	for (size_t i = 0; i < s->n_cells; i++) {
		_cleanup_free_ char *vcpus = cell_vcpus(s, i);

		text_print(out, " -object memory-backend-ram,id=ram%zu,size=%dG", i, CELL_GIB);
		if (s->bound)
			text_print(out, ",host-nodes=%d,policy=bind", s->cells[i].node);
		if (s->n_cells > 1)
			text_print(out, " -numa node,nodeid=%zu,cpus=%s,memdev=ram%zu", i, vcpus,
				   i);
	}
	if (s->n_cells == 1)
		text_print(out, " -machine memory-backend=ram0");
}

static char *qemu_of(const struct machine *machine, const struct suggestion *s)
{
	unsigned sockets = sockets_of(s);
	char *text = NULL;
	size_t size;
	FILE *out = open_text(&text, &size);

	text_print(out, "-smp %u,sockets=%u,cores=%u,threads=%u%s", s->n_vcpus, sockets,
		   s->n_vcpus / s->threads / sockets, s->threads,
		   needs_topoext(machine, s) ? " -cpu host,topoext=on" : "");
	print_memory(s, out);
	if (fclose(out) != 0)
		mem_exhausted();
	return text;
}

int suggest_print(struct app *app, const struct topology *topo,
		  const struct suggest_request *request)
{
	_cleanup_suggestion_ struct suggestion s = { 0 };
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_free_ char *libvirt = NULL, *qemu = NULL, *dumped = NULL;
	_cleanup_free_ char *text = NULL, *escaped = NULL;
	json_t *profile;
	struct err err = { 0 };

	if (suggest(&app->sys, topo, request, &s, &err) < 0)
		return cmd_fail(&err);
	machine_read(&app->sys, &machine);
	if (needs_topoext(&machine, &s))
		strv_addf(&s.reasons, "topoext: without it a guest on AMD sees no siblings");
	libvirt = libvirt_of(&machine, &s);
	qemu = qemu_of(&machine, &s);
	profile = profile_of(&machine, &s);
	if (app->json)
		return cmd_print_json(
			json_pack("{s:i, s:o, s:o, s:o, s:s, s:s}", "version", 1, "profile",
				  profile, "reasons", cmd_json_strings(&s.reasons), "warnings",
				  cmd_json_strings(&s.warnings), "qemu", qemu, "libvirt", libvirt));
	cmd_warn(app, &s.warnings);
	for (size_t i = 0; i < s.reasons.n; i++)
		text_print(stdout, "%s\n", s.reasons.items[i]);
	dumped = json_dumps(profile, JSON_INDENT(2));
	json_decref(profile);
	text = xasprintf("\nProfile:\n%s\n\nQEMU:\n%s\n\nlibvirt:\n%s", dumped, qemu, libvirt);
	escaped = text_escape_lines(text);
	text_put(stdout, escaped);
	return cmd_finish(0);
}
