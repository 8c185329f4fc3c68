/* SPDX-License-Identifier: MIT */
#include "shield/cmd/tool.h"

#include "shield/sys/trusted.h"

#include <errno.h>
#include <unistd.h>

/* A section of its own, which `cmake --install` replaces (CMakeLists.txt). */
static const char folder[1024] __attribute__((section(".shield.tools"))) = SHIELD_TOOLS;

static int refuse(const char *path, int rc, const char *why)
{
	struct err err = { 0 };

	if (why)
		err_set(&err, ERR_UNSUPPORTED,
			"%s is not run: %s; install Shield where only root can write", path, why);
	else
		err_set(&err, ERR_UNSUPPORTED,
			"%s cannot be run: %s; it is a part of Shield: install it again", path,
			err_errno(rc));
	return cmd_fail(&err);
}

int tool_run(struct app *app, int argc, char **argv)
{
	const char *in = folder;
	_cleanup_free_ char *path = NULL, *why = NULL;
	int fd;

	(void)argc;
	/* What is in the section is not known when this is compiled. */
	__asm__("" : "+r"(in));
	path = xasprintf("%s/shield-%s", in, argv[0]);
	fd = trusted_open(&app->sys, path, &why);
	if (fd < 0)
		return refuse(path, fd, why);
	app->sys.ops->close(app->sys.ctx, fd);
	/* By its path, which only root can change: a descriptor would be its name in ps. */
	execve(path, argv, environ);
	return refuse(path, -errno, NULL);
}
