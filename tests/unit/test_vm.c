/* SPDX-License-Identifier: MIT */
/* Recognising QEMU and its vCPU threads, in a made-up /proc and in the real. */
#include "shield/event/procevents.h"
#include "shield/vm/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/shield-test-XXXXXX";
static struct sys sys;

static void put(const char *path, const char *text, size_t size)
{
	_cleanup_free_ char *full = xasprintf("%s%s", root, path);
	FILE *file;

	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(full, 0755);
		*at = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
}

static void put_text(const char *text, const char *fmt, ...) _printf_(2, 3);
static void put_text(const char *text, const char *fmt, ...)
{
	char path[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	put(path, text, strlen(text));
}

/* A thread; its start time is its number times ten. */
static void put_thread(int pid, int tid, int parent, const char *name, char state_letter)
{
	_cleanup_free_ char *stat =
		xasprintf("%d (%s) %c %d 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 "
			  "0 %d 1000 100 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n",
			  tid, name, state_letter, parent, tid * 10);
	_cleanup_free_ char *status = xasprintf("Name:\t%s\nTgid:\t%d\nPid:\t%d\n", name, pid, tid);
	_cleanup_free_ char *comm = xasprintf("%s\n", name);

	put_text(stat, "/proc/%d/task/%d/stat", pid, tid);
	put_text(comm, "/proc/%d/task/%d/comm", pid, tid);
	put_text("", "/proc/%d/task/%d/children", pid, tid);
	put_text(status, "/proc/%d/status", tid);
	if (tid == pid)
		put_text(stat, "/proc/%d/stat", pid);
}

#define PUT_CMDLINE(pid, text) put("/proc/" #pid "/cmdline", text, sizeof(text))

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	sys_open_real(&sys, root);

	put_thread(50, 50, 1, "shield", 'S');
	PUT_CMDLINE(50, "shield\0run\0--\0./start");
	put_text("60 61", "/proc/50/task/50/children");
	put_thread(60, 60, 50, "start (x) R 1 1", 'S');
	PUT_CMDLINE(60, "/bin/sh\0./start");
	put_thread(60, 65, 50, "helper", 'S');
	put_text("70 72 ", "/proc/60/task/60/children");
	put_text("71 ", "/proc/60/task/65/children");
	put_thread(61, 61, 50, "sleep", 'S');
	PUT_CMDLINE(61, "sleep\0qemu-system-x86_64");
	/* asked for its version, just ending */
	put_thread(72, 72, 60, "qemu-system-x86", 'S');
	PUT_CMDLINE(72, "qemu-system-x86_64\0-version");
	/* the VM */
	put_thread(71, 71, 60, "win11", 'S');
	PUT_CMDLINE(71, "/usr/bin/qemu-system-x86_64\0-name\0win11,debug-threads=on");
	put_thread(71, 80, 60, "call_rcu", 'S');
	put_thread(71, 91, 60, "CPU 1/KVM", 'S');
	put_thread(71, 90, 60, "CPU 0/KVM", 'S');
	put_thread(71, 100, 60, "CPU 10/KVM", 'S');
	put_thread(71, 101, 60, "CPU 1/KVMx", 'S');
	put_thread(71, 102, 60, "CPU x/KVM", 'S');
	put_thread(71, 103, 60, "CPU 3/KTM", 'S');
	put_thread(71, 104, 60, "IO iothread0", 'S');
	put_thread(71, 105, 60, "CPU 9/KVM", 'Z'); /* has just ended */
	put_thread(71, 106, 60, "CPU 1/KVM", 'S'); /* started by vCPU 1, without an own name */
	/* another user's */
	put_thread(300, 300, 1, "qemu-system-x86", 'S');
	PUT_CMDLINE(300, "qemu-system-x86_64\0");
	put_thread(300, 301, 1, "ALL CPUs/TCG", 'S');
	/* without names, with KVM */
	put_thread(400, 400, 1, "qemu-kvm", 'S');
	PUT_CMDLINE(400, "/usr/libexec/qemu-kvm\0");
	put_thread(400, 410, 1, "qemu-kvm", 'S');
	put_thread(400, 411, 1, "qemu-kvm", 'S');
	put_thread(400, 412, 1, "qemu-kvm", 'S');
	put_text("412\n", "/sys/kernel/debug/kvm/400-11/vcpu4/pid");
	put_text("410\n", "/sys/kernel/debug/kvm/400-11/vcpu0/pid");
	put_text("0\n", "/sys/kernel/debug/kvm/400-11/vcpu5/pid");
	put_text("1\n", "/sys/kernel/debug/kvm/400-11/exits");
	put_text("301\n", "/sys/kernel/debug/kvm/4001-3/vcpu0/pid");
	/* an ended one */
	put_thread(500, 500, 50, "qemu-system-x86", 'Z');
	put("/proc/500/cmdline", "", 0);
	return 0;
}

static int teardown(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execlp("rm", "rm", "-r", root, NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	sys_close_real(&sys);
	return 0;
}

static void test_command(void **state)
{
	static const char *const yes[] = { "qemu-system-x86_64",
					   "/usr/bin/qemu-system-aarch64",
					   "qemu-kvm",
					   "/usr/libexec/qemu-kvm",
					   "kvm",
					   "qemu",
					   "./qemu-system-x86_64-spice" };
	static const char *const no[] = { "",
					  "/",
					  "qemu-img",
					  "qemu-system-",
					  "sh",
					  "xkvm",
					  "kvm2",
					  "qemu/",
					  "/opt/qemu-system-x86_64/start" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(vm_is_qemu_command(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(vm_is_qemu_command(no[i]));
}

static void test_process(void **state)
{
	struct strv argv = { 0 };
	unsigned long long start = 0;
	pid_t pid = 0;

	(void)state;
	assert_true(vm_is_qemu(&sys, 71));
	assert_true(vm_is_qemu(&sys, 72));
	assert_true(vm_is_qemu(&sys, 400));
	assert_false(vm_is_qemu(&sys, 60));
	assert_false(vm_is_qemu(&sys, 61));
	assert_false(vm_is_qemu(&sys, 500));
	assert_false(vm_is_qemu(&sys, 9999));

	assert_int_equal(vm_cmdline(&sys, 71, &argv), 0);
	assert_int_equal(argv.n, 3);
	assert_string_equal(argv.items[2], "win11,debug-threads=on");
	strv_clear(&argv);

	assert_int_equal(vm_identity(&sys, 60, &start), 0);
	assert_int_equal(start, 600);
	assert_int_equal(vm_identity(&sys, 500, &start), -ESRCH);
	assert_int_equal(vm_identity(&sys, 9999, &start), -ESRCH);
	assert_int_equal(vm_process_of(&sys, 90, &pid), 0);
	assert_int_equal(pid, 71);
	assert_int_equal(vm_process_of(&sys, 9999, &pid), -ESRCH);
}

/* What is read of command lines, in bytes, and how many of them. */
static size_t cmdline_bytes, cmdlines;
static struct sys_ops real_ops;

static int counting_open(void *ctx, const char *path, int flags)
{
	cmdlines += strstr(path, "/cmdline") != NULL;
	return real_ops.open(ctx, path, flags);
}

static ssize_t counting_read(void *ctx, int fd, void *buf, size_t size)
{
	ssize_t n = real_ops.read(ctx, fd, buf, size);

	cmdline_bytes += n > 0 ? (size_t)n : 0;
	return n;
}

/* A user executes programs with long command lines while `run` waits for its VM. */
static void test_long_command(void **state)
{
	static char line[1 << 20] = "qemu-system-x86_64\0-name\0";
	struct sys_ops ops = *sys.ops;
	struct sys counted = { .ops = &ops, .ctx = sys.ctx };

	(void)state;
	real_ops = ops;
	ops.open = counting_open;
	ops.read = counting_read;
	memset(line + 25, 'a', sizeof(line) - 25);
	put_thread(310, 310, 1, "qemu-system-x86", 'S');
	PUT_CMDLINE(310, line);
	assert_false(vm_is_qemu_below(&counted, 310, 50));
	assert_int_equal(cmdlines, 0);
	put_thread(310, 310, 61, "other", 'S');
	cmdline_bytes = 0;
	assert_true(vm_is_qemu_below(&counted, 310, 50));
	assert_int_equal(cmdlines, 1);
	assert_in_range(cmdline_bytes, 1, 3 * 4096); /* with three files stat */
	put_thread(310, 310, 1, "other", 'S');
}

static void test_descendants(void **state)
{
	pid_t pid = 0;

	(void)state;
	assert_true(vm_is_descendant(&sys, 71, 50));
	assert_true(vm_is_descendant(&sys, 60, 50));
	assert_false(vm_is_descendant(&sys, 50, 50));
	assert_false(vm_is_descendant(&sys, 300, 50));
	assert_false(vm_is_descendant(&sys, 9999, 50));
	/* through the children files, and without them */
	for (int i = 0; i < 2; i++) {
		pid = 0;
		assert_int_equal(vm_find_descendant(&sys, 50, &pid), 1);
		assert_int_equal(pid, 71);
		assert_int_equal(vm_find_descendant(&sys, 61, &pid), 0);
		assert_int_equal(vm_find_descendant(&sys, 71, &pid), 0);
		if (i == 0) {
			static const char *const gone[] = { "50/task/50", "61/task/61",
							    "71/task/71" };

			for (size_t g = 0; g < ARRAY_SIZE(gone); g++) {
				_cleanup_free_ char *path =
					xasprintf("%s/proc/%s/children", root, gone[g]);
				assert_int_equal(unlink(path), 0);
			}
		}
	}
}

static void test_names(void **state)
{
	struct vm_vcpus vcpus = { 0 }, fewer = { 0 };

	(void)state;
	assert_int_equal(vm_vcpus_by_name(&sys, 300, &vcpus), 0);
	assert_int_equal(vcpus.n, 1);
	assert_int_equal(vcpus.items[0].tid, 301);
	assert_int_equal(vcpus.items[0].count, 0);
	assert_int_equal(vcpus.items[0].start, 3010);

	assert_int_equal(vm_vcpus_by_name(&sys, 400, &vcpus), 0);
	assert_int_equal(vcpus.n, 2);
	assert_int_equal(vcpus.items[0].tid, 410);
	assert_int_equal(vcpus.items[1].tid, 412);
	assert_int_equal(vcpus.items[1].index, 1);

	assert_int_equal(vm_vcpus_by_name(&sys, 60, &vcpus), 0);
	assert_int_equal(vcpus.n, 0);
	assert_int_equal(vm_vcpus_by_name(&sys, 9999, &vcpus), -ESRCH);

	vm_vcpus_add(&fewer, 0, 90);
	vm_vcpus_add(&vcpus, 1, 91);
	vm_vcpus_add(&vcpus, 0, 90);
	assert_true(vm_vcpus_within(&fewer, &vcpus));
	assert_false(vm_vcpus_within(&vcpus, &fewer));
	vm_vcpus_clear(&vcpus);
	vm_vcpus_clear(&fewer);
}

static void test_one_ended(void **state)
{
	struct vm_vcpus vcpus = { 0 };

	(void)state;
	/* A vCPU is being unplugged: the others are still there. */
	assert_int_equal(vm_vcpus_by_name(&sys, 71, &vcpus), 0);
	assert_int_equal(vcpus.n, 3);
	assert_int_equal(vcpus.items[0].tid, 90);
	assert_int_equal(vcpus.items[1].tid, 91);
	assert_int_equal(vcpus.items[2].tid, 100);
	assert_int_equal(vcpus.items[2].index, 10);
	assert_int_equal(vcpus.items[2].start, 1000);
	vm_vcpus_clear(&vcpus);
}

static void test_verify(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	vm_vcpus_add(&vcpus, 0, 90);
	assert_int_equal(vm_vcpus_verify(&sys, 71, &vcpus, &err), 0);
	assert_int_equal(vcpus.items[0].start, 900);
	/* a thread of another process: what a lie over the socket would be */
	vm_vcpus_add(&vcpus, 1, 301);
	assert_int_equal(vm_vcpus_verify(&sys, 71, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "301"));
	vm_vcpus_clear(&vcpus);
}

/* The real machine: this process and its threads. */
static void *named_thread(void *pipe_end)
{
	char byte;

	pthread_setname_np(pthread_self(), "CPU 5/TCG");
	assert_int_equal(read(*(int *)pipe_end, &byte, 1), 0);
	return NULL;
}

static void test_real(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	unsigned long long start;
	pthread_t thread;
	struct sys real;
	int ends[2];

	(void)state;
	sys_open_real(&real, "");
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, named_thread, &ends[0]), 0);
	for (int i = 0; i < 100 && vcpus.n == 0; i++) {
		assert_int_equal(vm_vcpus_by_name(&real, getpid(), &vcpus), 0);
		usleep(10000);
	}
	assert_int_equal(vcpus.n, 1);
	assert_int_equal(vcpus.items[0].index, 5);
	assert_int_equal(vm_identity(&real, vcpus.items[0].tid, &start), 0);
	assert_int_equal(vcpus.items[0].start, start);
	assert_true(vm_is_descendant(&real, getpid(), getppid()));
	assert_false(vm_is_qemu(&real, getpid()));
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	vm_vcpus_clear(&vcpus);
	sys_close_real(&real);
}

static bool got(struct procevents *p, unsigned what, pid_t pid)
{
	struct pollfd poller = { .fd = p->fd, .events = POLLIN };
	struct procevent events[8];

	while (poll(&poller, 1, 500) > 0) {
		int n = procevents_read(p, events, ARRAY_SIZE(events));

		for (int i = 0; i < n; i++)
			if (events[i].what == what && events[i].pid == pid)
				return true;
	}
	return false;
}

static void test_events(void **state)
{
	struct procevents p;
	struct err err = { 0 };
	pthread_t thread;
	int ends[2];
	pid_t pid;

	(void)state;
	if (procevents_open(&p, &sys, PROCEVENTS_EXEC, 0, &err) < 0)
		fail_msg("this test needs root, and to be in no container: %s", err.text);
	pid = fork();
	if (pid == 0) {
		execlp("true", "true", NULL);
		_exit(1);
	}
	assert_true(got(&p, PROCEVENTS_EXEC, pid));
	waitpid(pid, NULL, 0);
	/* threads of this process, and no execs any more */
	assert_int_equal(procevents_choose(&p, PROCEVENTS_THREAD, getpid(), &err), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, named_thread, &ends[0]), 0);
	assert_true(got(&p, PROCEVENTS_THREAD, getpid()));
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
	pid = fork();
	if (pid == 0) {
		execlp("true", "true", NULL);
		_exit(1);
	}
	assert_false(got(&p, PROCEVENTS_EXEC, pid));
	waitpid(pid, NULL, 0);
	procevents_close(&p);
	procevents_close(&p);
}

/* In a network of its own nothing is heard, and the message says so. */
static void test_no_events(void **state)
{
	struct procevents p;
	struct err err = { 0 };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(unshare(CLONE_NEWNET) < 0					   ? 10
		      : procevents_open(&p, &sys, PROCEVENTS_EXEC, 0, &err) == 0   ? 11
		      : p.fd != -1						   ? 12
		      : !strstr(err.text, "this kernel reports no process events") ? 13
										   : (int)err.kind);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ERR_UNSUPPORTED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),	    cmocka_unit_test(test_process),
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_one_ended),
		cmocka_unit_test(test_verify),	    cmocka_unit_test(test_long_command),
		cmocka_unit_test(test_descendants), cmocka_unit_test(test_real),
		cmocka_unit_test(test_events),	    cmocka_unit_test(test_no_events),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
