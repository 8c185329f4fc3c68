/* SPDX-License-Identifier: MIT */
/*
 * find: where profiles are.
 *
 * A name is looked up in the profile directories; the first that has NAME.json
 * wins, and hides those of the same name after it. Text with a slash or ending
 * in .json is a path. With --sysroot the directories are those of the recorded
 * machine, while a path is what it says.
 */
#ifndef SHIELD_PROFILES_FIND_H
#define SHIELD_PROFILES_FIND_H

#include "profiles/document.h"

/*
 * Read the profile `which`, a name or a path. With beside (which may be NULL)
 * it must be a name, and the directory of that document is looked at first. A
 * document that was looked up by name must have that name.
 */
int find_read(struct sys *sys, const char *which, const struct document *beside,
	      struct document *doc, struct err *err);

/* Where profiles are looked for, "A, B, C"; the caller frees. */
char *find_directories(struct sys *sys);

/* The names of all profiles, sorted. */
void find_all(struct sys *sys, struct strv *names);

#endif
