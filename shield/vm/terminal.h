/* SPDX-License-Identifier: MIT */
/*
 * terminal: a terminal of its own for a command that runs as another user.
 *
 * Who has a terminal open can type into it (TIOCSTI), change its modes, and read
 * what is typed: to leave root's to the user of a VM is to leave him root's shell.
 * So each of the three streams that is a terminal becomes a new one for the
 * command, and this module carries what is typed and shown, without waiting
 * for either.
 *
 *	terminal_new()		nothing if none of the streams is a terminal
 *	terminal_fork()		in place of fork(2): the new process is a group of its
 *				own, in the foreground of the new terminal
 *	terminal_streams()	in the new process
 *	terminal_start()	from now on keys go to the command, as they are
 *	loop_turn()		again and again
 *	terminal_free()		what is still to be shown; the old modes
 *
 * A process of ours, the keeper, leads the session of the new terminal: if the
 * command did, the kernel would hang up on what a script leaves behind when it ends. The
 * keeper also gives the old modes back when we are killed, and keeps the new
 * terminal from hanging up on the VM then. It is not a child that wait(2) knows of
 * (clone(2), exit signal 0), and the command is its sibling.
 *
 * In the foreground our terminal is raw, and the new one makes signals of Ctrl-C
 * and Ctrl-\ for the processes in its own foreground; these are told to the
 * caller. A group whose parent is in another session cannot be stopped by Ctrl-Z
 * (it is an orphan), so that is done here: the command stops, and so do we, in
 * our modes, until the shell continues us.
 *
 * (pty(7), tty_ioctl(4), termios(3), credentials(7), POSIX on orphaned groups.)
 */
#ifndef SHIELD_VM_TERMINAL_H
#define SHIELD_VM_TERMINAL_H

#include "shield/base/err.h"
#include "shield/event/loop.h"

#include <stdbool.h>
#include <sys/types.h>

struct terminal;

/* *ret is NULL if no stream is a terminal. owner: who may open it by its name.
 * loop: where it waits; it lives longer. */
int terminal_new(struct terminal **ret, uid_t owner, struct loop *loop, struct err *err);
void terminal_free(struct terminal *t);

pid_t terminal_fork(struct terminal *t);
void terminal_streams(const struct terminal *t);
void terminal_start(struct terminal *t, pid_t pid);

/* The signal that was typed since, for its foreground; or 0. */
int terminal_typed(struct terminal *t);
/* Ctrl-Z was typed, and it is for us to stop the command. */
bool terminal_stopped(struct terminal *t);
/* Is it in the foreground of the new terminal? */
bool terminal_in_group(const struct terminal *t, pid_t pid);

/* Before we stop: the old modes. */
void terminal_leave(struct terminal *t);
/* We were continued, or our window has another size. */
void terminal_resume(struct terminal *t);

#endif
