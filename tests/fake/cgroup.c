/* SPDX-License-Identifier: MIT */
/* The cgroup tree: making and removing, threads and domains, moving tasks. */
#include "tests/fake/internal.h"

#include <unistd.h>

struct cg *cg_new(struct cg *parent, const char *name)
{
	struct cg *cg = xcalloc(1, sizeof(*cg)), **at;

	cg->name = xstrdup(name);
	cg->parent = parent;
	if (parent) {
		for (at = &parent->children; *at; at = &(*at)->next)
			;
		*at = cg;
	}
	return cg;
}

void cg_free(struct cg *cg)
{
	while (cg->children)
		cg_free(cg->children);
	for (struct cg **at = cg->parent ? &cg->parent->children : NULL; at && *at;)
		if (*at == cg)
			*at = cg->next;
		else
			at = &(*at)->next;
	cpuset_reset(cg);
	free(cg->name);
	free(cg);
}

struct cg *cg_next(const struct cg *at)
{
	if (at->children)
		return at->children;
	for (; at->parent; at = at->parent)
		if (at->next)
			return at->next;
	return NULL;
}

/* By its path from the cgroup root; slashes at the ends do not matter. */
struct cg *cg_find(struct fake *fake, const char *path)
{
	struct cg *cg = fake->root;

	while (cg && *(path += strspn(path, "/"))) {
		size_t n = strcspn(path, "/");

		for (cg = cg->children; cg; cg = cg->next)
			if (strlen(cg->name) == n && strncmp(cg->name, path, n) == 0)
				break;
		path += n;
	}
	return cg;
}

char *cg_path(const struct cg *cg)
{
	_cleanup_free_ char *parent = NULL;

	if (!cg->parent)
		return xstrdup("/");
	parent = cg_path(cg->parent);
	return xasprintf("%s%s%s", parent, parent[1] ? "/" : "", cg->name);
}

bool cg_within(const struct cg *cg, const struct cg *ancestor)
{
	for (; cg; cg = cg->parent)
		if (cg == ancestor)
			return true;
	return false;
}

bool cg_populated(const struct fake *fake, const struct cg *cg)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (cg_within(fake->tasks[i]->cg, cg))
			return true;
	return false;
}

static bool has_tasks(const struct fake *fake, const struct cg *cg)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (fake->tasks[i]->cg == cg)
			return true;
	return false;
}

/* The cgroup that holds the process whose threads may be here. */
const struct cg *cg_domain(const struct cg *cg)
{
	while (cg->threaded)
		cg = cg->parent;
	return cg;
}

bool cg_thread_root(const struct fake *fake, const struct cg *cg)
{
	if (cg->threaded)
		return false;
	for (const struct cg *c = cg->children; c; c = c->next)
		if (c->threaded)
			return true;
	return cg->control && has_tasks(fake, cg);
}

bool cg_valid_domain(const struct fake *fake, const struct cg *cg)
{
	if (cg->threaded)
		return false;
	while ((cg = cg->parent))
		if (cg->threaded || (cg->parent && cg_thread_root(fake, cg)))
			return false;
	return true;
}

bool cg_may_be_thread_root(const struct fake *fake, const struct cg *cg)
{
	if (!cg->parent)
		return true;
	if (cg->threaded)
		return false;
	for (const struct cg *c = cg->children; c; c = c->next)
		if (!c->threaded && cg_populated(fake, c))
			return false;
	return true;
}

int cg_mkdir(struct fake *fake, const char *path)
{
	const char *name = strrchr(path, '/');
	_cleanup_free_ char *above = name ? xstrndup(path, (size_t)(name - path)) : xstrdup("");
	struct cg *parent = cg_find(fake, above);

	if (cg_find(fake, path))
		return -EEXIST;
	if (!parent)
		return -ENOENT;
	cg_new(parent, name ? name + 1 : path);
	cpuset_update(fake);
	return 0;
}

int cg_rmdir(struct fake *fake, const char *path)
{
	struct cg *cg = cg_find(fake, path);

	if (!cg)
		return -ENOENT;
	if (!cg->parent || cg->children || has_tasks(fake, cg))
		return -EBUSY;
	cg_free(cg);
	cpuset_update(fake);
	return 0;
}

/* On 6.1 every task whose cpuset is replaced by another gets that one's CPUs. */
int cg_control(struct fake *fake, struct cg *cg, bool enable)
{
	if (cg->control == enable)
		return 0;
	if (enable && !has_cpuset(cg))
		return -ENOENT;
	if (enable && !cg_valid_domain(fake, cg_domain(cg)))
		return -EOPNOTSUPP;
	if (enable && cg->parent && has_tasks(fake, cg) && !cg->threaded &&
	    !cg_may_be_thread_root(fake, cg))
		return -EBUSY;
	for (struct cg *c = cg->children; c; c = c->next) {
		if (c->control && !enable)
			return -EBUSY;
	}
	cg->control = enable;
	for (struct cg *c = cg->children; c; c = c->next)
		cpuset_reset(c);
	cpuset_update(fake);
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (fake->tasks[i]->cg != cg && cg_within(fake->tasks[i]->cg, cg))
			ftask_apply(fake, fake->tasks[i], true);
	return 0;
}

int cg_attach(struct fake *fake, struct cg *to, pid_t tid, bool whole)
{
	struct ftask *task = ftask_find(fake, tid ? tid : fake->self);

	if (!task)
		return -ESRCH;
	if (task->noaff || (task->kthread && strcmp(task->comm, "kthreadd") == 0))
		return -EINVAL;
	if (!whole && cg_domain(task->cg) != cg_domain(to))
		return -EOPNOTSUPP;
	if (!cg_valid_domain(fake, cg_domain(to)))
		return -EOPNOTSUPP;
	if (to->parent && to->control && !to->threaded && !cg_may_be_thread_root(fake, to))
		return -EBUSY;
	if (cpuset_of(to) != cpuset_of(task->cg) && cpuset_empty(&cpuset_of(to)->eff))
		return -ENOSPC;
	for (size_t i = 0; i < fake->n_tasks; i++) {
		struct ftask *t = fake->tasks[i];
		bool other = cpuset_of(t->cg) != cpuset_of(to);

		if (t != task && !(whole && t->tgid == task->tgid))
			continue;
		t->cg = to;
		if (other)
			ftask_apply(fake, t, true);
	}
	return 0;
}
