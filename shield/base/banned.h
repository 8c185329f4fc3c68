/* SPDX-License-Identifier: MIT */
/*
 * banned: functions that may not be called, and those that only `sys` may.
 *
 * The compiler is told to include this file first in every source of shield/,
 * irq/ and profiles/ (CMakeLists.txt); nothing includes it by hand. A use of a
 * banned function, a pointer to it included, is then an error that says what
 * to use instead. Members of the same name (sys->ops->open) are not meant and
 * not hit, which macros would do.
 *
 *	always			strcpy and its kin, which know no size; strtok,
 *				which keeps a hidden state; shells
 *	without SHIELD_MAY_PRINT what prints text as it is: names from outside hold
 *				what a terminal obeys. CMake defines it for
 *				shield/base/text.c
 *	without SHIELD_MAY_CALL	what touches files or the affinity of
 *				threads, or waits: the one door is sys.h. CMake defines it
 *				for shield/sys (the door itself), shield/event,
 *				and what starts processes in shield/vm
 */
#ifndef SHIELD_BASE_BANNED_H
#define SHIELD_BASE_BANNED_H

/* The declarations must be there before they can be banned. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__clang__) && defined(__USE_FORTIFY_LEVEL) && __USE_FORTIFY_LEVEL > 0
/* The headers define these functions then, and clang takes no attribute after that. */
#define BANNED(fn, hint) extern __typeof__(fn) fn
#elif defined(__has_attribute) && __has_attribute(unavailable)
#define BANNED(fn, hint) extern __typeof__(fn) fn __attribute__((unavailable(hint)))
#else /* before gcc 12 */
#define BANNED(fn, hint) extern __typeof__(fn) fn __attribute__((error(hint)))
#endif

BANNED(strcpy, "use xstrdup() or xasprintf()");
BANNED(strncpy, "use xstrndup(): this one may leave no NUL");
BANNED(strcat, "use xasprintf()");
BANNED(strncat, "use xasprintf()");
BANNED(sprintf, "use snprintf() or xasprintf()");
BANNED(vsprintf, "use vsnprintf()");
BANNED(strtok, "use strsep() or strcspn()");
BANNED(system, "never start a shell");
BANNED(popen, "never start a shell");
char *gets(char *line); /* no header has it any more, the library does */
BANNED(gets, "use getline()");

#ifndef SHIELD_MAY_PRINT
#define ESCAPES "use text_print(), which escapes what came from outside, or text_put()"
BANNED(printf, ESCAPES);
BANNED(vprintf, ESCAPES);
BANNED(fprintf, ESCAPES);
BANNED(vfprintf, ESCAPES);
BANNED(dprintf, ESCAPES);
BANNED(vdprintf, ESCAPES);
BANNED(puts, ESCAPES);
BANNED(fputs, ESCAPES);
BANNED(perror, ESCAPES);
#endif

#ifndef SHIELD_MAY_CALL
#define ONE_DOOR "only shield/sys touches the system: go through struct sys"
BANNED(open, ONE_DOOR);
BANNED(openat, ONE_DOOR);
BANNED(creat, ONE_DOOR);
BANNED(fopen, ONE_DOOR);
BANNED(freopen, ONE_DOOR);
BANNED(opendir, ONE_DOOR);
BANNED(mkdir, ONE_DOOR);
BANNED(mkdirat, ONE_DOOR);
BANNED(rmdir, ONE_DOOR);
BANNED(rename, ONE_DOOR);
BANNED(renameat, ONE_DOOR);
BANNED(unlink, ONE_DOOR);
BANNED(unlinkat, ONE_DOOR);
BANNED(remove, ONE_DOOR);
BANNED(chmod, ONE_DOOR);
BANNED(chown, ONE_DOOR);
BANNED(mount, ONE_DOOR);
BANNED(umount2, ONE_DOOR);
BANNED(sched_setaffinity, ONE_DOOR);
BANNED(sched_getaffinity, ONE_DOOR);
#define CLOCK "time is that of struct sys: clock.h, or event/loop.h for several descriptors"
BANNED(poll, CLOCK);
BANNED(ppoll, CLOCK);
BANNED(select, CLOCK);
BANNED(sleep, CLOCK);
BANNED(usleep, CLOCK);
BANNED(nanosleep, CLOCK);
#endif

#endif
