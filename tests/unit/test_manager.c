/* SPDX-License-Identifier: MIT */
/* Whose VM is it, and may it be put into a shield by hand? */
#include "shield/vm/manager.h"
#include "tests/fake/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
	const char *cgroup, *folder; /* NULL: no file has its PID */
	enum vm_manager manager;
	const char *name;
} cases[] = {
	{ "", NULL, VM_MANAGER_NONE, NULL },
	{ "user.slice/session-1.scope", NULL, VM_MANAGER_NONE, NULL },
	{ "shield.slice/shield-libvirt.scope", NULL, VM_MANAGER_NONE, NULL },
	{ "machine.slice/machine-qemu\\x2d1\\x2dwin11.scope/libvirt/emulator", NULL,
	  VM_MANAGER_LIBVIRT, NULL },
	{ "machine.slice/machine-qemu\\x2d1\\x2dwin11.scope", NULL, VM_MANAGER_LIBVIRT, NULL },
	{ "machine/qemu-1-win11.libvirt-qemu/libvirt/emulator", NULL, VM_MANAGER_LIBVIRT, NULL },
	{ "machine.slice/machine-qemu\\x2d1\\x2dwin11.scope/libvirt/emulator", "/run/libvirt/qemu",
	  VM_MANAGER_LIBVIRT, "win11" },
	{ "", "/run/libvirt/qemu", VM_MANAGER_LIBVIRT, "win11" }, /* no cgroup controllers */
	{ "qemu.slice/100.scope", NULL, VM_MANAGER_PROXMOX, "100" },
	{ "qemu.slice/win.scope", NULL, VM_MANAGER_NONE, NULL },
	{ "", "/run/qemu-server", VM_MANAGER_PROXMOX, "win11" },
};

static void check(size_t i)
{
	struct fake *fake = fake_new(FAKE_6_12, 4);
	pid_t pid = fake_process(fake, "qemu-system-x86_64", cases[i].cgroup);
	_cleanup_free_ char *name = NULL, *file = NULL, *text = xasprintf("%d\n", (int)pid);
	struct sys sys;

	fake_sys(fake, &sys);
	fake_file(fake, "/run/libvirt/qemu/other.pid", "1\n");
	fake_file(fake, "/run/qemu-server/101.pid", "");
	if (cases[i].folder) {
		file = xasprintf("%s/win11.pid", cases[i].folder);
		fake_file(fake, file, text);
	}
	assert_int_equal(vm_manager_find(&sys, pid, &name), cases[i].manager);
	if (cases[i].name)
		assert_string_equal(name, cases[i].name);
	else
		assert_null(name);
	fake_free(fake);
}

static void test_manager(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_manager) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
