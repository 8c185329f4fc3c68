/* SPDX-License-Identifier: MIT */
#include "irq/vfio.h"

#include "irq/pci.h"
#include "shield/base/pci_address.h"

#include <stdio.h>
#include <string.h>

static void add_new(struct strv *v, const char *s)
{
	if (!strv_contains(v, s))
		strv_add(v, s);
}

static void add_group(struct sys *sys, const char *group, struct strv *addresses)
{
	static const char none[] = "noiommu-"; /* vfio.enable_unsafe_noiommu_mode */
	size_t skip = strncmp(group, none, sizeof(none) - 1) == 0 ? sizeof(none) - 1 : 0;
	_cleanup_free_ char *dir = xasprintf("/sys/kernel/iommu_groups/%s/devices", group + skip);
	_cleanup_strv_ struct strv names = { 0 };

	if (sys->ops->list(sys->ctx, dir, &names) < 0)
		return;
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		if (pci_address_ok(names.items[i]))
			add_new(addresses, names.items[i]);
}

static void add_cdev(struct sys *sys, const char *name, struct strv *addresses)
{
	_cleanup_free_ char *path = xasprintf("/sys/class/vfio-dev/%s/device", name), *link = NULL;
	const char *address;

	if (sys_readlink(sys, path, &link) < 0)
		return;
	address = strrchr(link, '/');
	address = address ? address + 1 : link;
	if (pci_address_ok(address))
		add_new(addresses, address);
}

void vfio_devices(struct sys *sys, pid_t pid, struct strv *addresses)
{
	static const char groups[] = "/dev/vfio/", cdevs[] = "/dev/vfio/devices/";
	_cleanup_free_ char *dir = xasprintf("/proc/%d/fd", (int)pid);
	_cleanup_strv_ struct strv fds = { 0 };

	if (sys->ops->list(sys->ctx, dir, &fds) < 0)
		return;
	strv_sort(&fds);
	for (size_t i = 0; i < fds.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, fds.items[i]), *link = NULL;

		if (sys_readlink(sys, path, &link) < 0)
			continue;
		if (strncmp(link, cdevs, sizeof(cdevs) - 1) == 0)
			add_cdev(sys, link + sizeof(cdevs) - 1, addresses);
		else if (strncmp(link, groups, sizeof(groups) - 1) == 0)
			add_group(sys, link + sizeof(groups) - 1, addresses);
	}
}

char *vfio_action_device(const char *action, unsigned *vector)
{
	const char *open = strchr(action, '('), *bracket = strchr(action, '[');
	_cleanup_free_ char *address = NULL;

	if (strncmp(action, "vfio-", 5) != 0 || !open || strlen(open) < 3)
		return NULL;
	address = xstrndup(open + 1, strcspn(open + 1, ")"));
	if (!pci_address_ok(address))
		return NULL;
	*vector = bracket && bracket < open ? (unsigned)strtoul(bracket + 1, NULL, 10) : 0;
	return take_ptr(address);
}
