/* SPDX-License-Identifier: MIT */
/*
 * irq: the interrupts of the machine, as /sys/kernel/irq and /proc/irq tell.
 *
 * /proc/interrupts is not read: its columns and widths change from kernel to
 * kernel, and it hides interrupts without a count.
 * (Documentation/core-api/irq/irq-affinity.rst)
 *
 * Numbers are reused as soon as an interrupt is freed, so an interrupt is known
 * by its identity: its actions and its PCI device, "ahci@0000:00:1f.2".
 */
#ifndef SHIELD_IRQ_IRQ_H
#define SHIELD_IRQ_IRQ_H

#include "irq/nodes.h"
#include "shield/base/names.h"
#include "shield/sys/sys.h"

/*
 *	vfio		vfio-intx(…), vfio-msi[N](…), vfio-msix[N](…), and no other action
 *	managed		the kernel places it, one CPU a queue, and refuses other masks
 *	per-cpu		bound to its CPU, or its chip cannot move it
 *	no action	no driver requested it
 */
#define IRQ_CLASSES(X)              \
	X(IRQ_ORDINARY, "ordinary") \
	X(IRQ_VFIO, "vfio")         \
	X(IRQ_MANAGED, "managed")   \
	X(IRQ_PER_CPU, "per-cpu")   \
	X(IRQ_NO_ACTION, "no action")
enum irq_class { IRQ_CLASSES(NAMES_ITEM) };

struct irq {
	unsigned number;
	enum irq_class class;
	char *actions;		 /* "xhci_hcd", comma separated; "" without action */
	char *chip;		 /* "IR-PCI-MSI"; may be "" */
	char *device;		 /* "0000:00:14.0"; "" if it is of no PCI device */
	char *driver;		 /* "xhci_hcd"; "" if the device has none */
	struct cpuset mask;	 /* smp_affinity */
	struct cpuset effective; /* effective_affinity; empty if not known */
	int node;		 /* its NUMA node; -1 if it has none, or there is one */
	bool nvme;		 /* of an NVMe controller: vector k serves queue k */
};

struct irqs {
	struct irq *items; /* ascending by number */
	size_t n, cap;
	struct nodes nodes;
};

/*
 * One pass over every interrupt descriptor; those that vanish meanwhile are
 * left out. Managed and per-CPU ones are known by their files of mode 0444;
 * older kernels (6.1) have none such and tell only by refusing the write, so
 * there they are ordinary until tried. Release with irqs_clear().
 */
int irqs_snapshot(struct sys *sys, struct irqs *irqs, struct err *err);
/* Only those whose masks lie within cpus, which costs a fraction. */
int irqs_within(struct sys *sys, const struct cpuset *cpus, struct irqs *irqs, struct err *err);
void irqs_clear(struct irqs *irqs);
#define _cleanup_irqs_ _cleanup_(irqs_clear)

/* May its mask be written? */
bool irq_movable(const struct irq *irq);
/* Why a managed one stays where it is, and whether that matters. */
extern const char irq_managed_reason[];
/* "ordinary", "vfio", "managed", "per-cpu", "no action" */
const char *irq_class_name(enum irq_class class);

/* The path of the file that holds its mask as a cpulist; the caller frees. And
 * back: false if it is not such a path. */
char *irq_path(unsigned number);
bool irq_path_number(const char *path, unsigned *number);

/* What it is known by, allocated; and whether the interrupt of this number is
 * still the one that is known so. */
char *irq_identity(const struct irq *irq);
int irq_is(struct sys *sys, unsigned number, const char *identity);

/* The mask that it was made with under this default_smp_affinity, allocated. */
char *irq_born(const struct irqs *irqs, const struct irq *irq, const char *default_mask);

/* Narrow a set to its CPUs that are closest to the interrupt's device. */
void irq_near(struct sys *sys, unsigned number, struct cpuset *cpus);

/*
 * What an errno of writing a mask means, and what to do; "" if it says it all.
 *
 *	EIO, EPERM	it cannot be moved (kfile_refused)
 *	ENOSPC		no vector is left on these CPUs
 *	EINVAL		none of them is online
 *	ERANGE, EOVERFLOW  one of them can never be
 *	ENOENT		it was freed meanwhile
 */
const char *irq_write_hint(int rc);

#endif
