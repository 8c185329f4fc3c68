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

static const char *const phases[] = { PHASES(NAMES_TEXT) };

const char *phase_name(enum phase phase)
{
	return phases[phase];
}

static json_t *list(const struct cpuset *set)
{
	_cleanup_free_ char *text = cpulist_format(set);

	return json_string(text);
}

/* What the kernel, or the maker of a cgroup, chose as a name. */
static json_t *bytes(const char *name)
{
	_cleanup_free_ char *text = text_encode(name);

	return json_string(text);
}

static json_t *process(const struct process *p)
{
	return json_pack("{s:I, s:I}", "pid", (json_int_t)p->pid, "start", (json_int_t)p->start);
}

json_t *state_shield_to_json(const struct shield *s)
{
	json_t *vcpus = json_array(), *partitions = json_object(), *json;

	for (size_t i = 0; i < s->partitions.n; i++) {
		_cleanup_free_ char *cgroup = text_encode(s->partitions.items[i].cgroup);

		json_object_set_new(partitions, cgroup, list(&s->partitions.items[i].cpus));
	}
	for (size_t i = 0; i < s->n_vcpus; i++)
		json_array_append_new(vcpus, json_pack("{s:I, s:I, s:I, s:I}", "index",
						       (json_int_t)s->vcpus[i].index, "tid",
						       (json_int_t)s->vcpus[i].thread.pid, "start",
						       (json_int_t)s->vcpus[i].thread.start, "cpu",
						       (json_int_t)s->vcpus[i].cpu));
	json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "phase",
			 phases[s->phase], "owner", process(&s->owner), "guard", process(&s->guard),
			 "vm", process(&s->vm), "guest", list(&s->guest), "emulator",
			 list(&s->emulator), "taken", list(&s->taken), "cgroup", bytes(s->cgroup),
			 "home", bytes(s->home), "partitions", partitions, "partition",
			 s->partition, "vcpus", vcpus);
	json_object_set_new(json, "irq", state_irq_to_json(&s->irq));
	if (s->map.n_vcpus || s->map.n_iothreads)
		json_object_set_new(json, "map", state_map_to_json(&s->map));
	if (!cpuset_empty(&s->freed))
		json_object_set_new(json, "freed", list(&s->freed));
	if (s->anchor.pid)
		json_object_set_new(json, "hold", process(&s->anchor));
	return json;
}

static json_t *object_to_json(const struct object *o)
{
	json_t *json = json_pack("{s:s, s:o, s:o}", "kind", step_kind_name(o->kind), "original",
				 bytes(o->original), "ours", bytes(o->ours));
	json_t *claims = json_object();

	if (o->path)
		json_object_set_new(json, "path", bytes(o->path));
	if (o->task.pid) {
		json_object_set_new(json, "pid", json_integer(o->task.pid));
		json_object_set_new(json, "start", json_integer((json_int_t)o->task.start));
	}
	if (o->identity)
		json_object_set_new(json, "identity", bytes(o->identity));
	if (o->next)
		json_object_set_new(json, "next", bytes(o->next));
	if (o->uncertain)
		json_object_set_new(json, "uncertain", json_true());
	if (o->scoped)
		json_object_set_new(json, "scoped", json_true());
	if (o->refused)
		json_object_set_new(json, "refused", json_true());
	for (size_t i = 0; i < o->n_claims; i++)
		json_object_set_new(claims, o->claims[i].shield,
				    o->claims[i].set ? bytes(o->claims[i].set) : json_null());
	json_object_set_new(json, "claims", claims);
	return json;
}

json_t *state_to_json(const struct state *state, const char *boot_id)
{
	json_t *shields = json_object(), *objects = json_array();

	for (size_t i = 0; i < state->n_shields; i++)
		json_object_set_new(shields, state->shields[i].name,
				    state_shield_to_json(&state->shields[i]));
	for (size_t i = 0; i < state->n_objects; i++)
		json_array_append_new(objects, object_to_json(state->objects[i]));
	return json_pack("{s:i, s:s, s:o, s:o}", "version", STATE_VERSION, "boot_id", boot_id,
			 "shields", shields, "objects", objects);
}

const char *state_json_boot(const json_t *document)
{
	return json_string_value(json_object_get(document, "boot_id"));
}

static int bad(struct err *err, const char *where, const char *what)
{
	return err_set(err, ERR_FAILED, "%s: %s", where, what);
}

/* One that is too long was made by another program. */
static int bad_cgroup(struct err *err, const char *where, const char *path)
{
	if (strlen(path) <= CGROUP_LONGEST)
		return bad(err, where, "a value that Shield never writes");
	return err_set(err, ERR_FAILED,
		       "%s: the path of its cgroup is %zu bytes long, and beyond %d nothing can be "
		       "put back there; move it to another cgroup",
		       where, strlen(path), CGROUP_LONGEST);
}

static int read_list(const char *text, struct cpuset *set, const char *where, struct err *err)
{
	if (cpulist_parse(text, set, err) < 0) {
		err->kind = ERR_FAILED;
		return err_wrap(err, "%s", where);
	}
	return 0;
}

static bool pid_ok(json_int_t pid)
{
	return pid >= 0 && pid <= (1 << 22); /* PID_MAX_LIMIT */
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

static int read_process(json_t *json, struct process *p)
{
	json_int_t pid, start;

	if (json_unpack_ex(json, NULL, JSON_STRICT, "{s:I, s:I}", "pid", &pid, "start", &start) <
		    0 ||
	    !pid_ok(pid) || start < 0)
		return -1;
	*p = (struct process){ (pid_t)pid, (unsigned long long)start };
	return 0;
}

static int read_vcpus(json_t *array, struct shield *s)
{
	size_t i;
	json_t *json;

	if (!json_is_array(array) || json_array_size(array) > CPUSET_MAX_CPU)
		return -1;
	s->vcpus = xcalloc(json_array_size(array), sizeof(*s->vcpus));
	json_array_foreach (array, i, json) {
		json_int_t index, tid, start, cpu;

		if (json_unpack_ex(json, NULL, JSON_STRICT, "{s:I, s:I, s:I, s:I}", "index", &index,
				   "tid", &tid, "start", &start, "cpu", &cpu) < 0 ||
		    index < 0 || index > CPUSET_MAX_CPU || !pid_ok(tid) || start < 0 || cpu < 0 ||
		    cpu > CPUSET_MAX_CPU)
			return -1;
		s->vcpus[s->n_vcpus++] = (struct vcpu){ (unsigned)index,
							{ (pid_t)tid, (unsigned long long)start },
							(unsigned)cpu };
	}
	return 0;
}

/* They have the guest CPUs among them. */
static int read_partitions(json_t *json, struct shield *s)
{
	_cleanup_cpuset_ struct cpuset all = { 0 };
	const char *name;
	json_t *cpus;

	json_object_foreach (json, name, cpus) {
		_cleanup_cpuset_ struct cpuset set = { 0 };
		_cleanup_free_ char *cgroup = text_decode(name);

		if (!cgroup_ok(cgroup) || !json_is_string(cpus) ||
		    cpulist_parse(json_string_value(cpus), &set, NULL) < 0)
			return -1;
		partitions_add(&s->partitions, cgroup, &set);
		cpuset_or(&all, &set);
	}
	return s->partitions.n && cpuset_equal(&all, &s->guest) ? 0 : -1;
}

static int read_shield(const char *name, json_t *json, struct state *state, struct err *err)
{
	const char *phase, *guest, *emulator, *taken, *cgroup, *home, *partition, *freed = "";
	json_t *owner, *guard, *vm, *vcpus, *partitions, *anchor = NULL, *irq = NULL, *map = NULL;
	struct shield *s;
	int p;

	if (profile_check_name(name, NULL) < 0 ||
	    json_unpack_ex(
		    json, NULL, JSON_STRICT,
		    "{s:s, s:o, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:o, s?o, s?o, s?o, "
		    "s?s}",
		    "phase", &phase, "owner", &owner, "guard", &guard, "vm", &vm, "guest", &guest,
		    "emulator", &emulator, "taken", &taken, "cgroup", &cgroup, "home", &home,
		    "partitions", &partitions, "partition", &partition, "vcpus", &vcpus, "hold",
		    &anchor, "irq", &irq, "map", &map, "freed", &freed) < 0)
		return bad(err, "shields", "not as Shield writes them");
	s = state_add_shield(state, name);
	p = names_find(phases, ARRAY_SIZE(phases), phase);
	if (p < 0 || read_process(owner, &s->owner) < 0 || read_process(guard, &s->guard) < 0 ||
	    read_process(vm, &s->vm) < 0 || (anchor && read_process(anchor, &s->anchor) < 0) ||
	    read_vcpus(vcpus, s) < 0 || state_irq_from_json(irq, &s->irq) < 0 ||
	    (strcmp(partition, "isolated") && strcmp(partition, "root")))
		return bad(err, name, "a value that Shield never writes");
	s->phase = (enum phase)p;
	s->cgroup = text_decode(cgroup);
	s->home = text_decode(home);
	if (!cgroup_ok(s->cgroup) || !cgroup_ok(s->home))
		return bad_cgroup(err, name, cgroup_ok(s->cgroup) ? s->home : s->cgroup);
	s->partition = xstrdup(partition);
	if (read_list(guest, &s->guest, name, err) < 0 ||
	    read_list(emulator, &s->emulator, name, err) < 0 ||
	    read_list(taken, &s->taken, name, err) < 0 ||
	    read_list(freed, &s->freed, name, err) < 0)
		return -1;
	if (read_partitions(partitions, s) < 0 ||
	    !(layout_is_own(s->cgroup, &s->partitions, name) ||
	      libvirt_is_cgroup(s->cgroup, &s->partitions)))
		return bad(err, name, "partitions that it cannot have");
	if (state_map_from_json(map, &s->guest, &s->map) < 0)
		return bad(err, name, "a map that Shield never writes");
	return 0;
}

void state_shield_back(struct state *state, const char *name, json_t *json)
{
	_cleanup_state_ struct state read = { 0 };
	struct shield *s = state_shield(state, name), now;
	struct err ignored;

	if (!s || read_shield(name, json, &read, &ignored) < 0)
		return;
	now = *s;
	*s = read.shields[0];
	read.shields[0] = now;
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

/* Could Shield have this object, with these values? */
static int check_object(const struct state *state, const struct object *o, const char *mount,
			struct err *err)
{
	_cleanup_free_ char *where = step_object(o->kind, o->path, o->task.pid, o->identity);
	const struct kfile *row = NULL;

	if (o->kind == STEP_WRITE) {
		_cleanup_free_ char *dir = xstrdup(o->path);
		char *slash = strrchr(dir, '/');
		size_t n = mount ? strlen(mount) : 0;

		row = kfile_find(o->path, mount);
		if (!row || !slash)
			return bad(err, where, "a path that Shield never writes");
		*slash = '\0';
		/* Of foreign cgroups only the root's controllers are ours. */
		if (n && strncmp(o->path, mount, n) == 0 && strcmp(dir, mount) != 0 &&
		    !in_own_cgroup(state, mount, dir, slash + 1))
			return bad(err, where, "a cgroup that Shield did not make");
	}
	if (o->kind == STEP_DIR && !in_own_cgroup(state, mount, o->path, NULL))
		return bad(err, where, "a cgroup that Shield did not make");
	if (is_place(o) && (!cgroup_ok(o->original) || !cgroup_ok(o->ours)))
		return bad_cgroup(err, where, cgroup_ok(o->original) ? o->ours : o->original);
	if (!value_ok(o, row, o->original) || !value_ok(o, row, o->ours) ||
	    (o->next && !value_ok(o, row, o->next)))
		return bad(err, where, "a value that does not fit");
	for (size_t i = 0; i < o->n_claims; i++) {
		if (o->claims[i].set && !value_ok(o, row, o->claims[i].set))
			return bad(err, where, "a value that does not fit");
	}
	return 0;
}

/* The object as the file has it, but for its claims; NULL with err. */
static struct object *read_object_head(json_t *json, struct state *state, json_t **claims,
				       struct err *err)
{
	const char *kind, *original, *ours, *path = NULL, *identity = NULL, *next = NULL;
	int uncertain = 0, scoped = 0, refused = 0, k;
	json_int_t pid = 0, start = 0;
	struct step step = { 0 };
	struct object *o = NULL;
	bool task;

	if (json_unpack_ex(json, NULL, JSON_STRICT,
			   "{s:s, s:s, s:s, s?s, s?I, s?I, s?s, s?s, s?b, s?b, s?b, s:o}", "kind",
			   &kind, "original", &original, "ours", &ours, "path", &path, "pid", &pid,
			   "start", &start, "identity", &identity, "next", &next, "uncertain",
			   &uncertain, "scoped", &scoped, "refused", &refused, "claims",
			   claims) < 0 ||
	    !json_is_object(*claims))
		return bad(err, "objects", "not as Shield writes them"), NULL;
	k = step_kind_parse(kind);
	task = k == STEP_AFFINITY || k == STEP_PROCESS || k == STEP_THREAD;
	if (k < 0 || k == STEP_UNIT || task != (pid > 0) || task == (path != NULL) ||
	    !pid_ok(pid) || start < 0)
		return bad(err, "objects", "not as Shield writes them"), NULL;
	step = (struct step){
		.kind = (enum step_kind)k,
		.path = path ? text_decode(path) : NULL,
		.pid = (pid_t)pid,
		.start = (unsigned long long)start,
		.identity = identity ? text_decode(identity) : NULL,
		.from = text_decode(original),
		.scoped = scoped,
	};
	if (state_object(state, &step)) {
		bad(err, path ? path : "a task", "listed twice");
	} else {
		o = state_add_object(state, &step);
		free(o->ours);
		o->ours = text_decode(ours);
		o->next = next ? text_decode(next) : NULL;
		o->uncertain = uncertain;
		o->refused = refused;
	}
	free(step.path);
	free(step.identity);
	free(step.from);
	return o;
}

static int read_object(json_t *json, const char *mount, struct state *state, struct err *err)
{
	json_t *claims, *claim;
	const char *shield;
	struct object *o = read_object_head(json, state, &claims, err);

	if (!o)
		return -1;
	json_object_foreach (claims, shield, claim) {
		_cleanup_free_ char *set = NULL;

		/* So there are no more of them than shields. */
		if (!state_shield(state, shield))
			return bad(err, o->path ? o->path : "a task",
				   "claimed by a shield that is not in the file");
		if (!json_is_null(claim) && !json_is_string(claim))
			return bad(err, o->path ? o->path : "a task", "a claim of the wrong type");
		set = json_is_string(claim) ? text_decode(json_string_value(claim)) : NULL;
		object_add_claim(o, shield, set);
	}
	return check_object(state, o, mount, err);
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
			return -1;
	return 0;
}
