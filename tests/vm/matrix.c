/* SPDX-License-Identifier: MIT */
/*
 * matrix: hold the real kernel against the table of tests/fake/matrix.h.
 *
 *	matrix [NAME…]		run the cases with these names, or all of them
 *				that are for this kernel
 *
 * For a test VM only: needs root, 8 CPUs, cgroup v2 with no other processes in
 * it, and takes CPUs off and on. Prints "ok NAME", "not ok NAME: STEP: …" and a
 * count; exits 0, 1 (a case failed) or 2 (not such a machine).
 */
#include "tests/fake/matrix.h"
#include "shield/sys/sys_write.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void *second(void *ready)
{
	(void)!write(*(int *)ready, "", 1);
	for (;;)
		pause();
	return NULL;
}

static pid_t spawn(void *ctx, const char *name)
{
	int ready[2];
	pthread_t thread;
	char byte;
	pid_t pid;

	(void)ctx;
	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		if (pthread_create(&thread, NULL, second, &ready[1]) != 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

static void end(void *ctx, pid_t pid)
{
	(void)ctx;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int hotplug(void *ctx, unsigned cpu, bool online)
{
	_cleanup_free_ char *path = xasprintf("/sys/devices/system/cpu/cpu%u/online", cpu);
	_cleanup_free_ char *now = NULL;
	int rc = sys_read_line(ctx, path, &now);

	if (rc < 0 || *now == (online ? '1' : '0'))
		return rc;
	return sys_write(ctx, path, online ? "1" : "0");
}

/*
 * Steps at which a kernel warns, with no Shield about. Announced in the kernel
 * log (scripts/vm --help): it must warn there, and may nowhere else.
 */
static const struct {
	unsigned kernels;
	const char *name, *step, *regex;
} warnings[] = {
	{ K612, "invalid, written again", "A:cpus=2-3", " partition_xcpus_del\\+" },
	{ K612, "remote, ancestor gains", "A/B:part=member", " remote_partition_disable\\+" },
};

static unsigned this_kernel(void);

static void log_line(const char *text)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror("/dev/kmsg");
	if (fd >= 0)
		close(fd);
}

/* The log says of each step when it began: there a complaint is found at once. */
static void tell(void *ctx, const char *name, const char *step)
{
	_cleanup_free_ char *line = xasprintf("matrix: %s: %s", name, step ? step : "ends");
	static bool expected;

	(void)ctx;
	if (expected)
		log_line("shield-vm: expect end");
	expected = false;
	log_line(line);
	for (size_t i = 0; step && i < ARRAY_SIZE(warnings); i++) {
		_cleanup_free_ char *must =
			xasprintf("shield-vm: expect must %s", warnings[i].regex);

		if (!(warnings[i].kernels & this_kernel()) || strcmp(warnings[i].name, name) != 0 ||
		    strcmp(warnings[i].step, step) != 0)
			continue;
		log_line(must);
		expected = true;
	}
}

static unsigned this_kernel(void)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	if (sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	if (major >= 7)
		return K7;
	return major == 6 && minor == 1 ? K61 : major == 6 && minor >= 12 ? K612 : 0;
}

/* An interrupt that takes its own mask back, and one that refuses it. */
static bool find_irqs(struct matrix_host *host)
{
	_cleanup_strv_ struct strv names = { 0 };
	struct sys *sys = host->sys;
	bool movable = false, fixed = false;

	sys->ops->list(sys->ctx, "/sys/kernel/irq", &names);
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *actions =
			xasprintf("/sys/kernel/irq/%s/actions", names.items[i]);
		_cleanup_free_ char *list =
			xasprintf("/proc/irq/%s/smp_affinity_list", names.items[i]);
		_cleanup_free_ char *action = NULL, *mask = NULL;
		unsigned number = (unsigned)strtoul(names.items[i], NULL, 10);
		int rc;

		if (sys_read_line(sys, actions, &action) < 0 || !*action ||
		    sys_read_line(sys, list, &mask) < 0)
			continue;
		rc = sys_write(sys, list, mask);
		if (rc == 0 && strcmp(mask, "0-7") == 0) {
			host->irq = number;
			movable = true;
		} else if (rc == -EIO || rc == -EPERM) {
			host->fixed_irq = number;
			fixed = true;
		}
	}
	return movable && fixed;
}

static bool chosen(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	unsigned kernel = this_kernel(), ran = 0, failed = 0;
	struct sys sys;
	struct matrix_host host = { &sys, &sys, spawn, end, hotplug, tell, 0, 0, 100 };

	sys_open_real(&sys, "");
	if (!kernel || geteuid() != 0 || sysconf(_SC_NPROCESSORS_ONLN) != 8 || !find_irqs(&host)) {
		fprintf(stderr, "matrix: needs root, kernel 6.1, 6.12 or 7, 8 CPUs, an interrupt "
				"that moves and one that does not\n");
		return 2;
	}
	for (unsigned i = 0; i < matrix_count; i++) {
		const struct matrix_case *c = &matrix_cases[i];
		char *why;

		if (!(c->kernels & kernel) || !chosen(argc, argv, c->name))
			continue;
		ran++;
		why = matrix_run(&host, c);
		failed += why != NULL;
		printf("%s %s%s%s\n", why ? "not ok" : "ok", c->name, why ? ": " : "",
		       why ? why : "");
		free(why);
	}
	printf("%u cases, %u failed\n", ran, failed);
	sys_close_real(&sys);
	return failed || !ran;
}
