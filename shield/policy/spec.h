/* SPDX-License-Identifier: MIT */
/*
 * spec: what a shield is going to be, and whether that can be: the profile
 * against the host.
 */
#ifndef SHIELD_POLICY_SPEC_H
#define SHIELD_POLICY_SPEC_H

#include "profiles/profile.h"
#include "shield/cgroup/libvirt.h"
#include "shield/policy/host_snapshot.h"

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
void policy_warn_irqbalance(const struct irqbalance *irqbalance, const struct cpuset *guest,
			    struct strv *warnings);

#endif
