/* SPDX-License-Identifier: MIT */
/*
 * The run of a VM from start to end with the real QEMU, which has a clock of its
 * own: it is found and asked, however it is started, and ends when we are told to.
 * All else about it is in test_supervise.c.
 */
#include "shield/vm/supervise.h"
#include "shield/vm/vm_vcpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/shield-test-XXXXXX";
static struct sys sys;

struct outcome {
	int rc, status;
	struct err err;
	size_t vcpus; /* that were to be pinned */
};

static int place(void *ctx, pid_t pid, bool vm, struct err *err)
{
	(void)ctx;
	(void)vm;
	(void)err;
	assert_true(pid > 0);
	return 0;
}

static int is_vm(void *ctx, pid_t qemu, struct err *err)
{
	return place(ctx, qemu, true, err);
}

static void signal_in_a_second(int number)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
	const struct itimerspec second = { .it_value.tv_sec = 1 };
	static timer_t timer;
	static bool made;

	if (!made)
		assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	made = true;
	/* After the last pin, if there is more than one. */
	assert_int_equal(timer_settime(timer, 0, &second, NULL), 0);
}

/* QEMU 7.2 may hang in monitor_cleanup() when it is told to end while a client asks it
 * for something, or leaves: give these two a second. */
static int pin(void *ctx, pid_t qemu, const struct vm_vcpus *vcpus, struct err *err)
{
	struct outcome *o = ctx;

	(void)qemu;
	(void)err;
	o->vcpus = vcpus->n;
	signal_in_a_second(SIGTERM);
	return 0;
}

static void abandon(void *ctx, pid_t qemu, const struct err *cause)
{
	(void)ctx;
	(void)qemu;
	fail_msg("abandoned: %s", cause->text);
}

static void note(void *ctx, const char *text)
{
	(void)ctx;
	fail_msg("%s", text);
}

static struct outcome run(char *const argv[])
{
	static const struct supervise_hooks hooks = {
		.place = place, .is_vm = is_vm, .pin = pin, .abandon = abandon, .note = note
	};
	_cleanup_free_ char *socket = xasprintf("%s/vm.qmp", dir);
	struct supervise_options options = { .argv = argv, .socket = socket, .qmp_timeout = 20 };
	struct outcome o = { 0 };
	struct child c;

	assert_int_equal(child_init(&c, &sys, &o.err), 0);
	o.rc = supervise(&c, &sys, &options, &hooks, &o, &o.status, &o.err);
	assert_false(c.running);
	child_deinit(&c);
	assert_int_equal(access(socket, F_OK), -1);
	return o;
}

/* The real one: named threads or not, its own monitor, a script. */
static void test_real_qemu(void **state)
{
	char *direct[] = { (char *)"qemu-system-x86_64",
			   (char *)"-accel",
			   (char *)"tcg",
			   (char *)"-smp",
			   (char *)"3",
			   (char *)"-nodefaults",
			   (char *)"-display",
			   (char *)"none",
			   NULL };
	char *single[] = { (char *)"qemu-system-x86_64",
			   (char *)"-accel",
			   (char *)"tcg,thread=single",
			   (char *)"-smp",
			   (char *)"2",
			   (char *)"-nodefaults",
			   (char *)"-display",
			   (char *)"none",
			   NULL };
	char *version[] = { (char *)"qemu-system-x86_64", (char *)"--version", NULL };
	char *wrong[] = { (char *)"qemu-system-x86_64", (char *)"-no-such-option", NULL };
	char *incoming[] = { (char *)"qemu-system-x86_64",
			     (char *)"-accel",
			     (char *)"tcg",
			     (char *)"-smp",
			     (char *)"2",
			     (char *)"-nodefaults",
			     (char *)"-display",
			     (char *)"none",
			     (char *)"-incoming",
			     (char *)"defer",
			     NULL };
	char *daemon[] = { (char *)"qemu-system-x86_64",
			   (char *)"-accel",
			   (char *)"tcg",
			   (char *)"-smp",
			   (char *)"2",
			   (char *)"-nodefaults",
			   (char *)"-display",
			   (char *)"none",
			   (char *)"-daemonize",
			   NULL };
	char *script[] = { (char *)"/bin/sh", (char *)"-c",
			   (char *)"qemu-system-x86_64 -accel tcg -smp 2 -nodefaults -display none "
				   "-name x,debug-threads=on",
			   NULL };
	char *monitor[] = { (char *)"/bin/sh", (char *)"-c", NULL, NULL };
	char **all[] = { direct, single, incoming, daemon, script, monitor };
	static const size_t vcpus[] = { 3, 1, 2, 2, 2, 2 };
	_cleanup_free_ char *line =
		xasprintf("cd %s; qemu-system-x86_64 -accel tcg -smp 2 -nodefaults "
			  "-display none -qmp unix:q,server=on,wait=off",
			  dir);
	struct outcome o;

	(void)state;
	monitor[2] = line;
	assert_int_equal(run(version).status, 0);
	o = run(wrong);
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 1);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		o = run(all[i]);
		if (o.rc < 0 || o.vcpus != vcpus[i])
			fail_msg("%zu: %zu vCPUs: %s", i, o.vcpus, o.err.text);
		assert_true(waitpid(-1, NULL, WNOHANG) < 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_real_qemu) };
	_cleanup_free_ char *monitor = NULL;
	int failed;

	if (!mkdtemp(dir))
		return 1;
	sys_open_real(&sys, "");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	monitor = xasprintf("%s/q", dir);
	unlink(monitor);
	rmdir(dir);
	sys_close_real(&sys);
	return failed;
}
