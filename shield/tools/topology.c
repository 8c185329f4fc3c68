/* SPDX-License-Identifier: MIT */
/* shield topology: the machine, and who owns each CPU now. */
#include "shield/cmd/cmd.h"
#include "shield/base/text.h"
#include "shield/tools/devices.h"
#include "shield/topology/draw.h"
#include "shield/txn/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH 96
#define WIDTH_MIN 40
#define WIDTH_MAX 132

enum { OPT_SVG = 0x200, OPT_XML };

static const struct argp_option options[] = {
	{ "svg", OPT_SVG, "FILE", 0, "write a picture, with the owners in colour (-: stdout)", 1 },
	{ "xml", OPT_XML, "FILE", 0, "write hwloc's XML, for lstopo -i FILE (-: stdout)", 1 },
	{ 0 },
};

struct args {
	const char *svg, *xml;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case OPT_SVG:
		args->svg = arg;
		return 0;
	case OPT_XML:
		args->xml = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument \"%s\"", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The active shields; a state file that cannot be trusted shows none. */
struct owners {
	struct state state;
	struct topo_owner *items;
	size_t n;
};

static void owners_clear(struct owners *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		cpuset_clear(&owners->items[i].guest);
		cpuset_clear(&owners->items[i].emulator);
	}
	free(owners->items);
	state_clear(&owners->state);
}

static void load_owners(struct app *app, const struct topology *topo, struct owners *owners)
{
	_cleanup_free_ char *mount = NULL;
	struct err err = { 0 };

	if (app->sys.ops->cgroup_mount(app->sys.ctx, &mount) < 0)
		mount = NULL;
	if (state_load(&app->sys, mount, &owners->state, &err) < 0) {
		cmd_say(app, LOG_WARNING, "owners are not known: %s", err.text);
		return;
	}
	owners->items = xcalloc(owners->state.n_shields, sizeof(*owners->items));
	for (size_t i = 0; i < owners->state.n_shields; i++) {
		const struct shield *shield = &owners->state.shields[i];
		struct topo_owner *owner = &owners->items[owners->n++];
		_cleanup_cpuset_ struct cpuset rest = { 0 };

		owner->name = shield->name;
		cpuset_copy(&owner->guest, &shield->guest);
		/* All that the guest leaves is not a place of its own. */
		cpuset_copy(&rest, &topo->online);
		cpuset_andnot(&rest, &shield->guest);
		if (!cpuset_equal(&rest, &shield->emulator))
			cpuset_copy(&owner->emulator, &shield->emulator);
	}
}

static json_t *describe(const struct topo_cpu *cpu, const struct owners *owners)
{
	_cleanup_free_ char *siblings = cpulist_format(&cpu->siblings);
	_cleanup_free_ char *owner = owner_text(owners->items, owners->n, cpu->cpu);

	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s}", "cpu", (int)cpu->cpu, "core",
			 cpu->core, "package", cpu->package, "node", cpu->node, "l3", cpu->l3,
			 "kind", cpu->kind, "siblings", siblings, "owner", owner);
}

static int print_json(struct app *app, const struct topology *topo, const struct owners *owners)
{
	json_t *cpus = json_array(), *document;

	for (size_t i = 0; i < topo->n; i++)
		json_array_append_new(cpus, describe(&topo->cpus[i], owners));
	document = json_pack("{s:i, s:o}", "version", 1, "cpus", cpus);
	devices_json(app, topo, document);
	return cmd_print_json(document);
}

/* As wide as the terminal, within reason. */
static int find_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 ||
	    size.ws_col == 0)
		return WIDTH;
	return size.ws_col < WIDTH_MIN	 ? WIDTH_MIN
	       : size.ws_col > WIDTH_MAX ? WIDTH_MAX
					 : size.ws_col;
}

/* Write a file that the user named: one of the real system, even with
 * --sysroot. */
static int write_file(const char *path, const char *text)
{
	size_t size = strlen(text), done = 0;
	struct sys real;
	ssize_t n = 0;
	int fd;

	if (strcmp(path, "-") == 0) {
		text_put(stdout, text);
		return cmd_finish(0);
	}
	sys_open_real(&real, "");
	fd = real.ops->open(real.ctx, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY);
	while (fd >= 0 && done < size && (n >= 0 || n == -EINTR)) {
		n = real.ops->write(real.ctx, fd, text + done, size - done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		real.ops->close(real.ctx, fd);
	sys_close_real(&real);
	if (fd >= 0 && done == size)
		return 0;
	text_print(stderr, "shield: %s: cannot be written: %s\n", path,
		   err_errno(fd < 0 ? fd : (int)n));
	return ERR_FAILED;
}

static int write_pictures(struct app *app, const struct topology *topo, const struct owners *owners,
			  const struct args *args)
{
	_cleanup_free_ char *xml = NULL, *svg = NULL;
	struct err err = { 0 };
	int status = 0;
	size_t size;

	if (args->svg) {
		FILE *out = open_memstream(&svg, &size);

		if (!out)
			mem_exhausted();
		draw_svg(topo, owners->items, owners->n, out);
		if (fclose(out) != 0)
			mem_exhausted();
		status = write_file(args->svg, svg);
	}
	if (args->xml && status == 0) {
		xml = draw_xml(&app->sys, owners->items, owners->n, &err);
		status = xml ? write_file(args->xml, xml) : cmd_fail(&err);
	}
	return status;
}

static int show(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Show cores, siblings, caches, NUMA nodes, kinds of core, and who owns each "
		       "CPU now.",
	};
	_cleanup_topology_ struct topology topo = { 0 };
	_cleanup_(owners_clear)
	struct owners owners = { 0 };
	struct args args = { 0 };
	struct err err = { 0 };
	int width;

	cmd_parse(app, &argp, argc, argv, 0, &args);
	if (topology_load(&app->sys, &topo, &err) < 0)
		return cmd_fail(&err);
	load_owners(app, &topo, &owners);
	if (args.svg || args.xml)
		return write_pictures(app, &topo, &owners, &args);
	if (app->json)
		return print_json(app, &topo, &owners);
	width = find_width();
	map_print(&topo, owners.items, owners.n, width, app->color, stdout);
	devices_print(app, &topo, width);
	return cmd_finish(0);
}

int main(int argc, char **argv)
{
	argv[0] = (char *)"topology"; /* called by its path, too */
	mem_init();
	cmd_open_stderr();
	return cmd_start(show, argc, argv);
}
