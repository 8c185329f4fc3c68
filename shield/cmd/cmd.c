#include "shield/cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cmd_fail(const struct err *err)
{
	/* What follows the first line shows the place of it, to people. */
	int n = isatty(STDERR_FILENO) ? (int)strlen(err->text) : (int)strcspn(err->text, "\n");

	fprintf(stderr, "shield: %.*s\n", n, err->text);
	return err->kind ? (int)err->kind : ERR_FAILED;
}

void cmd_one_argument(struct argp_state *state, const char **value, const char *what, char *arg)
{
	if (*value)
		argp_error(state, "one %s at a time: \"%s\" is too many", what, arg);
	*value = arg;
}

void cmd_note(const struct app *app, const char *fmt, ...)
{
	va_list ap;

	if (app->quiet)
		return;
	fputs("shield: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void cmd_warn(const struct app *app, const struct strv *warnings)
{
	for (size_t i = 0; i < warnings->n; i++)
		cmd_note(app, "warning: %s", warnings->items[i]);
}

int cmd_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "shield: cannot write to standard output: it is closed or full\n");
	return status ? status : ERR_FAILED;
}

int cmd_print_json(json_t *document)
{
	_cleanup_free_ char *text = json_dumps(document, JSON_INDENT(2));

	json_decref(document);
	if (!text)
		mem_exhausted();
	puts(text);
	return cmd_finish(0);
}

json_t *cmd_json_bytes(const char *bytes)
{
	json_t *json = json_string(bytes);
	_cleanup_free_ char *escaped = NULL;
	char *at;

	if (json)
		return json;
	escaped = at = xmalloc(4 * strlen(bytes) + 1);
	for (const char *b = bytes; *b; b++) {
		unsigned char c = (unsigned char)*b;

		at += snprintf(at, 5, c < 0x80 ? "%c" : "\\x%02x", c);
	}
	*at = '\0';
	return json_string(escaped);
}

json_t *cmd_json_strings(const struct strv *v)
{
	json_t *array = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(array, cmd_json_bytes(v->items[i]));
	return array;
}
