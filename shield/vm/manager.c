/* SPDX-License-Identifier: MIT */
#include "shield/vm/manager.h"

#include "shield/task/task.h"

#include <string.h>

/* The file in a folder, NAME.pid, that has this PID: NAME, or NULL. */
static char *find_file(struct sys *sys, const char *folder, pid_t pid)
{
	_cleanup_strv_ struct strv names = { 0 };

	if (sys->ops->list(sys->ctx, folder, &names) < 0)
		return NULL;
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, names.items[i]);
		char *dot = strrchr(names.items[i], '.');
		_cleanup_free_ char *text = NULL;

		if (dot && strcmp(dot, ".pid") == 0 && sys_read_line(sys, path, &text) == 0 &&
		    strtol(text, NULL, 10) == pid)
			return xstrndup(names.items[i], (size_t)(dot - names.items[i]));
	}
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* "/qemu.slice/100.scope": "100". */
static char *find_scope(const char *cgroup)
{
	static const char slice[] = "/qemu.slice/";
	const char *id = strstr(cgroup, slice);
	size_t n;

	if (!id)
		return NULL;
	id += sizeof(slice) - 1;
	n = strspn(id, "0123456789");
	return n && strncmp(id + n, ".scope", 6) == 0 ? xstrndup(id, n) : NULL;
}

enum vm_manager vm_manager_find(struct sys *sys, pid_t pid, char **name)
{
	_cleanup_free_ char *cgroup = NULL;

	*name = find_file(sys, "/run/libvirt/qemu", pid);
	if (*name)
		return VM_MANAGER_LIBVIRT;
	*name = find_file(sys, "/run/qemu-server", pid);
	if (*name)
		return VM_MANAGER_PROXMOX;
	if (task_cgroup(sys, pid, pid, &cgroup) < 0)
		return VM_MANAGER_NONE;
	if (ends_with(cgroup, "/libvirt/emulator") || strstr(cgroup, "/machine-qemu"))
		return VM_MANAGER_LIBVIRT;
	*name = find_scope(cgroup);
	return *name ? VM_MANAGER_PROXMOX : VM_MANAGER_NONE;
}
