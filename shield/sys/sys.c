/* SPDX-License-Identifier: MIT */
#include "shield/sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define READ_LIMIT ((size_t)16 << 20)

int sys_read_fd(struct sys *sys, int fd, size_t limit, char **ret)
{
	size_t size = 0, room = 4096;
	_cleanup_free_ char *text = xmalloc(room + 1);

	limit = limit ? limit : READ_LIMIT;
	for (;;) {
		ssize_t n = sys->ops->read(sys->ctx, fd, text + size, room - size);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > limit)
			return -EFBIG;
		if (size == room) {
			room *= 2;
			text = xrealloc(text, room + 1, 1);
		}
	}
	text[size] = '\0';
	*ret = take_ptr(text);
	return 0;
}

int sys_read(struct sys *sys, const char *path, size_t limit, char **ret)
{
	int fd = sys->ops->open(sys->ctx, path, O_RDONLY | O_NOCTTY);
	int rc;

	if (fd < 0)
		return fd;
	rc = sys_read_fd(sys, fd, limit, ret);
	sys->ops->close(sys->ctx, fd);
	return rc;
}

int sys_read_line(struct sys *sys, const char *path, char **ret)
{
	char *text;
	int rc = sys_read(sys, path, 0, &text);
	size_t n;

	if (rc < 0)
		return rc;
	for (n = strlen(text); n && strchr(" \t\n", text[n - 1]);)
		text[--n] = '\0';
	*ret = text;
	return 0;
}

int sys_read_cpulist(struct sys *sys, const char *path, struct cpuset *ret)
{
	_cleanup_free_ char *text = NULL;
	int rc = sys_read_line(sys, path, &text);

	return rc < 0 ? rc : cpulist_parse(text, ret, NULL) < 0 ? -EBADMSG : 0;
}

int sys_readlink(struct sys *sys, const char *path, char **ret)
{
	return sys->ops->readlink ? sys->ops->readlink(sys->ctx, path, ret) : -EINVAL;
}

bool sys_exists(struct sys *sys, const char *path)
{
	struct stat st;

	return sys->ops->lstat(sys->ctx, path, &st) == 0;
}
