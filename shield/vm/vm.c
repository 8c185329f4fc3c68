/* SPDX-License-Identifier: MIT */
#include "shield/vm/vm.h"

#include "shield/task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define CMDLINE_MAX ((size_t)1 << 20)
#define FIRST_WORD_MAX ((size_t)4096)
#define VCPU_MAX 65535
#define DEBUGFS_KVM "/sys/kernel/debug/kvm"

bool vm_is_qemu_command(const char *argv0)
{
	static const char prefix[] = "qemu-system-";
	const char *slash = strrchr(argv0, '/');
	const char *name = slash ? slash + 1 : argv0;

	return (strncmp(name, prefix, sizeof(prefix) - 1) == 0 && name[sizeof(prefix) - 1]) ||
	       strcmp(name, "qemu-kvm") == 0 || strcmp(name, "kvm") == 0 ||
	       strcmp(name, "qemu") == 0;
}

/* At most the first `most` bytes of it. */
static int read_cmdline(struct sys *sys, pid_t pid, size_t most, struct strv *argv)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	_cleanup_free_ char *text = xmalloc(most + 1);
	int fd = sys->ops->open(sys->ctx, path, O_RDONLY | O_NOCTTY);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	while (size < most) {
		n = sys->ops->read(sys->ctx, fd, text + size, most - size);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	sys->ops->close(sys->ctx, fd);
	if (n < 0)
		return (int)n;
	text[size] = '\0';
	for (size_t at = 0; at < size; at += strlen(text + at) + 1)
		strv_add(argv, text + at);
	return 0;
}

int vm_cmdline(struct sys *sys, pid_t pid, struct strv *argv)
{
	return read_cmdline(sys, pid, CMDLINE_MAX, argv);
}

/* The thread's name as it is; NULL if it has ended. */
static int read_name(struct sys *sys, pid_t pid, pid_t tid, char **name)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task/%d/comm", (int)pid, (int)tid);
	int rc = sys_read(sys, path, 0, name);

	if (rc < 0) {
		*name = NULL;
		return task_ended(rc) ? 0 : rc;
	}
	(*name)[strcspn(*name, "\n")] = '\0';
	return 0;
}

bool vm_is_qemu(struct sys *sys, pid_t pid)
{
	_cleanup_strv_ struct strv argv = { 0 };
	_cleanup_free_ char *name = NULL;

	if (read_cmdline(sys, pid, FIRST_WORD_MAX, &argv) < 0 || argv.n == 0)
		return false;
	if (vm_is_qemu_command(argv.items[0]))
		return true;
	/* `exec -a other qemu-system-…`. The name "kvm" alone would also be that
	 * of a script, whose argv[0] is the shell. */
	return read_name(sys, pid, pid, &name) == 0 && name &&
	       strncmp(name, "qemu-system-", 12) == 0;
}

/* What follows the name in /proc/PID/stat: the name may hold anything. */
static int read_stat(struct sys *sys, pid_t pid, pid_t *parent, unsigned long long *start)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid);
	_cleanup_free_ char *text = NULL;
	const char *rest;
	char state;
	int ppid, rc = sys_read(sys, path, 0, &text);

	if (rc < 0)
		return rc == -ENOENT ? -ESRCH : rc;
	rest = strrchr(text, ')');
	/* Fields 3 (state), 4 (parent) and 22 (start time). */
	if (!rest || sscanf(rest + 1,
			    " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %llu",
			    &state, &ppid, start) != 3)
		return -ESRCH;
	*parent = ppid;
	return state == 'Z' || state == 'X' ? -ESRCH : 0;
}

int vm_identity(struct sys *sys, pid_t pid, unsigned long long *start)
{
	unsigned long long read;
	pid_t parent;
	int rc = read_stat(sys, pid, &parent, &read);

	if (rc == 0)
		*start = read;
	return rc;
}

int vm_process_of(struct sys *sys, pid_t tid, pid_t *pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/status", (int)tid);
	_cleanup_free_ char *text = NULL;
	const char *line;
	int rc = sys_read(sys, path, 0, &text);

	if (rc < 0)
		return rc == -ENOENT ? -ESRCH : rc;
	line = strstr(text, "\nTgid:");
	if (!line)
		return -ESRCH;
	*pid = (pid_t)strtol(line + 6, NULL, 10);
	return *pid > 0 ? 0 : -ESRCH;
}

/* 1 or 0, -1 when a parent ended while we walked: its children have another. */
static int walk_up(struct sys *sys, pid_t pid, pid_t ancestor)
{
	unsigned long long start;

	/* Numbers reused while we walk must not become a circle. */
	for (unsigned i = 0; i < 1000 && pid > 1; i++) {
		if (read_stat(sys, pid, &pid, &start) < 0)
			return i ? -1 : 0;
		if (pid == ancestor)
			return 1;
	}
	return 0;
}

bool vm_is_descendant(struct sys *sys, pid_t pid, pid_t ancestor)
{
	int rc = -1;

	for (int i = 0; i < 10 && rc < 0; i++)
		rc = walk_up(sys, pid, ancestor);
	return rc > 0;
}

bool vm_is_qemu_below(struct sys *sys, pid_t pid, pid_t ancestor)
{
	return vm_is_descendant(sys, pid, ancestor) && vm_is_qemu(sys, pid);
}

static pid_t number(const char *text)
{
	unsigned long n;

	if (!*text || text[strspn(text, "0123456789")])
		return -1;
	n = strtoul(text, NULL, 10);
	return n && n <= INT_MAX ? (pid_t)n : -1;
}

int vm_threads(struct sys *sys, pid_t pid, struct strv *tids)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)pid);
	int rc = sys->ops->list(sys->ctx, path, tids);

	strv_sort(tids);
	return rc == -ENOENT ? -ESRCH : rc < 0 ? rc : 0;
}

/* Candidates for QEMU, gathered while walking the descendants. */
struct search {
	struct sys *sys;
	pid_t latest, with_vcpus;
};

static void consider(struct search *search, pid_t pid)
{
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };

	if (!vm_is_qemu(search->sys, pid))
		return;
	if (pid > search->latest)
		search->latest = pid;
	if (vm_vcpus_by_name(search->sys, pid, &vcpus) == 0 && vcpus.n)
		search->with_vcpus = pid;
}

/* By /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN): costs what the tree is
 * large, not what else runs. -ENOENT where the kernel has no such file. */
static int walk(struct search *search, pid_t pid, unsigned depth)
{
	_cleanup_strv_ struct strv tids = { 0 };

	if (vm_threads(search->sys, pid, &tids) < 0)
		return 0;
	for (size_t i = 0; i < tids.n; i++) {
		_cleanup_free_ char *path =
			xasprintf("/proc/%d/task/%s/children", (int)pid, tids.items[i]);
		_cleanup_free_ char *text = NULL;
		char *rest, *word;
		int rc = sys_read(search->sys, path, 0, &text);

		if (rc < 0 && depth == 0 && i == 0)
			return rc;
		rest = text;
		while (rest && (word = strsep(&rest, " \n"))) {
			pid_t child = number(word);

			if (child < 0)
				continue;
			consider(search, child);
			if (depth < 100)
				walk(search, child, depth + 1);
		}
	}
	return 0;
}

static int scan(struct search *search, pid_t ancestor)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = search->sys->ops->list(search->sys->ctx, "/proc", &names);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < names.n; i++) {
		pid_t pid = number(names.items[i]);

		if (pid > 0 && vm_is_descendant(search->sys, pid, ancestor))
			consider(search, pid);
	}
	return 0;
}

int vm_find_descendant(struct sys *sys, pid_t ancestor, pid_t *qemu)
{
	struct search search = { .sys = sys };
	int rc = walk(&search, ancestor, 0);

	if (rc < 0)
		rc = scan(&search, ancestor);
	if (rc < 0)
		return rc;
	if (!search.latest)
		return 0;
	*qemu = search.with_vcpus ? search.with_vcpus : search.latest;
	return 1;
}

/* The vCPUs that KVM knows: the folders PID-FD of its VMs hold one for each. */
static void vcpus_by_kvm(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus)
{
	_cleanup_free_ char *prefix = xasprintf("%d-", (int)pid);
	_cleanup_strv_ struct strv machines = { 0 };

	sys->ops->list(sys->ctx, DEBUGFS_KVM, &machines);
	for (size_t i = 0; i < machines.n; i++) {
		_cleanup_free_ char *dir = xasprintf(DEBUGFS_KVM "/%s", machines.items[i]);
		_cleanup_strv_ struct strv names = { 0 };

		if (strncmp(machines.items[i], prefix, strlen(prefix)) != 0)
			continue;
		sys->ops->list(sys->ctx, dir, &names);
		for (size_t j = 0; j < names.n; j++) {
			_cleanup_free_ char *path = xasprintf("%s/%s/pid", dir, names.items[j]);
			_cleanup_free_ char *tid = NULL;
			unsigned id;

			if (sscanf(names.items[j], "vcpu%5u", &id) == 1 &&
			    sys_read_line(sys, path, &tid) == 0 && number(tid) > 0)
				vm_vcpus_add(vcpus, id, number(tid));
		}
	}
	/* KVM numbers by APIC id, which has gaps: count instead. */
	vm_vcpus_sort(vcpus);
	for (size_t i = 0; i < vcpus->n; i++)
		vcpus->items[i].index = (unsigned)i;
}

/* Fill in the start times; leave out what has just ended. */
static int keep_living(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus)
{
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < vcpus->n; i++) {
		_cleanup_task_ struct task task = { 0 };

		rc = task_read(sys, pid, vcpus->items[i].tid, &task);
		if (rc < 0 && !task_ended(rc))
			return rc;
		if (rc < 0)
			continue;
		vcpus->items[n] = vcpus->items[i];
		vcpus->items[n++].start = task.start;
	}
	vcpus->n = n;
	n = 0;
	for (size_t i = 0; i < vcpus->n_iothreads; i++) {
		struct vm_iothread *t = &vcpus->iothreads[i];
		_cleanup_task_ struct task task = { 0 };

		rc = task_read(sys, pid, t->tid, &task);
		if (rc < 0 && !task_ended(rc))
			return rc;
		if (rc < 0) {
			free(take_ptr(t->id));
			continue;
		}
		t->start = task.start;
		vcpus->iothreads[n] = *t;
		if (&vcpus->iothreads[n++] != t)
			t->id = NULL; /* it has moved */
	}
	vcpus->n_iothreads = n;
	return 0;
}

static bool has_older(const struct vm_vcpus *vcpus, const struct vm_vcpu *v)
{
	for (size_t i = 0; i < vcpus->n; i++) {
		const struct vm_vcpu *o = &vcpus->items[i];

		if (o->index == v->index &&
		    (o->start < v->start || (o->start == v->start && o->tid < v->tid)))
			return true;
	}
	return false;
}

/* A thread has the name of the one that started it until it gets its own, which
 * may be never: of those with the name of a vCPU the oldest one is it. */
static void keep_oldest(struct vm_vcpus *vcpus)
{
	struct vm_vcpus all = { .items = vcpus->items, .n = vcpus->n };

	vcpus->items = NULL;
	vcpus->n = vcpus->cap = 0;
	for (size_t i = 0; i < all.n; i++)
		if (!has_older(&all, &all.items[i])) {
			GROW(vcpus->items, vcpus->n, vcpus->cap);
			vcpus->items[vcpus->n++] = all.items[i];
		}
	free(all.items);
}

int vm_vcpus_by_name(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus)
{
	_cleanup_vcpus_ struct vm_vcpus found = { 0 };
	_cleanup_strv_ struct strv tids = { 0 };
	int rc = vm_threads(sys, pid, &tids);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < tids.n; i++) {
		pid_t tid = number(tids.items[i]);
		_cleanup_free_ char *name = NULL;
		unsigned index;
		char kind[4], end;

		if (tid > 0)
			rc = read_name(sys, pid, tid, &name);
		if (rc < 0)
			return rc;
		if (!name)
			continue;
		if (strcmp(name, "ALL CPUs/TCG") == 0)
			vm_vcpus_add(&found, 0, tid)->count = 0;
		else if (sscanf(name, "CPU %5u/%3[KVMTCG]%c", &index, kind, &end) == 2 &&
			 (strcmp(kind, "KVM") == 0 || strcmp(kind, "TCG") == 0))
			vm_vcpus_add(&found, index, tid);
		else if (strncmp(name, "IO ", 3) == 0 && name[3])
			vm_iothreads_add(&found, name + 3, tid);
	}
	if (found.n == 0)
		vcpus_by_kvm(sys, pid, &found);
	rc = keep_living(sys, pid, &found);
	if (rc < 0)
		return rc;
	keep_oldest(&found);
	vm_vcpus_sort(&found);
	vm_vcpus_clear(vcpus);
	*vcpus = found;
	found = (struct vm_vcpus){ 0 };
	return 0;
}

int vm_vcpus_verify(struct sys *sys, pid_t pid, struct vm_vcpus *vcpus, struct err *err)
{
	for (size_t i = 0; i < vcpus->n; i++) {
		struct vm_vcpu *v = &vcpus->items[i];
		_cleanup_task_ struct task task = { 0 };
		int rc = v->index <= VCPU_MAX ? task_read(sys, pid, v->tid, &task) : -ERANGE;

		if (rc < 0)
			return err_set(err, ERR_FAILED,
				       "QEMU (process %d) names thread %d as its vCPU %u, which "
				       "is not one of its threads: %s",
				       (int)pid, (int)v->tid, v->index, err_errno(rc));
		v->start = task.start;
	}
	for (size_t i = 0; i < vcpus->n_iothreads; i++) {
		struct vm_iothread *t = &vcpus->iothreads[i];
		_cleanup_task_ struct task task = { 0 };
		int rc = task_read(sys, pid, t->tid, &task);

		if (rc < 0)
			return err_set(err, ERR_FAILED,
				       "QEMU (process %d) names thread %d as an I/O thread, which "
				       "is not one of its threads: %s",
				       (int)pid, (int)t->tid, err_errno(rc));
		t->start = task.start;
	}
	return 0;
}
