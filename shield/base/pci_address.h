/* SPDX-License-Identifier: MIT */
/*
 * pci_address: the name of a PCI device, in all the forms in which people and
 * programs write it.
 *
 *	0000:01:00.0	10000:e1:00.0	01:00.0		0000:0A:1F.7
 *
 * The domain has four to eight digits (more than four: behind Intel's VMD), and
 * is 0000 where it is left out, as lspci does. Letters may be capital.
 */
#ifndef SHIELD_BASE_PCI_ADDRESS_H
#define SHIELD_BASE_PCI_ADDRESS_H

#include <stdbool.h>

/* What a message says about an invalid address. */
#define PCI_ADDRESS_EXPECTED "a PCI address like 0000:01:00.0"

/* As the kernel writes it in /sys/bus/pci/devices; the caller frees. NULL if the
 * text is not an address. */
char *pci_address_parse(const char *text);

/* Is it written as the kernel does? */
bool pci_address_ok(const char *text);

#endif
