/* SPDX-License-Identifier: MIT */
#include "shield/vm/qmp.h"

#include "shield/base/text.h"
#include "shield/sys/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define INDEX_MAX 65535
#define VCPUS_MAX 8192

static int wait_alone(void *ctx, int fd, short events, int timeout_ms, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct sys *sys = ctx;
	int rc = sys->ops->poll(sys->ctx, &p, 1, timeout_ms);

	if (rc < 0 && rc != -EINTR)
		return err_set(err, ERR_FAILED, "cannot wait for QEMU's answer: %s", err_errno(rc));
	return rc != 0; /* interrupted: the caller tries, and waits again */
}

void qmp_close(struct qmp *q)
{
	closep(&q->fd);
	free(q->in);
	*q = (struct qmp){ .fd = -1 };
}

static int wait_for(struct qmp *q, short events, long long deadline, struct err *err)
{
	int rc = q->wait(q->ctx, q->fd, events, sys_left(q->sys, deadline), err);

	if (rc == 0)
		return err_set(
			err, ERR_FAILED,
			"QEMU does not answer on its monitor: it hangs, another "
			"client has the monitor, or the machine is too slow (--qmp-timeout)");
	return rc < 0 ? -1 : 0;
}

static int send_all(struct qmp *q, const char *text, long long deadline, struct err *err)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send(q->fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			text += n;
			left -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (wait_for(q, POLLOUT, deadline, err) < 0)
				return -1;
		} else if (n == 0 || errno != EINTR) {
			return err_set(err, ERR_FAILED, "QEMU has closed its monitor: %s",
				       err_errno(errno));
		}
	}
	return 0;
}

/*
 * Go on where the last look stopped, to the end of one JSON object: 1, and
 * q->scanned is its length; 0 if more must come; -1 for what cannot be QMP. So
 * each byte is looked at once, and jansson sees only whole objects.
 */
static int scan(struct qmp *q)
{
	for (; q->scanned < q->n_in; q->scanned++) {
		char c = q->in[q->start + q->scanned];

		if (q->in_string) {
			if (q->escaped)
				q->escaped = false;
			else if (c == '\\')
				q->escaped = true;
			else if (c == '"')
				q->in_string = false;
		} else if (c == '{' || c == '[') {
			if ((q->depth == 0 && c == '[') || ++q->depth > DEPTH_MAX)
				return -1;
		} else if (q->depth == 0) {
			if (!c || !strchr(" \t\r\n", c))
				return -1;
		} else if (c == '"') {
			q->in_string = true;
		} else if ((c == '}' || c == ']') && --q->depth == 0) {
			q->scanned++;
			return 1;
		}
	}
	return 0;
}

/* Cut the scanned bytes off the front. */
static void consume(struct qmp *q)
{
	q->start += q->scanned;
	q->n_in -= q->scanned;
	q->scanned = 0;
}

/* Room at the end. What is there moves only when less is moved than was consumed. */
static void make_room(struct qmp *q)
{
	if (q->start + q->n_in < q->cap)
		return;
	if (q->start > q->n_in || (q->start && !q->n_in)) {
		memmove(q->in, q->in + q->start, q->n_in);
		q->start = 0;
		return;
	}
	q->cap = q->cap ? 2 * q->cap : 4096;
	q->in = xrealloc(q->in, q->cap, 1);
}

/* Read once: 1 if something came, 0 if there is nothing now, -1. */
static int fill(struct qmp *q, struct err *err)
{
	ssize_t n;

	if (q->n_in >= QMP_MESSAGE_MAX)
		return err_set(
			err, ERR_FAILED,
			"QEMU's monitor sends more than %zu KiB in one message: it is not QMP",
			QMP_MESSAGE_MAX / 1024);
	make_room(q);
	n = recv(q->fd, q->in + q->start + q->n_in, q->cap - q->start - q->n_in, MSG_DONTWAIT);
	if (n > 0) {
		q->n_in += (size_t)n;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return err_set(err, ERR_FAILED, "QEMU has closed its monitor%s%s", n < 0 ? ": " : "",
		       n < 0 ? err_errno(errno) : "");
}

static int not_qmp(struct err *err)
{
	return err_set(err, ERR_FAILED,
		       "what answers on QEMU's monitor does not speak QMP: is it a "
		       "monitor of the kind for people (HMP)?");
}

/* The next object, of any kind; the caller frees it. */
static int next_message(struct qmp *q, long long deadline, json_t **message, struct err *err)
{
	for (;;) {
		int rc = scan(q);

		if (rc == 0) {
			rc = fill(q, err);
			if (rc < 0 || (rc == 0 && wait_for(q, POLLIN, deadline, err) < 0))
				return -1;
			continue;
		}
		if (rc > 0)
			*message = json_loadb(q->in + q->start, q->scanned, JSON_REJECT_DUPLICATES,
					      NULL);
		if (rc < 0 || !*message)
			return not_qmp(err);
		consume(q);
		return 0;
	}
}

/* Read until there is something with this key; everything else is dropped. */
static int expect(struct qmp *q, long long deadline, json_int_t id, json_t **message,
		  struct err *err)
{
	for (;;) {
		json_t *m = NULL;

		if (next_message(q, deadline, &m, err) < 0)
			return -1;
		if (id ? json_integer_value(json_object_get(m, "id")) == id
		       : json_is_object(json_object_get(m, "QMP"))) {
			*message = m;
			return 0;
		}
		json_decref(m);
		/* Without this, one that never stops talking is never late. */
		if (sys_left(q->sys, deadline) == 0)
			return err_set(err, ERR_FAILED,
				       "QEMU talks on its monitor, but does not answer");
	}
}

/* QEMU's own words, on one line and fit for a terminal. */
static int refused(json_t *error, const char *name, struct err *err)
{
	const char *desc = json_string_value(json_object_get(error, "desc"));
	_cleanup_free_ char *text = text_escape(desc ? desc : "it does not say why");

	err_set(err, ERR_FAILED, "QEMU refused %s: %.300s", name, text);
	return 1;
}

static int command(struct qmp *q, const char *name, long long deadline, json_t **ret,
		   struct err *err)
{
	json_int_t id = ++q->id;
	_cleanup_free_ char *text =
		xasprintf("{\"execute\":\"%s\",\"id\":%lld}\n", name, (long long)id);
	json_t *reply = NULL, *value;
	int rc = 0;

	if (q->fd < 0)
		return err_set(err, ERR_FAILED, "QEMU's monitor is not connected");
	if (send_all(q, text, deadline, err) < 0 || expect(q, deadline, id, &reply, err) < 0)
		return -1;
	value = json_object_get(reply, "return");
	if (value && ret)
		*ret = json_incref(value);
	else if (json_object_get(reply, "error"))
		rc = refused(json_object_get(reply, "error"), name, err);
	else if (!value)
		rc = not_qmp(err);
	json_decref(reply);
	return rc;
}

int qmp_command(struct qmp *q, const char *name, long long deadline, json_t **ret, struct err *err)
{
	int rc = command(q, name, deadline, ret, err);

	if (rc < 0)
		qmp_close(q);
	return rc;
}

int qmp_attach(struct qmp *q, struct sys *sys, int fd, qmp_wait_fn *wait, void *ctx,
	       long long deadline, struct err *err)
{
	json_t *greeting = NULL;
	int rc;

	*q = (struct qmp){ .fd = fd, .sys = sys, .wait = wait, .ctx = ctx };
	if (!wait) {
		q->wait = wait_alone;
		q->ctx = sys;
	}
	rc = expect(q, deadline, 0, &greeting, err);
	json_decref(greeting);
	if (rc == 0)
		rc = command(q, "qmp_capabilities", deadline, NULL, err);
	if (rc == 0)
		return 0;
	qmp_close(q);
	return -1;
}

int qmp_connect(struct qmp *q, struct sys *sys, const char *path, qmp_wait_fn *wait, void *ctx,
		long long deadline, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, rc;

	*q = (struct qmp){ .fd = -1 };
	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_FAILED, "%s: the path is too long for a socket (%zu bytes)",
			       path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, ERR_FAILED, "cannot make a socket: %s", err_errno(errno));
	/* EAGAIN: the listener's queue is full, its owner accepts no client. */
	rc = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	if (rc < 0) {
		rc = errno;
		close(fd);
		return err_set(err, ERR_FAILED, "%s: cannot connect to QEMU's monitor: %s", path,
			       rc == EAGAIN ? "another client has it" : err_errno(rc));
	}
	return qmp_attach(q, sys, fd, wait, ctx, deadline, err);
}

static int layout_of(json_t *cpu, const char *key)
{
	json_t *value = json_object_get(json_object_get(cpu, "props"), key);
	json_int_t n = json_integer_value(value);

	return json_is_integer(value) && n >= 0 && n <= INT_MAX ? (int)n : -1;
}

int qmp_vcpus(struct qmp *q, long long deadline, struct vm_vcpus *vcpus, struct err *err)
{
	_cleanup_vcpus_ struct vm_vcpus found = { 0 };
	json_t *list = NULL, *cpu;
	size_t i;
	int rc = qmp_command(q, "query-cpus-fast", deadline, &list, err);

	if (rc != 0)
		return rc;
	if (!json_is_array(list))
		rc = -1;
	json_array_foreach (list, i, cpu) {
		json_int_t index = json_integer_value(json_object_get(cpu, "cpu-index"));
		json_int_t tid = json_integer_value(json_object_get(cpu, "thread-id"));
		struct vm_vcpu *v;

		if (!json_is_integer(json_object_get(cpu, "cpu-index")) || index < 0 ||
		    index > INDEX_MAX || tid <= 0 || tid > INT_MAX || found.n >= VCPUS_MAX) {
			rc = -1;
			break;
		}
		v = vm_vcpus_add(&found, (unsigned)index, (pid_t)tid);
		if (v->count > 1)
			continue;
		v->socket = layout_of(cpu, "socket-id");
		v->die = layout_of(cpu, "die-id");
		v->cluster = layout_of(cpu, "cluster-id");
		v->core = layout_of(cpu, "core-id");
		v->thread = layout_of(cpu, "thread-id");
	}
	json_decref(list);
	if (rc < 0) {
		qmp_close(q);
		return err_set(err, ERR_FAILED, "QEMU's answer to query-cpus-fast makes no sense");
	}
	vm_vcpus_sort(&found);
	vm_vcpus_clear(vcpus);
	*vcpus = found;
	found = (struct vm_vcpus){ 0 };
	return 0;
}

int qmp_iothreads(struct qmp *q, long long deadline, struct vm_vcpus *vcpus, struct err *err)
{
	json_t *list = NULL, *item;
	size_t i;
	int rc = qmp_command(q, "query-iothreads", deadline, &list, err);

	if (rc != 0)
		return rc;
	if (!json_is_array(list) || json_array_size(list) > INDEX_MAX)
		rc = -1;
	json_array_foreach (list, i, item) {
		const char *id = json_string_value(json_object_get(item, "id"));
		json_int_t tid = json_integer_value(json_object_get(item, "thread-id"));

		if (rc < 0 || !id || tid <= 0 || tid > INT_MAX) {
			rc = -1;
			break;
		}
		vm_iothreads_add(vcpus, id, (pid_t)tid);
	}
	json_decref(list);
	if (rc < 0) {
		qmp_close(q);
		return err_set(err, ERR_FAILED, "QEMU's answer to query-iothreads makes no sense");
	}
	vm_vcpus_sort(vcpus);
	return 0;
}

int qmp_status(struct qmp *q, long long deadline, char status[static 32], struct err *err)
{
	_cleanup_free_ char *text = NULL;
	json_t *answer = NULL;
	const char *word;
	int rc = qmp_command(q, "query-status", deadline, &answer, err);

	if (rc != 0)
		return rc;
	word = json_string_value(json_object_get(answer, "status"));
	text = text_escape(word ? word : "unknown");
	snprintf(status, 32, "%.31s", text);
	json_decref(answer);
	return 0;
}

int qmp_cont(struct qmp *q, long long deadline, struct err *err)
{
	return qmp_command(q, "cont", deadline, NULL, err);
}

void qmp_drain(struct qmp *q)
{
	int rc = 1;

	/* A bounded number of times: the caller has other things to do, and what
	 * is left makes the descriptor readable again. */
	for (int i = 0; i < 64 && rc > 0 && q->fd >= 0; i++) {
		while ((rc = scan(q)) > 0)
			consume(q);
		if (rc == 0)
			rc = fill(q, NULL);
		if (rc < 0)
			qmp_close(q);
	}
}
