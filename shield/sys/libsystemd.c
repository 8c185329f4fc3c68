/* SPDX-License-Identifier: MIT */
#include "shield/sys/libsystemd.h"

#include "shield/base/library.h"
#include "shield/base/mem.h"

#include <errno.h>

struct libsystemd libsystemd;

int libsystemd_load(void)
{
#define SYMBOL(name) { #name, &libsystemd.fn_##name },
	static const struct library_symbol symbols[] = { LIBSYSTEMD_FUNCTIONS(SYMBOL) };

	return library_open(SHIELD_LIBSYSTEMD, symbols, ARRAY_SIZE(symbols)) ? 0 : -ELIBACC;
}
