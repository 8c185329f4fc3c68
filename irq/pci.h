/* SPDX-License-Identifier: MIT */
/*
 * pci: which interrupt belongs to which PCI device, and which driver has it.
 *
 * A device with MSI or MSI-X lists its interrupts in msi_irqs/; its file irq is
 * then the line that it does not use. Several devices may share a line: the
 * first one that has a driver is named, and one that is kept for a guest only if
 * there is no other.
 * (Documentation/ABI/testing/sysfs-bus-pci)
 */
#ifndef SHIELD_IRQ_PCI_H
#define SHIELD_IRQ_PCI_H

#include "shield/sys/sys.h"

struct pci_device {
	char *address; /* "0000:00:14.0" */
	char *driver;  /* "" if none */
	bool nvme;     /* an NVMe controller, with any driver */
};

struct pci_irq {
	unsigned number;
	size_t device; /* index into devices */
};

struct pci {
	struct pci_device *devices;
	size_t n, cap;
	struct pci_irq *irqs; /* ascending by number */
	size_t n_irqs, cap_irqs;
};

/* A machine without PCI has no devices; no error. Release with pci_clear(). */
void pci_snapshot(struct sys *sys, struct pci *pci);
void pci_clear(struct pci *pci);
#define _cleanup_pci_ _cleanup_(pci_clear)

/* The device of an interrupt, or NULL. */
const struct pci_device *pci_of_irq(const struct pci *pci, unsigned number);

/* Does the interrupt belong to the device now? 1 or 0, or a negated errno: not
 * known. One or two look-ups. */
int pci_has_irq(struct sys *sys, const char *address, unsigned number);

#endif
