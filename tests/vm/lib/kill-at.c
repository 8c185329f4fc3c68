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
 *
 * A filter (seccomp) stops it at these calls only: to stop at every call takes
 * thirty times as long. Its children inherit the filter, and a call that has
 * nobody to stop for fails: so a process of ours stays, which lets them pass,
 * until the last of them has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* Stop at the calls of the table, and at those that open a file to make it. */
static int install(void)
{
	struct sock_filter filter[2 * LENGTH(changing) + 16];
	struct sock_fprog program = { .filter = filter };
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < LENGTH(changing); i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							   (unsigned)changing[i].nr, 0, 1);
		filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_TRACE);
	}
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 2);
	filter[n++] = (struct sock_filter)LOAD(args[1]);
	filter[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC, 3, 4);
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3);
	filter[n++] = (struct sock_filter)LOAD(args[2]);
	filter[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC, 0, 1);
	filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_TRACE);
	filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	program.len = n;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 1; i < 32; i++)
			signal(i, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, 0);
		raise(SIGSTOP);
		if (install() == 0)
			execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, NULL, WUNTRACED) != pid ||
	    ptrace(PTRACE_SEIZE, pid, NULL,
		   PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
			   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL) < 0)
		exit(2);
	kill(pid, SIGCONT);
	return pid;
}

/* The command has come to its end: say so, and be killed by nobody any more. */
static void tell(int fd, int status)
{
	prctl(PR_SET_PDEATHSIG, 0);
	(void)!write(fd, &status, sizeof(status));
	close(fd);
}

static int end_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Is this stop of the command the one where it shall die? Counts. */
static bool here(pid_t pid, long *count, long wanted)
{
	struct __ptrace_syscall_info info;
	const char *name;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP)
		return false;
	name = changes(&info);
	if (!name || ++*count != wanted)
		return false;
	fprintf(report(), "killed at %ld: %s\n", *count, name);
	return true;
}

/* Until the command and all its descendants have ended. */
static void follow(char **argv, long wanted, int fd)
{
	long count = 0;
	bool started = false, killed = false;
	pid_t command = start(argv), pid;
	int status;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		int event = status >> 16, signal = WSTOPSIG(status);

		if (pid < 0)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != command)
				continue;
			if (!killed)
				fprintf(report(), "ended after %ld calls with status %d\n", count,
					end_of(status));
			fflush(NULL);
			tell(fd, killed ? 0 : 1);
			continue;
		}
		if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
			ptrace(PTRACE_LISTEN, pid, NULL, NULL);
			continue;
		}
		/* Its own start is no change of its. */
		if (event == PTRACE_EVENT_EXEC && pid == command)
			started = true;
		if (event == PTRACE_EVENT_SECCOMP && pid == command && started && !killed &&
		    here(pid, &count, wanted)) {
			killed = true;
			kill(pid, SIGKILL);
			continue;
		}
		ptrace(PTRACE_CONT, pid, NULL, (long)(event ? 0 : signal));
	}
}

int main(int argc, char **argv)
{
	long wanted = argc > 2 ? atol(argv[1]) : -1;
	int fd[2], status = 2;
	pid_t pid;

	if (wanted < 0 || pipe2(fd, O_CLOEXEC) < 0)
		return 2;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd[0]);
		follow(argv + 2, wanted, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	if (pid < 0 || read(fd[0], &status, sizeof(status)) != sizeof(status))
		return 2;
	return status;
}
