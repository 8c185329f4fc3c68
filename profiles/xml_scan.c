/* SPDX-License-Identifier: MIT */
#include "profiles/xml_scan.h"

#include <stdbool.h>
#include <string.h>

/* Behind the mark; NULL: there is none. */
static const char *behind(const char *at, const char *mark)
{
	const char *end = strstr(at, mark);

	return end ? end + strlen(mark) : NULL;
}

static bool starts(const char *at, const char *with)
{
	return strncmp(at, with, strlen(with)) == 0;
}

/* Behind a tag, of which `at` is the '<'; NULL: it does not end. */
static const char *scan_tag(const char *at, unsigned *attributes, unsigned *namespaces)
{
	for (at++; at && *at != '>';) {
		if (*at == '"' || *at == '\'') {
			const char quote[2] = { *at, '\0' };

			++*attributes;
			at = behind(at + 1, quote);
		} else if (!*at) {
			return NULL;
		} else {
			*namespaces += starts(at, "xmlns");
			at++;
		}
	}
	return at;
}

int xml_scan(const char *xml, struct err *err)
{
	unsigned namespaces = 0;

	for (const char *at = xml; (at = strchr(at, '<'));) {
		unsigned attributes = 0;

		if (starts(at, "<!--"))
			at = behind(at + 4, "-->");
		else if (starts(at, "<![CDATA["))
			at = behind(at, "]]>");
		else if (at[1] == '!')
			return err_set(err, ERR_USAGE,
				       "it has a DOCTYPE, which libvirt's never have");
		else if (at[1] == '?') /* where libxml2 goes on behind one that is wrong */
			at = behind(at, ">");
		else
			at = scan_tag(at, &attributes, &namespaces);
		if (!at) /* libxml2 would look for its end again and again */
			return err_set(err, ERR_USAGE,
				       "not XML: it ends in the middle of a tag or "
				       "of a comment");
		if (attributes > XML_ATTRIBUTES_MAX)
			return err_set(err, ERR_USAGE,
				       "a tag has more than %d attributes, which libvirt's never "
				       "have",
				       XML_ATTRIBUTES_MAX);
		if (namespaces > XML_NAMESPACES_MAX)
			return err_set(err, ERR_USAGE,
				       "it declares more than %d namespaces, which libvirt's never "
				       "do",
				       XML_NAMESPACES_MAX);
	}
	return 0;
}
