/* SPDX-License-Identifier: MIT */
/* Preflight: may this profile be carried out on this host? */
#include "shield/policy/spec.h"

#include "shield/policy/settings.h"

#include <string.h>

void shield_spec_clear(struct shield_spec *spec)
{
	cpuset_clear(&spec->guest);
	cpuset_clear(&spec->emulator);
	cpuset_clear(&spec->taken);
}

/* "CPUs 2-3 are …": the part of a that is (not) in b, as text. */
static char *overlap(const struct cpuset *a, const struct cpuset *b)
{
	_cleanup_cpuset_ struct cpuset both = { 0 };

	cpuset_copy(&both, a);
	cpuset_and(&both, b);
	return cpulist_format(&both);
}

int policy_check_isolcpus(const struct host_caps *host, const struct cpuset *guest, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (cpuset_intersects(guest, &host->isolcpus)) {
		text = overlap(guest, &host->isolcpus);
		return err_set(
			err, ERR_UNSUPPORTED,
			"CPU %s is taken from the scheduler by isolcpus= already, and "
			"kernels crash or leak when a partition meets that; remove isolcpus= "
			"from the kernel command line (the shield replaces it) and reboot",
			text);
	}
	if (!cpuset_empty(&host->isolcpus)) {
		text = cpulist_format(&host->isolcpus);
		return err_set(err, ERR_UNSUPPORTED,
			       "isolcpus=%s is on the kernel command line: any partition would "
			       "push host tasks onto these CPUs; remove it and reboot",
			       text);
	}
	return 0;
}

static int check_cpus(const struct host_snapshot *snapshot, const struct profile *profile,
		      struct err *err)
{
	_cleanup_cpuset_ struct cpuset all = { 0 }, missing = { 0 };
	_cleanup_free_ char *text = NULL;

	cpuset_copy(&all, &profile->guest);
	cpuset_or(&all, &profile->emulator);
	for (size_t i = 0; i < profile->n_iothreads; i++)
		cpuset_or(&all, &profile->iothreads[i]);
	cpuset_copy(&missing, &all);
	cpuset_andnot(&missing, &snapshot->host.present);
	if (!cpuset_empty(&missing)) {
		_cleanup_free_ char *have = cpulist_format(&snapshot->host.present);

		text = cpulist_format(&missing);
		return err_set(err, ERR_USAGE,
			       "shield %s: CPU %s does not exist; this machine has %s",
			       profile->name, text, have);
	}
	cpuset_copy(&missing, &all);
	cpuset_andnot(&missing, &snapshot->host.online);
	if (!cpuset_empty(&missing)) {
		text = cpulist_format(&missing);
		return err_set(err, ERR_USAGE,
			       "shield %s: CPU %s is offline; bring it online with: echo 1 > "
			       "/sys/devices/system/cpu/cpu%d/online",
			       profile->name, text, cpuset_next(&missing, -1));
	}
	if (cpuset_intersects(&profile->guest, &profile->emulator)) {
		text = overlap(&profile->guest, &profile->emulator);
		return err_set(err, ERR_USAGE,
			       "shield %s: CPU %s is both a guest and an emulator CPU; give it to "
			       "one of them",
			       profile->name, text);
	}
	return policy_check_isolcpus(&snapshot->host, &profile->guest, err);
}

/* On kernels without remote partitions the emulator needs CPUs of its own. */
static int choose_emulator(const struct host_snapshot *snapshot, const struct cpuset *free_cpus,
			   struct shield_spec *spec, struct strv *warnings, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (snapshot->host.remote || spec->own_emulator)
		return 0;
	for (int cpu = cpuset_last(free_cpus); cpu >= 0; cpu--) {
		_cleanup_cpuset_ struct cpuset core = { 0 };

		if (!cpuset_has(free_cpus, (unsigned)cpu))
			continue;
		cpuset_add(&core, (unsigned)cpu);
		topology_complete(&snapshot->topo, &core);
		if (!cpuset_within(&core, free_cpus))
			continue;
		cpuset_copy(&spec->emulator, &core);
		spec->own_emulator = true;
		text = cpulist_format(&core);
		strv_addf(warnings,
			  "this kernel has no remote partitions (Linux 6.7), so the emulator gets "
			  "CPU %s for itself; name others as \"emulator\" in the profile",
			  text);
		return 0;
	}
	return err_set(err, ERR_UNSUPPORTED,
		       "this kernel has no remote partitions (Linux 6.7), so the emulator needs a "
		       "core of its own, and none is left; give the guest fewer CPUs");
}

static int check_housekeeping(const struct host_snapshot *snapshot,
			      const struct cpuset *housekeeping, bool force, struct err *err)
{
	if (topology_whole_cores(&snapshot->topo, housekeeping) >= 1 ||
	    (force && !cpuset_empty(housekeeping)))
		return 0;
	if (cpuset_empty(housekeeping))
		return err_set(err, ERR_USAGE,
			       "no CPU would be left for the host; give the guest fewer CPUs");
	return err_set(err, ERR_USAGE,
		       "less than one whole core would be left for the host; give the guest fewer "
		       "CPUs (--force goes down to one CPU)");
}

/* Who else has these CPUs? With remote partitions the kernel lets siblings
 * overlap, unless they hold CPUs exclusively or would be left without any. */
static int check_siblings(const struct host_snapshot *snapshot, const struct shield_spec *spec,
			  struct err *err)
{
	for (size_t i = 0; i < snapshot->host.n_siblings; i++) {
		const struct sibling *s = &snapshot->host.siblings[i];
		bool clash = snapshot->host.remote
				     ? cpuset_intersects(&s->exclusive, &spec->taken) ||
					       (!cpuset_empty(&s->cpus) &&
						cpuset_within(&s->cpus, &spec->taken))
				     : cpuset_intersects(&s->cpus, &spec->taken);
		_cleanup_free_ char *text = NULL;

		if (!clash)
			continue;
		text = cpulist_format(cpuset_empty(&s->cpus) ? &s->exclusive : &s->cpus);
		return err_set(
			err, ERR_UNSUPPORTED,
			"the cgroup %s%s has CPUs %s set, which overlaps: take these CPUs "
			"out of its cpuset.cpus (AllowedCPUs= of a systemd unit, cpuset-cpus "
			"of a container)",
			snapshot->host.mount, s->path, text);
	}
	return 0;
}

int policy_check_tasks(const struct tasks *tasks, struct err *err)
{
	for (size_t i = 0; i < tasks->n; i++) {
		const struct task *t = &tasks->items[i];

		if (t->policy == TASK_DEADLINE && strncmp(t->comm, "sugov:", 6) != 0)
			return err_set(err, ERR_UNSUPPORTED,
				       "thread %d (%s) is scheduled with SCHED_DEADLINE, which "
				       "forbids narrowing its CPUs; end it, or change its policy "
				       "with chrt --other --pid 0 %d",
				       (int)t->tid, t->comm, (int)t->tid);
	}
	return 0;
}

void policy_warn_irqbalance(const struct irqbalance *irqbalance, const struct cpuset *guest,
			    struct strv *warnings)
{
	_cleanup_free_ char *text = guest ? cpulist_format(guest) : xstrdup("GUEST_CPUS");

	if (!irqbalance->without_socket)
		return;
	strv_addf(warnings,
		  "irqbalance is running and has no socket in "
		  "/run/irqbalance, so it cannot be told to leave the "
		  "guest CPUs alone and moves interrupts back; set "
		  "IRQBALANCE_BANNED_CPULIST=%s in its configuration "
		  "(/etc/default/irqbalance) and restart it, or stop it",
		  text);
}

int policy_spec(const struct host_snapshot *snapshot, const struct profile *profile,
		const char *partition, const struct cpuset *active, bool force,
		struct shield_spec *spec, struct strv *warnings, struct err *err)
{
	_cleanup_cpuset_ struct cpuset housekeeping = { 0 };

	if (check_cpus(snapshot, profile, err) < 0)
		return -1;
	spec->name = profile->name;
	spec->profile = profile;
	spec->partition = partition;
	cpuset_copy(&spec->guest, &profile->guest);
	cpuset_copy(&spec->taken, &profile->guest);
	cpuset_copy(&housekeeping, &snapshot->host.online);
	cpuset_andnot(&housekeeping, active);
	cpuset_andnot(&housekeeping, &spec->guest);
	/* "All the others" is what housekeeping means. */
	if (!cpuset_equal(&profile->emulator, &housekeeping))
		cpuset_copy(&spec->emulator, &profile->emulator);
	spec->own_emulator = !cpuset_empty(&spec->emulator);
	if (check_housekeeping(snapshot, &housekeeping, force, err) < 0 ||
	    choose_emulator(snapshot, &housekeeping, spec, warnings, err) < 0)
		return -1;
	/* Their threads are in the emulator's cgroup. */
	for (size_t i = 0; spec->own_emulator && i < profile->n_iothreads; i++)
		cpuset_or(&spec->emulator, &profile->iothreads[i]);
	if (!snapshot->host.remote) {
		cpuset_or(&spec->taken, &spec->emulator);
		cpuset_andnot(&housekeeping, &spec->taken);
		if (check_housekeeping(snapshot, &housekeeping, force, err) < 0)
			return -1;
	}
	if (!spec->own_emulator)
		cpuset_copy(&spec->emulator, &housekeeping);
	if (check_siblings(snapshot, spec, err) < 0 ||
	    policy_check_tasks(&snapshot->tasks, err) < 0)
		return -1;
	policy_warn_irqbalance(&snapshot->irqbalance, &spec->guest, warnings);
	return 0;
}

int policy_check_profile(struct sys *sys, const struct topology *topo,
			 const struct profile *profile, struct err *err)
{
	_cleanup_host_caps_ struct host_caps host = { 0 };
	_cleanup_shield_spec_ struct shield_spec spec = { 0 };
	_cleanup_plan_ struct plan plan = { 0 };
	const struct cpuset none = { 0 };
	struct err no_host = { 0 };
	struct host_snapshot snapshot = { 0 };

	/* A host that can have no shield is for `doctor` to tell. */
	if (host_caps_probe(sys, &host, &no_host) < 0) {
		host_caps_clear(&host);
		host.remote = true;
		cpuset_copy(&host.online, &topo->online);
		cpuset_copy(&host.present, &topo->present);
	}
	/* What others have now may change. */
	snapshot.host = host;
	snapshot.host.n_siblings = 0;
	snapshot.host.isolcpus = none;
	snapshot.topo = *topo;
	if (policy_spec(&snapshot, profile, "isolated", &none, false, &spec, &plan.warnings, err) <
	    0)
		return -1;
	return policy_settings(sys, &spec, &plan, err);
}
