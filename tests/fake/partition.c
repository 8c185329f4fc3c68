/* SPDX-License-Identifier: MIT */
/*
 * cpuset: who has which CPUs. State is recomputed from the root down after
 * every write; validity changes only where the kernel re-examines it: when a
 * partition is written, when its own or (below 7.0) a sibling's CPUs are, when
 * its parent changes, and at CPU hotplug.
 */
#include "tests/fake/internal.h"

static const char no_cpus[] = "Parent unable to distribute cpu downstream";
static const char not_exclusive[] = "Cpu list in cpuset.cpus not exclusive";
static const char not_partition[] = "Parent is not a partition root";
static const char bad_parent[] = "Parent is an invalid partition root";
static const char remote_below[] = "Have remote partition underneath";
static const char hotplug[] = "No cpu available due to hotplug";

static const char *bad_cpus(const struct fake *fake)
{
	return fake->flavour == FAKE_6_1 ? "Invalid cpu list in cpuset.cpus"
					 : "Invalid cpu list in cpuset.cpus.exclusive";
}

struct cg *cpuset_of(struct cg *cg)
{
	while (!has_cpuset(cg))
		cg = cg->parent;
	return cg;
}

void cpuset_reset(struct cg *cg)
{
	cpuset_clear(&cg->cpus);
	cpuset_clear(&cg->excl);
	cpuset_clear(&cg->xcpus);
	cpuset_clear(&cg->eff);
	cpuset_clear(&cg->basis);
	cg->prs = PRS_MEMBER;
	cg->valid = cg->remote = false;
	cg->why = NULL;
}

/* The kernel's user_xcpus(): what the cgroup wants for itself alone. */
static const struct cpuset *wanted(const struct cg *cg)
{
	return cpuset_empty(&cg->excl) ? &cg->cpus : &cg->excl;
}

/* What the parent can hand down exclusively. */
static const struct cpuset *granted(const struct fake *fake, const struct cg *cg)
{
	return cg->parent->parent ? &cg->parent->xcpus : &fake->possible;
}

static bool local_parent(const struct cg *cg)
{
	return !cg->parent->parent || cg->parent->valid;
}

/* Are there tasks that would live on the CPUs of cg itself, other than those
 * in `except` and in partitions? */
static bool has_users(const struct fake *fake, const struct cg *cg, const struct cg *except)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (fake->tasks[i]->cg == cg)
			return true;
	for (const struct cg *c = cg->children; c; c = c->next)
		if (c != except && !c->valid && has_users(fake, c, except))
			return true;
	return false;
}

static bool has_remote(const struct cg *cg)
{
	for (const struct cg *c = cg->children; c; c = c->next)
		if ((c->valid && c->remote) || has_remote(c))
			return true;
	return false;
}

/* What Linux 7 leaves to cg of what it wants. */
static void strip_siblings(const struct cg *cg, struct cpuset *cpus)
{
	for (const struct cg *s = cg->parent->children; s; s = s->next) {
		if (s == cg)
			continue;
		cpuset_andnot(cpus, &s->excl);
		if (s->valid)
			cpuset_andnot(cpus, &s->xcpus);
	}
}

/* Could cg be a partition now? NULL and its CPUs, or the reason. */
static const char *examine(const struct fake *fake, const struct cg *cg, struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset left = { 0 };

	if (cpuset_empty(wanted(cg)))
		return fake->flavour == FAKE_6_1
			       ? "cpuset.cpus is empty"
			       : "cpuset.cpus and cpuset.cpus.exclusive are empty";
	cpuset_copy(cpus, wanted(cg));
	if (fake->flavour == FAKE_7)
		strip_siblings(cg, cpus);
	for (const struct cg *s = cg->parent->children; s && fake->flavour != FAKE_7; s = s->next)
		if (s != cg && cpuset_intersects(cpus, wanted(s)))
			return not_exclusive;
	if (fake->flavour == FAKE_6_1 && !local_parent(cg))
		return cg->parent->prs ? bad_parent : not_partition;
	cpuset_and(cpus, granted(fake, cg));
	if (cpuset_empty(cpus))
		return bad_cpus(fake);
	if (has_remote(cg))
		return remote_below;
	if (local_parent(cg)) {
		cpuset_copy(&left, &cg->parent->eff);
		if (cg->valid)
			cpuset_or(&left, &cg->xcpus);
		cpuset_andnot(&left, cpus);
		if (cpuset_empty(&left) && has_users(fake, cg->parent, cg))
			return no_cpus;
		return NULL;
	}
	cpuset_copy(&left, &fake->taken);
	if (cg->valid)
		cpuset_andnot(&left, &cg->xcpus);
	if (cpuset_intersects(cpus, &left))
		return bad_cpus(fake);
	cpuset_copy(&left, &fake->root->eff);
	if (cg->valid)
		cpuset_or(&left, &cg->xcpus);
	return cpuset_within(&left, cpus) ? bad_cpus(fake) : NULL;
}

static void settle(struct fake *fake, struct cg *cg);

/* The parent became a partition, or ceased to be one. */
static void settle_children(struct fake *fake, struct cg *cg)
{
	for (struct cg *c = cg->children; c; c = c->next) {
		if (!c->prs || (c->valid && c->remote))
			continue;
		if (local_parent(c)) {
			settle(fake, c);
			continue;
		}
		c->valid = false;
		c->why = cg->prs ? bad_parent : not_partition;
		settle_children(fake, c);
	}
}

static void settle(struct fake *fake, struct cg *cg)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	cg->why = examine(fake, cg, &cpus);
	cg->valid = !cg->why;
	cg->remote = cg->valid && !local_parent(cg);
	if (cg->valid)
		cpuset_copy(&cg->xcpus, &cpus);
	cpuset_update(fake);
	settle_children(fake, cg);
	cpuset_update(fake);
}

static void dissolve(struct fake *fake, struct cg *cg, enum prs prs, const char *why)
{
	if (cg->valid)
		cpuset_andnot(&fake->leaked, &cg->xcpus);
	cg->valid = cg->remote = false;
	cg->prs = prs;
	cg->why = why;
	settle_children(fake, cg);
	cpuset_update(fake);
}

/* cpuset.cpus.exclusive.effective of everything that is not a valid partition;
 * partitions keep what they got unless an ancestor lost it, or gained more. */
static void update_exclusive(struct fake *fake, struct cg *cg)
{
	if (!cg->valid) {
		cpuset_copy(&cg->xcpus, &cg->excl);
		for (struct cg *s = cg->parent->children; s; s = s->next)
			if (s != cg && s->valid)
				cpuset_andnot(&cg->xcpus, &s->xcpus);
	} else if (fake->flavour == FAKE_6_12 && cg->remote &&
		   !cpuset_within(&cg->xcpus, granted(fake, cg))) {
		/* 6.12 makes it a plain member, 7 takes the CPUs from it. */
		cg->valid = cg->remote = false;
		cg->prs = PRS_MEMBER;
		cpuset_copy(&cg->xcpus, &cg->excl);
	} else if (fake->flavour == FAKE_7 && cg->remote) {
		cpuset_copy(&cg->xcpus, wanted(cg));
		strip_siblings(cg, &cg->xcpus);
	}
	cpuset_and(&cg->xcpus, granted(fake, cg));
	if (cg->valid && cpuset_empty(&cg->xcpus)) {
		cg->valid = cg->remote = false;
		cg->why = bad_cpus(fake);
	}
}

static void update_effective(struct fake *fake, struct cg *cg)
{
	if (!cg->parent || cg->valid) {
		cpuset_copy(&cg->eff, cg->parent ? &cg->xcpus : &fake->possible);
		cpuset_and(&cg->eff, &fake->online);
		if (!cg->parent)
			cpuset_andnot(&cg->eff, &fake->taken);
		for (struct cg *c = cg->children; cg->parent && c; c = c->next)
			if (c->valid)
				cpuset_andnot(&cg->eff, &c->xcpus);
		return;
	}
	cpuset_copy(&cg->eff, &cg->cpus);
	cpuset_and(&cg->eff, &cg->parent->eff);
	if (cpuset_empty(&cg->eff))
		cpuset_copy(&cg->eff, &cg->parent->eff);
}

/* Give the tasks of a cpuset whose CPUs changed the new ones. */
static void update_tasks(struct fake *fake, struct cg *cg)
{
	_cleanup_cpuset_ struct cpuset basis = { 0 };

	if (!cg->parent && fake->flavour != FAKE_6_1) {
		cpuset_copy(&basis, &fake->possible);
		cpuset_andnot(&basis, &fake->taken);
	} else {
		for (struct cg *c = cg; c && cpuset_empty(&basis); c = c->parent)
			cpuset_copy(&basis, &c->eff);
	}
	if (cpuset_equal(&basis, &cg->basis))
		return;
	cpuset_copy(&cg->basis, &basis);
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (cpuset_of(fake->tasks[i]->cg) == cg)
			ftask_apply(fake, fake->tasks[i], false);
}

void cpuset_update(struct fake *fake)
{
	_cleanup_cpuset_ struct cpuset isolated = { 0 };

	for (struct cg *c = cg_next(fake->root); c; c = cg_next(c))
		if (has_cpuset(c))
			update_exclusive(fake, c);
	cpuset_copy(&fake->taken, &fake->leaked);
	cpuset_copy(&isolated, &fake->leaked);
	for (struct cg *c = cg_next(fake->root); c; c = cg_next(c)) {
		if (c->valid && (c->remote || c->parent == fake->root))
			cpuset_or(&fake->taken, &c->xcpus);
		if (c->valid && c->prs == PRS_ISOLATED)
			cpuset_or(&isolated, &c->xcpus);
	}
	for (struct cg *c = fake->root; c; c = cg_next(c))
		if (has_cpuset(c))
			update_effective(fake, c);
	for (struct cg *c = fake->root; c; c = cg_next(c))
		if (has_cpuset(c))
			update_tasks(fake, c);
	if (fake->flavour == FAKE_6_1 || cpuset_equal(&isolated, &fake->isolated))
		return;
	cpuset_copy(&fake->isolated, &isolated);
	if (fake->kill_inside) {
		fake->kill_inside = false;
		return;
	}
	cpuset_copy(&fake->wq_isolated, &isolated);
	cpuset_copy(&fake->wq, &fake->wq_requested);
	cpuset_andnot(&fake->wq, &isolated);
	if (cpuset_empty(&fake->wq))
		cpuset_copy(&fake->wq, &fake->wq_requested);
	dev_settle_workers(fake);
	if (fake->flavour == FAKE_7)
		ftask_housekeeping(fake);
}

/* Below 7.0: do these CPUs of cg and those of a sibling exclude each other? */
static bool conflicts(const struct fake *fake, const struct cg *cg, const struct cg *s)
{
	if (cg->valid || s->valid) {
		if (fake->flavour == FAKE_7)
			return cpuset_intersects(&cg->excl, s->valid ? &s->xcpus : &s->excl);
		return cpuset_intersects(wanted(cg), wanted(s));
	}
	if (cpuset_intersects(&cg->excl, &s->excl))
		return true;
	return (!cpuset_empty(&cg->cpus) && cpuset_within(&cg->cpus, &s->excl)) ||
	       (!cpuset_empty(&s->cpus) && cpuset_within(&s->cpus, &cg->excl));
}

/* Linux 7.3 forgets whose the CPUs are that a remote partition loses with its
 * cpuset.cpus, unless a cgroup above it may not have them (cgroup/libvirt.h). */
static void leak(struct fake *fake, const struct cg *cg, struct cpuset *had)
{
	if (fake->flavour != FAKE_7 || !cg->valid || !cg->remote)
		return;
	cpuset_andnot(had, &cg->xcpus);
	for (const struct cg *above = cg->parent; above != fake->root; above = above->parent)
		if (!cpuset_empty(&above->cpus) && !cpuset_intersects(&above->cpus, had))
			return;
	cpuset_or(&fake->leaked, had);
}

int cpuset_write_cpus(struct fake *fake, struct cg *cg, const char *text)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 }, had = { 0 };
	bool conflict = false;
	int rc = fake_parse(fake, text, false, &cpus);

	if (rc < 0)
		return rc;
	if (cpuset_equal(&cpus, &cg->cpus))
		return 0;
	if (fake->flavour != FAKE_7 && cpuset_empty(&cpus) && cg_populated(fake, cg))
		return -ENOSPC;
	cpuset_copy(&cg->cpus, &cpus);
	for (struct cg *s = cg->parent->children; s && fake->flavour != FAKE_7; s = s->next)
		conflict |= s != cg && conflicts(fake, cg, s);
	for (struct cg *s = cg->parent->children; s && conflict; s = s->next)
		if (s->valid && cpuset_intersects(wanted(cg), &s->xcpus))
			dissolve(fake, s, s->prs, NULL);
	if (cg->valid)
		cpuset_copy(&had, &cg->xcpus);
	/* A remote one that is invalid stays so until it is written again. */
	if (cg->prs && !conflict && (cg->valid || local_parent(cg)))
		settle(fake, cg);
	leak(fake, cg, &had);
	cpuset_update(fake);
	return 0;
}

int cpuset_write_exclusive(struct fake *fake, struct cg *cg, const char *text)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 }, old = { 0 };
	int rc = fake_parse(fake, text, false, &cpus);

	if (rc < 0)
		return rc;
	if (cpuset_equal(&cpus, &cg->excl))
		return 0;
	cpuset_copy(&old, &cg->excl);
	cpuset_copy(&cg->excl, &cpus);
	for (struct cg *s = cg->parent->children; s; s = s->next)
		if (s != cg && conflicts(fake, cg, s)) {
			cpuset_copy(&cg->excl, &old);
			return -EINVAL;
		}
	if (cg->prs)
		settle(fake, cg);
	cpuset_update(fake);
	return 0;
}

int cpuset_write_partition(struct fake *fake, struct cg *cg, const char *text)
{
	size_t n = strcspn(text, "\n");
	enum prs prs;

	if (n == 6 && strncmp(text, "member", n) == 0)
		prs = PRS_MEMBER;
	else if (n == 4 && strncmp(text, "root", n) == 0)
		prs = PRS_ROOT;
	else if (n == 8 && strncmp(text, "isolated", n) == 0)
		prs = PRS_ISOLATED;
	else
		return -EINVAL;
	if (prs == PRS_MEMBER) {
		dissolve(fake, cg, prs, NULL);
	} else if (fake->flavour == FAKE_6_1 && cg->prs && !cg->valid) {
		cg->prs = prs; /* only by way of member */
	} else {
		cg->prs = prs;
		if (!cg->valid)
			settle(fake, cg);
		cpuset_update(fake);
	}
	return 0;
}

char *cpuset_partition_text(const struct cg *cg)
{
	static const char *const names[] = { "member", "root", "isolated" };

	if (!cg->prs || cg->valid)
		return xasprintf("%s\n", names[cg->prs]);
	if (!cg->why)
		return xasprintf("%s invalid\n", names[cg->prs]);
	return xasprintf("%s invalid (%s)\n", names[cg->prs], cg->why);
}

void fake_cpu_dying(struct fake *fake, unsigned cpu)
{
	cpuset_remove(&fake->online, cpu);
}

void fake_cpu(struct fake *fake, unsigned cpu, bool online)
{
	if (online)
		cpuset_add(&fake->online, cpu);
	else
		cpuset_remove(&fake->online, cpu);
	for (struct cg *c = cg_next(fake->root); c; c = cg_next(c)) {
		if (c->valid && !cpuset_intersects(&c->xcpus, &fake->online) &&
		    has_users(fake, c, NULL))
			dissolve(fake, c, c->prs, hotplug);
		else if (online && c->prs && c->why == hotplug && local_parent(c))
			settle(fake, c);
	}
	cpuset_update(fake);
	if (!online) {
		dev_cpu_gone(fake);
		ftask_cpu_gone(fake);
	}
}
