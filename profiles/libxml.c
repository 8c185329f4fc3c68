#include "profiles/libxml.h"

#include <dlfcn.h>
#include <stdbool.h>

struct libxml libxml;

int libxml_load(struct err *err)
{
	void *handle = dlopen(SHIELD_LIBXML, RTLD_NOW);
	bool found = handle != NULL;

/* dlsym(3) returns functions as data. */
#define LOAD(name)                                                  \
	if (found) {                                                \
		*(void **)&libxml.fn_##name = dlsym(handle, #name); \
		found = libxml.fn_##name != NULL;                   \
	}
	LIBXML_FUNCTIONS(LOAD)
	LOAD(xmlFree)
	if (!found)
		return err_set(err, ERR_UNSUPPORTED,
			       "XML cannot be read: %s; install libxml2 (" SHIELD_LIBXML ")",
			       dlerror());
	return 0;
}
