/* SPDX-License-Identifier: MIT */
/*
 * kill-at: SIGKILL at a system call that changes something.
 *
 *	kill-at [-c] [-k VICTIM,…] [-r M] N COMMAND [ARGUMENT…]
 *
 * Runs the command and kills it (not its children) where it is about to make
 * its Nth system call that changes anything outside of it: so it made N - 1.
 * N = 0 counts only. Prints "killed at N: NAME: VICTIM PID …", or "ended after COUNT
 * calls with status S; guard G, …" (at how many of them there was a guard, …), into the file that
 *KILL_AT_LOG names. Status: 0 if something was killed, 1 if it had ended before, 2 if this does not
 *work.
 *
 *	-c	what counts is not the command but its first child, which does the work, and
 *		whose end is the end
 *	-k	who is killed there: command (the default), guard, hold, run (another one,
 *		which waits for its VM), or all processes called shield. Where the command
 *		is not among them it goes on, and only calls count at which all of
 *		them are there
 *	-r M	and then the next one that starts a recovery (shield recover, or guard), at
 *		its Mth such call, and the next after it at the (M / 2 + 1)th. Prints
 *		"recovery killed at M: NAME", or "recovery ended before M"
 *
 * A filter (seccomp) stops it at these calls only: to stop at every call takes
 * thirty times as long. Its children inherit the filter, and a call that has no
 * tracer to stop for fails: so a process of ours stays, which lets them pass,
 * until the last of them has ended.
 */
#include <dirent.h>
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
#include <time.h>
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

enum { COMMAND = 1, GUARD = 2, HOLD = 4, RUN = 8, ALL = 16 };

/* clang-format off */
static const struct {
	const char *name;
	unsigned bit;
} victims[] = {
	{ "command", COMMAND }, { "guard", GUARD }, { "hold", HOLD }, { "run", RUN }, { "all", ALL },
};
/* clang-format on */

/* PID 1 starts what recovers within half a second; emulated, it takes longer. */
#define HUNT_SECONDS 3

static unsigned wanted_victims = COMMAND;
static long with[8]; /* at how many calls each of the victims was there */
static long recovery_at;
static bool count_child;

static bool parse_victims(char *text)
{
	wanted_victims = 0;
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		unsigned bit = 0;

		for (size_t i = 0; i < sizeof(victims) / sizeof(*victims); i++)
			if (strcmp(victims[i].name, word) == 0)
				bit = victims[i].bit;
		if (!bit)
			return false;
		wanted_victims |= bit;
	}
	return wanted_victims != 0;
}

static ssize_t read_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n;
}

/* Is it one of Shield's, and which? 0: no (or it is dead). word: its first argument. */
static unsigned kind_of(pid_t pid, char *word, size_t size)
{
	char comm[64], line[4096];
	ssize_t n;

	*word = '\0';
	if (read_file(pid, "comm", comm, sizeof(comm)) <= 0 || strncmp(comm, "shield", 6) != 0)
		return 0;
	comm[strcspn(comm, "\n")] = '\0';
	n = read_file(pid, "cmdline", line, sizeof(line));
	if (n <= 0)
		return 0;
	if (strlen(line) + 1 < (size_t)n)
		snprintf(word, size, "%s", line + strlen(line) + 1);
	if (strcmp(comm, "shield-hold") == 0)
		return HOLD | ALL;
	if (strcmp(comm, "shield") != 0)
		return 0;
	return ALL | (strcmp(word, "guard") == 0 ? GUARD : strcmp(word, "run") == 0 ? RUN : 0);
}

/* Calls f for all processes of Shield's but one. */
static void each(pid_t but, void (*f)(pid_t pid, unsigned kind, const char *word, void *arg),
		 void *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char word[64];

	while (dir && (entry = readdir(dir))) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		unsigned kind = pid > 0 && pid != but ? kind_of(pid, word, sizeof(word)) : 0;

		if (kind)
			f(pid, kind, word, arg);
	}
	if (dir)
		closedir(dir);
}

static void note_kind(pid_t pid, unsigned kind, const char *word, void *arg)
{
	(void)pid;
	(void)word;
	*(unsigned *)arg |= kind;
}

static FILE *report(void)
{
	const char *path = getenv("KILL_AT_LOG");
	static bool begun;
	FILE *out = path ? fopen(path, begun ? "ae" : "we") : stderr;

	if (!out)
		exit(2);
	begun = true;
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

/* The command has come to its end: say so, and do not let it be killed any
 * more. */
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

static void kill_one(pid_t pid, unsigned kind, const char *word, void *arg)
{
	if (!(kind & wanted_victims))
		return;
	if (kill(pid, SIGKILL) == 0)
		fprintf(arg, " %s %d", kind & HOLD ? "hold" : *word ? word : "shield", (int)pid);
}

/* Are all processes there that are to be killed? The command is. Counts, too. */
static bool all_there(pid_t command, bool counting)
{
	unsigned others = wanted_victims & (GUARD | HOLD | RUN), found = 0;

	if (!others && !counting)
		return true;
	each(command, note_kind, &found);
	for (size_t i = 0; i < LENGTH(victims); i++)
		with[i] += (found & victims[i].bit) != 0;
	return (found & others) == others;
}

/* "ended after 59 calls with status 0; guard 41, hold 38, …": at so many of them. */
static void report_end(long count, int status)
{
	FILE *out = report();

	fprintf(out, "ended after %ld calls with status %d;", count, end_of(status));
	for (size_t i = 0; i < LENGTH(victims); i++)
		if (victims[i].bit & (GUARD | HOLD | RUN))
			fprintf(out, " %s %ld,", victims[i].name, with[i]);
	fprintf(out, "\n");
	fflush(NULL);
}

static void report_after(int status)
{
	FILE *out = report();

	fprintf(out, "command ended with status %d\n", end_of(status));
	fclose(out);
}

/* Does the command itself die here? */
static bool kill_all(pid_t command, const char *call, long count)
{
	FILE *out = report();
	bool dies = wanted_victims & (COMMAND | ALL);

	fprintf(out, "killed at %ld: %s:", count, call);
	each(command, kill_one, out);
	if (dies) {
		kill(command, SIGKILL);
		fprintf(out, " command %d", (int)command);
	}
	fprintf(out, "\n");
	fclose(out);
	return dies;
}

/* What call it is about to make, or NULL if it is at none that changes anything. */
static const char *call_of(pid_t pid, unsigned op)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 || info.op != op)
		return NULL;
	return changes(&info);
}

struct hunt {
	pid_t found;
};

static void find_recovery(pid_t pid, unsigned kind, const char *word, void *arg)
{
	struct hunt *hunt = arg;

	(void)kind;
	if (strcmp(word, "recover") == 0 || strcmp(word, "guard") == 0)
		hunt->found = pid;
}

/* Follow it from call to call. Its end, if that comes before, is 0. */
static bool kill_there(pid_t pid, long at)
{
	const char *name = NULL;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0)
		return false;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		int signal = WSTOPSIG(status), event = status >> 16;

		if (signal == (SIGTRAP | 0x80)) {
			name = call_of(pid, PTRACE_SYSCALL_INFO_ENTRY);
			if (name && --at == 0) {
				kill(pid, SIGKILL);
				break;
			}
			signal = 0;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, (long)(event ? 0 : signal));
	}
	if (at == 0)
		fprintf(report(), "recovery killed at: %s\n", name);
	return at == 0;
}

/* The process that PID 1 starts to recover, within some seconds. */
static bool hunt(long at)
{
	struct hunt hunt = { 0 };
	time_t end = time(NULL) + HUNT_SECONDS;
	bool killed;

	while (!hunt.found && time(NULL) < end) {
		each(0, find_recovery, &hunt);
		usleep(2000);
	}
	killed = hunt.found && kill_there(hunt.found, at);
	if (!killed)
		fprintf(report(), "recovery ended before %ld\n", at);
	fflush(NULL);
	return killed;
}

/* In a process of our own, which waits for nothing else. After one that has come to
 * its end there is no other. */
static void hunt_all(void)
{
	pid_t pid = recovery_at ? fork() : -1;

	if (pid == 0) {
		if (hunt(recovery_at))
			hunt(recovery_at / 2 + 1);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Its first child is what counts, if that was asked for. */
static pid_t new_child(pid_t parent, pid_t counted)
{
	unsigned long child = 0;

	if (!count_child || ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child) < 0)
		return counted;
	count_child = false;
	return (pid_t)child;
}

static bool is_fork(int event)
{
	return event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
	       event == PTRACE_EVENT_CLONE;
}

/* Until the command and all its descendants have ended. (Of a command that leaves the work to its
 * child the end says nothing.) */
static void follow(char **argv, long wanted, int fd)
{
	long count = 0;
	bool started = false, killed = false;
	pid_t command = start(argv), counted = command, pid;
	const char *name;
	int status;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		int event = status >> 16, signal = WSTOPSIG(status);

		if (pid < 0)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != counted)
				continue;
			if (killed)
				report_after(status);
			else
				report_end(count, status);
			tell(fd, killed ? 0 : 1);
			continue;
		}
		if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
			ptrace(PTRACE_LISTEN, pid, NULL, NULL);
			continue;
		}
		/* Its own start is not one of its changes. */
		if (event == PTRACE_EVENT_EXEC && pid == command)
			started = true;
		if (is_fork(event) && pid == command && started)
			counted = new_child(pid, counted);
		name = event == PTRACE_EVENT_SECCOMP && pid == counted && started && !killed
			       ? call_of(pid, PTRACE_SYSCALL_INFO_SECCOMP)
			       : NULL;
		if (name && all_there(counted, !wanted) && ++count == wanted) {
			killed = true;
			if (kill_all(counted, name, count)) {
				hunt_all();
				continue;
			}
		}
		ptrace(PTRACE_CONT, pid, NULL, (long)(event ? 0 : signal));
	}
}

static bool parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+ck:r:")) != -1) {
		if (c == 'c')
			count_child = true;
		else if (c == 'r')
			recovery_at = atol(optarg);
		else if (c != 'k' || !parse_victims(optarg))
			return false;
	}
	return argc - optind >= 2;
}

int main(int argc, char **argv)
{
	long wanted = parse(argc, argv) ? atol(argv[optind]) : -1;
	int fd[2], status = 2;
	pid_t pid;

	if (wanted < 0 || pipe2(fd, O_CLOEXEC) < 0)
		return 2;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd[0]);
		follow(argv + optind + 1, wanted, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	if (pid < 0 || read(fd[0], &status, sizeof(status)) != sizeof(status))
		return 2;
	return status;
}
