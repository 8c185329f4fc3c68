/* SPDX-License-Identifier: MIT */
#include "shield/vm/qmp_launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The option's name without its dashes; NULL for anything else. */
static const char *option_name(const char *arg)
{
	if (*arg != '-')
		return NULL;
	return arg[1] == '-' ? arg + 2 : arg + 1;
}

/* The next option after argv[*i], stepping over the guest kernel's line. */
static const char *next_option(char *const argv[], size_t *i)
{
	while (argv[*i] && argv[++*i]) {
		const char *name = option_name(argv[*i]);

		if (name && strcmp(name, "append") == 0 && argv[*i + 1])
			++*i;
		else if (name)
			return name;
	}
	return NULL;
}

bool qmp_has_option(char *const argv[], const char *option)
{
	const char *name;
	size_t i = 0;

	while ((name = next_option(argv, &i)))
		if (strcmp(name, option) == 0)
			return true;
	return false;
}

/* Cut "a,b,,c" after its first comma that is not doubled: the part with single
 * commas, which the caller frees, or NULL at the end. */
static char *next_part(const char **list)
{
	const char *at = *list;
	char *part, *to;

	if (!*at)
		return NULL;
	part = to = xmalloc(strlen(at) + 1);
	while (*at && (*at != ',' || at[1] == ',')) {
		at += *at == ',';
		*to++ = *at++;
	}
	*to = '\0';
	*list = at + (*at == ',');
	return part;
}

/* A value in QEMU's lists "key=value,flag,noflag"; a first part without "="
 * is the value of the implied key, the last mention counts. The caller frees
 * it; NULL if the key is not there. */
static char *list_value(const char *list, const char *implied, const char *key)
{
	char *part, *found = NULL;

	for (; (part = next_part(&list)); implied = NULL) {
		const char *name = part, *value = "on";
		char *equals = strchr(part, '=');

		if (equals) {
			*equals = '\0';
			value = equals + 1;
		} else if (implied) {
			name = implied;
			value = part;
		} else if (strncmp(part, "no", 2) == 0 && strcmp(part + 2, key) == 0) {
			name = key;
			value = "off";
		}
		if (strcmp(name, key) == 0) {
			free(found);
			found = xstrdup(value);
		}
		free(part);
	}
	return found;
}

static bool list_flag(const char *list, const char *implied, const char *key, bool standard)
{
	_cleanup_free_ char *value = list_value(list, implied, key);

	if (!value)
		return standard;
	return strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 ||
	       strcmp(value, "true") == 0 || strcmp(value, "y") == 0;
}

/* Add the path of a character device, if we may connect to it. */
static void add_socket(const char *list, const char *implied, struct strv *paths)
{
	_cleanup_free_ char *path = list_value(list, implied, "path");

	if (path && *path && list_flag(list, implied, "server", false) &&
	    !list_flag(list, implied, "wait", true) &&
	    !list_flag(list, implied, "abstract", false) && !strv_contains(paths, path))
		strv_add(paths, path);
}

/* The character device with this id, made by -chardev. */
static void add_chardev(char *const argv[], const char *id, struct strv *paths)
{
	const char *name;
	size_t i = 0;

	while ((name = next_option(argv, &i))) {
		_cleanup_free_ char *kind = NULL, *this = NULL;

		if (strcmp(name, "chardev") != 0 || !argv[i + 1])
			continue;
		kind = list_value(argv[i + 1], "backend", "backend");
		this = list_value(argv[i + 1], "backend", "id");
		if (kind && this && strcmp(kind, "socket") == 0 && strcmp(this, id) == 0)
			add_socket(argv[i + 1], "backend", paths);
	}
}

void qmp_find_sockets(char *const argv[], struct strv *paths)
{
	const char *name;
	size_t i = 0;

	while ((name = next_option(argv, &i))) {
		const char *value = argv[i + 1];

		if (!value)
			return;
		if (strcmp(name, "qmp") == 0 || strcmp(name, "qmp-pretty") == 0) {
			if (strncmp(value, "unix:", 5) == 0)
				add_socket(value + 5, "path", paths);
			else if (strncmp(value, "chardev:", 8) == 0)
				add_chardev(argv, value + 8, paths);
		} else if (strcmp(name, "mon") == 0) {
			_cleanup_free_ char *mode = list_value(value, "chardev", "mode");
			_cleanup_free_ char *id = list_value(value, "chardev", "chardev");

			if (mode && id && strcmp(mode, "control") == 0)
				add_chardev(argv, id, paths);
		}
	}
}

static int open_socket(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(closep)
	int fd = -1;
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_USAGE, "%s: the path is too long for a socket (%zu bytes)",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_FAILED, "cannot make a socket: %s", err_errno(errno));
	unlink(path); /* of a run that was killed */
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	umask(mask);
	if (rc == 0 && listen(fd, 1) < 0) {
		rc = errno;
		unlink(path);
	}
	if (rc)
		return err_set(err, ERR_FAILED, "%s: cannot make a socket for QEMU's monitor: %s",
			       path, err_errno(rc));
	return take_fd(fd);
}

static int open_config(int socket_fd, struct err *err)
{
	_cleanup_free_ char *text = xasprintf("[chardev \"shield-qmp\"]\n"
					      "  backend = \"socket\"\n"
					      "  fd = \"%d\"\n"
					      "  server = \"on\"\n"
					      "  wait = \"off\"\n"
					      "[mon \"shield-qmp\"]\n"
					      "  chardev = \"shield-qmp\"\n"
					      "  mode = \"control\"\n",
					      socket_fd);
	_cleanup_(closep)
	int fd = memfd_create("shield-qmp", MFD_CLOEXEC);

	/* QEMU may run as another user and opens it anew: it must be readable. */
	if (fd < 0 || fchmod(fd, 0444) < 0 ||
	    write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_set(err, ERR_FAILED,
			       "cannot make the configuration of QEMU's monitor: %s",
			       err_errno(errno));
	return take_fd(fd);
}

int qmp_launch_prepare(struct qmp_launch *launch, char *const argv[], const char *path,
		       struct err *err)
{
	*launch = (struct qmp_launch){ .keep = { -1, -1 } };
	launch->keep[0] = open_socket(path, err);
	if (launch->keep[0] < 0)
		return -1;
	launch->path = xstrdup(path);
	launch->keep[1] = open_config(launch->keep[0], err);
	if (launch->keep[1] < 0) {
		qmp_launch_clear(launch);
		return -1;
	}
	for (size_t i = 0; argv[i]; i++)
		strv_add(&launch->argv, argv[i]);
	strv_add(&launch->argv, "-readconfig");
	strv_addf(&launch->argv, "/proc/self/fd/%d", launch->keep[1]);
	launch->frozen = !qmp_has_option(argv, "S") && !qmp_has_option(argv, "incoming") &&
			 !qmp_has_option(argv, "preconfig");
	if (launch->frozen)
		strv_add(&launch->argv, "-S");
	GROW(launch->argv.items, launch->argv.n, launch->argv.cap); /* its NULL */
	return 0;
}

void qmp_launch_started(struct qmp_launch *launch)
{
	closep(&launch->keep[0]);
	closep(&launch->keep[1]);
	launch->keep[0] = launch->keep[1] = -1;
}

void qmp_launch_clear(struct qmp_launch *launch)
{
	qmp_launch_started(launch);
	if (launch->path)
		unlink(launch->path);
	free(launch->path);
	strv_clear(&launch->argv);
	*launch = (struct qmp_launch){ .keep = { -1, -1 } };
}
