/* SPDX-License-Identifier: MIT */
/*
 * tool: a command that is a program of its own, libexec/shield/shield-NAME.
 *
 * What runs as root on the way of a VM is one lean program. What only looks at
 * things, or needs libraries that this one does not, is a tool: built from
 * shield/tools/ on the same library, listed by `shield --help` with the rest, and
 * started by `shield NAME` alone. No other code starts one, and none of `run`,
 * `hook` and the guard ever does.
 *
 * The folder is compiled in; neither PATH nor anything else in the environment is
 * asked. The program in a build tree has the build tree's; `cmake --install` writes
 * the place where the tools are installed over it, as it does with an RPATH.
 */
#ifndef SHIELD_CMD_TOOL_H
#define SHIELD_CMD_TOOL_H

#include "shield/cmd/cmd.h"

/* Become the tool that argv[0] names. Root runs it only where no other user could
 * have put it there (trusted.h). Returns, with the exit status, only if it cannot. */
int tool_run(struct app *app, int argc, char **argv);

#endif
