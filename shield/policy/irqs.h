/* SPDX-License-Identifier: MIT */
/*
 * irqs: where each interrupt belongs while shields are active. The first that
 * says something wins:
 *
 *	managed, per-CPU	cannot be moved: left
 *	a rule of a profile	the CPUs of the rule, without guest CPUs of others;
 *				not for what another shield's VM has, and no guest
 *				CPUs for what a VM without a shield has
 *	vfio, of a shield's VM	its guest CPUs, as its profile says (irq.vfio):
 *		"spread"	one vector to each vCPU's CPU in turn, and each
 *				device begins with the next one
 *		"guest"		all of them
 *		"housekeeping"	as all the others
 *		"leave"		left
 *	all the others, also	their own mask without the CPUs taken by any shield;
 *	vfio of other VMs	the host's CPUs if nothing is left, those closest to
 *				the device first
 *
 * Vector k of a device goes to vCPU (k + device) modulo the vCPUs: a device with
 * a queue a vCPU has one queue on each. Which vCPU a queue serves is known to the
 * guest's driver only, with one exception: NVMe, whose drivers (of Linux and of
 * Windows) give vector 0 to the admin queue and vector k to the queue of vCPU
 * k - 1. These go to the CPU of just that vCPU.
 */
#ifndef SHIELD_POLICY_IRQS_H
#define SHIELD_POLICY_IRQS_H

#include "irq/irq.h"
#include "profiles/profile.h"
#include "shield/plan/plan.h"

/* What a shield wants of interrupts. The pointers are borrowed. */
struct irq_policy {
	const char *name; /* of the shield */
	const struct cpuset *guest;
	unsigned *cpus; /* of its vCPUs in their order, owned */
	size_t n_cpus;	/* 0: not known yet, the guest CPUs */
	enum profile_vfio vfio;
	const struct profile_rule *rules;
	size_t n_rules;
	struct strv devices; /* PCI addresses of its VM, owned */
};
void irq_policy_clear(struct irq_policy *policy);

enum irq_target { IRQ_LEAVE, IRQ_AVOID, IRQ_SET };

/* *policy and *cpus are set for IRQ_SET: whose policy it is, and the CPUs. */
enum irq_target irq_target(const struct irq *irq, const struct irq_policy *policies, size_t n,
			   size_t *policy, struct cpuset *cpus);

/* The shield whose VM has the device of this VFIO interrupt; n: none of these. */
size_t irq_vm(const struct irq *irq, const struct irq_policy *policies, size_t n);

/* Does "action:…", "chip:…", "driver:…" or "pci:…" mean this interrupt? The
 * rest is a glob; of several actions one is enough. An interrupt without a device,
 * a driver or an action is meant by no glob for that, "*" included. */
bool irq_matches(const struct irq *irq, const char *match);

/*
 * The steps for interrupts that are not where they belong, each in the plan of
 * the shield that wants it (plans[i] for policies[i]); those that only have to be
 * elsewhere in that of shield `avoider`. Born with our default mask, an interrupt
 * is given the original one to restore.
 */
void policy_irqs(const struct irqs *irqs, const struct irq_policy *policies, size_t n,
		 size_t avoider, const struct cpuset *taken, const struct cpuset *rest,
		 const char *default_irq, const char *default_original, struct plan *plans);

/*
 * Steps without a change for interrupts that have just the mask which new ones
 * will have under the shield: recorded, they are not taken for such later.
 */
void policy_irqs_alike(const struct irqs *irqs, const struct irq_policy *policies, size_t n,
		       const char *mask, struct plan *plan);

/* A warning for each rule that decides nothing: no interrupt of now matches it,
 * none of these can be moved, rules before it match them all, or other shields
 * come first. The last request is the profile's own; none: other shields are
 * active. */
void policy_unused_rules(const struct irqs *irqs, const struct profile *profile,
			 const struct irq_policy *policies, size_t n, struct strv *warnings);

/* A warning for each device that has managed interrupts which may fire on taken
 * CPUs. (Linux 6.1 tells them only when it is asked to move them.) */
void policy_managed(const struct irqs *irqs, const struct cpuset *taken, struct strv *warnings);

#endif
