/* SPDX-License-Identifier: MIT */
/* Shields that no state file tells of, since it was damaged and put aside, or
 * removed: their cgroups are there to be seen. */
#include "shield/ops/orphans.h"

#include "profiles/profile.h"
#include "shield/task/task.h"

#include <stdlib.h>
#include <string.h>

/* layout_escape(), back; other escapes than its own stay as they are. */
static char *unescape(const char *text)
{
	char *name = xcalloc(strlen(text) + 1, 1), *to = name;
	unsigned code;
	int n;

	while (*text) {
		n = 0;
		if (sscanf(text, "\\x%2x%n", &code, &n) == 1 && n == 4) {
			*to++ = (char)code;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	return name;
}

/* The shield whose cgroup has this name, or NULL. */
static char *name_of(enum layout_kind kind, const char *entry)
{
	_cleanup_free_ char *stem = NULL, *name = NULL, *cgroup = NULL;
	size_t n = strlen(entry);

	if (strncmp(entry, "shield-", 7) != 0)
		return NULL;
	if (kind == LAYOUT_PLAIN) {
		name = xstrdup(entry + 7);
	} else {
		if (n < 13 || strcmp(entry + n - 6, ".scope") != 0)
			return NULL;
		stem = xstrndup(entry + 7, n - 13);
		name = unescape(stem);
	}
	cgroup = layout_cgroup(kind, name);
	if (profile_check_name(name, NULL) < 0 || strcmp(strrchr(cgroup, '/') + 1, entry) != 0)
		return NULL;
	return take_ptr(name);
}

static void read_list(struct txn *txn, const char *dir, const char *file, struct cpuset *cpus)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

	sys_read_cpulist(txn->sys, path, cpus);
}

void shields_orphaned(struct txn *txn, struct strv *names)
{
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_strv_ struct strv entries = { 0 };
	_cleanup_free_ char *dir = NULL;
	struct err ignored;
	enum layout_kind kind;

	if (host_caps_probe(txn->sys, &host, &ignored) < 0)
		return;
	kind = layout_kind(&host);
	dir = xasprintf("%s%s", host.mount, kind == LAYOUT_SCOPE ? "/" LAYOUT_SLICE : "");
	if (txn->sys->ops->list(txn->sys->ctx, dir, &entries) < 0)
		return;
	for (size_t i = 0; i < entries.n; i++) {
		_cleanup_free_ char *name = name_of(kind, entries.items[i]), *vcpus = NULL;
		_cleanup_cpuset_ struct cpuset guest = { 0 };

		if (!name || state_shield(&txn->state, name))
			continue;
		vcpus = xasprintf("%s/%s/vcpus", dir, entries.items[i]);
		read_list(txn, vcpus, "cpuset.cpus", &guest);
		if (!cpuset_empty(&guest))
			strv_add(names, name);
	}
}

/* "isolated" or "root", even if it is invalid now. */
static char *partition_kind(struct txn *txn, const char *vcpus)
{
	_cleanup_free_ char *path = xasprintf("%s/cpuset.cpus.partition", vcpus), *text = NULL;

	if (sys_read_line(txn->sys, path, &text) == 0 && strncmp(text, "root", 4) == 0)
		return xstrdup("root");
	return xstrdup("isolated");
}

/* Does the process that was to hold its scope still do that? It ends with it. */
static void find_anchor(struct txn *txn, const char *dir, struct process *anchor)
{
	_cleanup_free_ char *path = xasprintf("%s/cgroup.procs", dir), *text = NULL;
	char *save = NULL;

	if (sys_read(txn->sys, path, 0, &text) < 0)
		return;
	for (char *id = strtok_r(text, "\n", &save); id; id = strtok_r(NULL, "\n", &save)) {
		_cleanup_task_ struct task task = { 0 };
		pid_t pid = (pid_t)atoi(id);

		if (task_read(txn->sys, pid, pid, &task) == 0 &&
		    strcmp(task.comm, "shield-hold") == 0)
			*anchor = (struct process){ pid, task.start };
	}
}

/* What it must have done, with the values that are there now. */
static void as_it_is(struct txn *txn, struct plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct step *step = &plan->steps[i];
		const struct kfile *row =
			step->kind == STEP_WRITE ? kfile_find(step->path, txn->mount) : NULL;
		_cleanup_free_ char *now = NULL;

		if (!row || kfile_read(txn->sys, row, step->path, &now) < 0 ||
		    !kfile_value_ok(row, now))
			continue;
		free(step->to);
		step->to = take_ptr(now);
	}
}

int shield_end_orphan(struct txn *txn, const char *name, struct err *err)
{
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	_cleanup_free_ char *dir = NULL, *vcpus = NULL, *inner = NULL;
	struct shield *s;

	if (host_caps_probe(txn->sys, &host, err) < 0)
		return -1;
	s = state_add_shield(&txn->state, name);
	s->phase = PHASE_RELEASING;
	s->cgroup = layout_cgroup(layout_kind(&host), name);
	s->home = xstrdup(host.home);
	dir = xasprintf("%s%s", txn->mount, s->cgroup);
	vcpus = layout_vcpus(dir);
	inner = layout_vcpus(s->cgroup);
	s->partition = partition_kind(txn, vcpus);
	read_list(txn, vcpus, "cpuset.cpus", &s->guest);
	read_list(txn, dir, "cpuset.cpus", &s->emulator);
	cpuset_andnot(&s->emulator, &s->guest);
	cpuset_copy(&s->taken, &s->guest);
	partitions_add(&s->partitions, inner, &s->guest);
	find_anchor(txn, dir, &s->anchor);
	layout_plan(&host,
		    &(struct layout_request){ .name = name,
					      .guest = &s->guest,
					      .emulator = &s->emulator,
					      .partition = s->partition },
		    &plan);
	as_it_is(txn, &plan);
	return txn_undo(txn, name, &plan, err);
}
