/* SPDX-License-Identifier: MIT */
#include "shield/txn/state_json.h"

#include "profiles/profile.h"
#include "shield/base/text.h"
#include "shield/cgroup/libvirt.h"

#include <errno.h>
#include <string.h>

#define STATE_VERSION 1
/* A process is put back by the path of its cgroup, whose files have longer ones:
 * all of it must fit into PATH_MAX. */
#define CGROUP_LONGEST 4000
/* Each has a CPU of its own at least. */
#define SHIELDS_MAX 1024
#define PID_LARGEST (1 << 22) /* PID_MAX_LIMIT */

static const char *const phases[] = { PHASES(NAMES_TEXT) };
static const char *const kinds[] = { STEP_KINDS(NAMES_TEXT) };

const char *phase_name(enum phase phase)
{
	return phases[phase];
}

static bool has_anchor(const void *shield)
{
	return ((const struct shield *)shield)->anchor.pid;
}

static bool has_freed(const void *shield)
{
	return !cpuset_empty(&((const struct shield *)shield)->freed);
}

static bool has_map(const void *shield)
{
	const struct state_map *map = &((const struct shield *)shield)->map;

	return map->n_vcpus || map->n_iothreads;
}

static bool has_task(const void *object)
{
	return ((const struct object *)object)->task.pid;
}

static const struct field process_fields[] = {
	FIELD("pid", struct process, pid, FIELD_NUMBER, .max = PID_LARGEST),
	FIELD("start", struct process, start, FIELD_NUMBER, .max = INT64_MAX),
	{ 0 },
};

static const struct field vcpu_fields[] = {
	FIELD("index", struct vcpu, index, FIELD_NUMBER, .max = CPUSET_MAX_CPU),
	FIELD("tid", struct vcpu, thread.pid, FIELD_NUMBER, .max = PID_LARGEST),
	FIELD("start", struct vcpu, thread.start, FIELD_NUMBER, .max = INT64_MAX),
	FIELD("cpu", struct vcpu, cpu, FIELD_NUMBER, .max = CPUSET_MAX_CPU),
	{ 0 },
};
static const struct field vcpu = { .type = FIELD_OBJECT, .of = vcpu_fields };
static const struct field partition_cpus = FIELD(NULL, struct partition, cpus, FIELD_LIST);

static const struct field shield_fields[] = {
	FIELD("phase", struct shield, phase, FIELD_NAME, .names = phases,
	      .max = ARRAY_SIZE(phases)),
	FIELD("owner", struct shield, owner, FIELD_OBJECT, .of = process_fields),
	FIELD("guard", struct shield, guard, FIELD_OBJECT, .of = process_fields),
	FIELD("vm", struct shield, vm, FIELD_OBJECT, .of = process_fields),
	FIELD("guest", struct shield, guest, FIELD_LIST),
	FIELD("emulator", struct shield, emulator, FIELD_LIST),
	FIELD("taken", struct shield, taken, FIELD_LIST),
	FIELD("cgroup", struct shield, cgroup, FIELD_BYTES),
	FIELD("home", struct shield, home, FIELD_BYTES),
	FIELD_ITEMS("partitions", struct shield, partitions.items, partitions.n, FIELD_MAP,
		    &partition_cpus, .cap = offsetof(struct partitions, cap)),
	FIELD("partition", struct shield, partition, FIELD_TEXT),
	FIELD_ITEMS("vcpus", struct shield, vcpus, n_vcpus, FIELD_ARRAY, &vcpu),
	FIELD("irq", struct shield, irq, FIELD_OBJECT, .of = state_irq_fields, .optional = true),
	FIELD("map", struct shield, map, FIELD_OBJECT, .of = state_map_fields, .optional = true,
	      .has = has_map),
	FIELD("freed", struct shield, freed, FIELD_LIST, .optional = true, .has = has_freed),
	FIELD("hold", struct shield, anchor, FIELD_OBJECT, .of = process_fields, .optional = true,
	      .has = has_anchor),
	{ 0 },
};

static const struct field claim_set = FIELD(NULL, struct claim, set, FIELD_BYTES, .optional = true);

static const struct field object_fields[] = {
	FIELD("kind", struct object, kind, FIELD_NAME, .names = kinds, .max = ARRAY_SIZE(kinds)),
	FIELD("original", struct object, original, FIELD_BYTES),
	FIELD("ours", struct object, ours, FIELD_BYTES),
	FIELD("path", struct object, path, FIELD_BYTES, .optional = true),
	FIELD("pid", struct object, task.pid, FIELD_NUMBER, .max = PID_LARGEST, .optional = true,
	      .has = has_task),
	FIELD("start", struct object, task.start, FIELD_NUMBER, .max = INT64_MAX, .optional = true,
	      .has = has_task),
	FIELD("identity", struct object, identity, FIELD_BYTES, .optional = true),
	FIELD("next", struct object, next, FIELD_BYTES, .optional = true),
	FIELD("uncertain", struct object, uncertain, FIELD_FLAG, .optional = true),
	FIELD("scoped", struct object, scoped, FIELD_FLAG, .optional = true),
	FIELD("refused", struct object, refused, FIELD_FLAG, .optional = true),
	FIELD_ITEMS("claims", struct object, claims, n_claims, FIELD_MAP, &claim_set),
	{ 0 },
};

json_t *state_shield_to_json(const struct shield *s)
{
	return fields_put(shield_fields, s);
}

json_t *state_to_json(const struct state *state, const char *boot_id)
{
	json_t *shields = json_object(), *objects = json_array();

	for (size_t i = 0; i < state->n_shields; i++)
		json_object_set_new(shields, state->shields[i].name,
				    state_shield_to_json(&state->shields[i]));
	for (size_t i = 0; i < state->n_objects; i++)
		json_array_append_new(objects, fields_put(object_fields, state->objects[i]));
	return json_pack("{s:i, s:s, s:o, s:o}", "version", STATE_VERSION, "boot_id", boot_id,
			 "shields", shields, "objects", objects);
}

const char *state_json_boot(const json_t *document)
{
	return json_string_value(json_object_get(document, "boot_id"));
}

static int bad(struct err *err, const char *key, const char *what)
{
	return err_set(err, ERR_FAILED, "%s: %s", key, what);
}

/* "/" or "/a/b" without empty, "." and ".." segments. */
static bool cgroup_ok(const char *path)
{
	if (strcmp(path, "/") == 0)
		return true;
	if (*path != '/' || strlen(path) > CGROUP_LONGEST)
		return false;
	for (const char *s = path; *s; s += strcspn(s + 1, "/") + 1) {
		size_t n = strcspn(s + 1, "/");

		if (n == 0 || (n <= 2 && strspn(s + 1, ".") >= n))
			return false;
	}
	return true;
}

/* One that is too long was made by another program. */
static int bad_cgroup(struct err *err, const char *key, const char *path)
{
	if (strlen(path) <= CGROUP_LONGEST)
		return bad(err, key, "a value that Shield never writes");
	return err_set(err, ERR_FAILED,
		       "%s: the path of its cgroup is %zu bytes long, and beyond %d nothing can be "
		       "put back there; move it to another cgroup",
		       key, strlen(path), CGROUP_LONGEST);
}

static int check_shield(const struct shield *s, struct err *err)
{
	_cleanup_cpuset_ struct cpuset all = { 0 };

	if (!cgroup_ok(s->cgroup))
		return bad_cgroup(err, "cgroup", s->cgroup);
	if (!cgroup_ok(s->home))
		return bad_cgroup(err, "home", s->home);
	for (size_t i = 0; i < s->partitions.n; i++) {
		if (!cgroup_ok(s->partitions.items[i].cgroup))
			return bad_cgroup(err, "partitions", s->partitions.items[i].cgroup);
		cpuset_or(&all, &s->partitions.items[i].cpus);
	}
	if (!s->partitions.n || !cpuset_equal(&all, &s->guest) ||
	    !(layout_is_own(s->cgroup, &s->partitions, s->name) ||
	      libvirt_is_cgroup(s->cgroup, &s->partitions)))
		return bad(err, "partitions", "such as it cannot have");
	if (strcmp(s->partition, "isolated") != 0 && strcmp(s->partition, "root") != 0)
		return bad(err, "partition", "neither isolated nor root");
	if (s->n_vcpus > CPUSET_MAX_CPU)
		return bad(err, "vcpus", "more than there can be CPUs");
	if (!state_map_fits(&s->map, &s->guest))
		return bad(err, "map", "not one of its guest CPUs");
	return 0;
}

static int read_shield(const char *name, json_t *json, struct state *state, struct err *err)
{
	struct shield *s;

	if (profile_check_name(name, NULL) < 0)
		return bad(err, "shields", "a name that Shield never gives");
	s = state_add_shield(state, name);
	if (fields_get(shield_fields, json, s, err) < 0 || check_shield(s, err) < 0)
		return err_wrap(err, "%s", name);
	return 0;
}

void state_shield_back(struct state *state, const char *name, json_t *json)
{
	_cleanup_state_ struct state read = { 0 };
	struct shield *s = state_shield(state, name), *former, now;
	struct err ignored;

	if (!s || read_shield(name, json, &read, &ignored) < 0)
		return;
	former = state_shield(&read, name);
	if (!former)
		return;
	now = *s;
	*s = *former;
	*former = now;
}

/* Is it the cgroup of a shield's process, or could it be a partition of it (one
 * that was may not be any more, libvirt.h)? */
static bool is_cgroup_of(const struct shield *s, const char *dir)
{
	_cleanup_partitions_ struct partitions one = { 0 };

	partitions_add(&one, dir, &s->guest);
	return strcmp(dir, s->cgroup) == 0 || layout_is_own(s->cgroup, &one, s->name) ||
	       libvirt_is_cgroup(s->cgroup, &one);
}

/* Is this directory below the mount one that Shield makes (no file), or has this
 * file of it to do with one of the shields? Of the cgroups above it is only what
 * hands CPUs down; of libvirt's above the partitions also their CPUs. */
static bool in_own_cgroup(const struct state *state, const char *mount, const char *dir,
			  const char *file)
{
	size_t n = mount ? strlen(mount) : 0, length;

	if (!n || strncmp(dir, mount, n) != 0)
		return false;
	dir += n;
	length = strlen(dir);
	if (!file && strncmp(dir, "/shield", 7) != 0)
		return false;
	for (size_t i = 0; i < state->n_shields; i++) {
		const char *cgroup = state->shields[i].cgroup;

		if (is_cgroup_of(&state->shields[i], dir))
			return true;
		if (strncmp(cgroup, dir, length) == 0 && cgroup[length] == '/')
			return !file || strcmp(file, "cpuset.cpus.exclusive") == 0 ||
			       (strcmp(file, "cpuset.cpus") == 0 &&
				libvirt_is_parent(dir, cgroup, &state->shields[i].partitions));
		if (file && strcmp(file, "cpuset.cpus") == 0 &&
		    libvirt_is_other(dir, cgroup, &state->shields[i].partitions))
			return true;
	}
	return false;
}

static bool value_ok(const struct object *o, const struct kfile *row, const char *value)
{
	_cleanup_cpuset_ struct cpuset set = { 0 };

	switch (o->kind) {
	case STEP_WRITE:
		return kfile_value_ok(row, value);
	case STEP_DIR:
		return strcmp(value, "absent") == 0 || strcmp(value, "present") == 0;
	case STEP_AFFINITY:
		return cpulist_parse(value, &set, NULL) == 0 && !cpuset_empty(&set);
	default:
		return cgroup_ok(value);
	}
}

/* Are its values cgroups? */
static bool is_place(const struct object *o)
{
	return o->kind == STEP_PROCESS || o->kind == STEP_THREAD;
}

/* Could Shield have this file, or this cgroup? */
static int check_path(const struct state *state, const struct object *o, const char *mount,
		      const struct kfile **ret_row, struct err *err)
{
	const char *foreign = "a cgroup that Shield did not make";
	const struct kfile *row = NULL;

	if (o->kind == STEP_WRITE) {
		_cleanup_free_ char *dir = xstrdup(o->path);
		char *slash = strrchr(dir, '/');
		size_t n = mount ? strlen(mount) : 0;

		row = kfile_find(o->path, mount);
		if (!row || !slash)
			return bad(err, "path", "a path that Shield never writes");
		*slash = '\0';
		/* Of foreign cgroups only the root's controllers are ours. */
		if (n && strncmp(o->path, mount, n) == 0 && strcmp(dir, mount) != 0 &&
		    !in_own_cgroup(state, mount, dir, slash + 1))
			return bad(err, "path", foreign);
	}
	if (o->kind == STEP_DIR && !in_own_cgroup(state, mount, o->path, NULL))
		return bad(err, "path", foreign);
	*ret_row = row;
	return 0;
}

/* Could Shield have this object, with these values? */
static int check_object(const struct state *state, const struct object *o, const char *mount,
			struct err *err)
{
	const struct {
		const char *key, *value;
	} values[] = { { "original", o->original }, { "ours", o->ours }, { "next", o->next } };
	const struct kfile *row = NULL;

	if (check_path(state, o, mount, &row, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (!values[i].value || value_ok(o, row, values[i].value))
			continue;
		if (is_place(o))
			return bad_cgroup(err, values[i].key, values[i].value);
		return bad(err, values[i].key, "a value that does not fit");
	}
	for (size_t i = 0; i < o->n_claims; i++) {
		if (!state_shield(state, o->claims[i].shield))
			return bad(err, "claims", "of a shield that is not in the file");
		if (o->claims[i].set && !value_ok(o, row, o->claims[i].set))
			return bad(err, "claims", "a value that does not fit");
	}
	return 0;
}

/* A file has a path, a task a PID; units are only in previews. */
static int check_subject(const struct object *o, struct err *err)
{
	bool task = o->kind == STEP_AFFINITY || is_place(o);

	if (o->kind == STEP_UNIT)
		return bad(err, "kind", "a value that Shield never writes");
	if (task != (o->task.pid > 0))
		return bad(err, "pid", "a value that Shield never writes");
	if (task != !o->path)
		return bad(err, "path", "a value that Shield never writes");
	return 0;
}

static int read_object(json_t *json, const char *mount, struct state *state, struct err *err)
{
	struct object *o = xcalloc(1, sizeof(*o));
	_cleanup_free_ char *where = NULL;

	if (fields_get(object_fields, json, o, err) < 0 || check_subject(o, err) < 0) {
		object_free(o);
		return -1;
	}
	where = step_object(o->kind, o->path, o->task.pid, o->identity);
	if (!state_take_object(state, o)) {
		object_free(o);
		return bad(err, where, "listed twice");
	}
	if (check_object(state, o, mount, err) < 0)
		return err_wrap(err, "%s", where);
	return 0;
}

int state_from_json(const json_t *document, const char *mount, struct state *state, struct err *err)
{
	json_t *shields, *objects, *json;
	const char *boot_id, *name;
	json_int_t version;
	size_t i;

	if (json_unpack((json_t *)document, "{s:I}", "version", &version) < 0)
		return bad(err, "version", "is missing");
	if (version != STATE_VERSION)
		return err_set(err, ERR_FAILED,
			       "version %lld, but this program knows only version %d: use the "
			       "program that wrote it",
			       (long long)version, STATE_VERSION);
	if (json_unpack_ex((json_t *)document, NULL, JSON_STRICT, "{s:I, s:s, s:o, s:o}", "version",
			   &version, "boot_id", &boot_id, "shields", &shields, "objects",
			   &objects) < 0 ||
	    !json_is_object(shields) || json_object_size(shields) > SHIELDS_MAX ||
	    !json_is_array(objects))
		return bad(err, "the document", "not as Shield writes it");
	json_object_foreach (shields, name, json)
		if (read_shield(name, json, state, err) < 0)
			return -1;
	json_array_foreach (objects, i, json)
		if (read_object(json, mount, state, err) < 0)
			return err_wrap(err, "objects: %zu", i);
	return 0;
}
