/* SPDX-License-Identifier: MIT */
#include "shield/cmd/hook_conf.h"

#include "shield/sys/trusted.h"

#include <errno.h>
#include <string.h>

#define BLANKS " \t\r"

/* The value that a text is, unquoted, in place; NULL when more follows it. */
static char *value_of(char *text)
{
	char quote = *text == '"' || *text == '\'' ? *text : '\0';
	char *end = quote ? strchr(++text, quote) : text + strcspn(text, BLANKS);
	char *rest;

	if (!end)
		return NULL;
	rest = end + (quote != '\0');
	rest += strspn(rest, BLANKS);
	if (*rest && *rest != '#')
		return NULL;
	*end = '\0';
	return text;
}

/* Returns what is wrong, or NULL. */
static const char *apply(const char *key, const char *value, struct hook_conf *conf)
{
	if (strcmp(key, "SHIELD_DOMAINS") == 0) {
		conf->all = value && strcmp(value, "all") == 0;
		return conf->all || (value && !*value) ? NULL : "expected \"all\" or nothing";
	}
	if (strcmp(key, "SHIELD_ON_ERROR") == 0) {
		conf->required = value && strcmp(value, "fail") == 0;
		return conf->required || (value && (!*value || strcmp(value, "ignore") == 0))
			       ? NULL
			       : "expected \"ignore\" or \"fail\"";
	}
	return "unknown setting; known are SHIELD_DOMAINS and SHIELD_ON_ERROR";
}

void hook_conf_read(struct sys *sys, struct hook_conf *conf, struct strv *complaints)
{
	_cleanup_free_ char *text = NULL, *why = NULL;
	char *next, *line;
	size_t number = 0;
	int rc = trusted_read(sys, HOOK_CONF, 1 << 16, &text, &why);

	*conf = (struct hook_conf){ 0 };
	if (rc < 0) {
		if (why)
			strv_addf(complaints, HOOK_CONF ": not read: %s; make it root's", why);
		else if (rc != -ENOENT)
			strv_addf(complaints, HOOK_CONF ": %s", err_errno(rc));
		return;
	}
	for (next = text; (line = strsep(&next, "\n"));) {
		const char *wrong = "expected KEY=VALUE";
		char *value;

		number++;
		line += strspn(line, BLANKS);
		if (!*line || *line == '#')
			continue;
		value = strchr(line, '=');
		if (value) {
			*value = '\0';
			wrong = apply(line, value_of(value + 1), conf);
		}
		if (wrong)
			strv_addf(complaints, HOOK_CONF ":%zu: %s%s%s", number, value ? line : "",
				  value ? ": " : "", wrong);
	}
}
