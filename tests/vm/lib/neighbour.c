/* SPDX-License-Identifier: MIT */
/*
 * neighbour: what a hostile user does, in a test VM.
 *
 *	neighbour as UID COMMAND [ARGUMENT…]
 *	neighbour cmdline FILE	    its pid on stdout; then /proc/PID/cmdline is this
 *				    file, belongs to root, and no other user can write it
 *	neighbour inject LINE	    type the line into the terminal on standard input
 *	neighbour type COMMAND…	    in a terminal of its own, where stdin is typed and
 *				    what is shown is stdout
 *	neighbour ids		    real and effective uid
 */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int as(char **argv)
{
	uid_t uid = (uid_t)atoi(argv[0]);

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return 1;
	execvp(argv[1], argv + 1);
	return 127;
}

/* Arguments lie one after the other, and the kernel shows what is there now. */
static int cmdline(char **argv, int argc)
{
	static char room[8192], text[8192];
	char *again[] = { argv[0], argv[1], argv[2], room, NULL };
	char *start = argv[0], *end;
	size_t n;
	FILE *f;

	memset(room, 'x', sizeof(room) - 1);
	if (argc == 3) {
		execv("/proc/self/exe", again);
		return 1;
	}
	f = fopen(argv[2], "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	while (n && text[n - 1] == '\n')
		n--;
	end = argv[3] + strlen(argv[3]);
	memset(start, ' ',
	       (size_t)(end - start) + 1); /* no NUL at its end: the rule of setproctitle(3) */
	memcpy(start, text, n);
	end[1] = '\0';
	prctl(PR_SET_DUMPABLE, 0);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		pause();
}

static int inject(const char *line)
{
	int rc = 0;

	for (; *line && rc == 0; line++)
		rc = ioctl(0, TIOCSTI, line);
	if (rc == 0)
		rc = ioctl(0, TIOCSTI, "\n");
	fprintf(stderr, "uid %u, TIOCSTI: %s\n", (unsigned)getuid(),
		rc ? strerror(errno) : "worked");
	return rc != 0;
}

/* What stdin has goes to the terminal, until that ends. */
static int type(char **argv)
{
	char bytes[4096];
	int master, status;
	ssize_t n;
	pid_t pid = forkpty(&master, NULL, NULL, NULL);
	struct pollfd fds[] = { { .fd = master, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

	if (pid == 0) {
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		execvp(argv[0], argv);
		_exit(127);
	}
	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents) {
			n = read(0, bytes, sizeof(bytes));
			if (n <= 0)
				fds[1].fd = -1;
			else if (write(master, bytes, (size_t)n) < 0)
				break;
		}
		if (fds[0].revents) {
			n = read(master, bytes, sizeof(bytes));
			if (n <= 0 || write(1, bytes, (size_t)n) < 0)
				break;
		}
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "as") == 0)
		return as(argv + 2);
	if (argc > 2 && strcmp(argv[1], "cmdline") == 0)
		return cmdline(argv, argc);
	if (argc > 2 && strcmp(argv[1], "inject") == 0)
		return inject(argv[2]);
	if (argc > 2 && strcmp(argv[1], "type") == 0)
		return type(argv + 2);
	if (argc > 1 && strcmp(argv[1], "ids") == 0)
		return printf("%u %u\n", (unsigned)getuid(), (unsigned)geteuid()) < 0;
	return 2;
}
