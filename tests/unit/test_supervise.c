/* SPDX-License-Identifier: MIT */
/*
 * The run of a VM from start to end, with hooks that only write down what they
 * were asked. QEMU is this test program itself: called qemu-system-x86_64, it
 * has threads named as QEMU's and a monitor. FAKE_QEMU chooses what it is bad
 * at. Called sleep, it sleeps. The clock is tests/fake/clock.h, so times are exact.
 * The real QEMU has its turn in test_qemu.c.
 */
#include "shield/sys/clock.h"
#include "shield/vm/supervise.h"
#include "shield/vm/vm_vcpus.h"
#include "tests/fake/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the fake QEMU ---- */

static pid_t vcpu_tids[16];
static int n_vcpus;

static void *vcpu(void *arg)
{
	char name[16];

	if (!getenv("FAKE_UNNAMED")) {
		snprintf(name, sizeof(name), "CPU %d/KVM", (int)(long)arg);
		prctl(PR_SET_NAME, name);
	}
	__atomic_store_n(&vcpu_tids[(long)arg], (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return NULL;
}

static void start_vcpu(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, vcpu, (void *)(long)n_vcpus);
	while (!__atomic_load_n(&vcpu_tids[n_vcpus], __ATOMIC_SEQ_CST))
		sched_yield();
	n_vcpus++;
}

static bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static void answer(int fd, char *line)
{
	char text[2048];
	int id, n;

	if (sscanf(strstr(line, "\"id\":"), "\"id\":%d", &id) != 1)
		_exit(99);
	if (strstr(line, "query-cpus-fast")) {
		n = snprintf(text, sizeof(text), "{\"id\": %d, \"return\": [", id);
		for (int i = 0; i < n_vcpus; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "%s{\"cpu-index\": %d, \"thread-id\": %d}", i ? ", " : "", i,
				      (int)vcpu_tids[i]);
		snprintf(text + n, sizeof(text) - (size_t)n, "]}\r\n");
	} else if (strstr(line, "query-iothreads")) {
		snprintf(text, sizeof(text), "{\"id\": %d, \"return\": []}\r\n", id);
	} else {
		snprintf(text, sizeof(text),
			 "{\"event\": \"X\"}\r\n{\"return\": {}, \"id\": %d}\r\n", id);
	}
	say(fd, text);
	if (strstr(line, "cont") && getenv("FAKE_LOG")) {
		FILE *log = fopen(getenv("FAKE_LOG"), "a");

		fprintf(log, "cont\n");
		fclose(log);
	}
}

static void serve(int listener)
{
	int fd = accept(listener, NULL, NULL);
	char line[512];
	FILE *in = fdopen(fd, "r");

	say(fd, "{\"QMP\": {\"version\": {}}}\r\n");
	while (fgets(line, sizeof(line), in))
		answer(fd, line);
	fclose(in);
}

static void *serve_for_ever(void *arg)
{
	for (;;)
		serve(*(int *)arg);
	return NULL;
}

static int monitor_of(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = -1;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "-readconfig") == 0) {
			char line[100];
			FILE *in = fopen(argv[i + 1], "r");

			while (in && fgets(line, sizeof(line), in))
				if (sscanf(line, " fd = \"%d\"", &fd) == 1)
					break;
			fclose(in);
		} else if (strcmp(argv[i], "-qmp") == 0) {
			fd = socket(AF_UNIX, SOCK_STREAM, 0);
			snprintf(address.sun_path, sizeof(address.sun_path), "%.*s",
				 (int)strcspn(argv[i + 1] + 5, ","), argv[i + 1] + 5);
			unlink(address.sun_path);
			if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			    listen(fd, 1) < 0)
				_exit(98);
		}
	}
	return fd;
}

/* How often the pin hook was called: a byte in a file for each. */
static long long pins(void)
{
	struct stat st;

	return stat(getenv("FAKE_PINS"), &st) < 0 ? 0 : st.st_size;
}

static void wait_until(bool (*done)(long long), long long arg, int ms)
{
	do
		clock_sleep(50);
	while ((ms -= 50) > 0 && !done(arg));
}

static bool pinned(long long number)
{
	return pins() >= number;
}

static bool continued(long long unused)
{
	(void)unused;
	return access(getenv("FAKE_LOG"), F_OK) == 0;
}

/* It lives until it was pinned and, where it has a monitor, let go. */
static int fake_qemu(int argc, char **argv)
{
	const char *mode = getenv("FAKE_QEMU");
	int listener = monitor_of(argc, argv);
	long long before = pins();
	pthread_t thread;

	mode = mode ? mode : "";
	if (strcmp(mode, "exit") == 0)
		return 17;
	if (strcmp(mode, "silent") == 0)
		pause();
	if (strcmp(mode, "stubborn") == 0)
		signal(SIGTERM, SIG_IGN);
	if (strcmp(mode, "garbage") == 0) {
		say(accept(listener, NULL, NULL), "hello\r\n");
		pause();
	}
	if (strcmp(mode, "daemon") == 0) {
		if (fork())
			_exit(0);
		setsid();
	}
	start_vcpu();
	start_vcpu();
	if (listener >= 0)
		pthread_create(&thread, NULL, serve_for_ever, &listener);
	wait_until(pinned, before + 1, 15000);
	if (strcmp(mode, "hotplug") == 0) {
		clock_sleep(100);
		start_vcpu();
		wait_until(pinned, before + 2, 15000);
	}
	if (strcmp(mode, "long") == 0 || strcmp(mode, "stubborn") == 0)
		clock_sleep(20000);
	if (listener >= 0)
		wait_until(continued, 0, 1500);
	clock_sleep(100);
	return strcmp(mode, "daemon") == 0 ? 5 : 3;
}

/* ---- the hooks ---- */

static struct sys sys;

struct record {
	char text[2000];
	int fail; /* the hook to fail: 'p'lace, 'v' is_vm, 'i' pin */
	int signal_at_pin;
	bool slow_pin; /* the first one takes its time */
	size_t vcpus;
	unsigned pins;
};

static void note_down(struct record *r, const char *fmt, ...) _printf_(2, 3);
static void note_down(struct record *r, const char *fmt, ...)
{
	size_t n = strlen(r->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->text + n, sizeof(r->text) - n, fmt, ap);
	va_end(ap);
}

static int place(void *ctx, pid_t pid, bool vm, struct err *err)
{
	struct record *r = ctx;

	assert_true(pid > 0);
	note_down(r, "place%s ", vm ? "-vm" : "");
	return r->fail == 'p' ? err_set(err, ERR_FAILED, "no place") : 0;
}

static int is_vm(void *ctx, pid_t qemu, struct err *err)
{
	struct record *r = ctx;

	assert_true(qemu > 0);
	note_down(r, "is_vm ");
	return r->fail == 'v' ? err_set(err, ERR_FAILED, "no VM") : 0;
}

static int pin(void *ctx, pid_t qemu, const struct vm_vcpus *vcpus, struct err *err)
{
	struct record *r = ctx;

	r->vcpus = vcpus->n;
	r->pins++;
	note_down(r, "pin%zu ", vcpus->n);
	for (size_t i = 0; i < vcpus->n; i++) {
		assert_int_equal(vcpus->items[i].index, i);
		assert_true(vcpus->items[i].start > 0);
		assert_int_equal(syscall(SYS_tgkill, qemu, vcpus->items[i].tid, 0), 0);
	}
	FILE *file = fopen(getenv("FAKE_PINS"), "a");
	fputc('x', file);
	fclose(file);
	if (r->slow_pin && r->pins == 1)
		sys_pause(&sys, 500);
	if (r->signal_at_pin)
		kill(getpid(), r->signal_at_pin);
	return r->fail == 'i' ? err_set(err, ERR_FAILED, "no CPU is left") : 0;
}

static void abandon(void *ctx, pid_t qemu, const struct err *cause)
{
	assert_true(qemu > 0);
	assert_true(*cause->text);
	note_down(ctx, "abandon ");
}

static void vm_ended(void *ctx, pid_t qemu)
{
	assert_true(qemu > 0);
	note_down(ctx, "ended ");
}

static void note(void *ctx, const char *text)
{
	assert_true(*text);
	note_down(ctx, "note ");
}

static const struct supervise_hooks hooks = { place, is_vm, pin, abandon, vm_ended, note };

/* ---- the tests ---- */

static char dir[] = "/tmp/shield-test-XXXXXX";
static char qemu[64], other[64], sleeper[64], socket_path[64], log_path[64], pins_path[64];
static char clock_path[64];

static int setup(void **state)
{
	char self[4096] = "";

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(qemu, sizeof(qemu), "%s/qemu-system-x86_64", dir);
	snprintf(other, sizeof(other), "%s/qemu-system-sleep", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/vm.qmp", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_int_equal(symlink(self, qemu), 0);
	assert_int_equal(symlink(self, other), 0);
	snprintf(sleeper, sizeof(sleeper), "%s/sleep", dir);
	assert_int_equal(symlink(self, sleeper), 0);
	setenv("FAKE_LOG", log_path, 1);
	snprintf(pins_path, sizeof(pins_path), "%s/pins", dir);
	setenv("FAKE_PINS", pins_path, 1);
	snprintf(clock_path, sizeof(clock_path), "%s/clock", dir);
	setenv("FAKE_CLOCK", clock_path, 1);
	clock_open(clock_path);
	sys_open_real(&sys, "");
	clock_sys(&sys);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(qemu);
	unlink(other);
	unlink(sleeper);
	unlink(clock_path);
	unlink(log_path);
	unlink(pins_path);
	/* The socket is gone already, or this fails. */
	assert_int_equal(rmdir(dir), 0);
	sys_close_real(&sys);
	return 0;
}

struct outcome {
	int rc, status;
	struct err err;
	struct record r;
	bool cont;
	long long ms;
};

static struct outcome run_with(struct supervise_options options, char *const argv[],
			       const char *mode, struct record r)
{
	struct outcome o = { .r = r };
	struct child c;
	long long begun = clock_now();

	unlink(log_path);
	if (mode)
		setenv("FAKE_QEMU", mode, 1);
	else
		unsetenv("FAKE_QEMU");
	options.argv = argv;
	options.socket = socket_path;
	assert_int_equal(child_init(&c, &sys, &o.err), 0);
	o.rc = supervise(&c, &sys, &options, &hooks, &o.r, &o.status, &o.err);
	assert_false(c.running);
	child_deinit(&c);
	o.cont = access(log_path, F_OK) == 0;
	o.ms = clock_now() - begun;
	assert_int_equal(access(socket_path, F_OK), -1);
	if (o.rc < 0)
		assert_true(*o.err.text);
	return o;
}

static struct outcome run(char *const argv[], const char *mode)
{
	return run_with((struct supervise_options){ .qmp_timeout = 10 }, argv, mode,
			(struct record){ 0 });
}

static struct outcome run_shell(const char *script, const char *mode)
{
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, (char *)"sh", qemu,
			 sleeper,	    NULL };

	return run(argv, mode);
}

/* No child of ours may be left; returns false if there was one. */
static bool all_gone(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0;
}

static void test_other_command(void **state)
{
	char *nothing[] = { (char *)"no-such-command-at-all", NULL };
	char *refused[] = { dir, NULL };
	struct outcome o;

	(void)state;
	o = run_shell("exit 42", NULL);
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 42);
	assert_string_equal(o.r.text, "place ");
	o = run_shell("kill -SEGV $$", NULL);
	assert_int_equal(o.status, 128 + SIGSEGV);
	o = run(nothing, NULL);
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 127);
	o = run(refused, NULL);
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 126);
	/* what it leaves in the background is not waited for */
	o = run_shell("\"$2\" 4 & exit 4", NULL);
	assert_int_equal(o.status, 4);
	assert_int_equal(o.ms, 2000);
	sys_pause(&sys, 4000);
	assert_true(waitpid(-1, NULL, 0) > 0);
}

static void test_no_place(void **state)
{
	char *argv[] = { qemu, NULL };
	struct outcome o;

	(void)state;
	o = run_with((struct supervise_options){ 0 }, argv, NULL, (struct record){ .fail = 'p' });
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 125);
	assert_string_equal(o.err.text, "no place");
	assert_true(all_gone());
}

static void test_direct(void **state)
{
	char *argv[] = { qemu, (char *)"-name", (char *)"x", NULL };
	char *frozen[] = { qemu, (char *)"-S", NULL };
	char *nothing[] = { (char *)"/no/such/qemu-kvm", NULL };
	struct outcome o = run(argv, "");

	(void)state;
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 3);
	assert_string_equal(o.r.text, "place-vm pin2 ended ");
	assert_true(o.cont);
	assert_int_equal(o.ms, 200);
	/* The user froze it, and will let it go himself. */
	o = run(frozen, "");
	assert_int_equal(o.status, 3);
	assert_string_equal(o.r.text, "place-vm pin2 ended ");
	assert_false(o.cont);
	assert_int_equal(o.ms, 1650);
	/* a QEMU that does not start has its own status and message */
	o = run(argv, "exit");
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 17);
	assert_string_equal(o.r.text, "place-vm ");
	o = run(nothing, "");
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 127);
	assert_true(all_gone());
}

static void test_daemon(void **state)
{
	char *argv[] = { qemu, (char *)"-daemonize", NULL };
	struct outcome o = run(argv, "daemon");

	(void)state;
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 5); /* the daemon's, as its starter had 0 */
	assert_string_equal(o.r.text, "place-vm pin2 ended ");
	assert_true(o.cont);
	assert_int_equal(o.ms, 200);
	assert_true(all_gone());
}

static void test_monitor_fails(void **state)
{
	static const char *const modes[] = { "silent", "garbage" };
	/* Silent: the second that it has. Both: two more, should it be about to end. */
	static const long long times[] = { 3000, 2000 };
	char *argv[] = { qemu, NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		struct outcome o = run_with((struct supervise_options){ .qmp_timeout = 1 }, argv,
					    modes[i], (struct record){ 0 });

		assert_int_equal(o.rc, -1);
		assert_int_equal(o.status, 125);
		assert_string_equal(o.r.text, "place-vm ended ");
		assert_int_equal(o.ms, times[i]);
		assert_true(all_gone());
	}
}

static void test_pin_fails(void **state)
{
	char *argv[] = { qemu, NULL };
	struct outcome o;

	(void)state;
	o = run_with((struct supervise_options){ 0 }, argv, "long", (struct record){ .fail = 'i' });
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 125);
	assert_string_equal(o.err.text, "no CPU is left");
	assert_false(o.cont);
	assert_int_equal(o.ms, 0);
	assert_true(all_gone());
	/* kept: it runs, without a shield */
	o = run_with((struct supervise_options){ .keep = true }, argv, "",
		     (struct record){ .fail = 'i' });
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 3);
	assert_string_equal(o.r.text, "place-vm pin2 abandon ended ");
	assert_true(o.cont);
	assert_int_equal(o.ms, 200);
	/* one that ignores SIGTERM */
	o = run_with((struct supervise_options){ 0 }, argv, "stubborn",
		     (struct record){ .fail = 'i' });
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.ms, 5000); /* then SIGKILL */
	assert_true(all_gone());
}

static void test_hotplug(void **state)
{
	char *argv[] = { qemu, NULL };
	struct outcome o = run(argv, "hotplug");

	(void)state;
	assert_int_equal(o.rc, 0);
	assert_string_equal(o.r.text, "place-vm pin2 pin3 ended ");
	assert_int_equal(o.ms, 1200);
	o = run_shell("\"$1\"; exit 6", "hotplug");
	assert_int_equal(o.status, 6);
	assert_string_equal(o.r.text, "place is_vm pin2 pin3 ended ");
	assert_int_equal(o.ms, 1500);
	/* one that is started before we listen for new threads */
	o = run_with((struct supervise_options){ 0 }, argv, "hotplug",
		     (struct record){ .slow_pin = true });
	assert_string_equal(o.r.text, "place-vm pin2 pin3 ended ");
	assert_int_equal(o.ms, 1700);
}

static void test_wrapper(void **state)
{
	struct outcome o;

	(void)state;
	o = run_shell("exec \"$1\"", "");
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 3);
	assert_string_equal(o.r.text, "place is_vm pin2 ended ");
	assert_false(o.cont);
	assert_int_equal(o.ms, 350);
	/* asked for its version first; twice a VM; its own status at the end */
	o = run_shell("FAKE_QEMU=exit \"$1\" -version; \"$1\"; \"$1\"; exit 11", "");
	assert_int_equal(o.status, 11);
	assert_string_equal(o.r.text, "place is_vm pin2 ended is_vm pin2 ended ");
	/* A look is made when the first one has ended: is the second there by then? */
	assert_in_range(o.ms, 600, 700);
	/* left in the background */
	o = run_shell("setsid \"$1\" & exit 0", "");
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 3);
	assert_string_equal(o.r.text, "place is_vm pin2 ended ");
	o = run_shell("(setsid \"$1\" &) ; exit 9", "");
	assert_int_equal(o.status, 9);
	assert_string_equal(o.r.text, "place is_vm pin2 ended ");
	assert_in_range(o.ms, 250, 350); /* likewise, for the shell has ended */
	assert_true(all_gone());
}

/* Threads without names: by the monitor, or not at all. */
static void test_unnamed(void **state)
{
	char script[200];
	struct outcome o;
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"exec \"$1\" 30",
			 (char *)"sh",	    other,	  NULL };
	char *brief[] = { (char *)"/bin/sh", (char *)"-c", (char *)"exec \"$1\" 2",
			  (char *)"sh",	     other,	   NULL };

	(void)state;
	setenv("FAKE_UNNAMED", "1", 1);
	snprintf(script, sizeof(script), "cd %s; \"$1\" -qmp unix:q,server=on,wait=off; rm q", dir);
	o = run_shell(script, "");
	assert_int_equal(o.rc, 0);
	assert_string_equal(o.r.text, "place is_vm pin2 ended ");
	unsetenv("FAKE_UNNAMED");
	/* called QEMU, but no threads of it: killed or kept */
	o = run_with((struct supervise_options){ .qmp_timeout = 1 }, argv, NULL,
		     (struct record){ 0 });
	assert_int_equal(o.rc, -1);
	assert_int_equal(o.status, 125);
	assert_non_null(strstr(o.err.text, "debug-threads=on"));
	assert_string_equal(o.r.text, "place ended ");
	assert_int_equal(o.ms, 1000);
	assert_true(all_gone());
	o = run_with((struct supervise_options){ .qmp_timeout = 1, .keep = true }, brief, NULL,
		     (struct record){ 0 });
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.r.text, "place abandon ended ");
	assert_int_equal(o.ms, 2000); /* its own end */
}

static void test_wrapper_pin_fails(void **state)
{
	struct outcome o;
	char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"\"$1\"; exit 4",
			 (char *)"sh",	    qemu,	  NULL };

	(void)state;
	o = run_with((struct supervise_options){ 0 }, argv, "long", (struct record){ .fail = 'v' });
	assert_int_equal(o.rc, -1);
	assert_string_equal(o.err.text, "no VM");
	assert_string_equal(o.r.text, "place is_vm ended ");
	assert_int_equal(o.ms, 200);
	assert_true(all_gone());
	o = run_with((struct supervise_options){ .keep = true }, argv, "",
		     (struct record){ .fail = 'i' });
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 4);
	assert_string_equal(o.r.text, "place is_vm pin2 abandon ended ");
	assert_true(all_gone());
}

/* SIGTERM reaches the VM, wherever it is. */
static void test_signals(void **state)
{
	struct record term = { .signal_at_pin = SIGTERM };
	struct supervise_options options = { 0 };
	char *direct[] = { qemu, NULL };
	char *script[] = { (char *)"/bin/sh", (char *)"-c", (char *)"\"$1\"; exit 4",
			   (char *)"sh",      qemu,	    NULL };
	char *left[] = { (char *)"/bin/sh", (char *)"-c", (char *)"setsid \"$1\" & exit 0",
			 (char *)"sh",	    qemu,	  NULL };
	struct outcome o;

	(void)state;
	o = run_with(options, direct, "long", term);
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 128 + SIGTERM);
	assert_int_equal(o.ms, 0);
	/* The shell dies of it and leaves the VM, which gets it then. */
	o = run_with(options, script, "long", term);
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 128 + SIGTERM);
	assert_string_equal(o.r.text, "place is_vm pin2 ended ");
	assert_int_equal(o.ms, 200);
	/* The command is long gone. */
	o = run_with(options, left, "long", term);
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 128 + SIGTERM);
	assert_in_range(o.ms, 100, 200);
	assert_true(all_gone());
}

/* A QEMU whose monitor is silent, and SIGTERM for us after a while. */
static struct outcome run_silent(struct supervise_options options, unsigned term_ms)
{
	char *argv[] = { qemu, NULL };
	struct outcome o;
	pid_t self = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		clock_sleep(term_ms);
		kill(self, SIGTERM);
		_exit(0);
	}
	o = run_with(options, argv, "silent", (struct record){ 0 });
	waitpid(pid, NULL, 0); /* the helper, if supervise did not reap it */
	return o;
}

/* It is kept, but cannot be let run. */
static void test_kept_frozen(void **state)
{
	struct outcome o =
		run_silent((struct supervise_options){ .qmp_timeout = 1, .keep = true }, 4000);

	(void)state;
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 128 + SIGTERM);
	assert_string_equal(o.r.text, "place-vm abandon note ended ");
	assert_int_equal(o.ms, 4000);
	assert_true(all_gone());
}

/* While QEMU's monitor is silent, Ctrl-C and friends still work. */
static void test_signal_while_starting(void **state)
{
	struct outcome o = run_silent((struct supervise_options){ .qmp_timeout = 20 }, 300);

	(void)state;
	assert_int_equal(o.rc, 0);
	assert_int_equal(o.status, 128 + SIGTERM);
	assert_string_equal(o.r.text, "place-vm ");
	assert_int_equal(o.ms, 300);
	assert_true(all_gone());
}

static bool is_sleep(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, "sleep") == 0;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_command),
		cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_monitor_fails),
		cmocka_unit_test(test_pin_fails),
		cmocka_unit_test(test_hotplug),
		cmocka_unit_test(test_wrapper),
		cmocka_unit_test(test_unnamed),
		cmocka_unit_test(test_wrapper_pin_fails),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_kept_frozen),
		cmocka_unit_test(test_signal_while_starting),
	};

	if (getenv("FAKE_CLOCK"))
		clock_open(getenv("FAKE_CLOCK"));
	if (argc == 2 && is_sleep(argv[0]))
		return clock_sleep(1000 * atoi(argv[1])), 0;
	if (vm_is_qemu_command(argv[0]))
		return fake_qemu(argc, argv);
	return cmocka_run_group_tests(tests, setup, teardown);
}
