/* SPDX-License-Identifier: MIT */
#include "profiles/libxml.h"

#include "shield/base/library.h"
#include "shield/base/mem.h"

struct libxml libxml;

int libxml_load(struct err *err)
{
#define SYMBOL(name) { #name, &libxml.fn_##name },
	static const struct library_symbol symbols[] = { LIBXML_FUNCTIONS(SYMBOL) SYMBOL(xmlFree) };

	if (library_open(SHIELD_LIBXML, symbols, ARRAY_SIZE(symbols)))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "XML cannot be read: install libxml2 (" SHIELD_LIBXML ")");
}
