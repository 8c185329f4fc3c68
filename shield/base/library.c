/* SPDX-License-Identifier: MIT */
#include "shield/base/library.h"

#include <dlfcn.h>

bool library_open(const char *soname, const struct library_symbol *symbols, size_t n)
{
	void *handle = dlopen(soname, RTLD_LAZY);

	for (size_t i = 0; handle && i < n; i++) {
		void *symbol = dlsym(handle, symbols[i].name);

		if (!symbol)
			return false;
		/* dlsym(3) returns functions as data. */
		*(void **)symbols[i].slot = symbol;
	}
	return handle != NULL;
}
