/* SPDX-License-Identifier: MIT */
#include "shield/sys/cgroup_adapter.h"

#include "shield/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

static void discard(void *userdata, int level, const char *fmt, va_list ap)
{
	(void)userdata;
	(void)level;
	(void)fmt;
	(void)ap;
}

static int translate(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ECGOTHER: {
		int number = cgroup_get_last_errno();

		return number > 0 ? -number : -EIO;
	}
	case ECGROUPNOTEXIST:
	case ECGROUPNOTCREATED:
		return -ENOENT;
	case ECGROUPNOTALLOWED:
	case ECGROUPNOTOWNER:
		return -EPERM;
	case ECGNONEMPTY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static int init(void)
{
	static bool done;
	int rc;

	if (done)
		return 0;
	cgroup_set_logger(discard, -1, NULL);
	rc = cgroup_init();
	/* No mount at all is for the caller to explain. */
	if (rc == ECGROUPNOTMOUNTED)
		return -ENOENT;
	done = rc == 0;
	return translate(rc);
}

int cgroup_adapter_mount(char **ret)
{
	struct statfs fs;
	char *mount;
	int rc = init();

	if (rc < 0)
		return rc;
	if (cgroup_get_subsys_mount_point("cpuset", &mount) != 0)
		return -ENOENT;
	if (statfs(mount, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC) {
		free(mount);
		return -ENOENT;
	}
	*ret = mount;
	return 0;
}

static void freecgroup(struct cgroup **cgroup)
{
	cgroup_free(cgroup);
}

/* A fresh cgroup with the cpuset controller, or NULL. */
static struct cgroup *describe(const char *path, int *rc)
{
	struct cgroup *cgroup;

	*rc = init();
	if (*rc < 0)
		return NULL;
	cgroup = cgroup_new_cgroup(path);
	if (!cgroup || !cgroup_add_controller(cgroup, "cpuset")) {
		cgroup_free(&cgroup);
		*rc = -EIO;
	}
	return cgroup;
}

int cgroup_adapter_create(const char *path)
{
	int rc;
	_cleanup_(freecgroup)
	struct cgroup *cgroup = describe(path, &rc);

	/* It would give every file in it to root, whose they are. */
	return cgroup ? translate(cgroup_create_cgroup(cgroup, 1)) : rc;
}

int cgroup_adapter_delete(const char *path)
{
	int rc;
	_cleanup_(freecgroup)
	struct cgroup *cgroup = describe(path, &rc);

	return cgroup ? translate(cgroup_delete_cgroup_ext(cgroup, CGFLAG_DELETE_EMPTY_ONLY)) : rc;
}

/* libcgroup attaches only where the controller is on. A cgroup of systemd's, to
 * which a process returns, may be without. */
static int attach_by_hand(const char *path, pid_t pid)
{
	_cleanup_free_ char *mount = NULL, *file = NULL, *number = xasprintf("%d", (int)pid);
	int rc = cgroup_adapter_mount(&mount), fd;

	if (rc < 0)
		return rc;
	file = xasprintf("%s/%s/cgroup.procs", mount, path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, number, strlen(number)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int cgroup_adapter_attach(const char *path, pid_t pid)
{
	int rc;
	_cleanup_(freecgroup)
	struct cgroup *cgroup = describe(path, &rc);

	if (!cgroup)
		return rc;
	rc = translate(cgroup_attach_task_pid(cgroup, pid));
	return rc == -EIO ? attach_by_hand(path, pid) : rc;
}
