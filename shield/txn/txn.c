/* SPDX-License-Identifier: MIT */
#include "shield/task/task.h"
#include "shield/txn/apply.h"
#include "shield/txn/settle.h"
#include "shield/txn/state_json.h"

#include <string.h>

static int read_cpus(struct sys *sys, const char *path, struct cpuset *set, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int rc = sys_read_line(sys, path, &text);

	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "%s: %s", path, err_errno(rc));
	return cpulist_parse(text, set, err);
}

static int incomplete(const struct txn *txn, struct err *err)
{
	return err_set(err, ERR_INCOMPLETE,
		       "not everything could be restored (%zu left; first: %.500s); 'shield "
		       "recover' tries again",
		       txn->leftover.n, txn->leftover.items[0]);
}

/* A thread cannot be given a CPU that is offline; and up to Linux 6.1 the
 * kernel takes such CPUs from all threads when a partition changes. */
static void report_lost(struct txn *txn)
{
	_cleanup_cpuset_ struct cpuset lost = { 0 }, present = { 0 };
	_cleanup_free_ char *list = NULL;
	struct err ignored;
	size_t n = 0;

	/* A mask may have more CPUs than the machine. */
	if (read_cpus(txn->sys, "/sys/devices/system/cpu/present", &present, &ignored) < 0)
		return;
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];
		_cleanup_cpuset_ struct cpuset want = { 0 }, have = { 0 };

		if (o->kind != STEP_AFFINITY || cpulist_parse(o->target, &want, NULL) < 0 ||
		    cpuset_within(&want, &txn->online))
			continue;
		cpuset_andnot(&want, &txn->online);
		cpuset_and(&want, &present);
		if (cpuset_empty(&want) || task_allowed(txn->sys, o->task.pid, &have) < 0 ||
		    cpuset_within(&want, &have) || object_same(txn, o) != 1)
			continue;
		cpuset_or(&lost, &want);
		n++;
	}
	list = cpulist_format(&lost);
	if (n)
		strv_addf(&txn->report,
			  "CPUs %s are offline, and %zu threads have lost them: this kernel "
			  "cannot restore them before they are online (then: taskset -p)",
			  list, n);
}

/* Backward: cannot fail half-way, only leave something over. */
static int settle_back(struct txn *txn, struct err *err)
{
	struct err ignored = { 0 };

	strv_clear(&txn->leftover);
	settle_apply(txn, false, &ignored);
	report_lost(txn);
	settle_conclude(txn);
	if (state_save(txn->sys, txn->mount, &txn->state, err) < 0) {
		err->kind = ERR_INCOMPLETE; /* the file itself, if nothing else */
		return -1;
	}
	return txn->leftover.n ? incomplete(txn, err) : 0;
}

static int announce(struct txn *txn, struct err *err)
{
	settle_aim(txn);
	settle_announce(txn);
	return state_save(txn->sys, txn->mount, &txn->state, err);
}

/* Undo what the shields in phase releasing hold. What was interrupted is in the
 * file already: a full /run must not keep the host from getting its CPUs back. */
static int release(struct txn *txn, struct err *err)
{
	if (announce(txn, err) < 0)
		strv_addf(&txn->report, "%s; going on without", err->text);
	return settle_back(txn, err);
}

/* Finish what was being done to active shields (attach, new threads, repair):
 * all of them stay, so f is where it was going, and in the same order. */
static int resume(struct txn *txn, struct err *err)
{
	if (announce(txn, err) < 0)
		return -1;
	if (settle_apply(txn, true, err) < 0)
		strv_add(&txn->leftover, err->text);
	settle_conclude(txn);
	if (state_save(txn->sys, txn->mount, &txn->state, err) < 0)
		return -1;
	return txn->leftover.n ? incomplete(txn, err) : 0;
}

static bool pending(const struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++)
		if (txn->state.objects[i]->next)
			return true;
	return false;
}

bool txn_interrupted(const struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_shields; i++)
		if (txn->state.shields[i].phase != PHASE_ACTIVE)
			return true;
	return pending(txn);
}

static int recover(struct txn *txn, struct err *err)
{
	bool interrupted = false;
	int rc;

	for (size_t i = 0; i < txn->state.n_shields; i++) {
		struct shield *s = &txn->state.shields[i];

		if (s->phase == PHASE_ACTIVE)
			continue;
		strv_addf(&txn->report, "shield %s was interrupted while %s; undone", s->name,
			  s->phase == PHASE_APPLYING ? "it was set up" : "it ended");
		s->phase = PHASE_RELEASING;
		interrupted = true;
	}
	if (!interrupted && !pending(txn))
		return 0;
	txn->recovering = true;
	rc = interrupted ? release(txn, err) : resume(txn, err);
	txn->recovering = false;
	return rc;
}

static int open_txn(struct txn *txn, struct err *err)
{
	if (read_cpus(txn->sys, "/sys/devices/system/cpu/online", &txn->online, err) < 0)
		return -1;
	if (txn->sys->ops->cgroup_mount(txn->sys->ctx, &txn->mount) < 0)
		txn->mount = NULL;
	return 0;
}

int txn_lock(struct txn *txn, struct sys *sys, struct err *err)
{
	*txn = (struct txn){ .sys = sys, .lock = state_lock(sys, err) };
	return txn->lock < 0 ? -1 : 0;
}

int txn_enter(struct txn *txn, bool force, struct err *err)
{
	txn->force = force;
	/* What could not be restored must not keep the rest from ending. */
	if (open_txn(txn, err) == 0 && state_load(txn->sys, txn->mount, &txn->state, err) == 0 &&
	    (recover(txn, err) == 0 || txn->leftover.n))
		return 0;
	txn_end(txn);
	return -1;
}

int txn_begin(struct txn *txn, struct sys *sys, bool force, struct err *err)
{
	return txn_lock(txn, sys, err) < 0 ? -1 : txn_enter(txn, force, err);
}

int txn_begin_on_paper(struct txn *txn, struct sys *sys, bool force, struct err *err)
{
	*txn = (struct txn){ .sys = sys, .lock = -1 };
	return txn_enter(txn, force, err);
}

int txn_view(struct txn *txn, struct sys *sys, struct err *err)
{
	*txn = (struct txn){ .sys = sys, .lock = -1 };
	if (open_txn(txn, err) == 0 && state_load(sys, txn->mount, &txn->state, err) == 0)
		return 0;
	txn_end(txn);
	return -1;
}

void txn_end(struct txn *txn)
{
	if (txn->lock >= 0 && txn->sys)
		txn->sys->ops->close(txn->sys->ctx, txn->lock);
	free(txn->mount);
	state_clear(&txn->state);
	cpuset_clear(&txn->online);
	strv_clear(&txn->report);
	strv_clear(&txn->immovable);
	strv_clear(&txn->unmoved);
	strv_clear(&txn->leftover);
	strv_clear(&txn->protected);
	json_decref(txn->former);
	*txn = (struct txn){ .lock = -1 };
}

static int protect(struct txn *txn, const char *name, struct err *err)
{
	if (!txn->protect || strv_contains(&txn->protected, name))
		return 0;
	if (txn->protect(txn, name, err) < 0)
		return -1;
	strv_add(&txn->protected, name);
	return 0;
}

/* CPUs are given back also where no guard would go on with that. */
static void protect_end(struct txn *txn, const char *name)
{
	struct err err = { 0 };

	if (protect(txn, name, &err) < 0)
		strv_addf(&txn->report, "%s; going on without", err.text);
}

/* Another shield has set it differently, and stays. */
static void claim_disputed(struct txn *txn, const struct object *o, const char *name,
			   const char *set)
{
	const struct kfile *row = object_row(txn, o);

	for (size_t i = 0; row && row->setting && i < o->n_claims; i++)
		if (strcmp(o->claims[i].shield, name) != 0 && o->claims[i].set &&
		    strcmp(o->claims[i].set, set) != 0)
			strv_addf(&txn->report,
				  "%s: shield %s has it set to %s; %s gets its %s when that ends",
				  o->path, o->claims[i].shield, o->claims[i].set, name, set);
}

/* Is it of interest only to the shields that ask for it? */
static bool is_setting(const struct txn *txn, const struct step *step)
{
	const struct kfile *row =
		step->kind == STEP_WRITE ? kfile_find(step->path, txn->mount) : NULL;

	return row && row->setting;
}

/* Enter the plan's objects and claims. A new object that must stay off guest
 * CPUs stays off those of every shield. */
static void claim(struct txn *txn, const char *name, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		bool alone = state_object(&txn->state, step) || is_setting(txn, step);
		struct object *o = state_add_object(&txn->state, step);

		for (size_t s = 0; step->avoid && !alone && s < txn->state.n_shields; s++)
			object_add_claim(o, txn->state.shields[s].name, NULL);
		if (!step->avoid)
			claim_disputed(txn, o, name, step->to);
		object_add_claim(o, name, step->avoid ? NULL : step->to);
	}
}

/* What follows a failure half-way: all of it back. err keeps the reason. */
static int undo(struct txn *txn, struct err *err)
{
	struct err why = *err;

	settle_aim(txn);
	if (settle_back(txn, err) == 0) {
		*err = why;
		return -1;
	}
	return err_wrap(err, "%.400s; rollback", why.text);
}

int txn_on(struct txn *txn, const char *name, const struct plan *plan, struct err *err)
{
	if (txn->leftover.n)
		return incomplete(txn, err);
	if (protect(txn, name, err) < 0)
		return -1;
	claim(txn, name, plan);
	settle_aim(txn);
	settle_announce(txn);
	if (state_save_grown(txn->sys, txn->mount, &txn->state, err) < 0)
		return -1; /* nothing was changed, and the file is what it was */
	if (settle_apply(txn, true, err) == 0) {
		settle_conclude(txn);
		if (state_save(txn->sys, txn->mount, &txn->state, err) == 0)
			return 0;
	}
	state_shield(&txn->state, name)->phase = PHASE_RELEASING;
	return undo(txn, err);
}

/* A claim as it was before a plan changed it. */
struct former {
	bool known; /* the object */
	bool had;
	char *set;
};

static struct former *claims_before(const struct txn *txn, const char *name,
				    const struct plan *plan)
{
	struct former *before = xcalloc(plan->n, sizeof(*before));

	for (size_t i = 0; i < plan->n; i++) {
		const struct object *o = state_object(&txn->state, &plan->steps[i]);
		const struct claim *c = o ? object_claim(o, name) : NULL;

		before[i].known = o != NULL;
		before[i].had = c != NULL;
		before[i].set = c && c->set ? xstrdup(c->set) : NULL;
	}
	return before;
}

static void unclaim(struct txn *txn, const char *name, const struct plan *plan,
		    const struct former *before)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct object *o = state_object(&txn->state, &plan->steps[i]);

		if (!o)
			continue;
		if (before[i].had)
			object_add_claim(o, name, before[i].set);
		else
			object_drop_claim(o, name);
	}
}

/* What was announced could not be saved, and so was not begun. */
static void withdraw(struct txn *txn, const struct plan *plan, const struct former *before)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct object *o = state_object(&txn->state, &plan->steps[i]);

		if (o && !before[i].known)
			state_forget(&txn->state, o);
	}
	if (!txn->leftover.n)
		settle_withdraw(txn);
}

struct shield *txn_edit(struct txn *txn, const char *name)
{
	struct shield *shield = state_shield(&txn->state, name);

	if (!txn->former)
		txn->former = state_shield_to_json(shield);
	return shield;
}

/* What was edited is as it was, or stays. */
static void end_edit(struct txn *txn, const char *name, bool back)
{
	if (txn->former && back)
		state_shield_back(&txn->state, name, txn->former);
	json_decref(txn->former);
	txn->former = NULL;
}

int txn_extend(struct txn *txn, const char *name, const struct plan *plan, struct err *err)
{
	struct former *before;
	int rc = -1;

	if (protect(txn, name, err) < 0) {
		end_edit(txn, name, true);
		return -1;
	}
	before = claims_before(txn, name, plan);
	claim(txn, name, plan);
	settle_aim(txn);
	settle_announce(txn);
	if (state_save_grown(txn->sys, txn->mount, &txn->state, err) == 0) {
		rc = settle_apply(txn, true, err);
		if (rc == 0) {
			settle_conclude(txn);
			rc = state_save(txn->sys, txn->mount, &txn->state, err);
		}
		if (rc < 0) {
			end_edit(txn, name, true);
			unclaim(txn, name, plan, before);
			rc = undo(txn, err);
		}
	} else {
		end_edit(txn, name, true);
		unclaim(txn, name, plan, before);
		withdraw(txn, plan, before);
	}
	end_edit(txn, name, false);
	for (size_t i = 0; i < plan->n; i++)
		free(before[i].set);
	free(before);
	return rc;
}

int txn_off(struct txn *txn, const char *name, const struct plan *keep, struct err *err)
{
	struct shield *shield = state_shield(&txn->state, name);

	protect_end(txn, name);
	for (size_t i = 0; keep && i < keep->n; i++)
		state_add_object(&txn->state, &keep->steps[i]);
	shield->phase = PHASE_RELEASING;
	if (announce(txn, err) < 0) {
		/* The last one can end without a file. Other shields could not
		 * tell afterwards what is theirs: nothing was changed yet. */
		if (txn->state.n_shields > 1) {
			shield->phase = PHASE_ACTIVE;
			return -1;
		}
		strv_addf(&txn->report, "%s; going on without", err->text);
	}
	return settle_back(txn, err);
}

void txn_dissolve(struct txn *txn, const char *cgroup)
{
	_cleanup_free_ char *path = xasprintf("%s%s/cpuset.cpus.partition", txn->mount, cgroup);
	struct object *o = state_file_object(&txn->state, path);

	if (o)
		o->uncertain = true;
}

/* All partitions of the shield: the kernel declared one invalid, or its CPUs
 * leaked. Up to 6.6 nothing else makes it valid. */
static void dissolve(struct txn *txn, const char *name)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];
		const struct kfile *row = object_row(txn, o);

		if (row && row->type == KFILE_PARTITION && object_claim(o, name))
			o->uncertain = true;
	}
}

int txn_repair(struct txn *txn, const char *name, bool partition, struct err *err)
{
	int rc;

	if (protect(txn, name, err) < 0)
		return -1;
	if (partition)
		dissolve(txn, name);
	txn->reassert = true;
	settle_aim(txn);
	settle_announce(txn);
	rc = state_save(txn->sys, txn->mount, &txn->state, err);
	if (rc == 0)
		rc = settle_apply(txn, true, err);
	txn->reassert = false;
	if (rc < 0)
		return -1;
	settle_conclude(txn);
	return state_save(txn->sys, txn->mount, &txn->state, err);
}

int txn_give_back(struct txn *txn, const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct object *o = state_add_object(&txn->state, &plan->steps[i]);

		free(o->original);
		o->original = xstrdup(plan->steps[i].to);
	}
	return release(txn, err);
}

int txn_undo(struct txn *txn, const char *name, const struct plan *plan, struct err *err)
{
	protect_end(txn, name);
	for (size_t i = 0; i < plan->n; i++) {
		struct object *o = state_add_object(&txn->state, &plan->steps[i]);

		free(o->ours);
		o->ours = xstrdup(plan->steps[i].to);
		object_add_claim(o, name, plan->steps[i].to);
	}
	return release(txn, err);
}

int txn_save(struct txn *txn, struct err *err)
{
	return state_save(txn->sys, txn->mount, &txn->state, err);
}
