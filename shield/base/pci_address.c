/* SPDX-License-Identifier: MIT */
#include "shield/base/pci_address.h"

#include "shield/base/mem.h"

#include <ctype.h>
#include <string.h>

#define HEX "0123456789abcdefABCDEF"

/* Is it "01:1f.7"? Devices go up to 1f. */
static bool is_slot(const char *text)
{
	static const char *const shape[] = { HEX, HEX, ":", "01", HEX, ".", "01234567" };
	size_t i = 0;

	while (i < ARRAY_SIZE(shape) && text[i] && strchr(shape[i], text[i]))
		i++;
	return i == ARRAY_SIZE(shape) && !text[i];
}

char *pci_address_parse(const char *text)
{
	size_t digits = strspn(text, HEX);
	const char *slot = text;
	unsigned long domain = 0;
	char *address;

	if (digits >= 4 && digits <= 8 && text[digits] == ':') {
		domain = strtoul(text, NULL, 16);
		slot = text + digits + 1;
	}
	if (!is_slot(slot))
		return NULL;
	address = xasprintf("%04lx:%s", domain, slot);
	for (char *at = address; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return address;
}

bool pci_address_ok(const char *text)
{
	_cleanup_free_ char *address = pci_address_parse(text);

	return address && strcmp(address, text) == 0;
}
