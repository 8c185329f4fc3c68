/* SPDX-License-Identifier: MIT */
/*
 * libxml: libxml2, opened when XML is to be read (shield/base/library.h): only
 * an import does.
 *
 * Include this in place of libxml2's headers, and call libxml_load() first; then
 * its functions are called by their own names.
 */
#ifndef PROFILES_LIBXML_H
#define PROFILES_LIBXML_H

#include "shield/base/err.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#define LIBXML_FUNCTIONS(X)     \
	X(xmlReadMemory)        \
	X(xmlDocGetRootElement) \
	X(xmlFreeDoc)           \
	X(xmlGetLastError)      \
	X(xmlGetLineNo)         \
	X(xmlGetProp)           \
	X(xmlNodeGetContent)

#define LIBXML_MEMBER(name) __typeof__(name) *fn_##name;
struct libxml {
	LIBXML_FUNCTIONS(LIBXML_MEMBER)
	xmlFreeFunc *fn_xmlFree; /* a variable, the only one */
};
extern struct libxml libxml;

/* 0, or -1 with ERR_UNSUPPORTED when it is not installed. */
int libxml_load(struct err *err);

#define xmlReadMemory libxml.fn_xmlReadMemory
#define xmlDocGetRootElement libxml.fn_xmlDocGetRootElement
#define xmlFreeDoc libxml.fn_xmlFreeDoc
#define xmlGetLastError libxml.fn_xmlGetLastError
#define xmlGetLineNo libxml.fn_xmlGetLineNo
#define xmlGetProp libxml.fn_xmlGetProp
#define xmlNodeGetContent libxml.fn_xmlNodeGetContent
#define xmlFree (*libxml.fn_xmlFree)

#endif
