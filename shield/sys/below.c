/* SPDX-License-Identifier: MIT */
#include "shield/sys/below.h"

#include "shield/base/cpuset.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 40
#define SYSFS_MAX (64 << 10)
#define CPUINFO_MAX (64 << 20)

static int resolve(int dir, const char *path, unsigned long flags, unsigned long how_to)
{
	struct open_how how = { .flags = flags | O_PATH | O_CLOEXEC, .resolve = how_to };
	long fd;

	path += strspn(path, "/");
	fd = syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Now that it is known what it is. */
static int reopen(int fd, int flags)
{
	_cleanup_free_ char *path = xasprintf("/proc/self/fd/%d", fd);
	struct stat st;
	int opened;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL;
	opened = open(path, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}

int below_open(const char *root, const char *path, int flags)
{
	_cleanup_(closep)
	int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, rc;

	if (dir < 0)
		return -errno;
	if (flags & (O_CREAT | O_WRONLY | O_RDWR))
		return -EROFS;
	fd = resolve(dir, path, (unsigned long)(flags & (O_NOFOLLOW | O_DIRECTORY)),
		     RESOLVE_IN_ROOT);
	if (fd < 0 || (flags & O_PATH))
		return fd;
	rc = reopen(fd, flags);
	close(fd);
	return rc;
}

struct walk {
	int root;
	char *found;
};

static void unfit(struct walk *w, const char *path, const char *what)
{
	if (!w->found)
		w->found = xasprintf("%s %s", path, what);
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* A link of sysfs never leads out of it. */
static void look_at_link(struct walk *w, const char *path)
{
	/* Those of processes (exe, cwd) do, and are not followed. */
	bool process = is_below(path, "proc") && isdigit((unsigned char)path[5]);
	int fd = process ? -ENOENT : resolve(w->root, path, 0, RESOLVE_BENEATH);

	if (fd == -EXDEV || fd == -ELOOP)
		unfit(w, path, "is a link that leads out of the tree");
	if (fd >= 0)
		close(fd);
}

/* Files that hwloc takes lists of CPUs or nodes from. */
static bool is_list(const char *path)
{
	static const char *const lists[] = {
		"sys/devices/system/cpu/online",       "sys/devices/system/node/online",
		"sys/fs/cgroup/cpuset.cpus.effective", "sys/fs/cgroup/cpuset.mems.effective",
		"sys/devices/cpu_core/cpus",	       "sys/devices/cpu_atom/cpus",
		"sys/devices/cpu_lowpower/cpus",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (strcmp(path, lists[i]) == 0)
			return true;
	return false;
}

static void look_at_list(struct walk *w, const char *path, int dir, const char *name)
{
	_cleanup_(closep)
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_free_ char *text = xmalloc(SYSFS_MAX + 1);
	ssize_t n = fd < 0 ? 0 : read(fd, text, SYSFS_MAX);

	text[n < 0 ? 0 : n] = '\0';
	if (strspn(text, "0123456789-,\n \t") == strlen(text) &&
	    cpulist_parse(text, &set, NULL) < 0)
		unfit(w, path, "is not a list of CPUs or nodes");
}

static void look_at_file(struct walk *w, const char *path, int dir, const char *name)
{
	bool info = is_below(path, "proc") && !strchr(path + 5, '/');
	off_t most = info ? CPUINFO_MAX : SYSFS_MAX;
	struct stat st;

	if (!info && !is_list(path) && !is_below(path, "sys/devices/system") &&
	    !is_below(path, "sys/class/dmi") && !is_below(path, "sys/devices/virtual/dmi"))
		return;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > most)
		unfit(w, path, "is too long for what it is");
	else if (is_list(path))
		look_at_list(w, path, dir, name);
}

/* "cpu123", "node1", "index0" */
static bool is_too_far(const char *path, const char *name)
{
	size_t word = strcspn(name, "0123456789");
	const char *digits = name + word;

	return is_below(path, "sys/devices/system") && word && *digits &&
	       digits[strspn(digits, "0123456789")] == '\0' &&
	       (strlen(digits) > 5 || strtoul(digits, NULL, 10) > CPUSET_MAX_CPU);
}

static unsigned char type_of(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN || fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return entry->d_type;
	return (unsigned char)IFTODT(st.st_mode);
}

static void walk(struct walk *w, const char *path, int fd, unsigned depth);

static void look_at(struct walk *w, const char *path, int dir, const struct dirent *entry,
		    unsigned depth)
{
	const char *name = entry->d_name;

	switch (type_of(dir, entry)) {
	case DT_DIR:
		if (is_too_far(path, name))
			unfit(w, path, "has a number that no kernel gives");
		else if (depth < DEPTH_MAX)
			walk(w, path,
			     openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			     depth + 1);
		else
			unfit(w, path, "is too deep");
		break;
	case DT_REG:
		look_at_file(w, path, dir, name);
		break;
	case DT_LNK:
		look_at_link(w, path);
		break;
	default:
		unfit(w, path, "is neither a file nor a folder");
	}
}

/* Takes fd over. */
static void walk(struct walk *w, const char *path, int fd, unsigned depth)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		closep(&fd);
		return; /* what we cannot read, hwloc cannot */
	}
	while (!w->found && (entry = readdir(dir))) {
		_cleanup_free_ char *inner =
			xasprintf("%s%s%s", path, *path ? "/" : "", entry->d_name);

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			look_at(w, inner, dirfd(dir), entry, depth);
	}
	closedir(dir);
}

char *below_unfit(const char *root)
{
	static const char *const folders[] = { "sys", "proc" };
	_cleanup_(closep)
	int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk w = { .root = dir };

	for (size_t i = 0; dir >= 0 && i < ARRAY_SIZE(folders); i++)
		walk(&w, folders[i], openat(dir, folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		     0);
	return w.found;
}
