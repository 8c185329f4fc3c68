/* SPDX-License-Identifier: MIT */
/*
 * pty: run a command in the foreground of a terminal of its own.
 *
 *	pty COMMAND [ARGUMENT…]
 *
 * What the terminal shows goes to stdout. SIGUSR1 types Ctrl-C there; SIGUSR2
 * hangs up. Ends with the command's status, or 128 + the signal that killed it.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t interrupt, hangup;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		interrupt = 1;
	else
		hangup = 1;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	int master, status;
	pid_t pid;

	if (argc < 2)
		return 2;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	pid = forkpty(&master, NULL, NULL, NULL);
	if (pid < 0)
		return 2;
	if (pid == 0) {
		/* A shell ignores SIGINT for what it starts in the background. */
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	while (master >= 0) {
		struct pollfd p = { .fd = master, .events = POLLIN };
		char buffer[4096];
		ssize_t n;

		poll(&p, 1, 100);
		if (interrupt) {
			interrupt = 0;
			(void)!write(master, "\003", 1);
		}
		if (hangup) {
			close(master);
			master = -1;
			break;
		}
		if (!p.revents)
			continue;
		n = read(master, buffer, sizeof(buffer));
		if (n > 0)
			(void)!write(1, buffer, (size_t)n);
		else if (n == 0 || errno != EINTR)
			break;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
