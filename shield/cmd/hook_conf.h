/* SPDX-License-Identifier: MIT */
/*
 * hook_conf: /etc/shield/libvirt.conf, what the hook of libvirt is to do.
 *
 *	# which domains: "all", or nothing (those with a profile or metadata)
 *	SHIELD_DOMAINS=all
 *	# what becomes of one that cannot be shielded: "ignore" or "fail"
 *	SHIELD_ON_ERROR=fail
 *
 * Lines of KEY=VALUE, values quoted or not. A line that is none does not keep the
 * others from counting, for a hook that fails keeps domains from running.
 */
#ifndef SHIELD_CMD_HOOK_CONF_H
#define SHIELD_CMD_HOOK_CONF_H

#include "shield/base/strv.h"
#include "shield/sys/sys.h"

#define HOOK_CONF "/etc/shield/libvirt.conf"

struct hook_conf {
	bool all, required;
};

/* complaints: what does not count, a line each. */
void hook_conf_read(struct sys *sys, struct hook_conf *conf, struct strv *complaints);

#endif
