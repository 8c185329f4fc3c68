/* SPDX-License-Identifier: MIT */
#include "irq/net.h"

#include "shield/sys/kfile.h"

#include <string.h>

#define CLASS "/sys/class/net/"

void net_clear(struct net_masks *masks)
{
	for (size_t i = 0; i < masks->n; i++) {
		free(masks->items[i].path);
		free(masks->items[i].index);
		cpuset_clear(&masks->items[i].mask);
	}
	free(masks->items);
	*masks = (struct net_masks){ 0 };
}

static void add(struct sys *sys, const char *path, const char *index, struct net_masks *masks)
{
	const struct kfile *row = kfile_find(path, NULL);
	_cleanup_cpuset_ struct cpuset mask = { 0 };
	_cleanup_free_ char *value = NULL;

	/* A device with one queue has no xps_cpus to read. */
	if (!row || kfile_read(sys, row, path, &value) < 0 ||
	    cpulist_parse(value, &mask, NULL) < 0 || cpuset_empty(&mask))
		return;
	GROW(masks->items, masks->n, masks->cap);
	masks->items[masks->n++] = (struct net_mask){
		xstrdup(path),
		index ? xstrdup(index) : NULL,
		{ take_ptr(mask.bits) },
	};
}

static char *index_of(struct sys *sys, const char *name)
{
	_cleanup_free_ char *path = xasprintf(CLASS "%s/ifindex", name);
	char *index;

	return sys_read_line(sys, path, &index) < 0 ? NULL : index;
}

static void add_queues(struct sys *sys, const char *name, struct net_masks *masks)
{
	_cleanup_free_ char *index = index_of(sys, name), *dir = xasprintf(CLASS "%s/queues", name);
	_cleanup_strv_ struct strv queues = { 0 };

	if (!index || sys->ops->list(sys->ctx, dir, &queues) < 0)
		return;
	strv_sort(&queues);
	for (size_t i = 0; i < queues.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/%cps_cpus", dir, queues.items[i],
						      *queues.items[i] == 'r' ? 'r' : 'x');

		add(sys, path, index, masks);
	}
}

void net_snapshot(struct sys *sys, struct net_masks *masks)
{
	_cleanup_strv_ struct strv names = { 0 };

	add(sys, NET_DEFAULT, NULL, masks);
	add(sys, "/proc/sys/net/core/flow_limit_cpu_bitmap", NULL, masks);
	if (sys->ops->list(sys->ctx, "/sys/class/net", &names) < 0)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		add_queues(sys, names.items[i], masks);
}

static bool was_born(const struct net_mask *m, const char *mask)
{
	_cleanup_free_ char *now = cpulist_format(&m->mask);

	return m->index && strcmp(strrchr(m->path, '/'), "/rps_cpus") == 0 &&
	       strcmp(now, mask) == 0;
}

static struct step *plan_queue(const struct net_mask *m, const char *from, const char *to,
			       struct plan *plan)
{
	struct step *step = plan_write(plan, m->path, from, to);

	step->identity = m->index ? xstrdup(m->index) : NULL;
	step->avoid = true;
	return step;
}

void net_plan_born(const struct net_masks *masks, const char *born, const char *to,
		   struct plan *plan)
{
	for (size_t i = 0; i < masks->n; i++)
		if (was_born(&masks->items[i], born))
			plan_queue(&masks->items[i], born, to, plan);
}

void net_plan(const struct net_masks *masks, const struct cpuset *taken, const struct cpuset *rest,
	      const char *born, const char *original, struct plan *plan)
{
	for (size_t i = 0; i < masks->n; i++) {
		const struct net_mask *m = &masks->items[i];
		_cleanup_cpuset_ struct cpuset left = { 0 };
		_cleanup_free_ char *from = cpulist_format(&m->mask), *to = NULL;
		struct step *step;

		if (!cpuset_intersects(&m->mask, taken))
			continue;
		cpuset_copy(&left, &m->mask);
		cpuset_andnot(&left, taken);
		to = cpulist_format(cpuset_intersects(&left, rest) ? &left : rest);
		step = plan_queue(m, from, to, plan);
		if (born && was_born(m, born))
			step->original = xstrdup(original);
	}
}

bool net_path(const char *path)
{
	return strncmp(path, CLASS, sizeof(CLASS) - 1) == 0;
}

bool net_is(struct sys *sys, const char *path, const char *index)
{
	const char *name = path + sizeof(CLASS) - 1;
	_cleanup_free_ char *interface = xstrndup(name, strcspn(name, "/"));
	_cleanup_free_ char *now = index_of(sys, interface);

	return now && strcmp(now, index) == 0;
}

static void read_names(struct sys *sys, struct net_names *known)
{
	known->read = true;
	if (sys->ops->list(sys->ctx, "/sys/class/net", &known->names) < 0)
		return;
	for (size_t i = 0; i < known->names.n; i++) {
		char *index = index_of(sys, known->names.items[i]);

		strv_take(&known->indexes, index ? index : xstrdup(""));
	}
}

char *net_renamed(struct sys *sys, struct net_names *known, const char *path, const char *index)
{
	const char *name = path + sizeof(CLASS) - 1, *queue = strchr(name, '/');

	if (!known->read)
		read_names(sys, known);
	for (size_t i = 0; i < known->indexes.n; i++) {
		_cleanup_free_ char *now = NULL;

		if (strcmp(known->indexes.items[i], index) != 0)
			continue;
		now = xasprintf(CLASS "%s%s", known->names.items[i], queue);
		return strcmp(now, path) == 0 ? NULL : take_ptr(now);
	}
	return NULL;
}

void net_names_clear(struct net_names *known)
{
	strv_clear(&known->names);
	strv_clear(&known->indexes);
	known->read = false;
}
