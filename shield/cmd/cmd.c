/* SPDX-License-Identifier: MIT */
#include "shield/cmd/cmd.h"

#include "shield/base/text.h"
#include "profiles/profile.h"
#include "shield/preview/preview.h"
#include "shield/sys/journal.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the messages are about: they come from everywhere. */
static char about[NAME_MAX];

void cmd_about(const char *name)
{
	struct err ignored;

	/* A path, or a name that no shield can have, is none. */
	snprintf(about, sizeof(about), "%s",
		 name && profile_check_name(name, &ignored) == 0 ? name : "");
}

const char *cmd_subject(void)
{
	return about;
}

static void message(int priority, const char *text, int n)
{
	static const char *const prefix[] = { [LOG_WARNING] = "warning: ", [LOG_DEBUG] = NULL };
	_cleanup_free_ char *cut = xstrndup(text, (size_t)n), *escaped = text_escape_message(cut);

	if (journal_behind(STDERR_FILENO)) {
		journal(priority, *about ? about : NULL, "%s", escaped);
		return;
	}
	text_print(stderr, "shield: %s", prefix[priority] ? prefix[priority] : "");
	text_put(stderr, escaped);
	text_put(stderr, "\n");
}

/* A line at a time; where there is no memory for a stream they go to the pipe. */
static ssize_t to_journal(void *ignored, const char *text, size_t n)
{
	(void)ignored;
	for (size_t at = 0, end; at < n; at = end + 1) {
		const char *newline = memchr(text + at, '\n', n - at);

		end = newline ? (size_t)(newline - text) : n;
		if (end > at)
			journal(LOG_ERR, *about ? about : NULL, "%.*s", (int)(end - at), text + at);
	}
	return (ssize_t)n;
}

/* arg: the stream that was stderr. */
static ssize_t to_stderr(void *arg, const char *text, size_t n)
{
	_cleanup_free_ char *bytes = xstrndup(text, n), *escaped = text_escape_lines(bytes);

	text_put(arg, escaped);
	return ferror(arg) ? 0 : (ssize_t)n;
}

void cmd_open_stderr(void)
{
	cookie_write_function_t *to = journal_behind(STDERR_FILENO) ? to_journal : to_stderr;
	FILE *stream = fopencookie(stderr, "w", (cookie_io_functions_t){ .write = to });

	if (!stream)
		return;
	setvbuf(stream, NULL, _IOLBF, 0);
	stderr = stream;
}

bool cmd_wants_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

int cmd_fail(const struct err *err)
{
	/* What follows the first line shows the place of it, to people. */
	int n = isatty(STDERR_FILENO) ? (int)strlen(err->text) : (int)strcspn(err->text, "\n");

	message(LOG_ERR, err->text, n);
	return err->kind ? (int)err->kind : ERR_FAILED;
}

int cmd_fail_shown(const struct err *err)
{
	message(LOG_ERR, err->text, (int)strlen(err->text));
	return err->kind ? (int)err->kind : ERR_FAILED;
}

void cmd_one_argument(struct argp_state *state, const char **value, const char *what, char *arg)
{
	if (*value)
		argp_error(state, "one %s at a time: \"%s\" is too many", what, arg);
	*value = arg;
}

static _printf_(3, 0) void say(const struct app *app, int priority, const char *fmt, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (app->quiet)
		return;
	if (vasprintf(&text, fmt, ap) < 0)
		mem_exhausted();
	message(priority, text, (int)strlen(text));
}

void cmd_note(const struct app *app, const char *fmt, ...)
{
	va_list ap;

	if (app->dry_run) /* nothing of it happened */
		return;
	va_start(ap, fmt);
	say(app, LOG_INFO, fmt, ap);
	va_end(ap);
}

void cmd_say(const struct app *app, int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(app, priority, fmt, ap);
	va_end(ap);
}

void cmd_warn(const struct app *app, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->n; i++)
		cmd_say(app, LOG_WARNING, "%s", warnings->items[i]);
}

int cmd_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	text_print(stderr, "shield: cannot write to standard output: it is closed or full\n");
	return status ? status : ERR_FAILED;
}

static void escape_strings(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value)) {
		_cleanup_free_ char *text = text_escape_lines(json_string_value(value));

		json_string_set(value, text);
	}
	json_object_foreach (value, key, member)
		escape_strings(member);
	json_array_foreach (value, i, member)
		escape_strings(member);
}

int cmd_print_json(json_t *document)
{
	_cleanup_free_ char *text = NULL;

	escape_strings(document);
	text = json_dumps(document, JSON_INDENT(2));
	json_decref(document);
	if (!text)
		mem_exhausted();
	text_put(stdout, text);
	text_put(stdout, "\n");
	return cmd_finish(0);
}

json_t *cmd_json_bytes(const char *bytes)
{
	_cleanup_free_ char *text = text_escape_lines(bytes);

	return json_string(text);
}

json_t *cmd_json_strings(const struct strv *v)
{
	json_t *array = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(array, cmd_json_bytes(v->items[i]));
	return array;
}

int cmd_start(cmd_fn *command, int argc, char **argv)
{
	struct app app = { .sysroot = "", .color = cmd_wants_color() };
	int status;

	sys_open_real(&app.sys, "");
	status = command(&app, argc, argv);
	if (app.host.ops) {
		preview_close(&app.sys);
		app.sys = app.host;
	}
	sys_close_real(&app.sys);
	return status;
}
