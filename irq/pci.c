/* SPDX-License-Identifier: MIT */
#include "irq/pci.h"

#include "shield/base/pci_address.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DEVICES "/sys/bus/pci/devices"

void pci_clear(struct pci *pci)
{
	for (size_t i = 0; i < pci->n; i++) {
		free(pci->devices[i].address);
		free(pci->devices[i].driver);
	}
	free(pci->devices);
	free(pci->irqs);
	*pci = (struct pci){ 0 };
}

static char *driver_of(struct sys *sys, const char *address)
{
	_cleanup_free_ char *path = xasprintf(DEVICES "/%s/driver", address), *link = NULL;
	const char *name;

	if (sys_readlink(sys, path, &link) < 0)
		return xstrdup("");
	name = strrchr(link, '/');
	return xstrdup(name ? name + 1 : link);
}

/* By its class: mass storage, non-volatile memory, NVM Express. */
static bool is_nvme(struct sys *sys, const char *address)
{
	_cleanup_free_ char *path = xasprintf(DEVICES "/%s/class", address), *class = NULL;

	return sys_read_line(sys, path, &class) == 0 && strcmp(class, "0x010802") == 0;
}

static void add_irq(struct pci *pci, const char *number, size_t device)
{
	GROW(pci->irqs, pci->n_irqs, pci->cap_irqs);
	pci->irqs[pci->n_irqs++] = (struct pci_irq){ (unsigned)strtoul(number, NULL, 10), device };
}

static void read_irqs(struct sys *sys, struct pci *pci, size_t device)
{
	const char *address = pci->devices[device].address;
	_cleanup_free_ char *dir = xasprintf(DEVICES "/%s/msi_irqs", address);
	_cleanup_free_ char *path = xasprintf(DEVICES "/%s/irq", address), *line = NULL;
	_cleanup_strv_ struct strv names = { 0 };

	if (sys->ops->list(sys->ctx, dir, &names) == 0 && names.n) {
		for (size_t i = 0; i < names.n; i++)
			add_irq(pci, names.items[i], device);
	} else if (sys_read_line(sys, path, &line) == 0 && strcmp(line, "0") != 0) {
		add_irq(pci, line, device);
	}
}

/* How likely it is that the device has asked for its line: a driver that keeps it
 * for a guest does so only in the guest's name ("vfio-intx(…)"). */
static int rank(const struct pci_device *device)
{
	if (!*device->driver)
		return 2;
	return strcmp(device->driver, "vfio-pci") == 0 || strcmp(device->driver, "pci-stub") == 0;
}

/* By number; of those that share a line the likeliest first. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct pci_irq *x = a, *y = b;
	const struct pci *pci = arg;

	int by_rank = rank(&pci->devices[x->device]) - rank(&pci->devices[y->device]);

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (by_rank)
		return by_rank;
	return x->device < y->device ? -1 : x->device > y->device;
}

void pci_snapshot(struct sys *sys, struct pci *pci)
{
	_cleanup_strv_ struct strv names = { 0 };

	if (sys->ops->list(sys->ctx, DEVICES, &names) < 0)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *address = pci_address_parse(names.items[i]);

		/* The kernel has no others; a tree of files may. */
		if (!address)
			continue;
		GROW(pci->devices, pci->n, pci->cap);
		pci->devices[pci->n++] = (struct pci_device){
			xstrdup(names.items[i]),
			driver_of(sys, names.items[i]),
			is_nvme(sys, names.items[i]),
		};
		read_irqs(sys, pci, pci->n - 1);
	}
	if (pci->n_irqs)
		qsort_r(pci->irqs, pci->n_irqs, sizeof(*pci->irqs), compare, pci);
}

const struct pci_device *pci_of_irq(const struct pci *pci, unsigned number)
{
	size_t low = 0, high = pci->n_irqs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pci->irqs[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == pci->n_irqs || pci->irqs[low].number != number)
		return NULL;
	return &pci->devices[pci->irqs[low].device];
}

/* It went while it was looked at, or was never there. */
static bool gone(int rc)
{
	return rc == -ENOENT || rc == -ENODEV || rc == -ENOTDIR;
}

int pci_has_irq(struct sys *sys, const char *address, unsigned number)
{
	_cleanup_free_ char *msi = xasprintf(DEVICES "/%s/msi_irqs/%u", address, number);
	_cleanup_free_ char *path = xasprintf(DEVICES "/%s/irq", address);
	_cleanup_free_ char *line = NULL, *text = xasprintf("%u", number);
	struct stat st;
	int rc = sys->ops->lstat(sys->ctx, msi, &st);

	if (rc == 0)
		return 1;
	if (gone(rc))
		rc = sys_read_line(sys, path, &line);
	if (rc < 0)
		return gone(rc) ? 0 : rc;
	return strcmp(line, text) == 0;
}
