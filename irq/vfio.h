/* SPDX-License-Identifier: MIT */
/*
 * vfio: which PCI devices a process holds.
 *
 * QEMU keeps /dev/vfio/GROUP open for each IOMMU group of its devices, or
 * (Linux 6.6, iommufd) /dev/vfio/devices/vfioN for each device. Both are seen in
 * /proc/PID/fd, with any command line of QEMU.
 * (Documentation/driver-api/vfio.rst)
 */
#ifndef SHIELD_IRQ_VFIO_H
#define SHIELD_IRQ_VFIO_H

#include "irq/irq.h"

/* Append the PCI addresses of what the process holds. A process that has ended
 * or may not be looked at holds nothing. */
void vfio_devices(struct sys *sys, pid_t pid, struct strv *addresses);

/* The PCI address in "vfio-msix[3](0000:01:00.0)", allocated, and the number in
 * brackets (0 for vfio-intx). NULL if it is not an action of vfio. */
char *vfio_action_device(const char *action, unsigned *vector);

#endif
