/* SPDX-License-Identifier: MIT */
/*
 * sys_write: a text into a file of the kernel. kfile.c alone includes this, since
 * only what its table names may be written (scripts/check holds the objects to
 * it); and tests, which play other programs.
 */
#ifndef SHIELD_SYS_SYS_WRITE_H
#define SHIELD_SYS_SYS_WRITE_H

#include "shield/sys/sys.h"

/* Write text to an existing file of the kernel in one write(2), since to these
 * each write is one command. 0 or a negated errno; a short write is -EIO. */
int sys_write(struct sys *sys, const char *path, const char *text);

#endif
