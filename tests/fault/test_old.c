/* SPDX-License-Identifier: MIT */
/*
 * The state files that the program of commit 8cf42ff has written (tests/old/states): what comes
 * later reads each, takes it for what it says, writes it with the same meaning, and ends its
 * shields on a kernel that holds what the file says.
 */
#include "irq/irq.h"
#include "shield/cgroup/libvirt.h"
#include "shield/sys/sys_write.h"
#include "shield/txn/state_json.h"
#include "tests/fault/world.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"
#define STATES TESTS_DIR "/old/states/"

/* Files a kernel, so that none is lost unseen: without an init; and with those of
 * systemd and of libvirt, which cannot be on 6.1. */
#define PLAIN_MIN 7
static const int files_min[FAKE_FLAVOURS] = { 9, 11, 11 };

struct golden {
	struct fake *fake;
	struct sys sys;
	char *name; /* "6.12/run.json" */
	json_t *json;
	enum flavour flavour;
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static json_int_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

/* Its boot is this one, and the interfaces are called as then. */
static void golden_open(struct golden *g, enum flavour flavour, const char *file)
{
	_cleanup_free_ char *path = NULL, *boot = NULL, *text = NULL;
	json_error_t error;

	g->flavour = flavour;
	g->name = xasprintf("%s/%s", fake_flavour_name(flavour), file);
	path = xasprintf(STATES "%s", g->name);
	g->json = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (!g->json)
		fail_msg("%s: %s", g->name, error.text);
	text = json_dumps(g->json, JSON_COMPACT);
	g->fake = fake_new(flavour, 8);
	fake_sys(g->fake, &g->sys);
	boot = xasprintf("%s\n", text_of(g->json, "boot_id"));
	fake_file(g->fake, "/proc/sys/kernel/random/boot_id", boot);
	fake_file(g->fake, "/sys/class/net/lo/ifindex", "1\n");
	fake_dir(g->fake, STATE_DIR);
	fake_file(g->fake, STATE_FILE, text);
}

static void golden_close(struct golden *g)
{
	json_decref(g->json);
	fake_free(g->fake);
	free(g->name);
}

static void each(void (*test)(struct golden *g), bool (*fits)(const char *file))
{
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *dir = xasprintf(STATES "%s", fake_flavour_name(flavour));
		struct dirent **names;
		int n = scandir(dir, &names, NULL, alphasort), tested = 0;

		for (int i = 0; i < n; i++) {
			const char *file = names[i]->d_name;

			if (strstr(file, ".json") && (!fits || fits(file))) {
				struct golden g = { 0 };

				golden_open(&g, flavour, file);
				test(&g);
				golden_close(&g);
				tested++;
			}
			free(names[i]);
		}
		if (n >= 0)
			free(names);
		print_message("%s: %d state files\n", fake_flavour_name(flavour), tested);
		assert_true(tested >= (fits ? PLAIN_MIN : files_min[flavour]));
	}
}

static void load(struct golden *g, struct state *state)
{
	struct err err = { 0 };

	if (state_load(&g->sys, MOUNT, state, &err) < 0)
		fail_msg("%s: %s", g->name, err.text);
}

/* What was read is compared with the document by hand: a change of the reader
 * must not change what it means. */
static void same_set(const struct golden *g, const char *what, const char *text,
		     const struct cpuset *set)
{
	_cleanup_free_ char *list = cpulist_format(set);

	if (strcmp(text ? text : "", list) != 0)
		fail_msg("%s: %s: %s was read as %s", g->name, what, text ? text : "nothing", list);
}

static void same_process(const struct golden *g, const json_t *shield, const char *key,
			 const struct process *p)
{
	const json_t *json = json_object_get(shield, key);

	if (number_of(json, "pid") != p->pid ||
	    (unsigned long long)number_of(json, "start") != p->start)
		fail_msg("%s: %s was read as process %d", g->name, key, (int)p->pid);
}

static void same_text(const struct golden *g, const char *what, const char *a, const char *b)
{
	if (!a != !b || (a && strcmp(a, b) != 0))
		fail_msg("%s: %s: %s was read as %s", g->name, what, a ? a : "nothing",
			 b ? b : "nothing");
}

static void same_vcpus(const struct golden *g, const json_t *json, const struct shield *s)
{
	const json_t *vcpus = json_object_get(json, "vcpus");

	assert_int_equal(json_array_size(vcpus), s->n_vcpus);
	for (size_t i = 0; i < s->n_vcpus; i++) {
		const json_t *v = json_array_get(vcpus, i);

		if (number_of(v, "index") != s->vcpus[i].index ||
		    number_of(v, "tid") != s->vcpus[i].thread.pid ||
		    (unsigned long long)number_of(v, "start") != s->vcpus[i].thread.start ||
		    number_of(v, "cpu") != s->vcpus[i].cpu)
			fail_msg("%s: vCPU %zu was read as another one", g->name, i);
	}
}

static void same_rest(const struct golden *g, const json_t *json, const struct shield *s)
{
	const json_t *partitions = json_object_get(json, "partitions");
	const json_t *map = json_object_get(json, "map");
	json_t *irq = fields_put(state_irq_fields, &s->irq);

	assert_int_equal(json_object_size(partitions), s->partitions.n);
	for (size_t i = 0; i < s->partitions.n; i++)
		same_set(g, s->partitions.items[i].cgroup,
			 text_of(partitions, s->partitions.items[i].cgroup),
			 &s->partitions.items[i].cpus);
	assert_int_equal(json_array_size(json_object_get(map, "vcpus")), s->map.n_vcpus);
	assert_int_equal(json_array_size(json_object_get(map, "iothreads")), s->map.n_iothreads);
	assert_true(json_equal(json_object_get(json, "irq"), irq));
	json_decref(irq);
}

static void same_shield(const struct golden *g, const char *name, const json_t *json,
			const struct state *state)
{
	static const char *const phases[] = { [PHASE_APPLYING] = "applying",
					      [PHASE_ACTIVE] = "active",
					      [PHASE_RELEASING] = "releasing" };
	const struct shield *s = state_shield(state, name);

	assert_non_null(s);
	same_text(g, "phase", text_of(json, "phase"), phases[s->phase]);
	same_process(g, json, "owner", &s->owner);
	same_process(g, json, "guard", &s->guard);
	same_process(g, json, "vm", &s->vm);
	same_process(g, json, "hold", &s->anchor);
	same_set(g, "guest", text_of(json, "guest"), &s->guest);
	same_set(g, "emulator", text_of(json, "emulator"), &s->emulator);
	same_set(g, "taken", text_of(json, "taken"), &s->taken);
	same_set(g, "freed", text_of(json, "freed"), &s->freed);
	same_text(g, "cgroup", text_of(json, "cgroup"), s->cgroup);
	same_text(g, "home", text_of(json, "home"), s->home);
	same_text(g, "partition", text_of(json, "partition"), s->partition);
	same_vcpus(g, json, s);
	same_rest(g, json, s);
}

static void same_object(const struct golden *g, const json_t *json, const struct object *o)
{
	const json_t *claims = json_object_get(json, "claims");
	const char *what = o->path ? o->path : o->identity;

	same_text(g, what, text_of(json, "kind"), step_kind_name(o->kind));
	same_text(g, what, text_of(json, "path"), o->path);
	same_text(g, what, text_of(json, "identity"), o->identity);
	same_text(g, what, text_of(json, "original"), o->original);
	same_text(g, what, text_of(json, "ours"), o->ours);
	same_text(g, what, text_of(json, "next"), o->next);
	assert_int_equal(number_of(json, "pid"), o->task.pid);
	assert_int_equal(number_of(json, "start"), o->task.start);
	assert_int_equal(json_is_true(json_object_get(json, "uncertain")), o->uncertain);
	assert_int_equal(json_is_true(json_object_get(json, "scoped")), o->scoped);
	assert_int_equal(json_is_true(json_object_get(json, "refused")), o->refused);
	assert_int_equal(json_object_size(claims), o->n_claims);
	for (size_t i = 0; i < o->n_claims; i++)
		same_text(g, what, text_of(claims, o->claims[i].shield), o->claims[i].set);
}

static void same(const struct golden *g, const struct state *state)
{
	const json_t *objects = json_object_get(g->json, "objects");
	const char *name;
	json_t *json;

	assert_int_equal(json_object_size(json_object_get(g->json, "shields")), state->n_shields);
	assert_int_equal(json_array_size(objects), state->n_objects);
	assert_true(state->n_objects > 10);
	json_object_foreach (json_object_get(g->json, "shields"), name, json)
		same_shield(g, name, json, state);
	for (size_t i = 0; i < state->n_objects; i++)
		same_object(g, json_array_get(objects, i), state->objects[i]);
}

/* The old program reads what the new one writes: these keys, these types, and no other. */
static void same_file(struct golden *g)
{
	_cleanup_free_ char *text = NULL;
	json_t *json;

	assert_int_equal(sys_read(&g->sys, STATE_FILE, (size_t)STATE_LIMIT, &text), 0);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!json_equal(json, g->json))
		fail_msg("%s: was written as %s", g->name, text);
	json_decref(json);
}

static void read_one(struct golden *g)
{
	_cleanup_state_ struct state read = { 0 }, again = { 0 };
	struct err err = { 0 };

	load(g, &read);
	same(g, &read);
	assert_int_equal(state_save(&g->sys, MOUNT, &read, &err), 0);
	same_file(g);
	load(g, &again);
	same(g, &again);
}

static void reads(void **state)
{
	(void)state;
	each(read_one, NULL);
}

/* The rest is in cgroups that systemd and libvirt have made: there are VMs for these
 * (tests/vm/upgrade). */
static bool is_plain(const char *file)
{
	return strncmp(file, "systemd", 7) != 0 && strncmp(file, "libvirt", 7) != 0;
}

static bool is_user(const char *comm)
{
	static const char *const programs[] = { "init",	   "sh",   "sleep", "cat", "shield",
						"kill-at", "qemu", "CPU",   "IO",  "setsid" };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (strncmp(comm, programs[i], strlen(programs[i])) == 0)
			return true;
	return false;
}

/* Whose thread it is: in each file one shield at most has a VM. */
static pid_t process_of(const struct state *state, const struct object *o)
{
	static const char *const names[] = { "qemu", "CPU ", "IO " };

	for (size_t i = 0; i < state->n_shields; i++)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			if (state->shields[i].vm.pid &&
			    strncmp(o->identity, names[k], strlen(names[k])) == 0)
				return state->shields[i].vm.pid;
	return o->task.pid;
}

static void give_task(struct golden *g, const struct state *state, const struct object *o)
{
	fake_task_as(g->fake, o->task.pid, process_of(state, o), o->task.start, o->identity,
		     !is_user(o->identity));
}

static void give_irq(struct golden *g, unsigned number, const char *identity)
{
	_cleanup_free_ char *actions = xstrndup(identity, strcspn(identity, "@"));
	const char *device = strchr(identity, '@');

	fake_irq(g->fake, number, actions, NULL, 0);
	if (device) {
		_cleanup_free_ char *path = xasprintf("/sys/bus/pci/devices/%s/irq", device + 1);
		_cleanup_free_ char *text = xasprintf("%u\n", number);

		fake_file(g->fake, path, text);
	}
}

static bool in_cgroup(const struct object *o)
{
	return o->kind == STEP_WRITE && strncmp(o->path, MOUNT, strlen(MOUNT)) == 0;
}

/* The file of an object, if the fake kernel does not have it. */
static void give_file(struct golden *g, const struct object *o)
{
	unsigned number;

	if (irq_path_number(o->path, &number))
		give_irq(g, number, o->identity);
	else if (strstr(o->path, "/transparent_hugepage/enabled"))
		fake_file(g->fake, o->path, "always [madvise] never\n");
	else if (!in_cgroup(o) && !sys_exists(&g->sys, o->path))
		fake_file(g->fake, o->path, "0\n");
}

static void put(struct golden *g, const struct object *o, const char *value)
{
	_cleanup_free_ char *tid = xasprintf("%d", (int)o->task.pid), *threads = NULL;
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int rc = 0;

	switch (o->kind) {
	case STEP_WRITE:
		rc = kfile_write(&g->sys, kfile_find(o->path, MOUNT), o->path, value);
		break;
	case STEP_DIR:
		if (strcmp(value, "present") == 0)
			rc = g->sys.ops->cgroup_create(g->sys.ctx, o->path + strlen(MOUNT "/"));
		break;
	case STEP_UNIT: /* only in previews */
		break;
	case STEP_AFFINITY:
		cpulist_parse(value, &cpus, NULL);
		rc = g->sys.ops->setaffinity(g->sys.ctx, o->task.pid, &cpus);
		break;
	case STEP_PROCESS:
		rc = g->sys.ops->cgroup_attach(g->sys.ctx, value + 1, o->task.pid);
		break;
	case STEP_THREAD:
		threads = xasprintf(MOUNT "%s/cgroup.threads", value);
		rc = sys_write(&g->sys, threads, tid);
		break;
	}
	if (rc < 0)
		fail_msg("%s: %s cannot be given %s: %s", g->name, o->path ? o->path : o->identity,
			 value, err_errno(rc));
}

static char *cgroup_of(struct golden *g, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int)pid), *text = NULL;

	if (sys_read_line(&g->sys, path, &text) < 0 || strncmp(text, "0::", 3) != 0)
		return NULL;
	return xstrdup(text + 3);
}

/* What `shield run` starts is in its cgroup from the beginning, and no file tells of that. */
static void give_vm(struct golden *g, const struct state *state, const struct object *o)
{
	_cleanup_free_ char *cgroup = NULL;

	if (o->kind != STEP_THREAD)
		return;
	cgroup = cgroup_of(g, process_of(state, o));
	if (cgroup && strcmp(cgroup, o->original) != 0)
		g->sys.ops->cgroup_attach(g->sys.ctx, o->original + 1, process_of(state, o));
}

/* What was there before, as far as the fake kernel does not have it. */
static void give_original(struct golden *g, const struct state *state, const struct object *o)
{
	if (o->task.pid)
		give_task(g, state, o);
	else if (o->kind == STEP_WRITE)
		give_file(g, o);
	if (o->kind == STEP_PROCESS && strcmp(o->original, "/") != 0)
		g->sys.ops->cgroup_create(g->sys.ctx, o->original + 1);
	if (o->kind == STEP_AFFINITY || (o->kind == STEP_WRITE && !in_cgroup(o)))
		put(g, o, o->original);
}

/* Of what was being written when its program was killed: nothing yet, or all. */
static void give_now(struct golden *g, const struct object *o, bool all)
{
	const char *value = all && o->next ? o->next : o->ours;

	if (o->refused || (in_cgroup(o) && !sys_exists(&g->sys, o->path)))
		return;
	put(g, o, value);
}

/* The kernel as the file says. Affinities come last: Linux 6.1 forgets them at each cpuset change.
 */
static void give(struct golden *g, const struct state *state, bool all)
{
	for (size_t i = 0; i < state->n_shields; i++)
		if (state->shields[i].vm.pid)
			fake_task_as(g->fake, state->shields[i].vm.pid, state->shields[i].vm.pid,
				     state->shields[i].vm.start, "qemu-system-x86", false);
	for (size_t i = 0; i < state->n_objects; i++)
		give_original(g, state, state->objects[i]);
	for (size_t i = 0; i < state->n_objects; i++) {
		if (state->objects[i]->kind == STEP_AFFINITY)
			continue;
		give_vm(g, state, state->objects[i]);
		give_now(g, state->objects[i], all);
	}
	for (size_t i = 0; i < state->n_objects; i++)
		if (state->objects[i]->kind == STEP_AFFINITY)
			give_now(g, state->objects[i], all);
}

/* Is it what it was before any shield? */
static void restored(struct golden *g, const struct object *o)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	_cleanup_free_ char *value = NULL;

	if (o->scoped || o->refused || o->kind == STEP_THREAD)
		return;
	if (o->kind == STEP_WRITE) {
		kfile_read(&g->sys, kfile_find(o->path, MOUNT), o->path, &value);
	} else if (o->kind == STEP_DIR) {
		value = xstrdup(sys_exists(&g->sys, o->path) ? "present" : "absent");
	} else if (o->kind == STEP_AFFINITY) {
		if (g->sys.ops->getaffinity(g->sys.ctx, o->task.pid, &cpus) == 0)
			value = cpulist_format(&cpus);
	} else {
		value = cgroup_of(g, o->task.pid);
	}
	same_text(g, o->path ? o->path : o->identity, o->original, value);
}

static void end(struct golden *g, bool all)
{
	_cleanup_state_ struct state before = { 0 };
	_cleanup_free_ char *why = NULL;
	struct world w;

	load(g, &before);
	give(g, &before, all);
	w = (struct world){ .fake = g->fake, .sys = g->sys };
	why = world_restore(&w);
	if (why)
		fail_msg("%s: %s", g->name, why);
	for (size_t i = 0; i < before.n_objects; i++)
		restored(g, before.objects[i]);
	assert_int_equal(fake_open_fds(g->fake), 0);
}

static void end_after(struct golden *g)
{
	end(g, true);
}

static void end_before(struct golden *g)
{
	end(g, false);
}

static void ends(void **state)
{
	(void)state;
	each(end_after, is_plain);
}

static void ends_half(void **state)
{
	(void)state;
	each(end_before, is_plain);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),
		cmocka_unit_test(ends),
		cmocka_unit_test(ends_half),
	};

	mem_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
