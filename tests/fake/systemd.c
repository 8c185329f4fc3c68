/* SPDX-License-Identifier: MIT */
/*
 * PID 1 as systemd is: it owns units, and of the cgroup tree what they need. It
 * notices that a scope is empty, and that a guard has nothing to guard, at some
 * later time: before it does what it is asked for next, and, if it is prompt,
 * before anything else happens.
 */
#include "tests/fake/internal.h"

#include "shield/sys/systemd_adapter.h"

#define ROOT_SLICE "-.slice"
#define STATE "/run/shield/state.json"

void fake_systemd(struct fake *fake, bool prompt, bool partitions)
{
	fake->manager.runs = true;
	fake->manager.prompt = prompt;
	fake->manager.partitions = partitions;
	fake_dir(fake, "/run/systemd/system");
}

static void unit_free(struct unit *unit)
{
	free(unit->name);
	free(unit->cgroup);
	free(unit->guards);
	free(unit->partition);
	cpuset_clear(&unit->cpus);
}

void manager_clear(struct manager *m)
{
	for (size_t i = 0; i < m->n; i++)
		unit_free(&m->units[i]);
	free(m->units);
}

void manager_copy(const struct manager *from, struct manager *to)
{
	*to = *from;
	to->units = xcalloc(from->cap, sizeof(*to->units));
	for (size_t i = 0; i < from->n; i++) {
		const struct unit *u = &from->units[i];

		to->units[i] = (struct unit){ .name = xstrdup(u->name), .scope = u->scope };
		to->units[i].cgroup = u->cgroup ? xstrdup(u->cgroup) : NULL;
		to->units[i].guards = u->guards ? xstrdup(u->guards) : NULL;
		to->units[i].partition = u->partition ? xstrdup(u->partition) : NULL;
		cpuset_copy(&to->units[i].cpus, &u->cpus);
	}
}

static struct unit *find(struct fake *fake, const char *name)
{
	struct manager *m = &fake->manager;

	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->units[i].name, name) == 0)
			return &m->units[i];
	return NULL;
}

static struct unit *add(struct fake *fake, const char *name)
{
	struct manager *m = &fake->manager;

	GROW(m->units, m->n, m->cap);
	m->units[m->n] = (struct unit){ .name = xstrdup(name) };
	return &m->units[m->n++];
}

/* Empty cgroups below it, and it. */
static void trim(struct fake *fake, struct cg *cg)
{
	_cleanup_free_ char *path = cg_path(cg);

	for (struct cg *c = cg->children, *next; c; c = next) {
		next = c->next;
		trim(fake, c);
	}
	cg_rmdir(fake, path);
}

/* The scope that needs cpuset in this slice, or any slice. */
static bool needed(const struct manager *m, const char *slice)
{
	size_t n = strlen(slice);

	for (size_t i = 0; i < m->n; i++)
		if (m->units[i].scope && strncmp(m->units[i].cgroup, slice, n) == 0)
			return true;
	return false;
}

/* What no unit needs any more is taken back, inner to outer; the kernel refuses where
 * another cgroup needs it. */
static void take_controllers(struct fake *fake)
{
	struct manager *m = &fake->manager;

	for (size_t i = 0; i < m->n; i++) {
		_cleanup_free_ char *inside = NULL;
		struct cg *cg = m->units[i].cgroup ? cg_find(fake, m->units[i].cgroup) : NULL;

		if (!cg || m->units[i].scope)
			continue;
		inside = xasprintf("%s/", m->units[i].cgroup);
		if (!needed(m, inside))
			cg_control(fake, cg, false);
	}
	if (!needed(m, ""))
		cg_control(fake, fake->root, false);
}

/* What a scope needs. */
static void give_controllers(struct fake *fake, const struct unit *scope)
{
	const char *name = strrchr(scope->cgroup, '/');
	_cleanup_free_ char *slice = NULL;

	cg_control(fake, fake->root, true);
	if (!name)
		return;
	slice = xstrndup(scope->cgroup, (size_t)(name - scope->cgroup));
	if (cg_find(fake, slice))
		cg_control(fake, cg_find(fake, slice), true);
}

/* AllowedCPUs= and CPUSetPartition= go into the cgroup, where there is a cpuset. What
 * the kernel says to that ends nothing. */
static void apply(struct fake *fake, const struct unit *unit)
{
	struct cg *cg = unit->cgroup ? cg_find(fake, unit->cgroup) : NULL;
	_cleanup_free_ char *list = NULL;

	if (!cg || !has_cpuset(cg))
		return;
	list = cpulist_format(&unit->cpus);
	cpuset_write_cpus(fake, cg, list);
	if (unit->partition)
		cpuset_write_partition(fake, cg, unit->partition);
}

void fake_systemd_reload(struct fake *fake)
{
	struct manager *m = &fake->manager;

	if (!m->runs)
		return;
	manager_catch_up(fake);
	take_controllers(fake);
	for (size_t i = 0; i < m->n; i++) {
		if (m->units[i].scope)
			give_controllers(fake, &m->units[i]);
		apply(fake, &m->units[i]);
	}
}

static void forget(struct fake *fake, struct unit *unit)
{
	struct manager *m = &fake->manager;
	struct cg *cg = unit->cgroup ? cg_find(fake, unit->cgroup) : NULL;
	bool scope = unit->scope;

	if (cg)
		trim(fake, cg);
	unit_free(unit);
	m->n--;
	memmove(unit, unit + 1, (size_t)(&m->units[m->n] - unit) * sizeof(*unit));
	if (scope)
		take_controllers(fake);
}

static bool is_empty(struct fake *fake, const struct unit *unit)
{
	const struct cg *cg = cg_find(fake, unit->cgroup);

	return !cg || !cg_populated(fake, cg);
}

static bool lock_held(const struct fake *fake)
{
	for (size_t i = 0; i < fake->n_fds; i++)
		if (fake->fds[i].used && fake->fds[i].locked)
			return true;
	return false;
}

/* A guard waits for the lock, and ends if there is no such shield. */
static bool is_idle(struct fake *fake, const struct unit *unit)
{
	const struct node *state = node_find(fake, STATE);
	_cleanup_free_ char *name = xasprintf("\"%s\"", unit->guards);

	return !lock_held(fake) && !(state && memmem(state->text, state->size, name, strlen(name)));
}

void manager_catch_up(struct fake *fake)
{
	struct manager *m = &fake->manager;

	for (size_t i = 0; i < m->n;) {
		struct unit *u = &m->units[i];

		if (u->scope ? is_empty(fake, u) : u->guards && is_idle(fake, u))
			forget(fake, u);
		else
			i++;
	}
}

bool fake_guarded(struct fake *fake, const char *shield)
{
	const struct manager *m = &fake->manager;

	for (size_t i = 0; i < m->n; i++)
		if (m->units[i].guards && strcmp(m->units[i].guards, shield) == 0)
			return true;
	return false;
}

static int start_slice(struct fake *fake, const char *name)
{
	struct unit *unit;

	if (find(fake, name) || strcmp(name, ROOT_SLICE) == 0)
		return 0;
	unit = add(fake, name);
	unit->cgroup = xstrdup(name);
	cg_mkdir(fake, name);
	return 0;
}

static int start_scope(struct fake *fake, const char *name, const char *slice, pid_t pid,
		       const struct cpuset *cpus, const char *partition)
{
	bool top = strcmp(slice, ROOT_SLICE) == 0;
	struct unit *unit;

	if (find(fake, name))
		return -EEXIST;
	if (!ftask_find(fake, pid))
		return -ESRCH;
	start_slice(fake, slice);
	unit = add(fake, name);
	unit->scope = true;
	unit->cgroup = top ? xstrdup(name) : xasprintf("%s/%s", slice, name);
	unit->partition = fake->manager.partitions ? xstrdup(partition) : NULL;
	cpuset_copy(&unit->cpus, cpus);
	give_controllers(fake, unit);
	cg_mkdir(fake, unit->cgroup);
	apply(fake, unit);
	return cg_attach(fake, cg_find(fake, unit->cgroup), pid, true);
}

int fake_unit_start(void *ctx, const char *unit, const char *slice, pid_t pid,
		    const struct cpuset *cpus, const char *partition)
{
	struct fake *fake = ctx;

	if (!fake->manager.runs)
		return -ECONNREFUSED;
	manager_catch_up(fake);
	return slice ? start_scope(fake, unit, slice, pid, cpus, partition)
		     : start_slice(fake, unit);
}

/* Every process in it is killed. */
static void kill_all(struct fake *fake, const struct unit *unit)
{
	const struct cg *cg = unit->cgroup ? cg_find(fake, unit->cgroup) : NULL;

	for (size_t i = 0; cg && i < fake->n_tasks;) {
		if (cg_within(fake->tasks[i]->cg, cg))
			fake_exit(fake, fake->tasks[i]->tid);
		else
			i++;
	}
}

/* With a slice all that is in it. */
static void stop(struct fake *fake, const char *name)
{
	struct manager *m = &fake->manager;
	struct unit *unit = find(fake, name);
	_cleanup_free_ char *inside = NULL;

	if (unit->cgroup && !unit->scope)
		inside = xasprintf("%s/", unit->cgroup);
	for (size_t i = 0; inside && i < m->n;) {
		if (m->units[i].scope && strncmp(m->units[i].cgroup, inside, strlen(inside)) == 0) {
			kill_all(fake, &m->units[i]);
			forget(fake, &m->units[i]);
			i = 0;
		} else {
			i++;
		}
	}
	unit = find(fake, name);
	kill_all(fake, unit);
	forget(fake, unit);
}

int fake_unit_stop(void *ctx, const char *unit)
{
	struct fake *fake = ctx;

	if (!fake->manager.runs)
		return -ECONNREFUSED;
	manager_catch_up(fake);
	if (find(fake, unit))
		stop(fake, unit);
	return 0;
}

int fake_unit_partitions(void *ctx)
{
	const struct fake *fake = ctx;

	return fake->manager.runs ? fake->manager.partitions : -ECONNREFUSED;
}

/* One that is there is restarted, and so is there. */
int fake_service_start(void *ctx, const struct service *service)
{
	struct fake *fake = ctx;

	if (!fake->manager.runs)
		return -ECONNREFUSED;
	manager_catch_up(fake);
	if (!find(fake, service->unit))
		add(fake, service->unit)->guards = xstrdup(service->argv[2]);
	return 0;
}

void manager_show(struct fake *fake, FILE *out)
{
	const struct manager *m = &fake->manager;
	_cleanup_strv_ struct strv lines = { 0 };

	manager_catch_up(fake);
	for (size_t i = 0; i < m->n; i++) {
		const struct unit *u = &m->units[i];
		_cleanup_free_ char *cpus = cpulist_format(&u->cpus);

		strv_addf(&lines, "unit %s in %s: AllowedCPUs=%s, CPUSetPartition=%s, guards %s\n",
			  u->name, u->cgroup ? u->cgroup : "its own", cpus,
			  u->partition ? u->partition : "", u->guards ? u->guards : "none");
	}
	strv_sort(&lines);
	for (size_t i = 0; i < lines.n; i++)
		fputs(lines.items[i], out);
}
