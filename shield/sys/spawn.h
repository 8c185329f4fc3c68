/* SPDX-License-Identifier: MIT */
/*
 * spawn: a process that outlives its starter. It is a child of PID 1, of a
 * session of its own, in "/", with nothing open but /dev/null as its standard
 * streams, so that no lock and no pipe of ours lives on in it.
 */
#ifndef SHIELD_SYS_SPAWN_H
#define SHIELD_SYS_SPAWN_H

#include <sys/types.h>

/* It calls work(arg), with no signal blocked, and ends. keep: what is open there
 * as descriptor 3, or -1. Its number, or a negated errno. */
pid_t spawn(void (*work)(void *arg), void *arg, int keep);

#endif
