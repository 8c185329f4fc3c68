/* SPDX-License-Identifier: MIT */
/* Aim, announce, apply, conclude: how the kernel is brought to f. */
#include "shield/txn/settle.h"

#include "shield/cgroup/host_caps.h"
#include "shield/txn/apply.h"
#include "shield/txn/cgroup.h"

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

/* Is the object of interest to any shield that stays? */
static bool claimed(const struct txn *txn, const struct object *o)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (claim_counts(txn, &o->claims[i]))
			return true;
	return false;
}

static bool is_pulse(const struct txn *txn, const struct object *o)
{
	const struct kfile *row = object_row(txn, o);

	return row && row->pulse;
}

/* Does the kernel rewrite it while others are written? */
static bool is_late(const struct txn *txn, const struct object *o)
{
	const struct kfile *row = object_row(txn, o);

	return o->kind == STEP_AFFINITY || (row && row->late);
}

/* Is it certainly not there? */
static bool absent(const struct txn *txn, const char *path)
{
	struct stat st;

	return txn->sys->ops->lstat(txn->sys->ctx, path, &st) == -ENOENT;
}

/* Where the processes of the shield that made this cgroup go. */
static const char *home_of(const struct txn *txn, const struct object *o)
{
	for (size_t i = 0; i < o->n_claims; i++) {
		const struct shield *shield = state_shield(&txn->state, o->claims[i].shield);

		/* Its own cgroup may be gone since. */
		if (shield && shield->home) {
			_cleanup_free_ char *path = xasprintf("%s%s", txn->mount, shield->home);

			if (!absent(txn, path))
				return shield->home;
		}
	}
	return "/";
}

/* "irq/36-eth0" follows its interrupt: whenever that was moved, the handler sets
 * its own affinity before it runs next. That is not a user's setting. */
static bool irq_thread(const struct object *o)
{
	return o->identity && strncmp(o->identity, "irq/", 4) == 0;
}

/* Is a CPU offline for our sake, or was it when we were killed? */
static void note_hotplug(struct txn *txn)
{
	txn->hotplug = false;
	for (size_t i = 0; i < txn->state.n_objects && !txn->hotplug; i++)
		txn->hotplug = txn->state.objects[i]->next && is_pulse(txn, txn->state.objects[i]);
}

/* Has another program removed a cgroup of ours, or made its partition something
 * else? */
static bool vanished(struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];
		const struct kfile *row = object_row(txn, o);
		_cleanup_free_ char *current = NULL;
		int rc;

		if ((o->kind != STEP_DIR && (!row || row->type != KFILE_PARTITION)) ||
		    strcmp(o->ours, o->original) == 0)
			continue;
		rc = object_read(txn, o, &current);
		if (rc == -ENOENT || (rc == 0 && strcmp(current, o->ours) != 0))
			return true;
	}
	return false;
}

/* Does the kernel narrow the CPUs that threads have chosen, and widen them again? */
static bool keeps_user_masks(const struct txn *txn)
{
	return txn->mount && host_caps_remote(txn->sys, txn->mount);
}

/* Then the kernel gave the CPUs back, and up to Linux 6.1 rewrote every mask. */
static bool rewritten(struct txn *txn)
{
	return txn->vanished && !keeps_user_masks(txn);
}

/*
 * Aim every object at f. Affinities (and other late ones) are compared here, before
 * the first write, since the kernel will rewrite them: what someone else set becomes the target,
 * so that it survives. In recovery (an object has a next) nothing can be told.
 */
void settle_aim(struct txn *txn)
{
	bool untold;

	txn->vanished = txn->mount && vanished(txn);
	txn->kthreads_lost = keeps_user_masks(txn) && !host_caps_housekeeping(txn->sys);
	untold = txn->force || txn->reassert || rewritten(txn);
	note_hotplug(txn);
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];
		_cleanup_free_ char *theirs = NULL, *name = NULL, *cgroup = NULL;

		replace(&o->target, txn_goal(txn, o));
		o->drifted = false;
		if (o->kind == STEP_PROCESS) {
			cgroup = xasprintf("%s%s", txn->mount, o->target);
			if (absent(txn, cgroup))
				replace(&o->target, xstrdup(home_of(txn, o)));
		}
		if (!is_late(txn, o) || irq_thread(o) || o->next || untold || txn->hotplug)
			continue;
		theirs = object_drift(txn, o);
		if (theirs) {
			name = name_of(o);
			strv_addf(&txn->report, "%s: someone set it to %s; left so", name, theirs);
			replace(&o->target, take_ptr(theirs));
			o->drifted = true;
		}
	}
}

/* Both values of each object that changes go into the file. */
void settle_announce(struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];

		/* The kernel may rewrite any of these on the way. */
		if (!is_late(txn, o) && !o->uncertain && strcmp(o->target, o->ours) == 0)
			continue;
		/* What was being written before that, and may have been. */
		if (o->next && strcmp(o->next, o->target) != 0 && strcmp(o->next, o->ours) != 0)
			o->uncertain = true;
		replace(&o->next, xstrdup(o->target));
	}
	note_hotplug(txn);
}

void settle_withdraw(struct txn *txn)
{
	for (size_t i = 0; i < txn->state.n_objects; i++)
		if (!txn->state.objects[i]->uncertain)
			replace(&txn->state.objects[i]->next, NULL);
	note_hotplug(txn);
}

/* Nothing to restore: it dies with its cgroup. A partition is dissolved first,
 * so that processes leave it for CPUs that the host has again. */
static bool dies(const struct txn *txn, const struct object *o)
{
	const struct kfile *row;

	if (!o->scoped || claimed(txn, o))
		return false;
	row = object_row(txn, o);
	return !row || row->type != KFILE_PARTITION;
}

/* What is ours from now on. What someone else set is not, as long as a shield
 * wants the object. Where it failed (open), the object may hold either value,
 * or another one that the kernel gave a thread on the way. */
static void settled(struct txn *txn, struct object *o, bool done, bool open)
{
	char *current;

	o->uncertain = false;
	if (done && !(o->drifted && claimed(txn, o))) {
		replace(&o->ours, xstrdup(o->target));
	} else if (open && !done) {
		if (object_read(txn, o, &current) == 0)
			replace(&o->ours, current);
		else
			o->uncertain = true;
	}
}

/* Is the cgroup b the cgroup a, or below it? */
static bool cgroup_within(const char *a, const char *b)
{
	size_t n = strlen(a);

	return strncmp(a, b, n) == 0 && (b[n] == '/' || !b[n]);
}

static bool has_threads(const struct txn *txn, const struct object *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/cgroup.threads", dir->path), *text = NULL;

	return sys_read_line(txn->sys, path, &text) == 0 && *text;
}

/* A cgroup that holds a process whose own place is known, but which could not be
 * moved there: emptying it would lose that. So would moving a thread out of one
 * below, for it takes the process with it. */
static bool holds_ours(const struct txn *txn, const struct object *dir)
{
	const char *path = dir->path + (txn->mount ? strlen(txn->mount) : 0);

	for (size_t i = 0; i < txn->state.n_objects; i++) {
		const struct object *o = txn->state.objects[i];

		if (o->kind != STEP_PROCESS || strcmp(o->ours, o->target) == 0)
			continue;
		if (cgroup_within(path, o->ours) ||
		    (cgroup_within(o->ours, path) && has_threads(txn, dir)))
			return true;
	}
	return false;
}

static bool is_control(const struct txn *txn, const struct object *o)
{
	const struct kfile *row = object_row(txn, o);

	return row && row->type == KFILE_CONTROL;
}

/* There and back. That it does not go there is told, that it does not come back
 * ends the transaction, and stays in the file. */
static int apply_pulse(struct txn *txn, struct object *o, struct err *err)
{
	struct err why = { 0 };

	if (object_apply(txn, o, true, NULL, &why) != APPLIED)
		strv_add(&txn->unmoved, *why.text ? why.text : o->path);
	drop_claims(o);
	replace(&o->target, txn_goal(txn, o));
	if (object_apply(txn, o, true, NULL, err) == APPLIED) {
		replace(&o->ours, xstrdup(o->target));
		return 0;
	}
	return *err->text ? -1 : err_set(err, ERR_FAILED, "%s: does not come back", o->path);
}

/* Does it hold another value than its original? After a crash only the kernel
 * knows whether it took what was being written. */
static bool was_moved(struct txn *txn, const struct object *o)
{
	_cleanup_free_ char *current = NULL;

	return object_read(txn, o, &current) == 0 && strcmp(current, o->original) != 0;
}

/* 0, or -1 with err when the whole transaction must fail. */
static int apply_one(struct txn *txn, struct object *o, bool forward, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	bool done = false, open = false, compare;
	const char *home;

	if (dies(txn, o) || o->refused) {
		replace(&o->ours, xstrdup(o->target));
		return 0;
	}
	if (!forward && o->kind == STEP_DIR && !claimed(txn, o) && holds_ours(txn, o)) {
		strv_addf(&txn->leftover, "%s: still has processes", o->path);
		return 0;
	}
	compare = !is_late(txn, o) && !txn->reassert && !o->uncertain &&
		  (!txn->hotplug || is_pulse(txn, o));
	home = o->kind == STEP_DIR ? home_of(txn, o) : NULL;
	switch (object_apply(txn, o, compare, home, err)) {
	case APPLIED:
		done = true;
		break;
	case APPLIED_GONE:
		drop_claims(o);
		done = true;
		break;
	case APPLIED_DRIFT:
		name = name_of(o);
		if (!forward && txn->leftover.n && is_control(txn, o)) {
			/* It is our own cgroup, left over, that needs it. */
			strv_addf(&txn->leftover, "%s: still in use", name);
			break;
		}
		strv_addf(&txn->report,
			  "%s: someone else changed it since; left so (--force "
			  "takes it back)",
			  name);
		if (claimed(txn, o))
			break;
		done = true; /* theirs now */
		break;
	case APPLIED_REFUSED:
		name = name_of(o);
		if (strcmp(o->ours, o->original) != 0 || was_moved(txn, o)) {
			/* It took a value once, so this is not for good. */
			strv_addf(forward || claimed(txn, o) ? &txn->unmoved : &txn->leftover,
				  "%s: refused", name);
			open = true;
			break;
		}
		strv_addf(&txn->immovable, "%s (%s)", name, o->identity ? o->identity : "");
		o->refused = true;
		replace(&o->target, xstrdup(o->original));
		done = true;
		break;
	case APPLIED_UNMOVED:
		strv_add(forward ? &txn->unmoved : &txn->report, err->text);
		done = !forward; /* it will never be more than it is */
		open = true;
		break;
	case APPLIED_RETRY:
		strv_add(forward || claimed(txn, o) ? &txn->unmoved : &txn->leftover, err->text);
		open = true;
		break;
	case APPLIED_FAILED:
		if (forward)
			return -1;
		strv_add(&txn->leftover, err->text);
		break;
	}
	settled(txn, o, done, open);
	return 0;
}

/* Both ways before all else: the rest needs its CPUs. */
static int apply_pulses(struct txn *txn, bool forward, struct err *err)
{
	_cleanup_free_ char *online = NULL;

	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];

		if (is_pulse(txn, o) &&
		    (forward && claimed(txn, o) ? apply_pulse(txn, o, err)
						: apply_one(txn, o, forward, err)) < 0)
			return -1;
	}
	/* They may have been offline when we began. */
	if (sys_read_line(txn->sys, "/sys/devices/system/cpu/online", &online) == 0) {
		cpuset_clear(&txn->online);
		cpulist_parse(online, &txn->online, NULL);
	}
	return 0;
}

/* Partitions that are put up again are down while all else changes. One whose
 * cgroup has gone is not: the program that removed it may still remove what is
 * above. */
static int take_down(struct txn *txn, struct err *err)
{
	for (size_t i = txn->state.n_objects; i-- > 0;) {
		const struct object *o = txn->state.objects[i];
		const struct kfile *row = object_row(txn, o);
		int rc;

		if (!o->uncertain || !row || row->type != KFILE_PARTITION)
			continue;
		rc = kfile_write(txn->sys, row, o->path, "member");
		if (rc < 0)
			return err_set(err, ERR_FAILED, "%s: cannot be dissolved: %s", o->path,
				       err_errno(rc));
	}
	return 0;
}

/* CPUs that go offline first; else outer to inner forward, inner to outer backward; what the
 * kernel rewrites last both ways. */
int settle_apply(struct txn *txn, bool forward, struct err *err)
{
	size_t n = txn->state.n_objects;

	if (txn->hotplug && apply_pulses(txn, forward, err) < 0)
		return -1;
	if (forward && take_down(txn, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct object *o = txn->state.objects[forward ? i : n - 1 - i];

		if (!is_late(txn, o) && !is_pulse(txn, o) && apply_one(txn, o, forward, err) < 0)
			return -1;
	}
	if (txn->mount)
		cgroup_settle(txn);
	for (size_t i = 0; i < n; i++) {
		struct object *o = txn->state.objects[i];

		if (is_late(txn, o) && apply_one(txn, o, forward, err) < 0)
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
void settle_conclude(struct txn *txn)
{
	bool clean = txn->leftover.n == 0;

	for (size_t i = 0; i < txn->state.n_objects; i++) {
		struct object *o = txn->state.objects[i];

		/* Both values stay in the file while either may be there. */
		if (clean && !o->uncertain)
			replace(&o->next, NULL);
		for (size_t c = 0; clean && c < o->n_claims;) {
			if (claim_counts(txn, &o->claims[c]))
				c++;
			else
				object_drop_claim(o, o->claims[c].shield);
		}
	}
	for (size_t i = 0; i < txn->state.n_shields; i++) {
		if (txn->state.shields[i].phase == PHASE_APPLYING)
			txn->state.shields[i].phase = PHASE_ACTIVE;
		if (clean)
			cpuset_clear(&txn->state.shields[i].freed);
	}
	for (size_t i = txn->state.n_shields; clean && i-- > 0;) {
		_cleanup_free_ char *socket = NULL;

		if (txn->state.shields[i].phase != PHASE_RELEASING)
			continue;
		/* Left behind where both QEMU and its supervisor were killed. */
		socket = xasprintf(STATE_SOCKET, txn->state.shields[i].name);
		txn->sys->ops->unlink(txn->sys->ctx, socket);
		state_remove_shield(&txn->state, txn->state.shields[i].name);
	}
	if (clean)
		state_keep(&txn->state, wanted);
}
