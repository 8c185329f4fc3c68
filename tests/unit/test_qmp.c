/* SPDX-License-Identifier: MIT */
/*
 * QMP against servers that behave, that misbehave, and that are hostile. A fake
 * server is a socketpair: what it will say is written beforehand, in pieces by
 * another process where the pieces matter.
 */
#include "shield/base/deadline.h"
#include "shield/vm/qmp.h"
#include "shield/vm/qmp_launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GREETING                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
	"\"package\": \"Debian } 1:7.2\\\"\"}, \"capabilities\": [\"oob\"]}}\r\n"
#define READY GREETING "{\"return\": {}, \"id\": 1}\r\n"
#define EVENT "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"RESUME\"}\r\n"
#define CPU(index, tid)                                                                              \
	"{\"thread-id\": " #tid ", \"props\": {\"core-id\": " #index ", \"thread-id\": 0, "          \
	"\"socket-id\": 0}, \"qom-path\": \"/machine/unattached/device[0]\", \"cpu-index\": " #index \
	", \"target\": \"x86_64\"}"
#define CPUS "{\"return\": [" CPU(1, 101) ", " CPU(0, 100) "], \"id\": 2}\r\n"

static struct sys sys; /* for its clock */

/* A server that says this and, if `end`, closes its side. */
static int server(const char *text, size_t size, bool end, int *other)
{
	int ends[2], big = 4 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	if (size)
		assert_true(send(ends[1], text, size, MSG_DONTWAIT) > 0);
	if (end)
		shutdown(ends[1], SHUT_WR);
	*other = ends[1];
	return ends[0];
}

/* The same as a process of its own, which needs not fit the socket's buffer. */
static int speaker(const char *text, size_t piece, unsigned repeat, pid_t *pid)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	*pid = fork();
	if (*pid == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_DFL);
		for (; repeat; repeat--)
			for (size_t at = 0; at < strlen(text); at += piece) {
				size_t n = strnlen(text + at, piece);

				if (write(ends[1], text + at, n) < 0)
					_exit(1);
				if (piece < 64)
					usleep(200);
			}
		pause();
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* attach and query the vCPUs; the result of whichever failed */
static int query(int fd, int ms, struct vm_vcpus *vcpus, struct err *err)
{
	long long deadline = deadline_in(ms);
	struct qmp q;
	int rc = qmp_attach(&q, &sys, fd, NULL, NULL, deadline, err);

	if (rc == 0)
		rc = qmp_vcpus(&q, deadline, vcpus, err);
	qmp_close(&q);
	return rc;
}

static int query_text(const char *text, struct vm_vcpus *vcpus, struct err *err)
{
	int other, fd = server(text, strlen(text), true, &other);
	int rc = query(fd, 2000, vcpus, err);

	close(other);
	return rc;
}

static void test_vcpus(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(query_text(READY CPUS, &vcpus, &err), 0);
	assert_int_equal(vcpus.n, 2);
	assert_int_equal(vcpus.items[0].index, 0);
	assert_int_equal(vcpus.items[0].tid, 100);
	assert_int_equal(vcpus.items[0].count, 1);
	assert_int_equal(vcpus.items[1].index, 1);
	assert_int_equal(vcpus.items[1].tid, 101);
	assert_int_equal(vcpus.items[1].core, 1);
	assert_int_equal(vcpus.items[1].thread, 0);
	/* events and replies to others come in between */
	assert_int_equal(query_text(EVENT GREETING EVENT "{\"return\": {}, \"id\": 1}" EVENT
							 "{\"return\": [], \"id\": 77}" CPUS,
				    &vcpus, &err),
			 0);
	assert_int_equal(vcpus.n, 2);
	/* one TCG thread that serves them all */
	assert_int_equal(query_text(READY "{\"return\": [" CPU(1, 7) "," CPU(0, 7) "], \"id\": 2}",
				    &vcpus, &err),
			 0);
	assert_int_equal(vcpus.n, 1);
	assert_int_equal(vcpus.items[0].index, 0);
	assert_int_equal(vcpus.items[0].count, 2);
	/* none */
	assert_int_equal(query_text(READY "{\"return\": [], \"id\": 2}", &vcpus, &err), 0);
	assert_int_equal(vcpus.n, 0);
	vm_vcpus_clear(&vcpus);
}

/* The vCPUs, then the I/O threads; the result of whichever failed. */
static int query_both(const char *iothreads, struct vm_vcpus *vcpus, struct err *err)
{
	_cleanup_free_ char *text = xasprintf("%s%s%s", READY CPUS, EVENT, iothreads);
	int other, fd = server(text, strlen(text), true, &other);
	long long deadline = deadline_in(2000);
	struct qmp q;
	int rc = qmp_attach(&q, &sys, fd, NULL, NULL, deadline, err);

	if (rc == 0)
		rc = qmp_vcpus(&q, deadline, vcpus, err);
	if (rc == 0)
		rc = qmp_iothreads(&q, deadline, vcpus, err);
	qmp_close(&q);
	close(other);
	return rc;
}

#define IO(id, tid) "{\"id\": \"" id "\", \"thread-id\": " #tid ", \"poll-max-ns\": 32768}"
#define IOS(list) "{\"return\": [" list "], \"id\": 3}"

static void test_iothreads(void **state)
{
	static const char *const bad_ones[] = {
		IOS("{}"),
		IOS("1"),
		IOS(IO("a", 0)),
		IOS(IO("a", -1)),
		IOS(IO("a", 4294967297)),
		IOS("{\"id\": 5, \"thread-id\": 7}"),
		"{\"return\": {}, \"id\": 3}",
	};
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	/* QEMU names them in any order. */
	assert_int_equal(query_both(IOS(IO("io10", 110) "," IO("io2", 102) "," IO("io1", 101)),
				    &vcpus, &err),
			 0);
	assert_int_equal(vcpus.n, 2);
	assert_int_equal(vcpus.n_iothreads, 3);
	assert_string_equal(vcpus.iothreads[0].id, "io1");
	assert_string_equal(vcpus.iothreads[1].id, "io2");
	assert_int_equal(vcpus.iothreads[1].tid, 102);
	assert_string_equal(vcpus.iothreads[2].id, "io10");
	assert_int_equal(query_both(IOS(""), &vcpus, &err), 0);
	assert_int_equal(vcpus.n_iothreads, 0);
	assert_int_equal(
		query_both("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, "
			   "\"id\": 3}",
			   &vcpus, &err),
		1);
	for (size_t i = 0; i < ARRAY_SIZE(bad_ones); i++) {
		assert_int_equal(query_both(bad_ones[i], &vcpus, &err), -1);
		if (!strstr(err.text, "no sense"))
			fail_msg("\"%s\": %s", bad_ones[i], err.text);
	}
	vm_vcpus_clear(&vcpus);
}

static void test_pieces(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };
	pid_t pid;

	(void)state;
	for (size_t piece = 1; piece < 50; piece += 7) {
		int fd = speaker(READY EVENT CPUS, piece, 1, &pid);

		assert_int_equal(query(fd, 10000, &vcpus, &err), 0);
		assert_int_equal(vcpus.n, 2);
		stop(pid);
	}
	vm_vcpus_clear(&vcpus);
}

/* Several lines a message, as with -qmp-pretty. */
static void test_pretty(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(
		query_text("{\n    \"QMP\": {\n        \"version\": {}\n    }\n}\n"
			   "{\n    \"return\": {\n    },\n    \"id\": 1\n}\n"
			   "{\n  \"return\": [\n {\n \"cpu-index\": 3,\n \"thread-id\": 9\n"
			   "}\n],\n\"id\": 2\n}\n",
			   &vcpus, &err),
		0);
	assert_int_equal(vcpus.n, 1);
	assert_int_equal(vcpus.items[0].index, 3);
	assert_int_equal(vcpus.items[0].core, -1);
	vm_vcpus_clear(&vcpus);
}

static void test_refused(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	assert_int_equal(query_text(READY "{\"error\": {\"class\": \"GenericError\", \"desc\": "
					  "\"only in \\u001b[31m preconfig\"}, \"id\": 2}",
				    &vcpus, &err),
			 1);
	assert_non_null(strstr(err.text, "preconfig"));
	assert_null(strchr(err.text, '\033'));
	assert_int_equal(query_text(GREETING "{\"error\": {}, \"id\": 1}", &vcpus, &err), -1);
}

static void test_status(void **state)
{
	static const char text[] =
		READY "{\"return\": {\"status\": \"prelaunch\"}, \"id\": 2}"
		      "{\"return\": {\"status\": 5}, \"id\": 3}"
		      "{\"return\": {\"status\": \"0123456789012345678901234567890123\"},"
		      "\"id\": 4}{\"return\": {}, \"id\": 5}" EVENT EVENT;
	int other, fd = server(text, sizeof(text) - 1, false, &other);
	long long deadline = deadline_in(2000);
	struct err err = { 0 };
	struct qmp q;
	char status[32], sent[400];
	ssize_t n;

	(void)state;
	assert_int_equal(qmp_attach(&q, &sys, fd, NULL, NULL, deadline, &err), 0);
	assert_int_equal(qmp_status(&q, deadline, status, &err), 0);
	assert_string_equal(status, "prelaunch");
	assert_int_equal(qmp_status(&q, deadline, status, &err), 0);
	assert_string_equal(status, "unknown");
	assert_int_equal(qmp_status(&q, deadline, status, &err), 0);
	assert_string_equal(status, "0123456789012345678901234567890");
	assert_int_equal(qmp_cont(&q, deadline, &err), 0);
	qmp_drain(&q);
	assert_true(q.fd >= 0);
	n = read(other, sent, sizeof(sent) - 1);
	assert_true(n > 0);
	sent[n] = '\0';
	assert_string_equal(sent, "{\"execute\":\"qmp_capabilities\",\"id\":1}\n"
				  "{\"execute\":\"query-status\",\"id\":2}\n"
				  "{\"execute\":\"query-status\",\"id\":3}\n"
				  "{\"execute\":\"query-status\",\"id\":4}\n"
				  "{\"execute\":\"cont\",\"id\":5}\n");
	close(other);
	qmp_drain(&q);
	assert_int_equal(q.fd, -1);
	assert_int_equal(qmp_cont(&q, deadline, &err), -1);
	qmp_close(&q);
}

/* clang-format off */
static const struct {
	const char *text, *says;
} bad[] = {
	{ "",						"closed" },
	{ "{\"QMP\": {",				"closed" },
	{ GREETING,					"closed" },
	{ READY,					"closed" },
	{ READY "{\"return\": [" CPU(1, 101),		"closed" },
	{ "QEMU 7.2.22 monitor - type 'help'\r\n(qemu) ","people" },
	{ "[1, 2]",					"people" },
	{ "}",						"people" },
	{ "\"QMP\"",					"people" },
	{ "{\"QMP\": {]}",				"people" },
	{ "{\"QMP\": {}, \"QMP\": {}}",			"people" },
	{ "{\"QMP\": {\"a\": \"\xff\"}}",		"people" },
	{ "{'QMP': {}}",				"people" },
	{ "{\"QMP\": []}",				"closed" },
	{ READY "{\"id\": 2}",				"people" },
	{ READY "{\"return\": {}, \"id\": 2}",		"no sense" },
	{ READY "{\"return\": [1], \"id\": 2}",		"no sense" },
	{ READY "{\"return\": [{}], \"id\": 2}",	"no sense" },
	{ READY "{\"return\": [" CPU(0, 0) "], \"id\": 2}",		"no sense" },
	{ READY "{\"return\": [" CPU(0, -5) "], \"id\": 2}",		"no sense" },
	{ READY "{\"return\": [" CPU(0, 4294967297) "], \"id\": 2}",	"no sense" },
	{ READY "{\"return\": [" CPU(-1, 5) "], \"id\": 2}",		"no sense" },
	{ READY "{\"return\": [" CPU(99999999, 5) "], \"id\": 2}",	"no sense" },
	{ READY "{\"return\": [{\"thread-id\": \"5\", \"cpu-index\": 0}], \"id\": 2}", "no sense" },
	{ READY "{\"return\": [{\"thread-id\": 5, \"cpu-index\": 0.5}], \"id\": 2}",  "no sense" },
	{ READY "{\"return\": [], \"id\": 99999999999999999999999999}", "people" },
};
/* clang-format on */

static void test_bad(void **state)
{
	struct vm_vcpus vcpus = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err err = { 0 };

		assert_int_equal(query_text(bad[i].text, &vcpus, &err), -1);
		if (!strstr(err.text, bad[i].says))
			fail_msg("\"%s\": %s", bad[i].text, err.text);
		assert_int_equal(vcpus.n, 0);
	}
}

static void test_deep(void **state)
{
	char text[5000] = "{\"QMP\": ";
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };

	(void)state;
	memset(text + strlen(text), '[', 4000);
	assert_int_equal(query_text(text, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "people"));
}

/* Silence, and talk without end, stop at the deadline; a message without end
 * stops at its limit. */
static void test_deadline(void **state)
{
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };
	long long begun = deadline_in(0);
	int other, fd = server("", 0, false, &other);
	pid_t pid;

	(void)state;
	assert_int_equal(query(fd, 100, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "does not answer"));
	close(other);
	fd = server(READY, strlen(READY), false, &other);
	assert_int_equal(query(fd, 100, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "does not answer"));
	close(other);
	fd = speaker(EVENT EVENT EVENT, 4096, 100000000, &pid);
	assert_int_equal(query(fd, 100, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "does not answer"));
	stop(pid);
	fd = speaker(READY "{\"return\": \"", 4096, 1, &pid);
	assert_int_equal(query(fd, 100, &vcpus, &err), -1);
	stop(pid);
	assert_true(deadline_in(0) - begun < 3000);
}

static void test_limit(void **state)
{
	size_t size = QMP_MESSAGE_MAX + 100000;
	char *text = xmalloc(size + 1);
	struct vm_vcpus vcpus = { 0 };
	struct err err = { 0 };
	pid_t pid;
	int fd;

	(void)state;
	memset(text, 'x', size);
	memcpy(text, "{\"", 2);
	text[size] = '\0';
	fd = speaker(text, 65536, 1, &pid);
	assert_int_equal(query(fd, 5000, &vcpus, &err), -1);
	assert_non_null(strstr(err.text, "1024 KiB"));
	stop(pid);
	free(text);
}

static int give_up(void *ctx, int fd, short events, int timeout_ms, struct err *err)
{
	(void)fd;
	(void)events;
	(void)timeout_ms;
	++*(int *)ctx;
	return err_set(err, ERR_FAILED, "QEMU has ended");
}

/* The caller's own waiting, which knows that QEMU died. */
static void test_wait(void **state)
{
	int calls = 0, other, fd = server("", 0, false, &other);
	struct err err = { 0 };
	struct qmp q;

	(void)state;
	assert_int_equal(qmp_attach(&q, &sys, fd, give_up, &calls, deadline_in(60000), &err), -1);
	assert_int_equal(calls, 1);
	assert_string_equal(err.text, "QEMU has ended");
	assert_int_equal(q.fd, -1);
	close(other);
}

static unsigned random_state = 12345;

static unsigned next_random(void)
{
	random_state = random_state * 1103515245 + 12345;
	return random_state >> 8;
}

/* A good conversation with a few bytes changed, cut or doubled: any answer is
 * fine but a crash, a hang or a list that makes no sense. */
static void test_fuzz(void **state)
{
	static const char good[] = READY EVENT CPUS;
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct vm_vcpus vcpus = { 0 };
		struct err err = { 0 };
		char text[2 * sizeof(good)];
		size_t n = sizeof(good) - 1;
		int other, fd;

		memcpy(text, good, n);
		for (unsigned changes = next_random() % 4; changes; changes--) {
			size_t at = next_random() % n, many;

			switch (next_random() % 4) {
			case 0:
				text[at] = (char)next_random();
				break;
			case 1:
				text[at] = "{}[]\",:\\0-e\n"[next_random() % 12];
				break;
			case 2:
				n = at + 1;
				break;
			default:
				many = next_random() % (sizeof(good) / 4);
				many = at + many > n ? n - at : many;
				if (n + many <= sizeof(text)) {
					memmove(text + at + many, text + at, n - at);
					n += many;
				}
			}
		}
		fd = server(text, n, true, &other);
		if (query(fd, 1000, &vcpus, &err) == 0)
			accepted++;
		else
			assert_true(*err.text);
		for (size_t v = 0; v < vcpus.n; v++)
			assert_true(vcpus.items[v].tid > 0 && vcpus.items[v].index <= 65535);
		vm_vcpus_clear(&vcpus);
		close(other);
	}
	assert_true(accepted > 4000); /* or nothing was tried */
}

static void test_launch(void **state)
{
	char dir[] = "/tmp/shield-test-XXXXXX", path[64];
	char *plain[] = { (char *)"qemu-system-x86_64", (char *)"-append", (char *)"-S", NULL };
	char *frozen[] = { (char *)"qemu-system-x86_64", (char *)"-S", NULL };
	char *incoming[] = { (char *)"kvm", (char *)"--incoming", (char *)"defer", NULL };
	char *preconfig[] = { (char *)"kvm", (char *)"-preconfig", NULL };
	char **held[] = { frozen, incoming, preconfig };
	struct qmp_launch launch;
	struct err err = { 0 };
	struct stat st;
	struct qmp q;
	char text[400] = "";

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/vm.qmp", dir);
	assert_int_equal(qmp_launch_prepare(&launch, plain, path, &err), 0);
	assert_true(launch.frozen);
	assert_int_equal(launch.argv.n, 6);
	assert_string_equal(launch.argv.items[3], "-readconfig");
	assert_string_equal(launch.argv.items[5], "-S");
	assert_null(launch.argv.items[6]);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(pread(launch.keep[1], text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "[mon \"shield-qmp\"]"));
	/* it listens already: connecting works, an answer does not come */
	assert_int_equal(qmp_connect(&q, &sys, path, NULL, NULL, deadline_in(50), &err), -1);
	assert_non_null(strstr(err.text, "does not answer"));
	qmp_launch_started(&launch);
	assert_int_equal(qmp_connect(&q, &sys, path, NULL, NULL, deadline_in(50), &err), -1);
	assert_non_null(strstr(err.text, "cannot connect"));
	/* over a left-over one */
	struct qmp_launch again;
	for (size_t i = 0; i < ARRAY_SIZE(held); i++) {
		assert_int_equal(qmp_launch_prepare(&again, held[i], path, &err), 0);
		assert_false(again.frozen);
		assert_int_equal(qmp_has_option(again.argv.items, "S"), i == 0);
		qmp_launch_clear(&again);
	}
	qmp_launch_clear(&launch);
	assert_int_equal(stat(path, &st), -1);
	rmdir(dir);
	assert_int_equal(qmp_launch_prepare(&launch, plain, path, &err), -1);
	assert_non_null(strstr(err.text, path));
	memset(text, 'x', 200);
	text[200] = '\0';
	assert_int_equal(qmp_launch_prepare(&launch, plain, text, &err), -1);
	assert_int_equal(err.kind, ERR_USAGE);
	assert_int_equal(qmp_connect(&q, &sys, text, NULL, NULL, deadline_in(50), &err), -1);
}

/* clang-format off */
static const struct {
	const char *line, *paths;
} lines[] = {
	{ "qemu -qmp unix:/a/b,server=on,wait=off",		"/a/b" },
	{ "qemu --qmp unix:/a/b,server,nowait -S",		"/a/b" },
	{ "qemu -qmp-pretty unix:./q,wait=off,server=on",	"./q" },
	{ "qemu -qmp unix:a,,b,server=on,wait=no",		"a,b" },
	{ "qemu -qmp unix:/a -qmp tcp:localhost:4444,server=on,wait=off", "" },
	{ "qemu -qmp unix:/a,server=on",			"" },
	{ "qemu -qmp unix:/a,server=on,wait=on",		"" },
	{ "qemu -qmp unix:/a,server=on,wait=off,abstract=on",	"" },
	{ "qemu -qmp unix:/a,server=on,wait=off -qmp unix:/b,server,nowait -qmp unix:/a,server,nowait", "/a /b" },
	{ "qemu -monitor unix:/a,server,nowait",		"" },
	{ "qemu -append -qmp -S unix:/a,server,nowait",		"" },
	{ "qemu -chardev socket,id=m,path=/c,server=on,wait=off -mon chardev=m,mode=control", "/c" },
	{ "qemu -mon m,mode=control -chardev socket,path=/c,nowait,server,id=m", "/c" },
	{ "qemu -mon chardev=m,mode=readline -chardev socket,path=/c,nowait,server,id=m", "" },
	{ "qemu -mon chardev=m -chardev socket,path=/c,nowait,server,id=m", "" },
	{ "qemu -mon chardev=n,mode=control -chardev socket,path=/c,nowait,server,id=m", "" },
	{ "qemu -chardev socket,id=m,fd=22,server=on,wait=off -mon chardev=m,mode=control", "" },
	{ "qemu -chardev pty,id=m,path=/c,server=on,wait=off -mon chardev=m,mode=control", "" },
	{ "qemu -chardev backend=socket,id=m,path=/c,server=on,wait=off -qmp chardev:m", "/c" },
	{ "qemu -qmp",						"" },
	{ "qemu -mon",						"" },
	{ "qemu -mon , -chardev ,,, -qmp unix:",		"" },
	{ "qemu",						"" },
};
/* clang-format on */

static void test_find(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char *text = xstrdup(lines[i].line), *rest = text, *joined = xstrdup("");
		struct strv argv = { 0 }, paths = { 0 };

		while (rest)
			strv_add(&argv, strsep(&rest, " "));
		GROW(argv.items, argv.n, argv.cap);
		qmp_find_sockets(argv.items, &paths);
		for (size_t p = 0; p < paths.n; p++) {
			char *more = xasprintf("%s%s%s", joined, p ? " " : "", paths.items[p]);

			free(joined);
			joined = more;
		}
		if (strcmp(joined, lines[i].paths))
			fail_msg("\"%s\": %s", lines[i].line, joined);
		free(joined);
		free(text);
		strv_clear(&argv);
		strv_clear(&paths);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpus),	 cmocka_unit_test(test_iothreads),
		cmocka_unit_test(test_pieces),	 cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_status),
		cmocka_unit_test(test_bad),	 cmocka_unit_test(test_deep),
		cmocka_unit_test(test_deadline), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_wait),	 cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_launch),	 cmocka_unit_test(test_find),
	};

	sys_open_real(&sys, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
