/* SPDX-License-Identifier: MIT */
#include "shield/plan/plan.h"

#include "shield/base/text.h"

#include <string.h>

static const char *const kinds[] = { STEP_KINDS(NAMES_TEXT) };

/* path NULL: of a task. */
static struct step *append(struct plan *plan, enum step_kind kind, const char *path,
			   const char *from, const char *to)
{
	struct step *step;

	GROW(plan->steps, plan->n, plan->cap);
	step = &plan->steps[plan->n++];
	step->kind = kind;
	step->path = path ? xstrdup(path) : NULL;
	step->from = xstrdup(from);
	step->to = xstrdup(to);
	return step;
}

struct step *plan_write(struct plan *plan, const char *path, const char *from, const char *to)
{
	return append(plan, STEP_WRITE, path, from, to);
}

struct step *plan_dir(struct plan *plan, const char *path)
{
	return append(plan, STEP_DIR, path, "absent", "present");
}

struct step *plan_dir_gone(struct plan *plan, const char *path)
{
	return append(plan, STEP_DIR, path, "present", "absent");
}

struct step *plan_unit(struct plan *plan, const char *unit, const char *from, const char *to)
{
	return append(plan, STEP_UNIT, unit, from, to);
}

struct step *plan_task(struct plan *plan, enum step_kind kind, pid_t pid, unsigned long long start,
		       const char *comm, const char *from, const char *to)
{
	struct step *step = append(plan, kind, NULL, from, to);

	step->pid = pid;
	step->start = start;
	step->identity = xstrdup(comm);
	return step;
}

static void step_clear(struct step *step)
{
	free(step->path);
	free(step->identity);
	free(step->from);
	free(step->to);
	free(step->original);
}

void plan_keep(struct plan *plan, bool (*keep)(const struct step *step, void *arg), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n; i++)
		if (keep(&plan->steps[i], arg))
			plan->steps[n++] = plan->steps[i];
		else
			step_clear(&plan->steps[i]);
	plan->n = n;
}

void plan_clear(struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		step_clear(&plan->steps[i]);
	free(plan->steps);
	strv_clear(&plan->warnings);
	*plan = (struct plan){ 0 };
}

const char *step_kind_name(enum step_kind kind)
{
	return kinds[kind];
}

char *step_object(enum step_kind kind, const char *path, pid_t pid, const char *identity)
{
	if (kind == STEP_WRITE || kind == STEP_DIR || kind == STEP_UNIT)
		return xstrdup(path);
	return xasprintf("%s %d (%s)", kind == STEP_PROCESS ? "process" : "thread", (int)pid,
			 identity ? identity : "?");
}

static char *object(const struct step *step)
{
	return step_object(step->kind, step->path, step->pid, step->identity);
}

void plan_print(const struct plan *plan, FILE *out)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		_cleanup_free_ char *name = object(step);

		if (strcmp(step->from, step->to) != 0)
			text_print(out, "%s: %s -> %s\n", name,
				   *step->from ? step->from : "(empty)",
				   *step->to ? step->to : "(empty)");
	}
}

/* Names may not be UTF-8. */
static json_t *shown(const char *bytes)
{
	_cleanup_free_ char *escaped = text_escape(bytes);

	return json_string(escaped);
}

json_t *plan_json(const struct plan *plan)
{
	json_t *steps = json_array(), *warnings = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		_cleanup_free_ char *name = object(step);

		json_t *json;

		json = json_pack("{s:s, s:o, s:o, s:o}", "kind", kinds[step->kind], "object",
				 shown(name), "from", shown(step->from), "to", shown(step->to));
		json_array_append_new(steps, json);
	}
	for (size_t i = 0; i < plan->warnings.n; i++)
		json_array_append_new(warnings, shown(plan->warnings.items[i]));
	return json_pack("{s:i, s:o, s:o}", "version", 2, "steps", steps, "warnings", warnings);
}
