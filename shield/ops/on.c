/* SPDX-License-Identifier: MIT */
#include "shield/ops/on.h"

#include "shield/cgroup/layout.h"
#include "shield/ops/audit.h"
#include "shield/ops/irq_policies.h"
#include "shield/ops/scope_anchor.h"
#include "shield/policy/conflicts.h"
#include "shield/policy/irqs.h"
#include "shield/policy/settings.h"

#include <string.h>

/* All that a profile asks for, in its order. */
static int plan_on(struct sys *sys, const struct host_snapshot *snapshot,
		   const struct shield_spec *spec, const struct cpuset *active, struct plan *plan,
		   struct err *err)
{
	policy_flush(sys, snapshot, spec, active, plan);
	policy_on(snapshot, spec, active, plan);
	return policy_settings(sys, spec, plan, err);
}

/* A cgroup of that name with processes in it is not ours to take. */
static int check_cgroup(struct sys *sys, const struct host_caps *host, const char *name,
			struct err *err)
{
	_cleanup_free_ char *cgroup = layout_cgroup(layout_kind(host), name);
	_cleanup_free_ char *dir = xasprintf("%s%s", host->mount, cgroup);
	_cleanup_free_ char *events = xasprintf("%s/cgroup.events", dir);
	_cleanup_free_ char *text = NULL;

	if (sys_read_line(sys, events, &text) == 0 && strstr(text, "populated 1"))
		return err_set(err, ERR_FAILED,
			       "the cgroup %s exists and has processes, but no shield of that name "
			       "is active; end them, then: find %s -depth -type d -exec rmdir {} +",
			       dir, dir);
	return 0;
}

int shield_check_free(const struct state *state, const struct profile *profile, struct err *err)
{
	_cleanup_cpuset_ struct cpuset all = { 0 };

	if (state_shield(state, profile->name))
		return err_set(err, ERR_FAILED,
			       "the shield %s is active already; 'shield off %s' ends it",
			       profile->name, profile->name);
	cpuset_copy(&all, &profile->guest);
	cpuset_or(&all, &profile->emulator);
	for (size_t i = 0; i < profile->n_iothreads; i++)
		cpuset_or(&all, &profile->iothreads[i]);
	for (size_t i = 0; i < state->n_shields; i++) {
		const struct shield *s = &state->shields[i];
		_cleanup_cpuset_ struct cpuset both = { 0 };
		_cleanup_free_ char *text = NULL;

		cpuset_copy(&both, &all);
		cpuset_and(&both, &s->taken);
		if (cpuset_empty(&both))
			continue;
		text = cpulist_format(&both);
		return err_set(err, ERR_FAILED,
			       "CPU %s is the shield %s's already; 'shield off %s' ends it", text,
			       s->name, s->name);
	}
	return 0;
}

static void layout_of(const struct on_request *b, const struct shield_spec *spec, struct shield *s)
{
	_cleanup_free_ char *vcpus = NULL;

	if (b->libvirt) {
		s->cgroup = xstrdup(b->libvirt->cgroup);
		for (size_t i = 0; i < b->partitions->n; i++)
			partitions_add(&s->partitions, b->partitions->items[i].cgroup,
				       &b->partitions->items[i].cpus);
		return;
	}
	s->cgroup = layout_cgroup(layout_kind(&b->snapshot->host), spec->name);
	vcpus = layout_vcpus(s->cgroup);
	partitions_add(&s->partitions, vcpus, &spec->guest);
}

static void enter(struct txn *txn, const struct on_request *b, const struct shield_spec *spec,
		  struct process anchor)
{
	struct shield *s = state_add_shield(&txn->state, spec->name);

	s->phase = PHASE_APPLYING;
	s->owner = b->owner;
	s->vm = b->vm;
	s->anchor = anchor;
	cpuset_copy(&s->guest, &spec->guest);
	cpuset_copy(&s->emulator, &spec->emulator);
	cpuset_copy(&s->taken, &spec->taken);
	layout_of(b, spec, s);
	s->home = xstrdup(b->snapshot->host.home);
	s->partition = xstrdup(spec->partition);
	state_irq_take(&s->irq, spec->profile);
	state_map_take(&s->map, spec->profile);
}

/* It stood, and cannot stay; err says why. */
static int take_back(struct txn *txn, const char *name, struct err *err)
{
	struct err undone = { 0 };

	if (txn_off(txn, name, NULL, &undone) < 0)
		return err_set(err, ERR_INCOMPLETE, "%s", undone.text);
	return -1;
}

/* From here on its scope stays when we end. */
static int keep_scope(struct txn *txn, const char *name, const struct scope_anchor *anchor,
		      struct err *err)
{
	int rc = scope_anchor_keep(txn->sys, anchor);

	if (rc == 0)
		return 0;
	err_set(err, ERR_FAILED, "the process that holds its scope has ended: %s", err_errno(rc));
	return take_back(txn, name, err);
}

/* A partition may be valid and yet not have the CPUs: since 7.0 the kernel
 * silently strips those that someone else holds. */
static int verify(struct txn *txn, const char *name, struct err *err)
{
	_cleanup_problems_ struct problems problems = { 0 };

	audit_partition(txn, state_shield(&txn->state, name), &problems);
	if (!problems.n)
		return 0;
	err_set(err, ERR_FAILED, "%s: expected %s, is %s (%s); nothing was changed",
		problems.items[0].object, problems.items[0].expected, problems.items[0].actual,
		problems.items[0].reason);
	return take_back(txn, name, err);
}

/* What it may use is about to become an original. Waiting for that, it may have
 * moved interrupts. */
static int settle_irqbalance(struct txn *txn, struct host_snapshot *snapshot, struct err *err)
{
	if (!snapshot->irqbalance.pid ||
	    state_file_object(&txn->state, snapshot->irqbalance.socket) ||
	    !irqbalance_settle(txn->sys, &snapshot->irqbalance))
		return 0;
	irqs_clear(&snapshot->irqs);
	return irqs_snapshot(txn->sys, &snapshot->irqs, err);
}

int shield_begin(struct txn *txn, const struct on_request *b, struct strv *warnings,
		 struct err *err)
{
	_cleanup_shield_spec_ struct shield_spec spec = { .libvirt = b->libvirt,
							  .partitions = b->partitions };
	_cleanup_cpuset_ struct cpuset active = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_irq_policies_ struct irq_policies others = { 0 };
	_cleanup_free_ char *domain = b->libvirt ? libvirt_parent(b->libvirt->cgroup) : NULL;
	const struct host_caps *host = &b->snapshot->host;
	const char *name = b->profile->name;
	struct scope_anchor anchor = { .leash = -1 };
	int rc;

	state_taken(&txn->state, &active);
	if (shield_check_free(&txn->state, b->profile, err) < 0 ||
	    policy_spec(b->snapshot, b->profile, b->partition, &active, txn->force, &spec, warnings,
			err) < 0)
		return -1;
	conflicts_find(txn->sys, &b->snapshot->tasks, b->profile, warnings);
	conflicts_find_cpus(txn->sys, host, &active, &spec.taken, domain, warnings);
	if (txn_on_paper(txn)) /* else the kernel refuses them */
		policy_managed(&b->snapshot->irqs, &spec.taken, warnings);
	if (!b->libvirt && check_cgroup(txn->sys, host, name, err) < 0)
		return -1;
	irq_policies_read(txn->sys, &txn->state, &others);
	spec.others = others.items;
	spec.n_others = others.n;
	if (b->snapshot->irqbalance.error)
		strv_addf(
			&txn->report,
			"irqbalance could not be asked which CPUs it uses (%s), so it is not told "
			"to leave these alone: it may move interrupts to them",
			err_errno(b->snapshot->irqbalance.error));
	if (settle_irqbalance(txn, b->snapshot, err) < 0 ||
	    plan_on(txn->sys, b->snapshot, &spec, &active, &plan, err) < 0)
		return -1;
	if (layout_kind(host) == LAYOUT_ROOT_SCOPE)
		strv_add(warnings,
			 "before Linux 6.2 each use of the cpuset controller destroys the "
			 "affinities of all programs; they are put back when the shield ends, "
			 "but systemd may use it once more after that");
	if (!b->libvirt && layout_kind(host) != LAYOUT_PLAIN &&
	    scope_anchor_start(txn->sys, &anchor, err) < 0)
		return -1;
	for (size_t i = 0; i < plan.warnings.n; i++)
		strv_add(warnings, plan.warnings.items[i]);
	enter(txn, b, &spec, anchor.process);
	rc = txn_on(txn, name, &plan, err);
	if (rc == 0)
		rc = verify(txn, name, err);
	if (rc == 0)
		rc = keep_scope(txn, name, &anchor, err);
	scope_anchor_let_go(txn->sys, &anchor);
	return rc < 0 ? err_wrap(err, "shield %s", name) : 0;
}

int shield_on(struct txn *txn, const char *which, const char *partition, struct process owner,
	      struct strv *warnings, char **name, struct err *err)
{
	_cleanup_host_snapshot_ struct host_snapshot snapshot = { 0 };
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_cpuset_ struct cpuset active = { 0 };

	state_taken(&txn->state, &active);
	if (host_snapshot_read(txn->sys, &active, &snapshot, err) < 0 ||
	    profile_load(txn->sys, &snapshot.topo, which, &profile, warnings, err) < 0 ||
	    shield_begin(txn,
			 &(struct on_request){ .snapshot = &snapshot,
					       .profile = &profile,
					       .partition = partition,
					       .owner = owner },
			 warnings, err) < 0)
		return -1;
	*name = take_ptr(profile.name);
	return 0;
}
