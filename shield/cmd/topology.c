/* shield topology: the machine, and who owns each CPU now. */
#include "shield/cmd/cmd.h"
#include "shield/topology/map.h"
#include "shield/txn/state.h"

#include <string.h>

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
		cmd_note(app, "warning: owners are not known: %s", err.text);
		return;
	}
	owners->items = xcalloc(owners->state.n_shields, sizeof(*owners->items));
	for (size_t i = 0; i < owners->state.n_shields; i++) {
		const struct shield *shield = &owners->state.shields[i];
		struct topo_owner *owner = &owners->items[owners->n++];
		_cleanup_cpuset_ struct cpuset rest = { 0 };

		owner->name = shield->name;
		cpuset_copy(&owner->guest, &shield->guest);
		/* All that the guest leaves is no place of its own. */
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

static int print_json(const struct topology *topo, const struct owners *owners)
{
	json_t *cpus = json_array();

	for (size_t i = 0; i < topo->n; i++)
		json_array_append_new(cpus, describe(&topo->cpus[i], owners));
	return cmd_print_json(json_pack("{s:i, s:o}", "version", 1, "cpus", cpus));
}

int cmd_topology(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Show cores, siblings, caches, NUMA nodes, kinds of core, and who owns each "
		       "CPU now.",
	};
	_cleanup_topology_ struct topology topo = { 0 };
	_cleanup_(owners_clear)
	struct owners owners = { 0 };
	struct err err = { 0 };

	cmd_parse(app, &argp, argc, argv, 0, NULL);
	if (topology_load(app->sysroot, &topo, &err) < 0)
		return cmd_fail(&err);
	load_owners(app, &topo, &owners);
	if (app->json)
		return print_json(&topo, &owners);
	map_print(&topo, owners.items, owners.n, app->color, stdout);
	return cmd_finish(0);
}
