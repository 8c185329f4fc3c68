/* SPDX-License-Identifier: MIT */
#include "shield/cgroup/layout.h"

#include <ctype.h>
#include <string.h>

static const char scope[] = ".scope", slice_dir[] = "/" LAYOUT_SLICE;

enum layout_kind layout_kind(const struct host_caps *host)
{
	return !host->systemd ? LAYOUT_PLAIN : host->remote ? LAYOUT_SCOPE : LAYOUT_ROOT_SCOPE;
}

char *layout_escape(const char *name)
{
	char *text = xcalloc(4 * strlen(name) + 1, 1), *to = text;

	for (const char *s = name; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr(":_", *s) || (*s == '.' && s != name))
			*to++ = *s;
		else
			to += snprintf(to, 5, "\\x%02x", (unsigned char)*s);
	}
	return text;
}

char *layout_cgroup(enum layout_kind kind, const char *name)
{
	_cleanup_free_ char *escaped = layout_escape(name);

	if (kind == LAYOUT_PLAIN)
		return xasprintf("/shield-%s", name);
	return xasprintf("%s/shield-%s%s", kind == LAYOUT_SCOPE ? slice_dir : "", escaped, scope);
}

char *layout_vcpus(const char *cgroup)
{
	return xasprintf("%s/vcpus", cgroup);
}

bool layout_is_own(const char *cgroup, const struct partitions *partitions, const char *name)
{
	_cleanup_free_ char *vcpus = layout_vcpus(cgroup);

	for (int kind = 0; kind < N_LAYOUTS; kind++) {
		_cleanup_free_ char *own = layout_cgroup((enum layout_kind)kind, name);

		if (strcmp(own, cgroup) == 0)
			return partitions->n == 1 && partitions_find(partitions, vcpus);
	}
	return false;
}

void partitions_add(struct partitions *p, const char *cgroup, const struct cpuset *cpus)
{
	GROW(p->items, p->n, p->cap);
	p->items[p->n].cgroup = xstrdup(cgroup);
	cpuset_copy(&p->items[p->n++].cpus, cpus);
}

void partitions_clear(struct partitions *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->items[i].cgroup);
		cpuset_clear(&p->items[i].cpus);
	}
	free(p->items);
	*p = (struct partitions){ 0 };
}

const struct partition *partitions_find(const struct partitions *p, const char *cgroup)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->items[i].cgroup, cgroup) == 0)
			return &p->items[i];
	return NULL;
}

const struct partition *partitions_with(const struct partitions *p, unsigned cpu)
{
	for (size_t i = 0; i < p->n; i++)
		if (cpuset_has(&p->items[i].cpus, cpu))
			return &p->items[i];
	return NULL;
}

bool layout_is_unit(const char *cgroup, char **unit, char **slice)
{
	size_t n = strlen(slice_dir), length;
	bool inside = strncmp(cgroup, slice_dir, n) == 0;

	*unit = *slice = NULL;
	if (inside && cgroup[n] == '\0') {
		*unit = xstrdup(LAYOUT_SLICE);
		return true;
	}
	if (inside)
		cgroup += n;
	length = strlen(cgroup);
	if (strncmp(cgroup, "/shield-", 8) != 0 || strchr(cgroup + 1, '/') ||
	    length <= strlen(scope) || strcmp(cgroup + length - strlen(scope), scope) != 0)
		return false;
	*unit = xstrdup(cgroup + 1);
	*slice = xstrdup(inside ? LAYOUT_SLICE : "-.slice");
	return true;
}

/* A file of a cgroup that this plan makes. */
static struct step *set(struct plan *plan, const char *dir, const char *file, const char *from,
			const char *to)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);
	struct step *step = plan_write(plan, path, from, to);

	step->scoped = true;
	return step;
}

void layout_plan(const struct host_caps *host, const struct layout_request *p, struct plan *plan)
{
	enum layout_kind kind = layout_kind(host);
	_cleanup_free_ char *root = xasprintf("%s/cgroup.subtree_control", host->mount);
	_cleanup_free_ char *slice = xasprintf("%s%s", host->mount, slice_dir);
	_cleanup_free_ char *cgroup = layout_cgroup(kind, p->name);
	_cleanup_free_ char *outer = xasprintf("%s%s", host->mount, cgroup);
	_cleanup_free_ char *inner = layout_vcpus(outer);
	_cleanup_free_ char *guest = cpulist_format(p->guest);
	_cleanup_free_ char *emulator = cpulist_format(p->emulator);
	_cleanup_free_ char *both = NULL;
	_cleanup_cpuset_ struct cpuset all = { 0 };

	cpuset_copy(&all, p->guest);
	cpuset_or(&all, p->emulator);
	both = cpulist_format(&all);

	plan_write(plan, root, host->controllers, "+cpuset");
	if (kind == LAYOUT_SCOPE)
		plan_dir(plan, slice);
	plan_dir(plan, outer);
	/* It is shared with other shields, so it is given back, not left to its
	 * end. Only the scope's start gives the slice the controller. */
	if (kind == LAYOUT_SCOPE)
		set(plan, slice, "cpuset.cpus.exclusive", "", guest)->scoped = false;
	if (host->remote) {
		if (*emulator)
			set(plan, outer, "cpuset.cpus", "", emulator);
		set(plan, outer, "cpuset.cpus.exclusive", "", guest);
	} else {
		set(plan, outer, "cpuset.cpus", "", both);
		set(plan, outer, "cpuset.cpus.partition", "member", "root");
	}
	set(plan, outer, "cgroup.subtree_control", "-cpuset", "+cpuset");
	plan_dir(plan, inner);
	set(plan, inner, "cgroup.type", "domain", "threaded");
	set(plan, inner, "cpuset.cpus", "", guest);
	if (host->remote)
		set(plan, inner, "cpuset.cpus.exclusive", "", guest);
	set(plan, inner, "cpuset.cpus.partition", "member", p->partition);
	set(plan, inner, "cgroup.subtree_control", "-cpuset", "+cpuset");
}

void layout_convert(const struct host_caps *host, const char *cgroup, const char *from,
		    const char *to, struct plan *plan)
{
	_cleanup_free_ char *dir = xasprintf("%s%s", host->mount, cgroup);

	set(plan, dir, "cpuset.cpus.partition", from, to);
}
