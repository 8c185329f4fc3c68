/* SPDX-License-Identifier: MIT */
/* A libvirt domain of any bytes: read within what its header promises, or
 * refused with one line. And the settings of the hook, from the same bytes. */
#include "profiles/domain.h"
#include "shield/cmd/hook_conf.h"
#include "tests/fake/kernel.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_conf(const char *text)
{
	_cleanup_strv_ struct strv complaints = { 0 };
	struct fake *fake = fake_new(FAKE_7, 2);
	struct hook_conf conf;
	struct sys sys;

	fake_sys(fake, &sys);
	fake_file(fake, HOOK_CONF, text);
	hook_conf_read(&sys, &conf, &complaints);
	for (size_t i = 0; i < complaints.n; i++)
		if (strncmp(complaints.items[i], HOOK_CONF ":", sizeof(HOOK_CONF)) != 0)
			__builtin_trap();
	if ((conf.all && !strstr(text, "all")) || (conf.required && !strstr(text, "fail")) ||
	    fake_open_fds(fake))
		__builtin_trap();
	fake_free(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_domain_ struct domain d = { 0 };
	struct err err = { 0 };

	if (domain_parse(text, &d, &err) == 0) {
		_cleanup_free_ char *name = domain_shield_name(d.name);

		if (!*d.name || !*name || !d.n_vcpus || d.n_vcpus > DOMAIN_VCPUS_MAX ||
		    d.n_iothreads > DOMAIN_VCPUS_MAX || (d.required && !d.shielded))
			__builtin_trap();
	} else if (err.kind != ERR_USAGE || !*err.text || strchr(err.text, '\n')) {
		__builtin_trap();
	}
	read_conf(text);
	return 0;
}
