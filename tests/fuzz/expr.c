/* SPDX-License-Identifier: MIT */
/* CPU expressions of any bytes: a set of online CPUs that is not empty, or an
 * error with a message and a place inside of the text. */
#include "shield/topology/expr.h"
#include "tests/fake/kernel.h"
#include "tests/fuzz/machine.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct topology topo;
	static struct sys sys;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_cpuset_ struct cpuset set = { 0 };
	_cleanup_strv_ struct strv notes = { 0 };
	struct expr_env env = { .sys = &sys, .topo = &topo };
	struct err err = { 0 };

	if (!topo.n) {
		struct fake *fake = fake_new(FAKE_7, 16);

		machine_make(&topo);
		fake_sys(fake, &sys);
		fake_file(fake, "/sys/bus/pci/devices/0000:01:00.0/local_cpulist", "0-3,8-11\n");
	}
	env.split = size & 1;
	env.keep_first = size & 2;
	env.housekeeping = size & 4 ? &topo.online : NULL;
	if (expr_eval(&env, text, &set, &notes, &err) == 0) {
		if (cpuset_empty(&set) || !cpuset_within(&set, &topo.online))
			__builtin_trap();
	} else if (err.kind != ERR_USAGE || !*err.text || env.at > strlen(text)) {
		__builtin_trap();
	}
	return 0;
}
