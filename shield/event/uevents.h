/* SPDX-License-Identifier: MIT */
/*
 * uevents: hear of CPUs that go offline or come back, from the kernel's device
 * events (netlink(7), NETLINK_KOBJECT_UEVENT), which the kernel filters for us
 * by nothing: others are read and dropped. There are few on a quiet host.
 */
#ifndef SHIELD_EVENT_UEVENTS_H
#define SHIELD_EVENT_UEVENTS_H

#include <stdbool.h>

/* A socket for poll(2), or -1 where there is none (then look at intervals). */
int uevents_open(void);

/* Read what has come: did a CPU go offline or online? True also when events
 * were lost. */
bool uevents_cpu(int fd);

#endif
