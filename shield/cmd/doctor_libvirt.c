/* SPDX-License-Identifier: MIT */
#include "shield/cmd/doctor_libvirt.h"

#include <stdio.h>
#include <string.h>

#define HOOK_MAX (64 * 1024)
#define SELINUX "/sys/fs/selinux/"

/* The second one is that of NixOS, where /etc cannot be written. */
static const char *const hooks[] = { "/etc/libvirt/hooks", "/var/lib/libvirt/hooks" };

bool libvirt_is_here(struct sys *sys)
{
	return sys_exists(sys, "/etc/libvirt/qemu") || sys_exists(sys, "/var/lib/libvirt/qemu");
}

static bool runs(const struct tasks *tasks, const char *comm)
{
	for (size_t i = 0; i < tasks->n; i++)
		if (strcmp(tasks->items[i].comm, comm) == 0)
			return true;
	return false;
}

/* The daemon that calls the hook: libvirtd, or, if the daemons are modular,
 * virtqemud. Either ends when it has nothing to do; its socket stays. */
static const char *find_daemon(struct sys *sys, const struct tasks *tasks)
{
	static const char *const names[] = { "virtqemud", "libvirtd" };
	static const char *const sockets[] = { "/run/libvirt/virtqemud-sock",
					       "/run/libvirt/libvirt-sock" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (runs(tasks, names[i]))
			return names[i];
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sys_exists(sys, sockets[i]))
			return names[i];
	return "libvirtd, or virtqemud";
}

struct hook {
	char *path, *text; /* NULL: none was found; it cannot be read */
	struct stat st;
};

static void hook_clear(struct hook *hook)
{
	free(hook->path);
	free(hook->text);
}

/* Is the file ours, by its name or by what it calls? */
static bool take_hook(struct sys *sys, const char *path, const char *name, struct hook *hook)
{
	_cleanup_free_ char *text = NULL;

	if (sys->ops->lstat(sys->ctx, path, &hook->st) < 0)
		return false;
	sys_read(sys, path, HOOK_MAX, &text);
	if (!strstr(name, "shield") && !(text && strstr(text, "hook -- libvirt")))
		return false;
	hook->path = xstrdup(path);
	hook->text = take_ptr(text);
	return true;
}

/* libvirt calls the file `qemu`, and those in qemu.d. */
static bool find_hook(struct sys *sys, struct hook *hook)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		_cleanup_free_ char *single = xasprintf("%s/qemu", hooks[i]);
		_cleanup_free_ char *dir = xasprintf("%s/qemu.d", hooks[i]);
		_cleanup_strv_ struct strv names = { 0 };

		sys->ops->list(sys->ctx, dir, &names);
		strv_sort(&names);
		for (size_t n = 0; n < names.n; n++) {
			_cleanup_free_ char *path = xasprintf("%s/%s", dir, names.items[n]);

			if (take_hook(sys, path, names.items[n], hook))
				return true;
		}
		if (take_hook(sys, single, "qemu", hook))
			return true;
	}
	return false;
}

/* What it calls, "program=/usr/bin/shield"; the caller frees it. */
static char *program_of(const char *text)
{
	static const char key[] = "\nprogram=";
	const char *line = strstr(text, key);

	if (!line)
		return NULL;
	line += sizeof(key) - 1;
	return xstrndup(line, strcspn(line, "\n"));
}

static void check_program(struct sys *sys, const struct hook *hook, const char *cure,
			  struct strv *warnings)
{
	_cleanup_free_ char *program = hook->text ? program_of(hook->text) : NULL;
	struct stat st;

	if (!program) {
		if (hook->text && strstr(hook->text, "\nshield hook -- libvirt"))
			strv_addf(
				warnings,
				"its hook %s is of an earlier version, which looks for the program "
				"in the PATH of libvirt's daemon, and is silent if it is not there: "
				"%s",
				hook->path, cure);
		return;
	}
	if (sys->ops->lstat(sys->ctx, program, &st) < 0)
		strv_addf(warnings, "its hook %s calls %s, which is not there: %s", hook->path,
			  program, cure);
	else if (S_ISREG(st.st_mode) && !(st.st_mode & 0100))
		strv_addf(warnings, "its hook %s calls %s, which cannot be executed: chmod +x %s",
			  hook->path, program, program);
}

/* With the boolean off, hooks may hardly do anything. */
static void check_selinux(struct sys *sys, const char *hook, struct strv *warnings)
{
	_cleanup_free_ char *enforce = NULL, *allowed = NULL;

	if (sys_read_line(sys, SELINUX "enforce", &enforce) == 0 && strcmp(enforce, "1") == 0 &&
	    sys_read_line(sys, SELINUX "booleans/virt_hooks_unconfined", &allowed) == 0 &&
	    *allowed == '0')
		strv_addf(warnings,
			  "SELinux keeps its hooks from the kernel files that Shield writes: "
			  "setsebool -P virt_hooks_unconfined on, and restorecon -RF %s",
			  hook);
}

void libvirt_check_hook(struct sys *sys, const struct tasks *tasks, struct strv *warnings)
{
	const char *root =
		sys_exists(sys, hooks[0]) || !sys_exists(sys, hooks[1]) ? hooks[0] : hooks[1];
	_cleanup_free_ char *cure =
		xasprintf("install -D %s/libvirt-hook %s/qemu.d/50-shield (and restart %s)",
			  SHIELD_DATADIR, root, find_daemon(sys, tasks));
	_cleanup_(hook_clear)
	struct hook hook = { 0 };

	if (!find_hook(sys, &hook)) {
		strv_addf(warnings,
			  "is here without the hook, so that its domains are not shielded: %s",
			  cure);
		return;
	}
	if (S_ISREG(hook.st.st_mode) && !(hook.st.st_mode & 0100))
		strv_addf(warnings, "its hook cannot be executed: chmod +x %s", hook.path);
	check_program(sys, &hook, cure, warnings);
	check_selinux(sys, hook.path, warnings);
}
