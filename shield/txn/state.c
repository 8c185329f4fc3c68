/* SPDX-License-Identifier: MIT */
/* The state in memory; its file is in state_file.c, its JSON in state_json.c. */
#include "shield/txn/state.h"

#include "shield/task/task.h"

#include <search.h>
#include <string.h>

bool process_alive(struct sys *sys, const struct process *process)
{
	return process->pid && task_alive(sys, process->pid, process->start);
}

static void shield_clear(struct shield *shield)
{
	free(shield->name);
	cpuset_clear(&shield->guest);
	cpuset_clear(&shield->emulator);
	cpuset_clear(&shield->taken);
	cpuset_clear(&shield->freed);
	free(shield->cgroup);
	free(shield->home);
	partitions_clear(&shield->partitions);
	free(shield->partition);
	free(shield->vcpus);
	state_irq_clear(&shield->irq);
	state_map_clear(&shield->map);
}

static void claim_clear(struct claim *claim)
{
	free(claim->shield);
	free(claim->set);
}

void object_free(struct object *object)
{
	free(object->path);
	free(object->identity);
	free(object->original);
	free(object->ours);
	free(object->next);
	free(object->target);
	for (size_t i = 0; i < object->n_claims; i++)
		claim_clear(&object->claims[i]);
	free(object->claims);
	free(object);
}

static void keep_node(void *node)
{
	(void)node; /* the index does not own the objects */
}

void state_clear(struct state *state)
{
	for (size_t i = 0; i < state->n_shields; i++)
		shield_clear(&state->shields[i]);
	tdestroy(state->index, keep_node);
	for (size_t i = 0; i < state->n_objects; i++)
		object_free(state->objects[i]);
	free(state->shields);
	free(state->objects);
	*state = (struct state){ 0 };
}

struct shield *state_shield(const struct state *state, const char *name)
{
	for (size_t i = 0; i < state->n_shields; i++)
		if (strcmp(state->shields[i].name, name) == 0)
			return &state->shields[i];
	return NULL;
}

struct shield *state_add_shield(struct state *state, const char *name)
{
	struct shield *shield;

	GROW(state->shields, state->n_shields, state->cap_shields);
	shield = &state->shields[state->n_shields++];
	*shield = (struct shield){ .name = xstrdup(name) };
	return shield;
}

bool shield_has_vcpu(const struct shield *shield, pid_t tid)
{
	for (size_t i = 0; i < shield->n_vcpus; i++)
		if (shield->vcpus[i].thread.pid == tid)
			return true;
	return false;
}

void state_remove_shield(struct state *state, const char *name)
{
	struct shield *shield = state_shield(state, name);
	size_t i;

	if (!shield)
		return;
	shield_clear(shield);
	i = (size_t)(shield - state->shields);
	memmove(shield, shield + 1, (state->n_shields - i - 1) * sizeof(*shield));
	state->n_shields--;
}

static bool is_task(enum step_kind kind)
{
	return kind != STEP_WRITE && kind != STEP_DIR;
}

/* Objects are the same when kind and path, or kind, number and start time are. */
static int compare(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (!is_task(x->kind))
		return strcmp(x->path, y->path);
	if (x->task.pid != y->task.pid)
		return x->task.pid < y->task.pid ? -1 : 1;
	return x->task.start == y->task.start ? 0 : x->task.start < y->task.start ? -1 : 1;
}

struct object *state_object(const struct state *state, const struct step *step)
{
	const struct object key = {
		.kind = step->kind,
		.path = step->path,
		.task = { step->pid, step->start },
	};
	struct object *const *found = tfind(&key, &state->index, compare);

	return found ? *found : NULL;
}

struct object *state_file_object(const struct state *state, const char *path)
{
	const struct step key = { .kind = STEP_WRITE, .path = (char *)path };

	return state_object(state, &key);
}

bool state_take_object(struct state *state, struct object *object)
{
	struct object *const *found = tsearch(object, &state->index, compare);

	if (!found)
		mem_exhausted();
	if (*found != object)
		return false;
	GROW(state->objects, state->n_objects, state->cap_objects);
	state->objects[state->n_objects++] = object;
	return true;
}

struct object *state_add_object(struct state *state, const struct step *step)
{
	struct object *o = state_object(state, step);

	if (o)
		return o;
	o = xmalloc(sizeof(*o));
	*o = (struct object){
		.kind = step->kind,
		.path = step->path ? xstrdup(step->path) : NULL,
		.task = { step->pid, step->start },
		.identity = step->identity ? xstrdup(step->identity) : NULL,
		.original = xstrdup(step->original ? step->original : step->from),
		.ours = xstrdup(step->from),
		.scoped = step->scoped,
	};
	state_take_object(state, o);
	return o;
}

void state_move(struct state *state, struct object *const *objects, char *const *paths, size_t n)
{
	struct object *const *gone;

	/* Two may have changed places. */
	for (size_t i = 0; i < n; i++)
		tdelete(objects[i], &state->index, compare);
	for (size_t i = 0; i < n; i++) {
		free(objects[i]->path);
		objects[i]->path = paths[i];
		gone = tfind(objects[i], &state->index, compare);
		if (gone)
			state_forget(state, *gone);
		if (!tsearch(objects[i], &state->index, compare))
			mem_exhausted();
	}
}

void state_lead(struct state *state, const struct object *object)
{
	struct object *first = NULL;
	size_t at = 0;

	while (at < state->n_objects && state->objects[at] != object)
		at++;
	if (at == state->n_objects)
		return;
	first = state->objects[at];
	memmove(state->objects + 1, state->objects, at * sizeof(*state->objects));
	state->objects[0] = first;
}

void state_forget(struct state *state, struct object *object)
{
	size_t i = 0;

	while (state->objects[i] != object)
		i++;
	memmove(&state->objects[i], &state->objects[i + 1],
		(--state->n_objects - i) * sizeof(*state->objects));
	tdelete(object, &state->index, compare);
	object_free(object);
}

void state_keep(struct state *state, bool (*keep)(const struct object *object))
{
	size_t n = 0;

	for (size_t i = 0; i < state->n_objects; i++) {
		struct object *o = state->objects[i];

		if (keep(o)) {
			state->objects[n++] = o;
		} else {
			tdelete(o, &state->index, compare);
			object_free(o);
		}
	}
	state->n_objects = n;
}

struct claim *object_claim(const struct object *object, const char *shield)
{
	for (size_t i = 0; i < object->n_claims; i++)
		if (strcmp(object->claims[i].shield, shield) == 0)
			return &object->claims[i];
	return NULL;
}

void object_add_claim(struct object *object, const char *shield, const char *set)
{
	struct claim *claim = object_claim(object, shield);

	if (!claim) {
		object->claims = xrealloc(object->claims, object->n_claims + 1, sizeof(*claim));
		claim = &object->claims[object->n_claims++];
		*claim = (struct claim){ .shield = xstrdup(shield) };
	}
	free(claim->set);
	claim->set = set ? xstrdup(set) : NULL;
}

void object_drop_claim(struct object *object, const char *shield)
{
	struct claim *claim = object_claim(object, shield);

	if (!claim)
		return;
	claim_clear(claim);
	*claim = object->claims[--object->n_claims];
}

void state_taken(const struct state *state, struct cpuset *taken)
{
	for (size_t i = 0; i < state->n_shields; i++)
		if (state->shields[i].phase != PHASE_RELEASING)
			cpuset_or(taken, &state->shields[i].taken);
}
