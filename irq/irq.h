/*
 * irq: the interrupts of the machine, as /sys/kernel/irq and /proc/irq tell.
 *
 * /proc/interrupts is not read: its columns and widths change from kernel to
 * kernel, and it hides interrupts without a count.
 * (Documentation/core-api/irq/irq-affinity.rst)
 */
#ifndef SHIELD_IRQ_IRQ_H
#define SHIELD_IRQ_IRQ_H

#include "shield/sys/sys.h"

enum irq_class {
	IRQ_ORDINARY,
	IRQ_VFIO,      /* vfio-intx(…), vfio-msi[N](…), vfio-msix[N](…) */
	IRQ_IMMOVABLE, /* mode 0444: managed by its driver, or per-CPU (kernels
			* before 6.12 tell only by refusing the write) */
	IRQ_NO_ACTION, /* nobody requested it */
};

struct irq {
	unsigned number;
	enum irq_class class;
	char *actions;  /* "xhci_hcd", comma separated; "" without action */
	char *chip;     /* "IR-PCI-MSI"; may be "" */
	struct cpuset mask;      /* smp_affinity */
	struct cpuset effective; /* effective_affinity; empty if not known */
};

struct irqs {
	struct irq *items; /* ascending by number */
	size_t n, cap;
};

/* One pass over every interrupt descriptor; those that vanish meanwhile are
 * left out. Release with irqs_clear(). */
int irqs_snapshot(struct sys *sys, struct irqs *irqs, struct err *err);
void irqs_clear(struct irqs *irqs);
#define _cleanup_irqs_ _cleanup_(irqs_clear)

/* The path of the file that holds its mask as a cpulist; the caller frees. */
char *irq_path(unsigned number);

#endif
