/*
 * policy: from what the user wants and what the host is, to a plan. It knows
 * everything and touches nothing.
 */
#ifndef SHIELD_POLICY_POLICY_H
#define SHIELD_POLICY_POLICY_H

#include "irq/irq.h"
#include "irq/irqbalance.h"
#include "irq/net.h"
#include "profiles/profile.h"
#include "shield/cgroup/libvirt.h"
#include "shield/plan/plan.h"
#include "shield/task/task.h"

/* What a shield is going to be. */
struct shield_spec {
	const char *name;
	const struct profile *profile; /* borrowed */
	struct cpuset guest;
	struct cpuset emulator; /* resolved: where QEMU's other threads run; with the
				 * CPUs of I/O threads, if the profile names any */
	bool own_emulator;	/* the profile names emulator CPUs */
	struct cpuset taken;	/* what the host may not use */
	const char *partition;	/* "isolated" or "root" */
	/* The domain whose cgroups become these partitions; or NULL: in one of
	 * our own. Both borrowed. */
	const struct libvirt_vm *libvirt;
	const struct partitions *partitions;
	/* What the shields that are up want of interrupts (irqs.h); borrowed. */
	const struct irq_policy *others;
	size_t n_others;
};
void shield_spec_clear(struct shield_spec *spec);
#define _cleanup_shield_spec_ _cleanup_(shield_spec_clear)

/* The host as it is now. */
struct host_snapshot {
	struct host_caps host;
	struct topology topo;
	struct irqs irqs;
	struct tasks tasks;
	struct irqbalance irqbalance;
	struct net_masks net;
	char *default_irq; /* cpulist of default_smp_affinity */
	char *workqueues;  /* cpulist of the unbound workqueues, or NULL */
};

/* Read all of it; root is "" or --sysroot. Of the threads whose CPUs the kernel
 * keeps, only those that have others than the shields left them (active: the
 * CPUs that these took). */
int host_snapshot_read(struct sys *sys, const char *root, const struct cpuset *active,
		       struct host_snapshot *snapshot, struct err *err);
/* Without tasks, interrupts and masks: enough for profiles and preflight. */
int host_snapshot_read_host(struct sys *sys, const char *root, struct host_snapshot *snapshot,
			    struct err *err);
void host_snapshot_clear(struct host_snapshot *snapshot);
#define _cleanup_host_snapshot_ _cleanup_(host_snapshot_clear)

/*
 * Check that the profile can be carried out here, and work out its CPUs.
 * active: CPUs taken by the shields that are up. force: go down to one
 * housekeeping CPU. Refusals: ERR_USAGE (the profile), ERR_UNSUPPORTED (the
 * host), ERR_FAILED (CPUs in use), each with the cure. Warnings are appended.
 */
int policy_spec(const struct host_snapshot *snapshot, const struct profile *profile,
		const char *partition, const struct cpuset *active, bool force,
		struct shield_spec *spec, struct strv *warnings, struct err *err);

/* The same for `profile check`: what `on` refuses of this profile regardless of
 * other users of the host. */
int policy_check_profile(struct sys *sys, const struct topology *topo,
			 const struct profile *profile, struct err *err);

/* Parts of it that need no profile, for `doctor`. guest: NULL or empty if not
 * known yet. */
int policy_check_isolcpus(const struct host_caps *host, const struct cpuset *guest,
			  struct err *err);
int policy_check_tasks(const struct tasks *tasks, struct err *err);
void policy_warn_irqbalance(const struct tasks *tasks, const struct irqbalance *irqbalance,
			    const struct cpuset *guest, struct strv *warnings);

/* The steps of `on`, in their order. active as above: what stays off these CPUs
 * already was given less than it would have without them. */
void policy_on(const struct host_snapshot *snapshot, const struct shield_spec *spec,
	       const struct cpuset *active, struct plan *plan);

/*
 * The steps for threads that appeared since, may use CPUs of `taken` and can be
 * moved (interrupts: irqs.h). inside: the cgroups that may ("/shield-x/vcpus").
 */
int policy_new_threads(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		       const struct strv *inside, struct plan *plan, struct err *err);

/* On hosts whose kernel destroys affinities at cpuset changes: the threads that
 * hold one that must survive the end of a shield. taken: by all shields. */
int policy_survivors(struct sys *sys, const struct host_caps *host, const struct cpuset *taken,
		     struct plan *plan, struct err *err);

#endif
