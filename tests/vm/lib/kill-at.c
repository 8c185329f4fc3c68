/*
 * kill-at: SIGKILL at a system call that changes something.
 *
 *	kill-at N COMMAND [ARGUMENT…]
 *
 * Runs the command and kills it (not its children) where it is about to make
 * its Nth system call that changes anything outside of it: so it made N - 1.
 * N = 0 counts only. Prints "killed at N: NAME", or "ended after COUNT calls with
 * status S", into the file that KILL_AT_LOG names. Status: 0 if it was killed, 1
 * if it had ended before, 2 if this does not work.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* clang-format off */
static const struct {
	unsigned long long nr;
	const char *name;
} changing[] = {
#define CALL(name) { SYS_##name, #name }
	CALL(write), CALL(writev), CALL(pwrite64), CALL(mkdir), CALL(mkdirat), CALL(rmdir), CALL(unlink),
	CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2), CALL(sched_setaffinity),
	CALL(link), CALL(linkat), CALL(symlink), CALL(symlinkat), CALL(chmod), CALL(fchmod), CALL(fchmodat),
	CALL(chown), CALL(fchown), CALL(fchownat), CALL(truncate), CALL(ftruncate), CALL(mount), CALL(umount2),
	CALL(kill), CALL(pidfd_send_signal), CALL(sched_setscheduler), CALL(sched_setattr), CALL(prlimit64),
	CALL(fork), CALL(vfork), CALL(clone), CALL(clone3), CALL(execve), CALL(creat), CALL(sendto), CALL(connect),
};
/* clang-format on */

/* The name of a call that changes something, or NULL. */
static const char *changes(const struct __ptrace_syscall_info *info)
{
	unsigned long long nr = info->entry.nr;

	if (nr == SYS_openat)
		return info->entry.args[2] & (O_CREAT | O_TRUNC) ? "openat" : NULL;
	if (nr == SYS_open)
		return info->entry.args[1] & (O_CREAT | O_TRUNC) ? "open" : NULL;
	if (nr == SYS_write && info->entry.args[0] <= 2)
		return NULL; /* a message */
	if (nr == SYS_prlimit64)
		return info->entry.args[2] ? "prlimit64" : NULL;
	for (size_t i = 0; i < sizeof(changing) / sizeof(*changing); i++)
		if (changing[i].nr == nr)
			return changing[i].name;
	return NULL;
}

static FILE *report(void)
{
	const char *path = getenv("KILL_AT_LOG");
	FILE *out = path ? fopen(path, "we") : stderr;

	if (!out)
		exit(2);
	return out;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, WUNTRACED) != pid ||
	    ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		exit(2);
	kill(pid, SIGCONT);
	return pid;
}

int main(int argc, char **argv)
{
	long wanted = argc > 2 ? atol(argv[1]) : -1, count = 0;
	bool started = false;
	int status;
	pid_t pid;

	if (wanted < 0)
		return 2;
	pid = start(argv + 2);
	while (waitpid(pid, &status, 0) == pid || errno == EINTR) {
		struct __ptrace_syscall_info info;
		int deliver = 0;

		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			fprintf(report(), "ended after %ld calls with status %d\n", count,
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
			return 1;
		}
		if (status >> 16) { /* a group stop, or what follows it */
			if (WSTOPSIG(status) != SIGTRAP) {
				ptrace(PTRACE_LISTEN, pid, NULL, NULL);
				continue;
			}
		} else if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			const char *name;

			if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
				continue;
			name = info.op == PTRACE_SYSCALL_INFO_ENTRY ? changes(&info) : NULL;
			/* Its own start is no change of its. */
			if (name && started && ++count == wanted) {
				kill(pid, SIGKILL);
				while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
					;
				fprintf(report(), "killed at %ld: %s\n", count, name);
				return 0;
			}
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_execve)
				started = true;
		} else {
			deliver = WSTOPSIG(status);
			if (deliver == SIGTRAP)
				deliver = 0;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, (long)deliver);
	}
	return 2;
}
