/* SPDX-License-Identifier: MIT */
/*
 * Interrupts that appeared since a shield began, and those whose masks were
 * changed since we wrote them.
 *
 * A mask of ours that changed is set again if a program did it, and left alone
 * if a person did, since a person means it ('shield status' then calls it
 * broken, 'shield off' leaves it). Programs are told by what they write:
 *
 *	drivers, the kernel	the mask that the interrupt had before, the
 *				driver's hint, all CPUs, or the default mask: at
 *				ifup, a change of rings, CPU hotplug
 *	irqbalance		anything, while it runs, with a socket or without:
 *				to pin interrupts by hand a user has to stop it first,
 *				shield or no shield
 */
#include "shield/ops/new_irqs.h"

#include "irq/irqbalance.h"
#include "irq/net.h"
#include "shield/ops/irq_policies.h"
#include "shield/sys/kfile.h"
#include "shield/txn/apply.h"

#include <string.h>

#define DEFAULT_MASK "/proc/irq/default_smp_affinity"

/* What makes a mask look written by a program. */
struct mask_origin {
	struct txn *txn;
	const char *default_irq, *default_original; /* borrowed, or NULL */
	char *online;
	struct cpuset present;
	struct irqbalance irqbalance;
	bool looked, without_socket; /* for an irqbalance without a socket; there is one */
};

static void mask_origin_clear(struct mask_origin *h)
{
	free(h->online);
	cpuset_clear(&h->present);
	irqbalance_clear(&h->irqbalance);
}

static void mask_origin_read(struct txn *txn, struct mask_origin *h)
{
	const struct object *o = state_file_object(&txn->state, DEFAULT_MASK);

	h->txn = txn;
	h->default_irq = o ? o->ours : NULL;
	h->default_original = o ? o->original : NULL;
	h->online = cpulist_format(&txn->online);
	sys_read_cpulist(txn->sys, "/sys/devices/system/cpu/present", &h->present);
	irqbalance_find(txn->sys, &h->irqbalance);
}

static bool is_hint(struct txn *txn, const char *path, const char *mask)
{
	_cleanup_cpuset_ struct cpuset hint = { 0 }, have = { 0 };
	_cleanup_free_ char *file = NULL, *text = NULL;
	unsigned number;

	if (!irq_path_number(path, &number))
		return false;
	file = xasprintf("/proc/irq/%u/affinity_hint", number);
	return sys_read_line(txn->sys, file, &text) == 0 && cpumask_parse(text, &hint, NULL) == 0 &&
	       cpulist_parse(mask, &have, NULL) == 0 && cpuset_equal(&hint, &have);
}

/* Looked for only when no known program changed a mask, and once. */
static bool irqbalance_without_socket(struct mask_origin *h)
{
	if (!h->looked)
		h->without_socket = irqbalance_has_no_socket(h->txn->sys);
	h->looked = true;
	return h->without_socket;
}

static bool by_program(struct mask_origin *h, const struct object *o, const char *mask)
{
	_cleanup_cpuset_ struct cpuset have = { 0 };

	if (h->irqbalance.pid || strcmp(mask, o->original) == 0 || strcmp(mask, h->online) == 0 ||
	    (h->default_irq && strcmp(mask, h->default_irq) == 0) ||
	    (h->default_original && strcmp(mask, h->default_original) == 0))
		return true;
	/* "All CPUs" may mean those that can ever be. */
	if (cpulist_parse(mask, &have, NULL) == 0 && cpuset_within(&h->present, &have))
		return true;
	return is_hint(h->txn, o->path, mask) || irqbalance_without_socket(h);
}

static void ours(struct object *o, const char *mask)
{
	free(o->ours);
	o->ours = xstrdup(mask);
}

/* Is this step to be taken? What is recorded already may be another interrupt
 * now, where it belongs, or have been changed. */
static bool due(const struct step *step, void *arg)
{
	struct mask_origin *h = arg;
	struct txn *txn = h->txn;
	struct object *o = state_object(&txn->state, step);
	_cleanup_free_ char *goal = NULL;

	/* (One that shares its line may be called by another device now.) */
	if (o &&
	    strcmp(o->identity ? o->identity : "", step->identity ? step->identity : "") != 0 &&
	    object_same(txn, o) == 0) {
		state_forget(&txn->state, o);
		o = NULL;
	}
	if (!o)
		return true;
	if (o->refused)
		return false;
	/* Set once, for a VM that has ended: as all the others now. */
	for (size_t i = 0; step->avoid && i < txn->state.n_shields; i++)
		object_add_claim(o, txn->state.shields[i].name, NULL);
	goal = step->avoid ? txn_goal(txn, o) : txn_goal_set(txn, o, step->to);
	if (strcmp(step->from, goal) == 0)
		return false;
	if (strcmp(step->from, o->ours) == 0)
		return true;
	if (!by_program(h, o, step->from))
		return false;
	ours(o, step->from);
	return true;
}

/* One that was started since: the ban of its predecessor died with it. */
static bool unknown_irqbalance(const struct mask_origin *h)
{
	return h->irqbalance.pid && !state_file_object(&h->txn->state, h->irqbalance.socket);
}

static const char *claimed_by(const struct object *o, const char *shield)
{
	for (size_t i = 0; o && i < o->n_claims; i++)
		if (strcmp(o->claims[i].shield, shield) == 0)
			return o->claims[i].set;
	return NULL;
}

/* irqbalance, which knows of bans only that it may not use CPUs, would take
 * interrupts off guest CPUs that a shield has put there: it has to leave these
 * alone, and those that it left alone before. */
static void plan_bans(struct txn *txn, const struct irqbalance *b, const struct irqs *irqs,
		      const struct irq_policy *policies, size_t n, struct plan *plans)
{
	_cleanup_free_ char *path = irqbalance_bans(b);
	const struct object *o = state_file_object(&txn->state, path);
	_cleanup_free_ char *former = o ? xstrdup(o->original) : NULL;
	_cleanup_free_ struct cpuset *own = xcalloc(n, sizeof(*own));
	size_t policy;

	for (size_t i = 0; i < irqs->n; i++) {
		_cleanup_cpuset_ struct cpuset cpus = { 0 };

		if (irqs->items[i].number <= CPUSET_MAX_CPU &&
		    irq_target(&irqs->items[i], policies, n, &policy, &cpus) == IRQ_SET)
			cpuset_add(&own[policy], irqs->items[i].number);
	}
	for (size_t i = 0; i < n; i++) {
		const char *claimed = claimed_by(o, policies[i].name);
		_cleanup_cpuset_ struct cpuset all = { 0 };
		_cleanup_free_ char *to = NULL;

		if (!claimed && cpuset_empty(&own[i]))
			continue;
		if (!former && kfile_read(txn->sys, kfile_find(path, NULL), path, &former) < 0)
			break;
		cpulist_parse(former, &all, NULL);
		cpuset_or(&all, &own[i]);
		to = cpulist_format(&all);
		if (strcmp(to, claimed ? claimed : former) != 0)
			plan_write(&plans[i], path, o ? o->ours : former, to);
	}
	for (size_t i = 0; i < n; i++)
		cpuset_clear(&own[i]);
}

/* plans[i] for shield i; they are empty afterwards. */
static int carry_out(struct txn *txn, struct mask_origin *mask_origin, struct plan *plans, size_t n,
		     size_t *found, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		plan_keep(&plans[i], due, mask_origin);
		*found += plans[i].n;
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		if (plans[i].n)
			rc = txn_extend(txn, txn->state.shields[i].name, &plans[i], err);
	for (size_t i = 0; i < n; i++)
		plan_clear(&plans[i]);
	return rc;
}

int shield_new_irqs(struct txn *txn, size_t *found, struct err *err)
{
	size_t n = txn->state.n_shields;
	_cleanup_cpuset_ struct cpuset taken = { 0 }, rest = { 0 };
	_cleanup_(mask_origin_clear)
	struct mask_origin mask_origin = { 0 };
	_cleanup_irqs_ struct irqs irqs = { 0 };
	_cleanup_net_ struct net_masks net = { 0 };
	_cleanup_irq_policies_ struct irq_policies policies = { 0 };
	const struct object *queues = state_file_object(&txn->state, NET_DEFAULT);
	struct plan *plans;
	int rc = 0;

	*found = 0;
	if (!n)
		return 0;
	if (irqs_snapshot(txn->sys, &irqs, err) < 0)
		return -1;
	state_taken(&txn->state, &taken);
	cpuset_copy(&rest, &txn->online);
	cpuset_andnot(&rest, &taken);
	mask_origin_read(txn, &mask_origin);
	plans = xcalloc(n, sizeof(*plans));
	irq_policies_read(txn->sys, &txn->state, &policies);
	policy_irqs(&irqs, policies.items, n, 0, &taken, &rest, mask_origin.default_irq,
		    mask_origin.default_original, plans);
	net_snapshot(txn->sys, &net);
	net_plan(&net, &taken, &rest, queues ? queues->ours : NULL,
		 queues ? queues->original : NULL, &plans[0]);
	if (unknown_irqbalance(&mask_origin)) {
		irqbalance_clear(&mask_origin.irqbalance);
		irqbalance_snapshot(txn->sys, &mask_origin.irqbalance);
		irqbalance_plan(&mask_origin.irqbalance, &taken, &rest, &plans[0]);
	}
	rc = carry_out(txn, &mask_origin, plans, n, found, err);
	/* Last, since it may be asleep when it is asked. */
	if (rc == 0 && mask_origin.irqbalance.pid) {
		plan_bans(txn, &mask_origin.irqbalance, &irqs, policies.items, n, plans);
		rc = carry_out(txn, &mask_origin, plans, n, found, err);
	}
	free(plans);
	return rc;
}

static void born_read(const struct txn *txn, const char *path, struct born *born)
{
	const struct object *o = state_file_object(&txn->state, path);

	if (!o || strcmp(o->ours, o->original) == 0)
		return;
	born->mask = xstrdup(o->ours);
	born->original = xstrdup(o->original);
}

/*
 * What was made under the last shield has the default mask that we gave it, and
 * without a shield would have had the original one. What had such a mask before is
 * recorded (policy_on), and listed here before the record goes. (Number and name
 * alone do not tell: its driver may have given it up and asked for it again, last
 * while the shield ended.)
 */
void new_irqs_begin(struct txn *txn, struct new_irqs *b)
{
	if (txn->state.n_shields > 1)
		return;
	born_read(txn, DEFAULT_MASK, &b->irq);
	born_read(txn, NET_DEFAULT, &b->net);
	if (!b->irq.mask && !b->net.mask)
		return;
	for (size_t i = 0; i < txn->state.n_objects; i++)
		if (txn->state.objects[i]->identity && txn->state.objects[i]->path)
			strv_addf(&b->older, "%s %s %s", txn->state.objects[i]->path,
				  txn->state.objects[i]->original, txn->state.objects[i]->identity);
}

static int born_irqs(struct txn *txn, const struct born *b, struct plan *plan, struct err *err)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	/* Such a mask is the default one, or the part of it in its NUMA node. */
	if (cpulist_parse(b->mask, &cpus, err) < 0 || irqs_within(txn->sys, &cpus, &irqs, err) < 0)
		return -1;
	for (size_t i = 0; i < irqs.n; i++) {
		_cleanup_free_ char *path = irq_path(irqs.items[i].number);
		_cleanup_free_ char *mask = cpulist_format(&irqs.items[i].mask);
		_cleanup_free_ char *born = irq_born(&irqs, &irqs.items[i], b->mask);
		_cleanup_free_ char *original = irq_born(&irqs, &irqs.items[i], b->original);

		if (irq_movable(&irqs.items[i]) && strcmp(mask, born) == 0)
			plan_write(plan, path, mask, original)->identity =
				irq_identity(&irqs.items[i]);
	}
	return 0;
}

/* arg: what is recorded, "PATH ORIGINAL IDENTITY". */
static bool is_newborn(const struct step *step, void *arg)
{
	_cleanup_free_ char *key = xasprintf("%s %s %s", step->path, step->from, step->identity);

	return !strv_contains(arg, key);
}

int new_irqs_end(struct txn *txn, const struct new_irqs *b, struct err *err)
{
	_cleanup_plan_ struct plan plan = { 0 };

	if (b->irq.mask && born_irqs(txn, &b->irq, &plan, err) < 0)
		return -1;
	if (b->net.mask) {
		_cleanup_net_ struct net_masks net = { 0 };

		net_snapshot(txn->sys, &net);
		net_plan_born(&net, b->net.mask, b->net.original, &plan);
	}
	plan_keep(&plan, is_newborn, (void *)&b->older);
	return plan.n ? txn_give_back(txn, &plan, err) : 0;
}

void new_irqs_clear(struct new_irqs *b)
{
	free(b->irq.mask);
	free(b->irq.original);
	free(b->net.mask);
	free(b->net.original);
	strv_clear(&b->older);
}

/* What its VM had is for the shields that stay like any other's. */
static void hand_over(struct txn *txn, const char *name, struct object *o)
{
	const struct claim *c = object_claim(o, name);

	for (size_t i = 0; c && c->set && i < txn->state.n_shields; i++)
		if (strcmp(txn->state.shields[i].name, name) != 0 &&
		    !object_claim(o, txn->state.shields[i].name)) {
			object_add_claim(o, txn->state.shields[i].name, NULL);
			c = object_claim(o, name);
		}
}

void shield_reclaim_irqs(struct txn *txn, const char *name)
{
	_cleanup_(mask_origin_clear)
	struct mask_origin mask_origin = { 0 };
	unsigned number;

	mask_origin_read(txn, &mask_origin);
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];
		_cleanup_free_ char *mask = NULL;

		if (o->kind != STEP_WRITE || !irq_path_number(o->path, &number) || o->refused)
			continue;
		hand_over(txn, name, o);
		if (object_read(txn, o, &mask) == 0 && strcmp(mask, o->ours) != 0 &&
		    by_program(&mask_origin, o, mask))
			ours(o, mask);
	}
}
