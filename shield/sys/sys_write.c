/* SPDX-License-Identifier: MIT */
#include "shield/sys/sys_write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int sys_write(struct sys *sys, const char *path, const char *text)
{
	size_t size = strlen(text);
	ssize_t n;
	int fd;

	fd = sys->ops->open(sys->ctx, path, O_WRONLY | O_NOCTTY);
	if (fd < 0)
		return fd;
	do
		n = sys->ops->write(sys->ctx, fd, text, size);
	while (n == -EINTR);
	sys->ops->close(sys->ctx, fd);
	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -EIO;
}
