/* SPDX-License-Identifier: MIT */
#include "shield/topology/discover.h"

#include "shield/sys/below.h"

#include <errno.h>

void discover_clear(hwloc_topology_t *hwloc)
{
	if (*hwloc)
		hwloc_topology_destroy(*hwloc);
}

/* hwloc takes orders from the environment; the machine is what counts here. */
static void prepare_environment(const char *root)
{
	unsetenv("HWLOC_XMLFILE");
	unsetenv("HWLOC_SYNTHETIC");
	unsetenv("HWLOC_THISSYSTEM");
	/* Plugins bring OpenCL, X11, ICU and GPUs' drivers, for objects that
	 * are not asked for here.
	 */
	setenv("HWLOC_PLUGINS_PATH", "", 1);
	setenv("HWLOC_HIDE_ERRORS", "2", 0);
	if (*root)
		setenv("HWLOC_FSROOT", root, 1);
	else
		unsetenv("HWLOC_FSROOT");
}

static int choose(hwloc_topology_t hwloc, bool whole)
{
	/* L3 is told. Without L2 the cores of a machine with odd caches would have other numbers
	 * than lstopo shows; NUMA nodes may need groups and dies. */
	static const hwloc_obj_type_t unused[] = {
		HWLOC_OBJ_L1CACHE,  HWLOC_OBJ_L4CACHE,	HWLOC_OBJ_L5CACHE,
		HWLOC_OBJ_L1ICACHE, HWLOC_OBJ_L2ICACHE, HWLOC_OBJ_L3ICACHE,
	};
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;

#if HWLOC_API_VERSION >= 0x00020800
	if (!whole)
		flags |= HWLOC_TOPOLOGY_FLAG_NO_DISTANCES | HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS;
#endif
	/* x86 would walk over all CPUs, those of guests included. */
	if (hwloc_topology_set_flags(hwloc, flags) < 0 ||
	    hwloc_topology_set_components(hwloc, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86") <
		    0)
		return -1;
	for (size_t i = 0; !whole && i < ARRAY_SIZE(unused); i++)
		if (hwloc_topology_set_type_filter(hwloc, unused[i], HWLOC_TYPE_FILTER_KEEP_NONE) <
		    0)
			return -1;
	return 0;
}

int discover(struct sys *sys, bool whole, hwloc_topology_t *ret, struct err *err)
{
	_cleanup_free_ char *unfit = NULL;
	const char *machine;
	bool files = sys->ops->machine(sys->ctx, &machine);
	hwloc_topology_t hwloc = NULL;

	/* Below a prefix without a machine hwloc would describe the one it runs on. */
	if (files && *machine && !sys_exists(sys, "/sys/devices/system/cpu"))
		return err_set(err, ERR_UNSUPPORTED,
			       "%s/sys/devices/system/cpu is missing: this is not a recorded "
			       "machine; scripts/record-machine makes one",
			       machine);
	unfit = files && *machine ? below_unfit(machine) : NULL;
	if (unfit)
		return err_set(err, ERR_UNSUPPORTED,
			       "%s/%s: this is not a recorded machine as scripts/record-machine "
			       "makes one",
			       machine, unfit);
	prepare_environment(files ? machine : "");
	errno = 0;
	if (hwloc_topology_init(&hwloc) < 0)
		mem_exhausted();
	if (choose(hwloc, whole) < 0 ||
	    (!files && hwloc_topology_set_synthetic(hwloc, machine) < 0) ||
	    hwloc_topology_load(hwloc) < 0) {
		hwloc_topology_destroy(hwloc);
		return err_set(err, ERR_UNSUPPORTED,
			       "hwloc cannot read the topology below %s/sys: %s", machine,
			       err_errno(errno ? errno : EIO));
	}
	*ret = hwloc;
	return 0;
}
