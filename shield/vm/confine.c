/* SPDX-License-Identifier: MIT */
#include "shield/vm/confine.h"

#include "shield/vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A "*" at the end stands for the rest. */
static const char *const kept[] = {
	"DISPLAY", "WAYLAND_*",	 "XAUTHORITY", "XDG_*",	   "DBUS_SESSION_BUS_ADDRESS",
	"PULSE_*", "PIPEWIRE_*", "ALSA_*",     "JACK_*",   "QEMU_AUDIO_*",
	"SDL_*",   "GDK_*",	 "LANG",       "LANGUAGE", "LC_*",
	"TZ",	   "TERM",	 "COLORTERM",  "NO_COLOR", "PATH",
};

static bool is_kept(const char *entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		size_t n = strlen(kept[i]) - 1;

		if (kept[i][n] == '*' ? strncmp(entry, kept[i], n) == 0
				      : strncmp(entry, kept[i], n + 1) == 0 && entry[n + 1] == '=')
			return true;
	}
	return false;
}

/* Root's own is closed to the user, whose is where logind makes it. */
static void runtime_dir(const struct user_account *account, struct strv *ret)
{
	static const char key[] = "XDG_RUNTIME_DIR=";
	_cleanup_free_ char *own = xasprintf("/run/user/%u", (unsigned)account->uid);
	struct stat st;

	for (size_t i = 0; i < ret->n; i++)
		if (strncmp(ret->items[i], key, sizeof(key) - 1) == 0) {
			if (stat(ret->items[i] + sizeof(key) - 1, &st) < 0 ||
			    st.st_uid == account->uid || stat(own, &st) < 0)
				return;
			free(ret->items[i]);
			ret->items[i] = xasprintf("%s%s", key, own);
			return;
		}
	if (stat(own, &st) == 0 && st.st_uid == account->uid)
		strv_addf(ret, "%s%s", key, own);
}

void confine_environment(const struct user_account *account, struct strv *ret)
{
	for (char **entry = environ; entry && *entry; entry++)
		if (is_kept(*entry))
			strv_add(ret, *entry);
	runtime_dir(account, ret);
	strv_addf(ret, "HOME=%s", account->home);
	strv_addf(ret, "USER=%s", account->name);
	strv_addf(ret, "LOGNAME=%s", account->name);
	strv_addf(ret, "SHELL=%s", account->shell);
	GROW(ret->items, ret->n, ret->cap);
	ret->items[ret->n] = NULL;
}

static bool names(char *const argv[], const char *word)
{
	for (size_t i = 1; argv[i]; i++)
		if (strstr(argv[i], word))
			return true;
	return false;
}

static bool may_open(const char *path, const struct user_account *account)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	if (st.st_uid == account->uid)
		return st.st_mode & S_IWUSR;
	for (size_t i = 0; i < account->n_groups; i++)
		if (st.st_gid == account->groups[i])
			return st.st_mode & S_IWGRP;
	return st.st_mode & S_IWOTH;
}

/* /dev/vfio/vfio alone gives nothing; every user may open it. */
static bool has_device(const struct user_account *account)
{
	for (unsigned i = 0; i < 256; i++) {
		_cleanup_free_ char *group = xasprintf("/dev/vfio/%u", i);
		_cleanup_free_ char *device = xasprintf("/dev/vfio/devices/vfio%u", i);
		_cleanup_free_ char *vdpa = xasprintf("/dev/vhost-vdpa-%u", i);

		if (may_open(group, account) || may_open(device, account) ||
		    may_open(vdpa, account))
			return true;
	}
	return false;
}

bool confine_locks_memory(char *const argv[], const struct user_account *account)
{
	if (!vm_is_qemu_command(argv[0]))
		return has_device(account);
	return names(argv, "vfio") || names(argv, "vdpa") || names(argv, "mem-lock=on") ||
	       names(argv, "mlock=on");
}

static bool is_open(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC); /* else it is ours */
}

/* Of "…,fd=3,…" or "fds=3:4" one that is open and not kept. */
static int missing_in(const char *text, const int *keep, size_t n)
{
	const char *at = text;

	while ((at = strstr(at, "fd"))) {
		at += 2 + (at[2] == 's');
		while (*at == '=' || *at == ':') {
			char *end;
			long fd = strtol(at + 1, &end, 10);
			bool known = end == at + 1 || fd < 3 || fd > 1 << 20;

			for (size_t i = 0; i < n; i++)
				known |= keep[i] == fd;
			if (!known && is_open((int)fd))
				return (int)fd;
			at = end > at + 1 ? end : at + 1;
		}
	}
	return -1;
}

int confine_missing_fd(char *const argv[], const int *keep, size_t n)
{
	int fd = -1;

	for (size_t i = 1; argv[i] && fd < 0; i++)
		fd = missing_in(argv[i], keep, n);
	return fd;
}

const char *confine_needs_privileges(char *const argv[])
{
	static const char *const programs[] = { "sudo", "su", "doas", "pkexec", "runuser" };
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (strcmp(name, programs[i]) == 0)
			return programs[i];
	if (!vm_is_qemu_command(argv[0]))
		return NULL;
	for (size_t i = 1; argv[i]; i++)
		if ((strncmp(argv[i], "bridge", 6) == 0 &&
		     (strstr(argv[i - 1], "net") || strstr(argv[i - 1], "nic"))) ||
		    strstr(argv[i], "\"bridge\""))
			return "qemu-bridge-helper";
	return names(argv, "helper=") ? "the helper of its network" : NULL;
}

void confine_descriptors(void)
{
	/* Linux 5.11; what we open ourselves is close-on-exec anyway. */
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		for (int fd = 3; fd < 65536; fd++)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
}

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define OTHER AUDIT_ARCH_I386
#define OTHER_IOCTL 54
#define X32_IOCTL (0x40000000 + 514)
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define OTHER AUDIT_ARCH_ARM
#define OTHER_IOCTL 54
#define X32_IOCTL __NR_ioctl /* there is none */
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_LOW(field)                                                           \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + \
						   (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) * 4)
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

/* The kernel looks at no more than the low half of the request. */
/* clang-format off */
static struct sock_filter filter[] = {
#ifdef NATIVE
	/*  0 */ LOAD(arch),
	/*  1 */ IF(NATIVE, 3, 0),
	/*  2 */ IF(OTHER, 0, 8), /* a third does not exist: refused */
	/*  3 */ LOAD(nr),
	/*  4 */ IF(OTHER_IOCTL, 3, 7),
	/*  5 */ LOAD(nr),
	/*  6 */ IF(__NR_ioctl, 1, 0),
	/*  7 */ IF(X32_IOCTL, 0, 4),
#else /* no second table of system calls is known of this machine */
	/*  6 */ LOAD(nr),
	/*  7 */ IF(__NR_ioctl, 0, 4),
#endif
	/*  8 */ LOAD_LOW(args[1]),
	/*  9 */ IF(TIOCSTI, 1, 0),
	/* 10 */ IF(TIOCLINUX, 0, 1),
	/* 11 */ RETURN(SECCOMP_RET_ERRNO | EPERM),
	/* 12 */ RETURN(SECCOMP_RET_ALLOW),
};
/* clang-format on */

int confine_calls(bool privileges)
{
	static const struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	if (!privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* A kernel without such filters: the terminal is his own all the same. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL &&
	    errno != ENOSYS)
		return -errno;
	return 0;
}
