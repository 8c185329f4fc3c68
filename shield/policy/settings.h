/* SPDX-License-Identifier: MIT */
/*
 * settings: what a profile asks of the host beside CPUs.
 *
 *	"host"	host settings (kfile.h), those of CPUs for each guest CPU; a
 *		setting that this machine has not is left out with a warning
 *	"flush"	each guest CPU goes offline and online once, one after the
 *		other, which pushes away timers and work that it carries already.
 *		Only while no partition stands: kernels damage one whose CPUs go
 *		offline. It must come first in a plan, and after it the transaction
 *		puts right what the kernel did to masks meanwhile.
 */
#ifndef SHIELD_POLICY_SETTINGS_H
#define SHIELD_POLICY_SETTINGS_H

#include "shield/policy/policy.h"

void policy_flush(struct sys *sys, const struct host_snapshot *snapshot,
		  const struct shield_spec *spec, const struct cpuset *active, struct plan *plan);

/* -1 with ERR_USAGE for a word that the kernel does not know here, with ERR_FAILED
 * where it does not say what a setting is now. */
int policy_settings(struct sys *sys, const struct shield_spec *spec, struct plan *plan,
		    struct err *err);

#endif
