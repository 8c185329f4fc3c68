/* SPDX-License-Identifier: MIT */
/*
 * child: a command under supervision.
 *
 *	child_std_fds()    first thing in main(): nothing of ours may become fd 0-2
 *	child_init()       block signals; before the first change of the host
 *	child_start()      fork; the new process waits
 *	  … the caller puts it where it belongs (cgroup, affinity)
 *	child_release()    let it exec, and learn whether it could
 *	child_wait()       again and again, until child.running is false
 *	child_deinit()
 *
 * The terminal and the three standard streams are the command's alone: it
 * stays in the caller's session and process group, so that it is in the
 * foreground as if the shell had started it. That decides who forwards what.
 * A signal from the terminal (Ctrl-C, Ctrl-\, hang-up: si_code SI_KERNEL) was
 * sent to the whole foreground group, so the command has it already and is not
 * sent it twice, unless it has left the group. (A hang-up comes to the leader of
 * the session alone, who tells the others.) A signal from a process (kill)
 * came to us alone and is forwarded. SIGTSTP, SIGTTIN and SIGCONT are left as
 * they are: Ctrl-Z stops both of us, as job control expects; SIGTTOU is
 * ignored, so that a message of ours cannot stop us in the background. A
 * signal that was ignored when we were started (nohup) stays so.
 *
 * As another user (options->user) the command is in a session of its own, with
 * a terminal of its own if a stream is one (terminal.h), and nothing of ours but
 * what is meant for it (confine.h). Then signals of our terminal do not reach it:
 * they are sent to its group, SIGTSTP too, after which we stop ourselves.
 *
 * The caller becomes a child subreaper: what the command leaves behind when it
 * ends, such as a QEMU that was told to -daemonize, becomes our child, and
 * child_wait() reports its end too. (prctl(2) PR_SET_CHILD_SUBREAPER,
 * signalfd(2), waitid(2), tty_ioctl(4), credentials(7).)
 *
 * No other code of the process may wait for children or read these signals.
 * Take no flock across child_start(): the new process shares it until exec.
 */
#ifndef SHIELD_VM_CHILD_H
#define SHIELD_VM_CHILD_H

#include "shield/event/loop.h"
#include "shield/vm/terminal.h"
#include "shield/vm/user.h"

#include <signal.h>
#include <stdbool.h>

/* Exit statuses as env(1) and the shell use them. */
enum { CHILD_OURS = 125, CHILD_CANNOT = 126, CHILD_NOT_FOUND = 127, CHILD_SIGNALLED = 128 };

struct child {
	pid_t pid;	  /* 0 before child_start() */
	bool running;	  /* started and not yet reaped */
	int status;	  /* when it ended: exit status, or 128 + signal */
	int asked;	  /* the last signal that asked us to end, or 0 */
	unsigned n_asked; /* how many did */
	struct loop loop; /* child_wait() takes its turns; the caller may watch more */
	/* the module's own */
	const char *name; /* argv[0], the caller's */
	int signal_fd, go_fd, exec_fd;
	sigset_t handled, old_mask;
	bool session;		   /* it has one of its own */
	struct terminal *terminal; /* or NULL */
	struct sigaction old_chld, old_ttou;
};

struct child_options {
	const struct user_account *user; /* NULL: stay who we are */
	bool privileges;		 /* the user may gain some (set-uid programs) */
	const int *keep;		 /* descriptors the command inherits, */
	size_t n_keep;			 /* though they are close-on-exec here; the
					  * user of a VM has no others */
};

/* Open /dev/null in the place of a closed stdin, stdout or stderr, so that a
 * file of ours never gets their number. */
void child_std_fds(void);

/* May this command be run? Looks where execvp(3) will. 0, or CHILD_NOT_FOUND
 * or CHILD_CANNOT with err: so that nothing is changed for a typing error. */
int child_find_command(const char *name, struct err *err);

/* Block the signals and get ready to wait. After a failure, and after
 * child_deinit(), the process is as it was; children are left alone. sys: whose
 * clock counts. */
int child_init(struct child *c, struct sys *sys, struct err *err);
void child_deinit(struct child *c);

/* The signal that asked us to end (SIGINT, SIGTERM, SIGHUP, SIGQUIT) since
 * child_init(), or 0; for use between long steps, before child_start(). */
int child_interrupted(struct child *c);

/* Fork. The process waits, killable, until child_release(). */
int child_start(struct child *c, char *const argv[], const struct child_options *options,
		struct err *err);

/*
 * Let it become the command. 0 when it did (or was killed by a signal that came
 * meanwhile: child_wait() tells), CHILD_NOT_FOUND or CHILD_CANNOT with err when
 * it could not, and -1. It has been reaped in the latter two cases.
 */
int child_release(struct child *c, struct err *err);

struct child_event {
	enum {
		CHILD_ENDED,  /* the command ended: c->status */
		CHILD_ORPHAN, /* another descendant of ours ended: pid, status */
		CHILD_SIGNAL, /* signal: arrived, and forwarded if due */
		CHILD_OTHER,  /* the loop has called others: look whether it matters */
	} type;
	pid_t pid;
	int status, signal;
	bool from_terminal; /* the signal went to the whole foreground group */
};

/* One event: 1; 0 when timeout_ms (-1: none) has passed; -1 with err. */
int child_wait(struct child *c, int timeout_ms, struct child_event *event, struct err *err);

/* Have we any child at all, ended or not? */
bool child_any(void);

/* Does a signal from the terminal reach that process as well? */
bool child_in_group(const struct child *c, pid_t pid);

/* While something is printed our terminal has its old modes. */
void child_terminal_leave(struct child *c);
void child_terminal_resume(struct child *c);
/* Show what the command has still to show, and give our terminal back. */
void child_terminal_end(struct child *c);

/* Kill the command and reap it; other events are lost. No-op if it ended. */
void child_kill(struct child *c);

#endif
