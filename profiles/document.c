/* SPDX-License-Identifier: MIT */
#include "profiles/document.h"

#include "profiles/locate.h"
#include "shield/base/text.h"
#include "shield/sys/trusted.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SIZE_LIMIT ((size_t)1 << 20)
#define OWN_DIR "/etc/shield/profiles.d/"
#define WHOLE_MAX 9007199254740992.0 /* 2^53: up to there a double is exact */
#define SHORTEST "{ \"version\": 1, \"name\": \"NAME\", \"guest\": \"2-5\" }"

static int open_error(const char *path, int rc, struct err *err)
{
	switch (-rc) {
	case ENOENT:
	case ENOTDIR:
		return err_set(
			err, ERR_USAGE,
			"%s: the file does not exist; 'shield profile list' shows the profiles",
			path);
	case ELOOP:
		return err_set(err, ERR_USAGE,
			       "%s: symbolic links lead in a circle; make the link point to a file",
			       path);
	case EACCES:
	case EPERM:
		return err_set(err, ERR_USAGE,
			       "%s: no permission to read it; run as root, or make it readable",
			       path);
	case EBADF:
		return err_set(err, ERR_USAGE, "%s: is not a regular file; a profile is a file",
			       path);
	case EISDIR:
		return err_set(err, ERR_USAGE, "%s: is a directory; a profile is a file", path);
	default:
		return err_set(err, ERR_USAGE, "%s: cannot be read: %s", path, err_errno(rc));
	}
}

static int check_file(const char *path, const struct stat *st, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return open_error(path, -EISDIR, err);
	if (!S_ISREG(st->st_mode))
		return open_error(path, -EBADF, err);
	if ((size_t)st->st_size > SIZE_LIMIT)
		return err_set(err, ERR_USAGE,
			       "%s: is %lld bytes long, at most 1 MiB is read; is this a profile?",
			       path, (long long)st->st_size);
	return 0;
}

/* A copy in a folder of root's is always a cure; of one there, to make it root's. */
static int distrusted(const char *path, const char *why, struct err *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (strncmp(path, OWN_DIR, strlen(OWN_DIR)) == 0)
		return err_set(err, ERR_USAGE,
			       "%s: %s; make it root's: sudo chown root: '%s' " OWN_DIR
			       " && sudo chmod go-w '%s' " OWN_DIR,
			       path, why, path, path);
	return err_set(err, ERR_USAGE,
		       "%s: %s; root takes it from where only root can write: sudo install -D -m "
		       "644 '%s' " OWN_DIR "%s",
		       path, why, path, name);
}

/* A descriptor of what may be read, or -1. */
static int open_document(struct sys *sys, const char *path, struct err *err)
{
	_cleanup_free_ char *why = NULL;
	int fd = trusted_open(sys, path, &why), rc;
	struct stat st;

	if (fd < 0)
		return why ? distrusted(path, why, err) : open_error(path, fd, err);
	rc = sys->ops->fstat(sys->ctx, fd, &st);
	rc = rc < 0 ? open_error(path, rc, err) : check_file(path, &st, err);
	if (rc == 0)
		return fd;
	sys->ops->close(sys->ctx, fd);
	return -1;
}

static int read_all(struct sys *sys, int fd, const char *path, char **ret, size_t *ret_size,
		    struct err *err)
{
	_cleanup_free_ char *text = xmalloc(SIZE_LIMIT + 2);
	size_t size = 0;

	for (;;) {
		ssize_t n = sys->ops->read(sys->ctx, fd, text + size, SIZE_LIMIT + 1 - size);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return open_error(path, (int)n, err);
		size += (size_t)n;
		if (size > SIZE_LIMIT)
			return err_set(err, ERR_USAGE,
				       "%s: is longer than 1 MiB; is this a profile?", path);
		if (n == 0)
			break;
	}
	text[size] = '\0';
	*ret = xstrndup(text, size);
	*ret_size = size;
	return 0;
}

/* Complain about a byte of the text, for which there is no place yet. */
static int syntax_error(const struct document *doc, const char *at, struct err *err,
			const char *what)
{
	unsigned line, column;

	locate_line(doc->text, at, &line, &column);
	return err_set(err, ERR_USAGE, "%s:%u:%u: %s", doc->path, line, column, what);
}

/* Say what jansson found, at the beginning of what it found. */
static int explain(const struct document *doc, size_t size, const json_error_t *error,
		   struct err *err)
{
	const char *near = strstr(error->text, " near '");
	size_t n = near ? strlen(near + 7) - 1 : 0, position = (size_t)error->position;
	const char *at = doc->text + (position > size ? size : position);
	const char *before;
	_cleanup_free_ char *what = NULL;

	at -= n <= (size_t)(at - doc->text) ? n : 0;
	for (before = at; before > doc->text && strchr(" \t\r\n", before[-1]); before--)
		;
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		what = xasprintf("the key %.*s is given twice; remove one", (int)(n > 60 ? 60 : n),
				 at);
		break;
	case json_error_invalid_utf8:
		return syntax_error(doc, doc->text + position, err,
				    "this is not UTF-8; save the file as UTF-8");
	case json_error_premature_end_of_input:
		what = xstrdup("the file ends in the middle; a bracket or a quote is not closed");
		break;
	default:
		if (before > doc->text && before[-1] == ',' && (*at == '}' || *at == ']')) {
			at = before - 1;
			what = xstrdup("a comma before the closing bracket; remove it");
		} else if (*at == '"' && (strstr(error->text, "'}' expected") ||
					  strstr(error->text, "']' expected"))) {
			what = xstrdup("a comma is missing before this");
		} else {
			_cleanup_free_ char *text = text_escape(error->text);

			what = xasprintf("not valid JSON: %s", text);
		}
	}
	return syntax_error(doc, at, err, what);
}

/* To JSON 1.0 is an integer, and to JSON Schema; to jansson it is not. */
static json_t *whole_numbers(json_t *value)
{
	const char *key;
	json_t *member;
	void *next;
	size_t i;

	if (json_is_real(value)) {
		double real = json_real_value(value);

		if (real < -WHOLE_MAX || real > WHOLE_MAX || real != (double)(json_int_t)real)
			return json_incref(value);
		return json_integer((json_int_t)real);
	}
	json_object_foreach_safe (value, next, key, member)
		json_object_set_new_nocheck(value, key, whole_numbers(member));
	json_array_foreach (value, i, member)
		json_array_set_new(value, i, whole_numbers(member));
	return json_incref(value);
}

static int parse(struct document *doc, size_t size, struct err *err)
{
	json_error_t error;

	if (doc->text[strspn(doc->text, " \t\r\n")] == '\0' && strlen(doc->text) == size)
		return syntax_error(doc, doc->text, err,
				    "the file is empty; the shortest profile is " SHORTEST);
	if (strncmp(doc->text, "\xef\xbb\xbf", 3) == 0)
		return syntax_error(doc, doc->text, err,
				    "the file starts with a byte order mark; save it without");
	if (strlen(doc->text) != size)
		return syntax_error(doc, doc->text + strlen(doc->text), err,
				    "a NUL byte; save the file as UTF-8 text");
	/* A NUL in a string is fields.c's to refuse, at its place. */
	doc->root = json_loadb(doc->text, size,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!doc->root)
		return explain(doc, size, &error, err);
	json_decref(whole_numbers(doc->root));
	if (!json_is_object(doc->root))
		return document_error(doc, NULL, err,
				      "expected an object; write it like " SHORTEST);
	return 0;
}

int document_read(struct sys *sys, const char *path, struct document *doc, struct err *err)
{
	_cleanup_document_ struct document d = { 0 };
	size_t size = 0;
	int fd = open_document(sys, path, err), rc;

	if (fd < 0)
		return -1;
	rc = read_all(sys, fd, path, &d.text, &size, err);
	sys->ops->close(sys->ctx, fd);
	if (rc < 0 || !d.text)
		return -1;
	d.path = xstrdup(path);
	if (parse(&d, size, err) < 0)
		return -1;
	*doc = d;
	d = (struct document){ 0 };
	return 0;
}

void document_clear(struct document *doc)
{
	free(doc->path);
	free(doc->text);
	json_decref(doc->root);
	*doc = (struct document){ 0 };
}

static void print_place(const struct json_position *place, FILE *out)
{
	if (!place)
		return;
	print_place(place->in, out);
	if (!place->key) {
		text_print(out, "[%zu]", place->index);
		return;
	}
	text_print(out, "%s%.80s", place->in ? "." : "", place->key);
}

static char *where(const struct document *doc, const struct json_position *place, const char *at)
{
	unsigned line, column;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		mem_exhausted();
	locate_line(doc->text, at, &line, &column);
	text_print(out, "%s:%u:%u%s", doc->path, line, column, place ? ": " : "");
	print_place(place, out);
	if (fclose(out) != 0)
		mem_exhausted();
	return text;
}

/* A value that is missing is complained about where its object begins. */
static const char *find(const struct document *doc, const struct json_position *place,
			const char **key)
{
	const char *at = NULL;

	while (!(at = locate(doc->text, place, key)))
		place = place->in;
	return at;
}

static int complain(const struct document *doc, const struct json_position *place, const char *at,
		    struct err *err, const char *fmt, va_list ap) _printf_(5, 0);

static int complain(const struct document *doc, const struct json_position *place, const char *at,
		    struct err *err, const char *fmt, va_list ap)
{
	_cleanup_free_ char *prefix = where(doc, place, at);
	char text[sizeof(err->text)];

	vsnprintf(text, sizeof(text), fmt, ap);
	return err_set(err, ERR_USAGE, "%s: %s", prefix, text);
}

int document_error(const struct document *doc, const struct json_position *place, struct err *err,
		   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(doc, place, find(doc, place, NULL), err, fmt, ap);
	va_end(ap);
	return -1;
}

int document_key_error(const struct document *doc, const struct json_position *place,
		       struct err *err, const char *fmt, ...)
{
	const char *key = NULL, *at = find(doc, place, &key);
	va_list ap;

	va_start(ap, fmt);
	complain(doc, place, key ? key : at, err, fmt, ap);
	va_end(ap);
	return -1;
}

int document_string_error(const struct document *doc, const struct json_position *place,
			  size_t byte, struct err *err, const char *fmt, ...)
{
	const char *at = find(doc, place, NULL);
	va_list ap;

	va_start(ap, fmt);
	complain(doc, place, *at == '"' ? locate_in_string(at, byte) : at, err, fmt, ap);
	va_end(ap);
	return -1;
}

char *document_where(const struct document *doc, const struct json_position *place)
{
	return where(doc, place, find(doc, place, NULL));
}
