/* SPDX-License-Identifier: MIT */
#include "tests/fault/world.h"

#include "shield/guard/guard.h"
#include "shield/ops/abandoned.h"
#include "shield/ops/attach.h"
#include "shield/ops/domain.h"
#include "shield/ops/new_threads.h"
#include "shield/ops/off.h"
#include "shield/ops/on_paper.h"
#include "shield/ops/on.h"
#include "shield/ops/orphans.h"
#include "shield/preview/preview.h"
#include "shield/sys/sys_write.h"
#include "shield/vm/vm_vcpus.h"

#include <string.h>

static void pin(struct world *w, pid_t tid, const char *list)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	cpulist_parse(list, &cpus, NULL);
	w->sys.ops->setaffinity(w->sys.ctx, tid, &cpus);
}

#define CLOCK "/sys/devices/system/cpu/cpufreq/policy2/"

void world_init(struct world *w, enum flavour flavour)
{
	w->flavour = flavour;
	w->fake = fake_new(flavour, 8);
	fake_sys(w->fake, &w->sys);
	fake_irq(w->fake, 0, "timer", "0", FAKE_MANAGED);
	fake_irq(w->fake, 24, "eth0", NULL, 0);
	fake_irq(w->fake, 25, "xhci_hcd", "2-3", 0);
	fake_irq(w->fake, 26, "nvme0q3", "2", FAKE_MANAGED);
	fake_irq(w->fake, 27, "", NULL, 0);
	fake_irq(w->fake, 28, "nvidia", "3", 0);
	fake_file(w->fake, "/proc/sys/vm/stat_interval", "1\n");
	fake_file(w->fake, "/proc/sys/kernel/watchdog_cpumask", "0-7\n");
	fake_file(w->fake, "/proc/sys/vm/min_free_kbytes", "45056\n");
	fake_file(w->fake, "/sys/kernel/mm/transparent_hugepage/enabled",
		  "always [madvise] never\n");
	fake_file(w->fake, CLOCK "related_cpus", "2 3\n");
	fake_file(w->fake, CLOCK "scaling_governor", "schedutil\n");
	fake_file(w->fake, CLOCK "scaling_available_governors", "performance schedutil\n");
	w->kswapd = fake_kthread(w->fake, "kswapd0", NULL, 0);
	pin(w, fake_kthread(w->fake, "kcompactd0", NULL, 0), "1,3");
	fake_process(w->fake, "sshd", "system");
	pin(w, fake_process(w->fake, "chronyd", "system"), "2,5");
	w->cron = fake_process(w->fake, "cron", "");
	w->worker = fake_thread(w->fake, w->cron, "worker");
	pin(w, w->worker, "3");
	w->qemu = fake_process(w->fake, "qemu-system-x86_64", "user");
	w->vcpu = fake_thread(w->fake, w->qemu, "CPU 0/KVM");
	fake_thread(w->fake, w->qemu, "CPU 1/KVM");
	fake_thread(w->fake, w->qemu, "IO iothread0");
	fake_file(w->fake, "/etc/shield/profiles.d/win11.json",
		  "{\"version\":1,\"name\":\"win11\",\"guest\":\"2-3\",\"emulator\":\"6\","
		  "\"flush\":true,\"vcpus\":[3,2],\"iothreads\":[\"1\"],\"host\":{"
		  "\"governor\":\"performance\",\"stat_interval\":120,"
		  "\"transparent_hugepages\":\"never\",\"watchdog\":\"housekeeping\"}}");
	fake_file(w->fake, "/etc/shield/profiles.d/lin.json",
		  "{\"version\":1,\"name\":\"lin\",\"guest\":\"4-5\",\"emulator\":\"7\"}");
}

void world_clear(struct world *w)
{
	fake_free(w->fake);
}

void world_copy(struct world *w, const struct world *from)
{
	*w = *from;
	w->fake = fake_clone(from->fake);
	fake_sys(w->fake, &w->sys);
}

#define SCOPE "machine.slice/vm.scope/libvirt"

static void put(struct world *w, const char *file, const char *text)
{
	_cleanup_free_ char *path = xasprintf("/sys/fs/cgroup/%s", file);

	if (sys_write(&w->sys, path, text) < 0)
		abort();
}

static void start_domain(struct world *w)
{
	static const char *const above[] = { "", "machine.slice/", "machine.slice/vm.scope/",
					     SCOPE "/" };

	w->domain = fake_process(w->fake, "qemu-system-x86_64", SCOPE);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_free_ char *cgroup = xasprintf(SCOPE "/vcpu%u", i);

		w->sys.ops->cgroup_create(w->sys.ctx, cgroup);
	}
	w->sys.ops->cgroup_create(w->sys.ctx, SCOPE "/emulator");
	for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
		_cleanup_free_ char *control = xasprintf("%scgroup.subtree_control", above[i]);

		put(w, control, "+cpuset");
	}
	put(w, SCOPE "/emulator/cgroup.type", "threaded");
	put(w, SCOPE "/emulator/cpuset.cpus", "0-4");
	w->sys.ops->cgroup_attach(w->sys.ctx, SCOPE "/emulator", w->domain);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_free_ char *type = xasprintf(SCOPE "/vcpu%u/cgroup.type", i);
		_cleanup_free_ char *cpus = xasprintf(SCOPE "/vcpu%u/cpuset.cpus", i);
		_cleanup_free_ char *threads = xasprintf(SCOPE "/vcpu%u/cgroup.threads", i);
		_cleanup_free_ char *comm = xasprintf("CPU %u/KVM", i);
		const char *cpu = i ? "5,7" : "4";
		pid_t thread = fake_thread(w->fake, w->domain, comm);
		_cleanup_free_ char *id = xasprintf("%d", (int)thread);

		if (!i)
			w->domain_vcpu = thread;
		put(w, type, "threaded");
		put(w, cpus, cpu);
		put(w, threads, id);
		pin(w, thread, cpu);
	}
}

#define PCI "/sys/bus/pci/devices/"

static void start_irqbalance(struct world *w)
{
	fake_file(w->fake, PCI "0000:01:00.0/class", "0x030000\n");
	fake_file(w->fake, PCI "0000:01:00.0/irq", "16\n");
	fake_file(w->fake, PCI "0000:01:00.0/msi_irqs/28", "msi\n");
	fake_symlink(w->fake, PCI "0000:01:00.0/driver", "../../../bus/pci/drivers/nvidia");
	fake_file(w->fake, PCI "0000:00:14.0/class", "0x0c0330\n");
	fake_file(w->fake, PCI "0000:00:14.0/irq", "25\n");
	fake_symlink(w->fake, PCI "0000:00:14.0/driver", "../../../bus/pci/drivers/xhci_hcd");
	fake_irqbalance(w->fake);
}

static void repin_domain(struct world *w)
{
	_cleanup_free_ char *text = NULL;

	put(w, SCOPE "/vcpu1/cpuset.cpus", "3,7");
	put(w, SCOPE "/vcpu0/cpuset.cpus", "6");
	if (sys_read_line(&w->sys, "/sys/fs/cgroup/" SCOPE "/vcpu0/cgroup.threads", &text) < 0)
		abort();
	pin(w, (pid_t)atoi(text), "6");
}

static void lose_cpu(struct world *w)
{
	put(w, SCOPE "/cpuset.cpus", "\n");
	put(w, SCOPE "/vcpu1/cpuset.cpus", "7");
}

/* The kernel has what the pins say. */
static int follow_domain(struct txn *txn, const char *name, struct err *err)
{
	static const char file[] = "/sys/fs/cgroup/" SCOPE "/vcpu1/cpuset.cpus";
	static const char effective[] = "/sys/fs/cgroup/" SCOPE "/vcpu1/cpuset.cpus.effective";
	_cleanup_free_ char *pin = NULL, *text = NULL;

	if (shield_follow(txn, name, err) < 0)
		return -1;
	if (sys_read_line(txn->sys, file, &pin) < 0 ||
	    sys_read_line(txn->sys, effective, &text) < 0 || strcmp(text, pin) != 0)
		return err_set(err, ERR_FAILED, "%s: is %s", effective, text ? text : "gone");
	return 0;
}

static int end_orphans(struct txn *txn, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = 0;

	shields_orphaned(txn, &names);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = shield_end_orphan(txn, names.items[i], err);
	return rc;
}

/* As the command and the guard do: a scope that was held by who died is gone. */
static int end_abandoned(struct txn *txn, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = 0;

	shields_abandoned(txn, &names);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = shield_off(txn, names.items[i], err);
	return rc;
}

static int act(struct world *w, struct txn *txn, enum command command, const char *name,
	       struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	_cleanup_vcpus_ struct vm_vcpus vcpus = { 0 };
	_cleanup_free_ char *shield = NULL;
	int rc;

	switch (command) {
	case CMD_ON:
		return shield_on(txn, name, "isolated", (struct process){ 0 }, &warnings, &shield,
				 err);
	case CMD_OFF:
		return shield_off(txn, name, err);
	case CMD_ATTACH:
		rc = vm_vcpus_by_name(txn->sys, w->qemu, &vcpus);
		if (rc < 0 || vcpus.n != 2)
			return err_set(err, ERR_FAILED, "no vCPUs: %s", err_errno(rc));
		return shield_attach(txn, name, w->qemu, &vcpus, err);
	case CMD_RECOVER:
		return txn->leftover.n ? 0 : end_abandoned(txn, err);
	case CMD_ORPHANS:
		return end_orphans(txn, err);
	case CMD_DOMAIN:
		return shield_on_domain(txn, name, w->domain, &warnings, err);
	case CMD_FOLLOW:
		return follow_domain(txn, name, err);
	case CMD_REPAIR:
		return txn_repair(txn, name, true, err);
	case CMD_THREADS:
		return shield_new_threads(txn, name, err);
	case CMD_BIRTH:
		fake_birth(w->fake, w->vcpu, "kvm-nx-lpage-re", 0);
		return 0;
	case CMD_BIRTH_DOMAIN:
		fake_birth(w->fake, w->domain_vcpu, "kvm-nx-lpage-re", 0);
		return 0;
	case CMD_START:
		start_domain(w);
		return 0;
	case CMD_BALANCE:
		start_irqbalance(w);
		return 0;
	case CMD_SYSTEMD:
	case CMD_SYSTEMD_261:
		fake_systemd(w->fake, w->flavour == FAKE_6_12, command == CMD_SYSTEMD_261);
		return 0;
	case CMD_REPIN:
		repin_domain(w);
		return 0;
	case CMD_LOSE:
		lose_cpu(w);
		return 0;
	}
	return -1;
}

static void begin_and_run(struct world *w, struct sys *sys, bool on_paper, enum command command,
			  const char *name, struct outcome *outcome)
{
	struct txn txn = { .lock = -1 };

	*outcome = (struct outcome){ 0 };
	outcome->rc = on_paper ? txn_begin_on_paper(&txn, sys, false, &outcome->err)
			       : txn_begin(&txn, sys, false, &outcome->err);
	txn.protect = guard_protect;
	if (outcome->rc == 0)
		outcome->rc = act(w, &txn, command, name, &outcome->err);
	if (outcome->rc == 0 && txn.leftover.n)
		outcome->rc =
			err_set(&outcome->err, ERR_INCOMPLETE, "left: %s", txn.leftover.items[0]);
	outcome->told = txn.report.n || txn.immovable.n || txn.unmoved.n;
	txn_end(&txn);
}

void world_run(struct world *w, struct sys *sys, enum command command, const char *name,
	       struct outcome *outcome)
{
	begin_and_run(w, sys, false, command, name, outcome);
}

struct notes {
	const struct world *w;
	struct strv *calls;
};

/* What a command changes, call by call, but for Shield's own files. */
static void note_change(void *ctx, size_t number, const struct fault_event *event)
{
	const struct notes *notes = ctx;
	struct strv *calls = notes->calls;

	/* Its only CPU was flushed, and so the kernel has forgotten what it had chosen:
	 * nothing tells the preview. */
	if (event->op == OP_SETAFFINITY && atoi(event->object) == notes->w->worker)
		return;
	(void)number;
	/* What is refused is tried twice: that cannot be foreseen, and changes nothing. */
	if (fault_op_changes(event->op) && strncmp(event->object, STATE_DIR, strlen(STATE_DIR)) &&
	    event->op != OP_SPAWN && event->op != OP_SPAWN_HELD && event->op != OP_UNLEASH &&
	    event->op != OP_SIGNAL)
		strv_addf(calls, "%s %s", fault_op_name(event->op), event->object);
	if (calls->n > 1 && strcmp(calls->items[calls->n - 1], calls->items[calls->n - 2]) == 0)
		free(calls->items[--calls->n]);
}

static void calls_of(struct world *w, const struct sys *below, bool on_paper, enum command command,
		     const char *name, struct strv *calls, struct outcome *outcome)
{
	struct faulty f = { .before = note_change, .ctx = &(struct notes){ w, calls } };
	struct sys sys;

	faulty_sys(&f, below, &sys);
	begin_and_run(w, &sys, on_paper, command, name, outcome);
	faulty_clear(&f);
}

/* The first call in which they differ. A prompt PID 1 may have removed the scope before
 * we come to it, which cannot be foreseen. */
static char *compare_calls(const struct strv *said, const struct strv *done, bool prompt)
{
	size_t at = 0;

	for (size_t i = 0; i < said->n || at < done->n; i++) {
		const char *a = i < said->n ? said->items[i] : "nothing";
		const char *b = at < done->n ? done->items[at] : "nothing";

		if (strcmp(a, b) == 0)
			at++;
		else if (!prompt || !(strstr(a, "shield.slice") || strstr(a, "stop shield")))
			return xasprintf("call %zu of %zu: the preview says: %s; done is: %s",
					 at + 1, done->n, a, b);
	}
	return NULL;
}

char *world_preview(const struct world *from, enum command command, const char *name)
{
	_cleanup_free_ char *before = NULL, *after = NULL;
	_cleanup_strv_ struct strv said = { 0 }, done = { 0 };
	struct outcome paper, real;
	char *differs = NULL;
	struct sys preview;
	struct world w;

	world_copy(&w, from);
	before = fake_snapshot(w.fake);
	preview_open(&preview, &w.sys);
	on_paper_remember(&preview, &paper.err);
	calls_of(&w, &preview, true, command, name, &said, &paper);
	after = fake_snapshot(w.fake);
	if (strcmp(before, after) != 0)
		differs = text_diff(before, after);
	preview_close(&preview);
	calls_of(&w, &w.sys, false, command, name, &done, &real);
	if (!differs && paper.rc != real.rc)
		differs = xasprintf("the preview answers %d (%s), the command %d (%s)", paper.rc,
				    paper.err.text, real.rc, real.err.text);
	world_clear(&w);
	return differs ? differs : compare_calls(&said, &done, w.flavour == FAKE_6_12);
}

void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* Dies at the n-th operation that changes something. */
struct countdown {
	struct faulty *faulty;
	size_t left;
};

static void count_down(void *ctx, size_t number, const struct fault_event *event)
{
	struct countdown *c = ctx;

	/* What is refused is tried twice: that cannot be foreseen, and changes nothing. */
	if (fault_op_changes(event->op) && c->left && --c->left == 0) {
		c->faulty->at = number;
		c->faulty->mode = FAULT_DIE;
	}
}

bool world_interrupted(struct world *w, struct faulty *f, enum command command, const char *name)
{
	struct outcome outcome;
	struct sys sys;

	faulty_sys(f, &w->sys, &sys);
	if (__lsan_disable)
		__lsan_disable();
	if (setjmp(f->death) == 0)
		world_run(w, &sys, command, name, &outcome);
	if (__lsan_enable)
		__lsan_enable();
	fake_process_dies(w->fake);
	return f->met;
}

static bool crash(struct world *w, struct faulty *f, enum command command, const char *name)
{
	bool died = world_interrupted(w, f, command, name);

	faulty_clear(f);
	return died;
}

bool world_crash(struct world *w, enum command command, const char *name, size_t at, bool changes)
{
	struct faulty f = { .mode = changes ? FAULT_NONE : FAULT_DIE, .at = at };
	struct countdown countdown = { &f, at };

	if (changes) {
		f.before = count_down;
		f.ctx = &countdown;
	}
	return crash(w, &f, command, name);
}

struct inside {
	struct faulty *faulty;
	const struct fake *fake;
};

/* The kill has come: this operation is not reached any more. */
static void die_if_killed(void *ctx, size_t number, const struct fault_event *event)
{
	const struct inside *inside = ctx;

	(void)event;
	if (!fake_kills_inside(inside->fake)) {
		inside->faulty->at = number;
		inside->faulty->mode = FAULT_DIE;
	}
}

bool world_kill_inside(struct world *w, enum command command, const char *name)
{
	struct faulty f = { 0 };
	struct inside inside = { &f, w->fake };

	f.before = die_if_killed;
	f.ctx = &inside;
	fake_kill_inside(w->fake);
	return crash(w, &f, command, name);
}

char *world_restore(struct world *w)
{
	_cleanup_strv_ struct strv names = { 0 };
	struct txn txn = { .lock = -1 };
	struct err err = { 0 };
	char *why = NULL;

	if (txn_begin(&txn, &w->sys, false, &err) < 0)
		return xasprintf("recover: %s", err.text);
	for (size_t i = 0; i < txn.state.n_shields; i++)
		strv_add(&names, txn.state.shields[i].name);
	for (size_t i = 0; i < names.n && !why; i++)
		if (shield_off(&txn, names.items[i], &err) < 0)
			why = xasprintf("off %s: %s", names.items[i], err.text);
	txn_end(&txn);
	if (!why && sys_exists(&w->sys, STATE_FILE))
		why = xstrdup("the state file is still there");
	return why;
}

static void lines_of(const char *text, struct strv *lines)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		strv_take(lines, xstrndup(text, n));
		text += n + (text[n] != '\0');
	}
}

static char *append(char *text, const char *sign, const char *line)
{
	char *more = xasprintf("%s%s%s\n", text, sign, line);

	free(text);
	return more;
}

char *text_diff(const char *a, const char *b)
{
	_cleanup_strv_ struct strv la = { 0 }, lb = { 0 };
	char *diff = xstrdup("");

	if (strcmp(a, b) == 0)
		return diff;
	lines_of(a, &la);
	lines_of(b, &lb);
	for (size_t i = 0; i < la.n; i++)
		if (!strv_contains(&lb, la.items[i]))
			diff = append(diff, "-", la.items[i]);
	for (size_t i = 0; i < lb.n; i++)
		if (!strv_contains(&la, lb.items[i]))
			diff = append(diff, "+", lb.items[i]);
	return diff;
}

bool diff_is_anchor(const char *diff)
{
	const char *line = strstr(diff, " (shield-hold): ");

	return line && *diff == '+' && strchr(diff, '\n') > line && !strchr(diff, '\n')[1];
}

bool diff_is_soft(const char *diff)
{
	_cleanup_strv_ struct strv lines = { 0 };

	lines_of(diff, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.items[i] + 1;

		if (strncmp(line, "thread ", 7) != 0 && strncmp(line, "/proc/irq/", 10) != 0 &&
		    strncmp(line, "irqbalance: ", 12) != 0 &&
		    strncmp(line, "file /proc/sys/", 15) != 0 &&
		    strncmp(line, "file /sys/", 10) != 0)
			return false;
	}
	return true;
}
