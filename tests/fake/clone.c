/* SPDX-License-Identifier: MIT */
/* A second machine in the same state. */
#include "tests/fake/internal.h"

#include <stdlib.h>

static struct cpuset copy_of(const struct cpuset *set)
{
	struct cpuset copy = { 0 };

	cpuset_copy(&copy, set);
	return copy;
}

/* With all that is below it. */
static struct cg *copy_cgroup(const struct cg *from, struct cg *parent)
{
	struct cg *cg = cg_new(parent, from->name);

	cg->control = from->control;
	cg->threaded = from->threaded;
	cg->prs = from->prs;
	cg->valid = from->valid;
	cg->remote = from->remote;
	cg->why = from->why;
	cpuset_copy(&cg->cpus, &from->cpus);
	cpuset_copy(&cg->excl, &from->excl);
	cpuset_copy(&cg->xcpus, &from->xcpus);
	cpuset_copy(&cg->eff, &from->eff);
	cpuset_copy(&cg->basis, &from->basis);
	for (const struct cg *child = from->children; child; child = child->next)
		copy_cgroup(child, cg);
	return cg;
}

/* The cgroup of the copy that stands where this one does. */
static struct cg *same_place(const struct fake *from, const struct fake *to, const struct cg *cg)
{
	struct cg *there = to->root;

	for (const struct cg *here = from->root; here != cg; here = cg_next(here))
		there = cg_next(there);
	return there;
}

static void copy_tasks(const struct fake *from, struct fake *to)
{
	to->tasks = xcalloc(from->cap_tasks, sizeof(*to->tasks));
	for (size_t i = 0; i < from->n_tasks; i++) {
		const struct ftask *old = from->tasks[i];
		struct ftask *task = to->tasks[i] = xcalloc(1, sizeof(*task));

		*task = *old;
		task->comm = xstrdup(old->comm);
		task->allowed = copy_of(&old->allowed);
		task->user = copy_of(&old->user);
		task->preferred = copy_of(&old->preferred);
		task->cg = same_place(from, to, old->cg);
	}
}

static void copy_irqs(const struct fake *from, struct fake *to)
{
	to->irqs = xcalloc(from->cap_irqs, sizeof(*to->irqs));
	for (size_t i = 0; i < from->n_irqs; i++) {
		to->irqs[i] = from->irqs[i];
		to->irqs[i].actions = xstrdup(from->irqs[i].actions);
		to->irqs[i].mask = copy_of(&from->irqs[i].mask);
		to->irqs[i].effective = copy_of(&from->irqs[i].effective);
	}
}

static void copy_nodes(const struct fake *from, struct fake *to)
{
	to->nodes = xcalloc(from->cap_nodes, sizeof(*to->nodes));
	for (size_t i = 0; i < from->n_nodes; i++) {
		const struct node *old = from->nodes[i];
		struct node *node = to->nodes[i] = xcalloc(1, sizeof(*node));

		*node = *old;
		node->path = xstrdup(old->path);
		node->text = xstrndup(old->text, old->size);
		node->target = old->target ? xstrdup(old->target) : NULL;
	}
}

struct fake *fake_clone(const struct fake *from)
{
	struct fake *to = xcalloc(1, sizeof(*to));

	if (fake_open_fds(from))
		abort(); /* whose would they be? */
	*to = *from;
	to->fds = NULL;
	to->n_fds = to->cap_fds = 0;
	to->possible = copy_of(&from->possible);
	to->online = copy_of(&from->online);
	to->taken = copy_of(&from->taken);
	to->leaked = copy_of(&from->leaked);
	to->isolated = copy_of(&from->isolated);
	to->wq_isolated = copy_of(&from->wq_isolated);
	to->default_irq = copy_of(&from->default_irq);
	to->wq_requested = copy_of(&from->wq_requested);
	to->wq = copy_of(&from->wq);
	to->balancer.socket = xstrdup(from->balancer.pid ? from->balancer.socket : "");
	to->balancer.banned = copy_of(&from->balancer.banned);
	to->balancer.cpus = copy_of(&from->balancer.cpus);
	to->balancer.irqs = copy_of(&from->balancer.irqs);
	manager_copy(&from->manager, &to->manager);
	to->root = copy_cgroup(from->root, NULL);
	copy_tasks(from, to);
	copy_irqs(from, to);
	copy_nodes(from, to);
	return to;
}
