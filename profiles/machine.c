/* SPDX-License-Identifier: MIT */
#include "profiles/machine.h"

#include "profiles/fields.h"
#include "profiles/find.h"
#include "shield/base/text.h"

#include <fnmatch.h>
#include <string.h>

/* The first line of a file, printable; "" where there is none. */
static char *read_text(struct sys *sys, const char *path)
{
	_cleanup_free_ char *text = NULL;

	if (sys_read_line(sys, path, &text) < 0)
		return xstrdup("");
	text[strcspn(text, "\n")] = '\0';
	return text_escape(text);
}

static char *read_model(struct sys *sys)
{
	static const char key[] = "model name";
	_cleanup_free_ char *text = NULL;
	char *line = NULL;

	if (sys_read(sys, "/proc/cpuinfo", 0, &text) < 0)
		return xstrdup("");
	for (char *at = text; (at = strstr(at, key)); at += sizeof(key) - 1)
		if (at == text || at[-1] == '\n') {
			line = strchr(at, ':');
			break;
		}
	if (!line)
		return xstrdup("");
	line += 1 + strspn(line + 1, " \t");
	line[strcspn(line, "\n")] = '\0';
	return text_escape(line);
}

void machine_read(struct sys *sys, struct machine *machine)
{
	machine->cpu = read_model(sys);
	machine->board = read_text(sys, "/sys/class/dmi/id/board_name");
	machine->product = read_text(sys, "/sys/class/dmi/id/product_name");
	machine->vendor = read_text(sys, "/sys/class/dmi/id/board_vendor");
	machine->system_vendor = read_text(sys, "/sys/class/dmi/id/sys_vendor");
	if (!*machine->board) {
		free(machine->board);
		machine->board = read_text(sys, "/proc/device-tree/model");
	}
}

void machine_clear(struct machine *machine)
{
	free(machine->cpu);
	free(machine->board);
	free(machine->product);
	free(machine->vendor);
	free(machine->system_vendor);
	*machine = (struct machine){ 0 };
}

unsigned machine_match(const struct machine *machine, const struct document *doc, char **why)
{
	const struct {
		const char *key, *value, *other;
	} names[] = {
		{ "cpu", machine->cpu, machine->cpu },
		{ "board", machine->board, machine->product },
		{ "vendor", machine->vendor, machine->system_vendor },
	};
	json_t *patterns = json_object_get(doc->root, "machine");
	_cleanup_free_ char *reason = xstrdup("");
	unsigned matched = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *pattern = json_string_value(json_object_get(patterns, names[i].key));
		char *longer = NULL;

		if (!pattern)
			continue;
		if (fnmatch(pattern, names[i].value, 0) != 0 &&
		    fnmatch(pattern, names[i].other, 0) != 0)
			return 0;
		longer = xasprintf("%s%s%s \"%s\" matches \"%s\"", reason, matched ? ", " : "",
				   names[i].key, names[i].value, pattern);
		free(reason);
		reason = longer;
		matched++;
	}
	if (why && matched)
		*why = take_ptr(reason);
	return matched;
}

static int nothing(const struct machine *machine, struct err *err)
{
	return err_set(
		err, ERR_USAGE,
		"no profile is for this machine (CPU \"%s\", board \"%s\" of \"%s\"); name a "
		"profile, or let 'shield profile suggest' write one",
		machine->cpu, machine->board, machine->vendor);
}

char *machine_find(struct sys *sys, char **why, struct strv *warnings, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_machine_ struct machine machine = { 0 };
	_cleanup_free_ char *best = NULL, *equal = NULL, *reason = NULL;
	unsigned best_score = 0;

	machine_read(sys, &machine);
	find_all(sys, &names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_document_ struct document doc = { 0 };
		_cleanup_free_ char *this_reason = NULL;
		struct err skipped = { 0 };
		unsigned score;

		if (find_read(sys, names.items[i], NULL, &doc, &skipped) < 0 ||
		    fields_check(&doc, &skipped) < 0) {
			strv_addf(warnings, "profile skipped: %s", skipped.text);
			continue;
		}
		score = machine_match(&machine, &doc, &this_reason);
		if (score == 0 || score < best_score)
			continue;
		free(equal);
		equal = score == best_score ? best : NULL;
		if (score > best_score)
			free(best);
		free(reason);
		best = xstrdup(names.items[i]);
		reason = take_ptr(this_reason);
		best_score = score;
	}
	if (!best) {
		nothing(&machine, err);
		return NULL;
	}
	if (equal) {
		err_set(err, ERR_USAGE,
			"the profiles %s and %s match this machine equally well; name one, or give "
			"one of them another pattern",
			equal, best);
		return NULL;
	}
	*why = take_ptr(reason);
	return take_ptr(best);
}
