#include "shield/txn/apply.h"

#include <errno.h>
#include <string.h>

static char *name_of(const struct object *o)
{
	return step_object(o->kind, o->path, o->task.pid, o->identity);
}

static void drop_claims(struct object *o)
{
	while (o->n_claims)
		object_drop_claim(o, o->claims[0].shield);
}

static void replace(char **slot, char *value)
{
	free(*slot);
	*slot = value;
}

static bool counts(const struct txn *txn, const struct claim *claim)
{
	const struct shield *shield = state_shield(&txn->state, claim->shield);

	return shield && shield->phase != PHASE_RELEASING;
}

/* Is the object of interest to any shield that stays? */
static bool claimed(const struct txn *txn, const struct object *o)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (counts(txn, &o->claims[i]))
			return true;
	return false;
}

char *txn_goal(const struct txn *txn, const struct object *o)
{
	_cleanup_cpuset_ struct cpuset avoid = { 0 }, cpus = { 0 }, taken = { 0 };

	for (size_t i = 0; i < o->n_claims && !o->refused; i++) {
		if (!counts(txn, &o->claims[i]))
			continue;
		if (o->claims[i].set)
			return xstrdup(o->claims[i].set);
		cpuset_or(&avoid, &state_shield(&txn->state, o->claims[i].shield)->taken);
	}
	if (cpuset_empty(&avoid) || cpulist_parse(o->original, &cpus, NULL) < 0)
		return xstrdup(o->original);
	cpuset_andnot(&cpus, &avoid);
	if (!cpuset_intersects(&cpus, &txn->online)) {
		state_taken(&txn->state, &taken);
		cpuset_copy(&cpus, &txn->online);
		cpuset_andnot(&cpus, &taken);
	}
	return cpulist_format(&cpus);
}

static int read_cpus(struct sys *sys, const char *path, struct cpuset *set, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int rc = sys_read_line(sys, path, &text);

	if (rc < 0)
		return err_set(err, ERR_UNSUPPORTED, "%s: %s", path, err_errno(rc));
	return cpulist_parse(text, set, err);
}

/* Where the processes of the shield that made this cgroup go. */
static const char *home_of(const struct txn *txn, const struct object *o)
{
	for (size_t i = 0; i < o->n_claims; i++) {
		const struct shield *shield = state_shield(&txn->state, o->claims[i].shield);

		/* Its own cgroup may be gone since. */
		if (shield && shield->home) {
			_cleanup_free_ char *path = xasprintf("%s%s", txn->mount, shield->home);

			if (sys_exists(txn->sys, path))
				return shield->home;
		}
	}
	return "/";
}

/*
 * Aim every object at f. Affinities are compared here, before the first write,
 * since the kernel will rewrite them: what someone else set becomes the target,
 * so that it survives. In recovery (an object has a next) nothing can be told.
 */
static void aim(struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];
		_cleanup_free_ char *theirs = NULL, *name = NULL, *cgroup = NULL;

		replace(&o->target, txn_goal(txn, o));
		if (o->kind == STEP_PROCESS) {
			cgroup = xasprintf("%s%s", txn->mount, o->target);
			if (!sys_exists(txn->sys, cgroup))
				replace(&o->target, xstrdup(home_of(txn, o)));
		}
		if (o->kind != STEP_AFFINITY || o->next || txn->force)
			continue;
		theirs = object_drift(txn, o);
		if (theirs) {
			name = name_of(o);
			strv_addf(&txn->report, "%s: someone set it to %s; left so", name, theirs);
			replace(&o->target, take_ptr(theirs));
		}
	}
}

/* Both values of each object that changes go into the file. */
static void announce(struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];

		/* The kernel may rewrite any affinity on the way. */
		if (o->kind == STEP_AFFINITY || strcmp(o->target, o->ours) != 0)
			replace(&o->next, xstrdup(o->target));
	}
}

/* Nothing to restore: it dies with its cgroup. A partition is dissolved first,
 * so that processes leave it for CPUs that the host has again. */
static bool dies(const struct txn *txn, const struct object *o)
{
	const struct kfile *row;

	if (!o->scoped || claimed(txn, o))
		return false;
	row = o->kind == STEP_WRITE ? kfile_find(o->path, txn->mount) : NULL;
	return !row || row->type != KFILE_PARTITION;
}

/* 0, or -1 with err when the whole transaction must fail. */
static int apply_one(struct txn *txn, struct object *o, bool forward, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	bool done = false;

	if (dies(txn, o) || o->refused) {
		replace(&o->ours, xstrdup(o->target));
		return 0;
	}
	switch (object_apply(txn, o, o->kind != STEP_AFFINITY, home_of(txn, o), err)) {
	case APPLIED:
		done = true;
		break;
	case APPLIED_GONE:
		drop_claims(o);
		done = true;
		break;
	case APPLIED_DRIFT:
		name = name_of(o);
		strv_addf(&txn->report, "%s: someone else changed it since; left so (--force "
					"takes it back)", name);
		if (claimed(txn, o))
			break;
		done = true; /* theirs now */
		break;
	case APPLIED_REFUSED:
		name = name_of(o);
		strv_addf(&txn->immovable, "%s (%s)", name, o->identity ? o->identity : "");
		o->refused = true;
		replace(&o->target, xstrdup(o->original));
		done = true;
		break;
	case APPLIED_UNMOVED:
		strv_add(forward ? &txn->unmoved : &txn->report, err->text);
		done = !forward; /* it will never be more than it is */
		break;
	case APPLIED_RETRY:
		strv_add(forward ? &txn->unmoved : &txn->leftover, err->text);
		break;
	case APPLIED_FAILED:
		if (forward)
			return -1;
		strv_add(&txn->leftover, err->text);
		break;
	}
	if (done)
		replace(&o->ours, xstrdup(o->target));
	return 0;
}

/* Outer to inner forward, inner to outer backward; affinities last both ways. */
static int apply(struct txn *txn, bool forward, struct err *err)
{
	size_t n = txn->state.n_objects;

	for (size_t i = 0; i < n; i++) {
		struct object *o = txn->state.objects[forward ? i : n - 1 - i];

		if (o->kind != STEP_AFFINITY && apply_one(txn, o, forward, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		struct object *o = txn->state.objects[i];

		if (o->kind == STEP_AFFINITY && apply_one(txn, o, forward, err) < 0)
			return -1;
	}
	return 0;
}

static bool wanted(const struct object *o)
{
	return o->n_claims > 0 || (o->target && strcmp(o->ours, o->target) != 0);
}

/* After the last write: forget what is restored, and the shields released. A
 * shield with something left over stays, for the next recovery. */
static void conclude(struct txn *txn)
{
	bool clean = txn->leftover.n == 0;

	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];

		replace(&o->next, clean ? NULL : o->next ? xstrdup(o->next) : NULL);
		for (size_t c = 0; clean && c < o->n_claims;) {
			if (counts(txn, &o->claims[c]))
				c++;
			else
				object_drop_claim(o, o->claims[c].shield);
		}
	}
	for (size_t i = 0; i < txn->state.n_shields; i++)
		if (txn->state.shields[i].phase == PHASE_APPLYING)
			txn->state.shields[i].phase = PHASE_ACTIVE;
	for (size_t i = txn->state.n_shields; clean && i-- > 0;)
		if (txn->state.shields[i].phase == PHASE_RELEASING)
			state_remove_shield(&txn->state, txn->state.shields[i].name);
	if (clean)
		state_keep(&txn->state, wanted);
}

static int incomplete(const struct txn *txn, struct err *err)
{
	return err_set(err, ERR_INCOMPLETE,
		       "not everything could be restored (%zu left; first: %.500s); 'shield "
		       "recover' tries again",
		       txn->leftover.n, txn->leftover.items[0]);
}

/* Backward: cannot fail half-way, only leave something over. */
static int settle_back(struct txn *txn, struct err *err)
{
	struct err ignored = { 0 };

	strv_clear(&txn->leftover);
	apply(txn, false, &ignored);
	conclude(txn);
	if (state_save(txn->sys, &txn->state, err) < 0)
		return -1;
	return txn->leftover.n ? incomplete(txn, err) : 0;
}

/* Undo what the shields in phase releasing hold. */
static int release(struct txn *txn, struct err *err)
{
	aim(txn);
	announce(txn);
	/* The originals are in the file already: a full /run must not keep the
	 * host from getting its CPUs back. */
	if (state_save(txn->sys, &txn->state, err) < 0)
		strv_addf(&txn->report, "%s; going on without", err->text);
	return settle_back(txn, err);
}

static int recover(struct txn *txn, struct err *err)
{
	bool pending = false;

	for (size_t i = 0; i < txn->state.n_shields; i++) {
		struct shield *s = &txn->state.shields[i];

		if (s->phase == PHASE_ACTIVE)
			continue;
		strv_addf(&txn->report, "shield %s was interrupted while %s; undone", s->name,
			  s->phase == PHASE_APPLYING ? "it was set up" : "it ended");
		s->phase = PHASE_RELEASING;
		pending = true;
	}
	for (size_t i = 0; !pending && i < txn->state.n_objects; i++)
		pending = txn->state.objects[i]->next != NULL;
	return pending ? release(txn, err) : 0;
}

static int open_txn(struct txn *txn, struct sys *sys, struct err *err)
{
	*txn = (struct txn){ .sys = sys, .lock = -1 };
	if (read_cpus(sys, "/sys/devices/system/cpu/online", &txn->online, err) < 0)
		return -1;
	if (sys->ops->cgroup_mount(sys->ctx, &txn->mount) < 0)
		txn->mount = NULL;
	return 0;
}

int txn_begin(struct txn *txn, struct sys *sys, bool force, struct err *err)
{
	if (open_txn(txn, sys, err) == 0) {
		txn->force = force;
		txn->lock = state_lock(sys, err);
		/* What could not be restored must not keep the rest from ending. */
		if (txn->lock >= 0 && state_load(sys, txn->mount, &txn->state, err) == 0 &&
		    (recover(txn, err) == 0 || txn->leftover.n))
			return 0;
	}
	txn_end(txn);
	return -1;
}

int txn_view(struct txn *txn, struct sys *sys, struct err *err)
{
	if (open_txn(txn, sys, err) == 0 && state_load(sys, txn->mount, &txn->state, err) == 0)
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
	*txn = (struct txn){ .lock = -1 };
}

/* Enter the plan's objects and claims. A new object that must stay off guest
 * CPUs stays off those of every shield. */
static void claim(struct txn *txn, const char *name, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		const struct step *step = &plan->steps[i];
		bool known = state_object(&txn->state, step) != NULL;
		struct object *o = state_add_object(&txn->state, step);

		for (size_t s = 0; step->avoid && !known && s < txn->state.n_shields; s++)
			object_add_claim(o, txn->state.shields[s].name, NULL);
		object_add_claim(o, name, step->avoid ? NULL : step->to);
	}
}

/* What follows a failure half-way: all of it back. err keeps the reason. */
static int undo(struct txn *txn, struct err *err)
{
	struct err why = *err;

	aim(txn);
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
	claim(txn, name, plan);
	aim(txn);
	announce(txn);
	if (state_save(txn->sys, &txn->state, err) < 0)
		return -1; /* nothing was changed, and the file is what it was */
	if (apply(txn, true, err) == 0) {
		conclude(txn);
		if (state_save(txn->sys, &txn->state, err) == 0)
			return 0;
	}
	state_shield(&txn->state, name)->phase = PHASE_RELEASING;
	return undo(txn, err);
}

/* A claim as it was before a plan changed it. */
struct former {
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

int txn_extend(struct txn *txn, const char *name, const struct plan *plan, struct err *err)
{
	struct former *before = claims_before(txn, name, plan);
	int rc = -1;

	claim(txn, name, plan);
	aim(txn);
	announce(txn);
	if (state_save(txn->sys, &txn->state, err) == 0) {
		rc = apply(txn, true, err);
		if (rc == 0) {
			conclude(txn);
			rc = state_save(txn->sys, &txn->state, err);
		}
		if (rc < 0) {
			unclaim(txn, name, plan, before);
			rc = undo(txn, err);
		}
	}
	for (size_t i = 0; i < plan->n; i++)
		free(before[i].set);
	free(before);
	return rc;
}

int txn_off(struct txn *txn, const char *name, const struct plan *keep, struct err *err)
{
	for (size_t i = 0; keep && i < keep->n; i++)
		state_add_object(&txn->state, &keep->steps[i]);
	state_shield(&txn->state, name)->phase = PHASE_RELEASING;
	return release(txn, err);
}

int txn_save(struct txn *txn, struct err *err)
{
	return state_save(txn->sys, &txn->state, err);
}
