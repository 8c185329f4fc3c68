/* SPDX-License-Identifier: MIT */
/*
 * xml_scan: a look at XML before libxml2 parses it.
 *
 * libxml2 compares each attribute of a tag with all before it, and looks for a
 * namespace among all that are open: with enough of them a document of 500 kB
 * takes it minutes. A DOCTYPE may declare entities, which are to be expanded. A
 * domain of libvirt needs neither.
 */
#ifndef PROFILES_XML_SCAN_H
#define PROFILES_XML_SCAN_H

#include "shield/base/err.h"

#define XML_ATTRIBUTES_MAX 128 /* of one tag */
#define XML_NAMESPACES_MAX 256 /* declared in all */

/* -1 with ERR_USAGE when there is a DOCTYPE, or more than that. Goes over the text
 * once, which need not be XML, and must be UTF-8 (XML_PARSE_IGNORE_ENC). */
int xml_scan(const char *xml, struct err *err);

#endif
