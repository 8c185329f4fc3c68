/* SPDX-License-Identifier: MIT */
/* The state file: found, trusted, locked, replaced. */
#include "irq/net.h"
#include "shield/txn/state_json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define STATE_TEMPORARY STATE_DIR "/state.json.new"
#define STATE_DAMAGED STATE_DIR "/state.json.damaged"

static int boot_id(struct sys *sys, char **ret, struct err *err)
{
	int rc = sys_read_line(sys, "/proc/sys/kernel/random/boot_id", ret);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "/proc/sys/kernel/random/boot_id: %s",
			       err_errno(rc));
	return 0;
}

/* What is wrong with the owner or mode of what fd is, or NULL. A recorded
 * machine belongs to the user who unpacked it. */
static const char *distrust(const struct sys *sys, const struct stat *st)
{
	if (sys->readonly)
		return NULL;
	if (st->st_uid != 0)
		return "it does not belong to root";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "it is writable by users other than root";
	return NULL;
}

static int untrusted(struct err *err, const char *path, const char *why)
{
	return err_set(err, ERR_FAILED,
		       "%s cannot be trusted: %s; nothing was changed. 'shield recover --discard' "
		       "puts the file aside and restores the CPUs; a reboot undoes the rest",
		       path, why);
}

static int check_directory(struct sys *sys, int fd, struct err *err)
{
	const char *why;
	struct stat st;
	int rc = sys->ops->fstat(sys->ctx, fd, &st);

	if (rc < 0)
		return err_set(err, ERR_FAILED, STATE_DIR ": %s", err_errno(rc));
	why = distrust(sys, &st);
	if (!why)
		return 0;
	return err_set(err, ERR_FAILED,
		       STATE_DIR
		       " cannot be trusted: %s; make it root's: chown root:root " STATE_DIR
		       " && chmod 0711 " STATE_DIR,
		       why);
}

static int no_directory(int rc, struct err *err)
{
	return err_set(err, ERR_FAILED, STATE_DIR ": cannot be opened: %s%s", err_errno(rc),
		       rc == -ENOTDIR || rc == -ELOOP
			       ? "; it must be a directory: remove what is there"
			       : "");
}

int state_lock(struct sys *sys, struct err *err)
{
	int fd, rc;

	if (sys->readonly)
		return err_set(err, ERR_USAGE,
			       "--sysroot shows a recorded machine, which cannot be changed; use "
			       "'plan', 'status', 'topology' or 'profile' with it");
	rc = sys->ops->mkdir(sys->ctx, STATE_DIR);
	if (rc < 0 && rc != -EEXIST)
		return err_set(err, rc == -EACCES || rc == -EPERM ? ERR_UNSUPPORTED : ERR_FAILED,
			       STATE_DIR ": cannot be made: %s%s", err_errno(rc),
			       rc == -EACCES || rc == -EPERM ? "; run it as root (sudo)" : "");
	fd = sys->ops->open(sys->ctx, STATE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return no_directory(fd, err);
	rc = check_directory(sys, fd, err);
	if (rc == 0) {
		rc = sys->ops->flock(sys->ctx, fd, LOCK_EX);
		if (rc < 0)
			err_set(err, ERR_FAILED, STATE_DIR ": cannot be locked: %s", err_errno(rc));
	}
	if (rc < 0) {
		sys->ops->close(sys->ctx, fd);
		return -1;
	}
	/* The command that was writing it was killed: only the holder of the
	 * lock does. */
	sys->ops->unlink(sys->ctx, STATE_TEMPORARY);
	return fd;
}

bool state_locked(struct sys *sys)
{
	int fd = sys->ops->open(sys->ctx, STATE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), rc;

	if (fd < 0)
		return false;
	rc = sys->ops->flock(sys->ctx, fd, LOCK_SH | LOCK_NB);
	sys->ops->close(sys->ctx, fd);
	return rc == -EWOULDBLOCK;
}

/* Check the directory and open the file: a descriptor, -ENOENT, or -1 with err
 * set (kind). */
static int open_trusted(struct sys *sys, struct err *err)
{
	const char *why = NULL;
	struct stat st;
	/* Users other than root may look at it, but not open it. */
	int fd = sys->ops->open(sys->ctx, STATE_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW), rc;

	if (fd == -ENOENT)
		return -ENOENT;
	if (fd < 0)
		return no_directory(fd, err);
	rc = check_directory(sys, fd, err);
	sys->ops->close(sys->ctx, fd);
	if (rc < 0)
		return -1;
	/* O_NONBLOCK: a fifo must not hold us up. */
	fd = sys->ops->open(sys->ctx, STATE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd == -ENOENT)
		return -ENOENT;
	if (fd == -ELOOP)
		return untrusted(err, STATE_FILE, "it is a symbolic link");
	if (fd < 0)
		return err_set(err, ERR_FAILED, STATE_FILE ": cannot be opened: %s", err_errno(fd));
	rc = sys->ops->fstat(sys->ctx, fd, &st);
	if (rc < 0)
		err_set(err, ERR_FAILED, STATE_FILE ": %s", err_errno(rc));
	else if (!S_ISREG(st.st_mode))
		why = "it is not a regular file";
	else if (st.st_nlink != 1)
		why = "it has another name (a hard link)";
	else if (st.st_size > STATE_LIMIT)
		why = "it is too large";
	else
		why = distrust(sys, &st);
	if (why)
		untrusted(err, STATE_FILE, why);
	if (rc < 0 || why) {
		sys->ops->close(sys->ctx, fd);
		return -1;
	}
	return fd;
}

static void decrefp(json_t **json)
{
	json_decref(*json);
}

/* Where the queues of interfaces are that were renamed. */
static void follow_renames(struct sys *sys, struct state *state)
{
	_cleanup_free_ struct object **moved = xcalloc(state->n_objects, sizeof(*moved));
	_cleanup_free_ char **paths = xcalloc(state->n_objects, sizeof(*paths));
	_cleanup_net_names_ struct net_names known = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < state->n_objects; i++) {
		struct object *o = state->objects[i];

		if (!o->identity || !o->path || !net_path(o->path))
			continue;
		paths[n] = net_renamed(sys, &known, o->path, o->identity);
		if (paths[n])
			moved[n++] = o;
	}
	state_move(state, moved, paths, n);
}

/* What a text says that the file may hold, into a zeroed state; of another boot
 * that is nothing, since everything is undone already. */
static int decode(const char *text, const char *id, const char *mount, struct state *state,
		  struct err *err)
{
	_cleanup_(decrefp)
	json_t *document = NULL;
	json_error_t error;
	const char *boot;

	if ((off_t)strlen(text) > STATE_LIMIT)
		return err_set(err, ERR_FAILED, "it is too large");
	document = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!document)
		return err_set(err, ERR_FAILED, "it is damaged (no complete JSON document)");
	boot = state_json_boot(document);
	if (boot && strcmp(boot, id) != 0)
		return 0;
	return state_from_json(document, mount, state, err);
}

int state_load(struct sys *sys, const char *mount, struct state *state, struct err *err)
{
	_cleanup_free_ char *id = NULL, *text = NULL;
	_cleanup_state_ struct state read = { 0 };
	struct err why;
	int fd = open_trusted(sys, err), rc;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return -1;
	sys->ops->close(sys->ctx, fd);
	/* Only root can have replaced it since: the directory is checked. */
	rc = sys_read(sys, STATE_FILE, (size_t)STATE_LIMIT, &text);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_set(err, ERR_FAILED, STATE_FILE ": cannot be read: %s", err_errno(rc));
	if (boot_id(sys, &id, err) < 0)
		return -1;
	if (decode(text, id, mount, &read, &why) < 0)
		return untrusted(err, STATE_FILE, why.text);
	follow_renames(sys, &read);
	*state = read;
	read = (struct state){ 0 };
	return 0;
}

static int write_all(struct sys *sys, int fd, const char *text)
{
	size_t size = strlen(text);

	while (size) {
		ssize_t n = sys->ops->write(sys->ctx, fd, text, size);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -ENOSPC;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

static int replace(struct sys *sys, const char *text)
{
	int fd, rc, closed;

	sys->ops->unlink(sys->ctx, STATE_TEMPORARY);
	fd = sys->ops->open(sys->ctx, STATE_TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	rc = write_all(sys, fd, text);
	closed = sys->ops->close(sys->ctx, fd);
	if (rc == 0)
		rc = closed;
	if (rc == 0)
		rc = sys->ops->rename(sys->ctx, STATE_TEMPORARY, STATE_FILE);
	if (rc < 0)
		sys->ops->unlink(sys->ctx, STATE_TEMPORARY);
	return rc;
}

/* The state as text, if a reader finds in it what was written; or NULL. */
static char *render(const char *mount, const struct state *state, const char *id, off_t limit,
		    struct err *err)
{
	_cleanup_(decrefp)
	json_t *document = state_to_json(state, id), *again = NULL;
	_cleanup_free_ char *text = json_dumps(document, JSON_COMPACT);
	_cleanup_state_ struct state read = { 0 };

	if (!text)
		return err_set(err, ERR_FAILED, "it cannot be encoded"), NULL;
	if ((off_t)strlen(text) > limit)
		return err_set(err, ERR_FAILED, "it would have %zu bytes, at most %lld are allowed",
			       strlen(text), (long long)limit),
		       NULL;
	if (decode(text, id, mount, &read, err) < 0)
		return NULL;
	again = state_to_json(&read, id);
	if (!json_equal(document, again))
		return err_set(err, ERR_FAILED, "it would be read as something else"), NULL;
	return take_ptr(text);
}

static int save(struct sys *sys, const char *mount, const struct state *state, off_t limit,
		struct err *err)
{
	_cleanup_free_ char *id = NULL, *text = NULL;
	struct err why;
	int rc;

	if (!state->n_shields && !state->n_objects) {
		rc = sys->ops->unlink(sys->ctx, STATE_FILE);
		if (rc == -ENOENT)
			rc = 0;
	} else {
		if (boot_id(sys, &id, err) < 0)
			return -1;
		text = render(mount, state, id, limit, &why);
		if (!text)
			return err_set(err, ERR_FAILED,
				       STATE_FILE ": cannot record this, so it is not done: %s",
				       why.text);
		rc = replace(sys, text);
	}
	if (rc < 0)
		return err_set(err, ERR_FAILED, STATE_FILE ": cannot be written: %s%s",
			       err_errno(rc), rc == -ENOSPC ? "; make room in /run" : "");
	return 0;
}

int state_save(struct sys *sys, const char *mount, const struct state *state, struct err *err)
{
	return save(sys, mount, state, STATE_LIMIT, err);
}

int state_save_grown(struct sys *sys, const char *mount, const struct state *state, struct err *err)
{
	return save(sys, mount, state, STATE_LIMIT / 2, err);
}

int state_set_aside(struct sys *sys, struct err *err)
{
	int rc = sys->ops->rename(sys->ctx, STATE_FILE, STATE_DAMAGED);

	if (rc < 0 && rc != -ENOENT)
		return err_set(err, ERR_FAILED, STATE_FILE ": cannot be put aside: %s",
			       err_errno(rc));
	return 0;
}
