/* SPDX-License-Identifier: MIT */
/*
 * shield doctor: can this host do it, and what to change if not. A line for each
 * thing that matters, with what is the matter and the cure; found by what `on`
 * asks too (host_caps_probe(), policy_spec(), conflicts_find(), …), so that the two
 * agree.
 */
#include "irq/pci.h"
#include "shield/base/text.h"
#include "profiles/find.h"
#include "shield/cgroup/libvirt.h"
#include "shield/cmd/cmd.h"
#include "shield/cmd/doctor_libvirt.h"
#include "shield/ops/on.h"
#include "shield/policy/conflicts.h"
#include "shield/policy/policy.h"
#include "shield/sys/journal.h"
#include "shield/txn/txn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The newest kernel that the tests have run on: it may have come by more since. */
#define TESTED_MAJOR 7
#define TESTED_MINOR 3

enum verdict { OK, WARNING, PROBLEM };
static const char *const verdicts[] = { "ok", "warning", "problem" };

struct finding {
	enum verdict verdict;
	const char *about;
	char *text;
};

struct findings {
	struct finding *items;
	size_t n, cap;
	size_t count[PROBLEM + 1];
	size_t of_profile; /* problems that the profile has, not the host */
};

/* What is looked at. */
struct visit {
	struct sys *sys;
	const char *which;	       /* the profile, or NULL */
	struct host_snapshot snapshot; /* without interrupts: they cannot prevent a shield */
	bool has_host, has_topo;       /* these parts of it could be read */
	struct findings findings;
};

static _printf_(4, 5) void found(struct visit *v, enum verdict verdict, const char *about,
				 const char *fmt, ...)
{
	struct findings *f = &v->findings;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		mem_exhausted();
	va_end(ap);
	GROW(f->items, f->n, f->cap);
	f->items[f->n++] = (struct finding){ verdict, about, text };
	f->count[verdict]++;
}

/* A warning for each, or that all is well. */
static void found_all(struct visit *v, const char *about, const struct strv *warnings,
		      const char *fine)
{
	for (size_t i = 0; i < warnings->n; i++)
		found(v, WARNING, about, "%s", warnings->items[i]);
	if (!warnings->n)
		found(v, OK, about, "%s", fine);
}

/* "a, b, c" */
static char *join(const struct strv *v)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < v->n; i++) {
		_cleanup_free_ char *before = text;

		text = xasprintf("%s%s%s", before, i ? ", " : "", v->items[i]);
	}
	return text;
}

static void look_at_cgroups(struct visit *v)
{
	struct err err = { 0 };

	v->has_host = host_caps_probe(v->sys, &v->snapshot.host, &err) == 0;
	if (v->has_host)
		found(v, OK, "cgroups", "version 2, with the cpuset controller, on %s",
		      v->snapshot.host.mount);
	else
		found(v, PROBLEM, "cgroups", "%s", err.text);
}

/* "7.4.0-rc1" */
static bool is_newer(const char *release)
{
	unsigned major, minor;

	return sscanf(release, "%4u.%4u", &major, &minor) == 2 &&
	       (major > TESTED_MAJOR || (major == TESTED_MAJOR && minor > TESTED_MINOR));
}

static void look_at_kernel(struct visit *v)
{
	_cleanup_free_ char *release = NULL;
	const char *name = "this kernel";

	if (sys_read_line(v->sys, "/proc/sys/kernel/osrelease", &release) == 0)
		name = release;
	if (!v->has_host)
		found(v, OK, "kernel", "%s", name);
	else if (v->snapshot.host.remote && is_newer(name))
		found(v, WARNING, "kernel",
		      "%s has remote partitions, and is newer than what this version of Shield was "
		      "tested with, Linux %d.%d: 'shield status' tells whether a shield holds",
		      name, TESTED_MAJOR, TESTED_MINOR);
	else if (v->snapshot.host.remote)
		found(v, OK, "kernel", "%s has remote partitions", name);
	else
		found(v, WARNING, "kernel",
		      "%s has no remote partitions (Linux 6.7): the emulator needs a core of its "
		      "own, programs may lose the CPUs that they chose, and domains of libvirt "
		      "cannot be shielded; use a newer kernel",
		      name);
}

/* The guest needs a core and so does the host; without remote partitions the
 * emulator, too (policy_spec()). */
static void look_at_cpus(struct visit *v)
{
	const struct topology *topo = &v->snapshot.topo;
	unsigned cores, need = v->has_host && !v->snapshot.host.remote ? 3 : 2;
	struct err err = { 0 };

	v->has_topo = topology_load(v->sys, &v->snapshot.topo, &err) == 0;
	if (!v->has_topo) {
		found(v, PROBLEM, "CPUs", "%s", err.text);
		return;
	}
	cores = topology_whole_cores(topo, &topo->online);
	if (topo->n < need)
		found(v, PROBLEM, "CPUs", "%zu online, and at least %u are needed: %s", topo->n,
		      need, need > 2 ? "guest, emulator and host" : "guest and host");
	else if (cores < need)
		found(v, WARNING, "CPUs",
		      "%zu online on %u cores, and guest and host should have whole cores of "
		      "their own: --force leaves the host less",
		      topo->n, cores);
	else
		found(v, OK, "CPUs", "%zu online on %u cores", topo->n, cores);
}

static void look_at_command_line(struct visit *v)
{
	_cleanup_free_ char *quiet = NULL;
	_cleanup_cpuset_ struct cpuset tickless = { 0 };
	const struct cpuset none = { 0 };
	struct err err = { 0 };

	if (!v->has_host)
		return;
	if (policy_check_isolcpus(&v->snapshot.host, &none, &err) < 0)
		found(v, PROBLEM, "command line", "%s", err.text);
	/* Without nohz_full= the kernel prints "(null)", after as many blanks as it has CPUs. */
	else if (sys_read_line(v->sys, "/sys/devices/system/cpu/nohz_full", &quiet) == 0 &&
		 cpulist_parse(quiet, &tickless, NULL) == 0 && !cpuset_empty(&tickless))
		found(v, OK, "command line",
		      "nohz_full=%s: no timer ticks on these CPUs while one task has them; leave "
		      "the host at least one that is not among them",
		      quiet);
	else
		found(v, OK, "command line", "nothing on it is in the way");
}

static void look_at_tasks(struct visit *v)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	struct err err = { 0 };

	if (tasks_snapshot(v->sys, &(struct task_filter){ 0 }, &v->snapshot.tasks, &err) < 0 ||
	    policy_check_tasks(&v->snapshot.tasks, &err) < 0)
		found(v, PROBLEM, "tasks", "%s", err.text);
	else
		found(v, OK, "tasks", "none has a deadline (SCHED_DEADLINE)");
	if (!irqbalance_find(v->sys, &v->snapshot.irqbalance))
		host_snapshot_find_irqbalance(v->sys, &v->snapshot);
	policy_warn_irqbalance(&v->snapshot.irqbalance, NULL, &warnings);
	found_all(v, "irqbalance", &warnings,
		  v->snapshot.irqbalance.pid ? "runs, and can be told what to leave alone"
					     : "does not run");
}

static void look_at_others(struct visit *v)
{
	_cleanup_strv_ struct strv warnings = { 0 };
	const struct host_caps *host = &v->snapshot.host;

	conflicts_find(v->sys, &v->snapshot.tasks, NULL, &warnings);
	for (size_t i = 0; i < host->n_siblings; i++) {
		const struct sibling *s = &host->siblings[i];
		const struct cpuset *cpus = host->remote ? &s->exclusive : &s->cpus;
		_cleanup_free_ char *text = cpulist_format(cpus);

		if (!cpuset_empty(cpus) && strncmp(s->path, "/shield", 7) != 0)
			strv_addf(&warnings,
				  "the cgroup %s%s has CPUs %s set, which no guest can have then: "
				  "take them out of its cpuset.cpus (AllowedCPUs= of a systemd "
				  "unit, cpuset-cpus of a container)",
				  host->mount, s->path, text);
	}
	found_all(v, "other managers", &warnings, "no other program writes the same files");
}

static void look_at_systemd(struct visit *v)
{
	int rc;

	if (!v->has_host)
		return;
	if (!v->snapshot.host.systemd)
		found(v, OK, "systemd",
		      "is not PID 1: Shield makes cgroups itself, and a guard that is killed "
		      "stays down until the next command that changes something");
	else if (!v->sys->ops->unit_partitions)
		found(v, OK, "systemd", "is PID 1");
	else if ((rc = v->sys->ops->unit_partitions(v->sys->ctx)) < 0)
		found(v, PROBLEM, "systemd",
		      "is PID 1, and does not answer on D-Bus (%s): install and start the bus "
		      "(package dbus, 'systemctl start dbus')",
		      err_errno(rc));
	else
		found(v, OK, "systemd",
		      "is PID 1, and answers; it has %sCPUSetPartition=", rc ? "" : "no ");
}

static void look_at_libvirt(struct visit *v)
{
	_cleanup_strv_ struct strv warnings = { 0 };

	if (!libvirt_is_here(v->sys)) {
		found(v, OK, "libvirt", "is not here");
		return;
	}
	libvirt_check_hook(v->sys, &v->snapshot.tasks, &warnings);
	if (v->has_host && !v->snapshot.host.remote)
		strv_add(&warnings,
			 "its domains cannot be shielded on this kernel; 'shield run' can");
	found_all(v, "libvirt", &warnings, "its hook is installed");
}

static void look_at_passthrough(struct visit *v)
{
	_cleanup_strv_ struct strv groups = { 0 };
	_cleanup_pci_ struct pci pci = { 0 };
	_cleanup_strv_ struct strv cards = { 0 };
	_cleanup_free_ char *list = NULL;

	v->sys->ops->list(v->sys->ctx, "/sys/kernel/iommu_groups", &groups);
	pci_snapshot(v->sys, &pci);
	for (size_t i = 0; i < pci.n; i++)
		if (strcmp(pci.devices[i].driver, "vfio-pci") == 0)
			strv_add(&cards, pci.devices[i].address);
	list = join(&cards);
	if (!groups.n)
		found(v, WARNING, "passthrough",
		      "there is no IOMMU, so VMs cannot have PCI devices: switch it on in the "
		      "firmware (VT-d, AMD-Vi) and with intel_iommu=on on the kernel command line");
	else if (!cards.n)
		found(v, OK, "passthrough", "the host has an IOMMU; vfio-pci has no device");
	else
		found(v, OK, "passthrough", "the host has an IOMMU; vfio-pci has %s", list);
}

/* Who is limited to CPUs that this shield has. */
static void look_at_taken(struct visit *v, const struct state *state, const struct shield *s)
{
	_cleanup_free_ char *domain = libvirt_parent(s->cgroup);
	_cleanup_cpuset_ struct cpuset others = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };

	if (!v->has_host)
		return;
	state_taken(state, &others);
	cpuset_andnot(&others, &s->taken);
	conflicts_find_cpus(v->sys, &v->snapshot.host, &others, &s->taken, domain, &warnings);
	for (size_t i = 0; i < warnings.n; i++)
		found(v, WARNING, "state", "the shield %s: %s", s->name, warnings.items[i]);
}

/* The state file, and the guards of the shields in it. */
static void look_at_state(struct visit *v)
{
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	struct err err = { 0 };

	if (txn_view(&txn, v->sys, &err) < 0) {
		found(v, PROBLEM, "state", "%s", err.text);
		return;
	}
	if (!txn.state.n_shields)
		found(v, txn.state.n_objects ? WARNING : OK, "state",
		      txn.state.n_objects ? "a shield has ended, and not everything could be put "
					    "back: 'shield recover' tries again and names it"
					  : "no shield is active");
	for (size_t i = 0; i < txn.state.n_shields; i++) {
		const struct shield *s = &txn.state.shields[i];

		if (s->phase != PHASE_ACTIVE)
			found(v, WARNING, "state",
			      "the shield %s is in the middle of a change; if no command is at "
			      "work: 'shield recover'",
			      s->name);
		else if (!process_alive(v->sys, &s->guard))
			found(v, WARNING, "state",
			      "the guard of the shield %s does not run, so the shield will not "
			      "end by itself: 'shield off %s' ends it",
			      s->name, s->name);
		else
			found(v, OK, "state", "the shield %s is active, and guarded", s->name);
		look_at_taken(v, &txn.state, s);
	}
}

/* The whole preflight of `on`, for one profile. */
static int look_at_profile(struct visit *v, struct err *err)
{
	_cleanup_strv_ struct strv warnings = { 0 }, names = { 0 };
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_shield_spec_ struct shield_spec spec = { 0 };
	_cleanup_cpuset_ struct cpuset active = { 0 };
	_cleanup_txn_ struct txn txn = { .lock = -1 };
	_cleanup_free_ char *list = NULL, *guest = NULL;
	struct err refused = { 0 };

	find_all(v->sys, &names);
	list = join(&names);
	if (!v->which && !names.n)
		found(v, WARNING, "profiles",
		      "no profile exists: 'shield profile suggest' makes one");
	else if (!v->which)
		found(v, OK, "profiles", "%s ('shield doctor PROFILE' tries one)", list);
	if (!v->which || !v->has_topo)
		return 0;
	if (profile_load(v->sys, &v->snapshot.topo, v->which, &profile, &warnings, err) < 0)
		return -1;
	if (!v->has_host)
		return 0;
	if (txn_view(&txn, v->sys, &refused) == 0) {
		if (state_shield(&txn.state, profile.name)) {
			found(v, OK, "profile", "%s is active", profile.name);
			return 0;
		}
		state_taken(&txn.state, &active);
	}
	if (shield_check_free(&txn.state, &profile, &refused) < 0 ||
	    policy_spec(&v->snapshot, &profile, "isolated", &active, false, &spec, &warnings,
			&refused) < 0) {
		found(v, PROBLEM, "profile", "%s: %s", profile.name, refused.text);
		v->findings.of_profile++;
		return 0;
	}
	conflicts_find_cpus(v->sys, &v->snapshot.host, &active, &spec.taken, NULL, &warnings);
	guest = cpulist_format(&spec.guest);
	found(v, OK, "profile", "%s: CPUs %s can be taken", profile.name, guest);
	for (size_t i = 0; i < warnings.n; i++)
		if (strncmp(warnings.items[i], "irqbalance ", 11) != 0) /* said already */
			found(v, WARNING, "profile", "%s: %s", profile.name, warnings.items[i]);
	return 0;
}

static void print(const struct app *app, const struct findings *f)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[1;31m" };
	static const int priorities[] = { LOG_INFO, LOG_WARNING, LOG_ERR };

	for (size_t i = 0; i < f->n; i++) {
		const struct finding *item = &f->items[i];

		if (journal_behind(STDOUT_FILENO)) {
			journal(priorities[item->verdict], NULL, "%s: %s", item->about, item->text);
			continue;
		}
		text_put(stdout, app->color ? colors[item->verdict] : "");
		text_print(stdout, "%-7s", verdicts[item->verdict]);
		text_put(stdout, app->color ? "\033[0m" : "");
		text_print(stdout, "  %-14s  %s\n", item->about, item->text);
	}
	text_put(stdout, journal_behind(STDOUT_FILENO) ? "" : "\n");
	text_print(stdout, "This host is %sready%s: %zu problem%s, %zu warning%s\n",
		   f->count[PROBLEM] > f->of_profile ? "not " : "",
		   f->count[PROBLEM] && f->count[PROBLEM] == f->of_profile
			   ? ", but not for this profile"
			   : "",
		   f->count[PROBLEM], f->count[PROBLEM] == 1 ? "" : "s", f->count[WARNING],
		   f->count[WARNING] == 1 ? "" : "s");
}

static int print_json(const struct findings *f)
{
	json_t *checks = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(checks,
				      json_pack("{s:s, s:s, s:o}", "about", f->items[i].about,
						"verdict", verdicts[f->items[i].verdict], "text",
						cmd_json_bytes(f->items[i].text)));
	return cmd_print_json(json_pack("{s:i, s:b, s:b, s:o}", "version", 1, "supported",
					f->count[PROBLEM] == 0, "host",
					f->count[PROBLEM] == f->of_profile, "checks", checks));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **which = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	cmd_one_argument(state, which, "profile", arg);
	return 0;
}

int cmd_doctor(struct app *app, int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse,
		"[PROFILE]",
		"Can this host have shields, and what is to be changed if not? With a profile: can "
		"it have that one? Exit status 0: yes, perhaps with warnings; 4: no.",
		NULL,
		NULL,
		NULL,
	};
	static void (*const looks[])(struct visit *) = {
		look_at_cgroups,     look_at_kernel, look_at_cpus,    look_at_command_line,
		look_at_tasks,	     look_at_others, look_at_systemd, look_at_libvirt,
		look_at_passthrough, look_at_state,
	};
	struct visit v = { .sys = &app->sys };
	struct err err = { 0 };
	int status;

	cmd_parse(app, &argp, argc, argv, 0, &v.which);
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		looks[i](&v);
	if (look_at_profile(&v, &err) < 0) {
		status = cmd_fail(&err);
	} else {
		status = v.findings.count[PROBLEM] ? ERR_UNSUPPORTED : 0;
		if (app->json)
			status = print_json(&v.findings) ?: status;
		else
			print(app, &v.findings);
	}
	for (size_t i = 0; i < v.findings.n; i++)
		free(v.findings.items[i].text);
	free(v.findings.items);
	host_snapshot_clear(&v.snapshot);
	return cmd_finish(status);
}
