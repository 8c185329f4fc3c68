/* SPDX-License-Identifier: MIT */
/* A profile of any bytes: loaded with sets that are subsets of the machine, or
 * refused with one message that names the file. */
#include "profiles/profile.h"
#include "tests/fake/kernel.h"
#include "tests/fuzz/machine.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct topology topo;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_profile_ struct profile profile = { 0 };
	_cleanup_strv_ struct strv warnings = { 0 };
	struct fake *fake = fake_new(FAKE_7, 16);
	struct err err = { 0 };
	struct sys sys;

	if (!topo.n)
		machine_make(&topo);
	fake_sys(fake, &sys);
	fake_file(fake, "/etc/shield/profiles.d/f.json", text);
	fake_file(fake, "/etc/shield/profiles.d/base.json",
		  "{\"version\":1,\"name\":\"base\",\"guest\":\"2-3\",\"smt\":\"split\"}");
	if (profile_load(&sys, &topo, "f", &profile, &warnings, &err) == 0) {
		if (cpuset_empty(&profile.guest) || !cpuset_within(&profile.guest, &topo.online) ||
		    cpuset_equal(&profile.guest, &topo.online) ||
		    cpuset_intersects(&profile.emulator, &profile.guest) ||
		    profile.n_vcpus > cpuset_count(&profile.guest))
			__builtin_trap();
	} else if (err.kind != ERR_USAGE || !strstr(err.text, "/etc/shield/profiles.d/")) {
		__builtin_trap();
	}
	if (fake_open_fds(fake))
		__builtin_trap();
	fake_free(fake);
	return 0;
}
