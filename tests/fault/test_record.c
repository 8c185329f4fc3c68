/* SPDX-License-Identifier: MIT */
/*
 * What is recorded can be read again: state_save() takes only what state_load() reads as the same
 * state, with any names that the kernel took; and what it refuses has changed nothing.
 */
#include "shield/base/text.h"
#include "tests/fault/world.h"

#include "shield/sys/sys_write.h"
#include "shield/txn/state_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"

static unsigned pick(unsigned n)
{
	static unsigned long long seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 32) % n;
}

/* Bytes of all kinds, some of them UTF-8, some of them codes of text_encode(). */
static char *some_bytes(size_t n, const char *never)
{
	static const char *const odd[] = {
		"\xc3\xa9", "\xff", "\xf4\x8f\xba\xbf", "\xf4\x8f\xbb", "\xed\xa0\x80",
		"\\x2d",    "\"",   "\xf4\x8f\xbf\xbf"
	};
	char *text = xcalloc(n + 8, 1);

	for (size_t at = 0; at < n;) {
		const char *piece = odd[pick(ARRAY_SIZE(odd))];
		char c = (char)(1 + pick(255));

		if (pick(4) == 0) {
			memcpy(text + at, piece, strlen(piece));
			at += strlen(piece);
		} else if (!strchr(never, c)) {
			text[at++] = c;
		}
	}
	return text;
}

static void bytes_come_back(void **state)
{
	static const char *const ordinary[] = { "",	"shield-a\\x2db.scope/vcpus",
						"br0",	"machine-qemu\\x2d1\\x2dw\xc3\xa9.scope",
						"\x01", "\xf0\x9f\x90\xa7" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ordinary); i++) {
		_cleanup_free_ char *text = text_encode(ordinary[i]);

		/* As every earlier version wrote them, and reads them. */
		assert_string_equal(text, ordinary[i]);
	}
	for (unsigned i = 0; i < 5000; i++) {
		_cleanup_free_ char *bytes = some_bytes(pick(40), "");
		_cleanup_free_ char *text = text_encode(bytes), *back = text_decode(text);
		json_t *json = json_string(text);

		assert_non_null(json);
		assert_string_equal(back, bytes);
		json_decref(json);
	}
}

static char *some_cgroup(void)
{
	size_t n = pick(8) ? pick(60) : 3900 + pick(200);
	char *name = some_bytes(n, "/"), *path;

	for (size_t at = 30; at < strlen(name); at += 30)
		name[at] = '/';
	path = xasprintf("/%s", name);
	free(name);
	return path;
}

static void add_some_object(struct state *state, unsigned number)
{
	_cleanup_free_ char *comm = some_bytes(pick(16), ""), *from = some_cgroup();
	_cleanup_free_ char *name = some_bytes(1 + pick(14), "/ "), *ours = some_cgroup();
	_cleanup_free_ char *path = xasprintf("/sys/class/net/%s/queues/rx-0/rps_cpus", name);
	bool file = pick(2);
	struct step step = {
		.kind = file ? STEP_WRITE : STEP_PROCESS,
		.path = file ? path : NULL,
		.pid = file ? 0 : (pid_t)(number + 1),
		.start = pick(5),
		.identity = comm,
		.from = file ? (char *)"0-7" : from,
	};
	struct object *o = state_add_object(state, &step);

	free(o->ours);
	o->ours = xstrdup(file ? "0-1" : ours);
	object_add_claim(o, "win11", file ? NULL : from);
}

static void some_state(struct state *state)
{
	struct shield *s = state_add_shield(state, "win11");
	unsigned n = pick(4);

	s->phase = PHASE_ACTIVE;
	s->cgroup = xstrdup("/shield-win11");
	s->home = pick(4) ? xstrdup("/") : some_cgroup();
	s->partition = xstrdup("isolated");
	cpuset_add_range(&s->guest, 2, 3);
	cpuset_add_range(&s->taken, 2, 3);
	partitions_add(&s->partitions, "/shield-win11/vcpus", &s->guest);
	s->n_vcpus = 1;
	s->vcpus = xcalloc(1, sizeof(*s->vcpus));
	s->vcpus[0].index = pick(20) ? pick(9) : CPUSET_MAX_CPU + 1 + pick(9);
	for (unsigned i = 0; i < n; i++)
		add_some_object(state, i);
}

/* Renamed interfaces are not the matter here: those of the fake have no number. */
static void what_is_saved_is_read(void **state)
{
	unsigned saved = 0, refused = 0;
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	sys_write(&w.sys, MOUNT "/cgroup.subtree_control", "+cpuset");
	w.sys.ops->close(w.sys.ctx, state_lock(&w.sys, NULL));
	for (unsigned i = 0; i < 1000; i++) {
		_cleanup_state_ struct state first = { 0 }, again = { 0 };
		_cleanup_free_ char *before = NULL, *after = NULL;
		json_t *a, *b;
		struct err err = { 0 };

		some_state(&first);
		if (sys_read(&w.sys, STATE_FILE, 0, &before) < 0)
			before = xstrdup("");
		if (state_save(&w.sys, MOUNT, &first, &err) < 0) {
			refused++;
			assert_true(*err.text != '\0');
			if (sys_read(&w.sys, STATE_FILE, 0, &after) < 0)
				after = xstrdup("");
			assert_string_equal(before, after);
			continue;
		}
		saved++;
		if (state_load(&w.sys, MOUNT, &again, &err) < 0)
			fail_msg("saved, and then: %s", err.text);
		a = state_to_json(&first, "x");
		b = state_to_json(&again, "x");
		assert_int_equal(first.n_objects, again.n_objects);
		assert_true(json_equal(a, b));
		for (size_t n = 0; n < first.n_objects; n++)
			assert_string_equal(first.objects[n]->ours, again.objects[n]->ours);
		json_decref(a);
		json_decref(b);
	}
	world_clear(&w);
	print_message("%u states saved and read, %u refused\n", saved, refused);
	assert_true(saved > 500 && refused > 100);
}

static void add_many(struct state *state, size_t n)
{
	_cleanup_cpuset_ struct cpuset odd = { 0 };
	_cleanup_free_ char *list = NULL;

	for (unsigned c = 0; c < 4096; c += 2)
		cpuset_add(&odd, c);
	list = cpulist_format(&odd);
	for (size_t i = 0; i < n; i++)
		state_add_object(state, &(struct step){ .kind = STEP_AFFINITY,
							.pid = (pid_t)(i + 1000),
							.start = i,
							.identity = (char *)"w",
							.from = list });
}

/* Half of what is read is enough for a shield that begins; what ends it always fits. */
static void too_large(void **state)
{
	_cleanup_state_ struct state large = { 0 };
	struct err err = { 0 };
	struct world w;

	(void)state;
	world_init(&w, FAKE_7);
	w.sys.ops->close(w.sys.ctx, state_lock(&w.sys, NULL));
	add_many(&large, 1800);
	assert_int_equal(state_save_grown(&w.sys, MOUNT, &large, &err), -1);
	assert_non_null(strstr(err.text, "bytes"));
	assert_false(sys_exists(&w.sys, STATE_FILE));
	assert_int_equal(state_save(&w.sys, MOUNT, &large, &err), 0);
	add_many(&large, 3600);
	assert_int_equal(state_save(&w.sys, MOUNT, &large, &err), -1);
	state_clear(&large);
	assert_int_equal(state_load(&w.sys, MOUNT, &large, &err), 0);
	assert_int_equal(large.n_objects, 1800);
	world_clear(&w);
}

static char *long_path(size_t n)
{
	char *path = xcalloc(n + 1, 1);

	memset(path, 'a', n);
	for (size_t at = 250; at < n - 1; at += 251)
		path[at] = '/';
	return path;
}

static void move_qemu(struct world *w, const char *cgroup)
{
	w->qemu = fake_process(w->fake, "qemu-system-x86_64", cgroup);
	fake_thread(w->fake, w->qemu, "CPU 0/KVM");
	fake_thread(w->fake, w->qemu, "CPU 1/KVM");
	fake_thread(w->fake, w->qemu, "IO iothread0");
}

/* A VM whose user put it where it could not be put back: it is not taken, and
 * nothing has changed. */
static void too_deep(void **state)
{
	_cleanup_free_ char *cgroup = long_path(4050);

	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *first = NULL, *before = NULL, *after = NULL, *last = NULL;
		_cleanup_free_ char *file = NULL, *file_after = NULL;
		struct outcome outcome;
		struct world w;

		world_init(&w, flavour);
		move_qemu(&w, cgroup);
		first = fake_snapshot_kernel(w.fake);
		world_run(&w, &w.sys, CMD_ON, "win11", &outcome);
		assert_int_equal(outcome.rc, 0);
		before = fake_snapshot_kernel(w.fake);
		assert_int_equal(sys_read(&w.sys, STATE_FILE, 0, &file), 0);
		world_run(&w, &w.sys, CMD_ATTACH, "win11", &outcome);
		assert_int_equal(outcome.rc, -1);
		assert_non_null(strstr(outcome.err.text, "4051 bytes"));
		after = fake_snapshot_kernel(w.fake);
		assert_string_equal(before, after);
		assert_int_equal(sys_read(&w.sys, STATE_FILE, 0, &file_after), 0);
		assert_string_equal(file, file_after);
		world_run(&w, &w.sys, CMD_OFF, "win11", &outcome);
		if (outcome.rc < 0)
			fail_msg("off: %s", outcome.err.text);
		last = fake_snapshot_kernel(w.fake);
		assert_string_equal(first, last);
		world_clear(&w);
	}
}

/* Names that are not UTF-8: of an interface, of a VM's cgroup. */
static void not_utf8(void **state)
{
	(void)state;
	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		static const enum command commands[] = { CMD_ON, CMD_ATTACH, CMD_OFF };
		_cleanup_free_ char *first = NULL, *during = NULL, *last = NULL, *diff = NULL;
		struct outcome outcome;
		struct world w;

		world_init(&w, flavour);
		fake_file(w.fake, "/sys/class/net/br\xff/ifindex", "7\n");
		fake_file(w.fake, "/sys/class/net/br\xff/queues/rx-0/rps_cpus", "000000ff\n");
		move_qemu(&w, "user.slice/\xfe\x80");
		first = fake_snapshot_kernel(w.fake);
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
			world_run(&w, &w.sys, commands[i], "win11", &outcome);
			if (outcome.rc < 0)
				fail_msg("command %zu: %s", i, outcome.err.text);
			if (commands[i] == CMD_ON)
				sys_read_line(&w.sys, "/sys/class/net/br\xff/queues/rx-0/rps_cpus",
					      &during);
		}
		last = fake_snapshot_kernel(w.fake);
		diff = text_diff(first, last);
		assert_string_equal(diff, "");
		assert_string_not_equal(during, "000000ff");
		world_clear(&w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back), cmocka_unit_test(what_is_saved_is_read),
		cmocka_unit_test(too_large),	   cmocka_unit_test(too_deep),
		cmocka_unit_test(not_utf8),
	};

	mem_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
