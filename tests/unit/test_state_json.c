/* SPDX-License-Identifier: MIT */
/*
 * The state file has all of a shield and of an object: here every member is set, written and
 * read again. The structs are filled by position, so a new member does not compile (-Wextra)
 * until it has a value here; then it has to be in a table of state_json.c, or in what the file
 * does not have. What is written is tests/json/everything.json, which its schema is held against.
 */
#include "shield/txn/state_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define MOUNT "/sys/fs/cgroup"
#define BOOT "6a0f6c1c-6f2b-4d9e-9a53-5e1f5d0c0001"

/* Where a set comes later: no constant can be one. */
#define LATER                     \
	{                         \
		(hwloc_bitmap_t)1 \
	}

/* Static, so that the bytes between members are zero. */
static struct partition partitions[] = { { (char *)"/shield-win11/vcpus", LATER } };
static struct vcpu vcpus[] = { { 1, { 4002, 7002 }, 3 } };
static struct profile_rule rules[] = { { (char *)"driver:nvme", LATER } };
static char *devices[] = { (char *)"0000:01:00.0" };
static unsigned map_vcpus[] = { 3, 2 };
static struct cpuset iothreads[] = { LATER };
static struct shield shields[] = { {
	(char *)"win11",
	PHASE_RELEASING,
	{ 4100, 7100 },
	{ 4101, 7101 },
	{ 4001, 7001 },
	{ 4103, 7103 },
	LATER,
	LATER,
	LATER,
	LATER,
	(char *)"/shield-win11",
	(char *)"/caf\xe9", /* a name need not be UTF-8 */
	{ partitions, 1, 1 },
	(char *)"isolated",
	vcpus,
	1,
	{ VFIO_LEAVE, rules, 1, { devices, 1, 1 } },
	{ map_vcpus, 2, iothreads, 1 },
} };

static struct claim file_claims[] = { { (char *)"win11", (char *)"0-1" } };
static struct object file = {
	STEP_WRITE,    (char *)"/proc/irq/24/smp_affinity_list",
	{ 0, 0 },      (char *)"nvme0q1",
	(char *)"0-7", (char *)"0-1,6-7",
	(char *)"0-1", NULL, /* not in the file: target, drifted */
	false,	       true,
	true,	       true,
	file_claims,   1,
};
static struct claim task_claims[] = { { (char *)"win11", NULL } };
static struct object task = {
	STEP_AFFINITY, NULL,
	{ 31, 12 },    (char *)"kswapd0",
	(char *)"0-7", (char *)"0-1,6-7",
	(char *)"0-1", NULL,
	false,	       true,
	true,	       true,
	task_claims,   1,
};
static struct object *objects[] = { &file, &task };

static const struct {
	struct cpuset *set;
	const char *list;
} sets[] = {
	{ &partitions[0].cpus, "2-3" },	 { &rules[0].cpus, "0-1" },
	{ &iothreads[0], "1" },		 { &shields[0].guest, "2-3" },
	{ &shields[0].emulator, "0-1" }, { &shields[0].taken, "2-3,5" },
	{ &shields[0].freed, "5" },
};

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		*sets[i].set = (struct cpuset){ 0 };
		if (cpulist_parse(sets[i].list, sets[i].set, NULL) < 0)
			return -1;
	}
	return 0;
}

static int empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		cpuset_clear(sets[i].set);
	return 0;
}

static json_t *written(void)
{
	const struct state all = {
		.shields = shields, .n_shields = 1, .objects = objects, .n_objects = 2
	};

	return state_to_json(&all, BOOT);
}

static void test_written(void **state)
{
	json_t *expected = json_load_file(TESTS_DIR "/json/everything.json", 0, NULL);
	json_t *json = written();

	(void)state;
	if (!json_equal(json, expected))
		fail_msg("%s", json_dumps(json, 0));
	json_decref(expected);
	json_decref(json);
}

/* What was set is set: numbers have to be the same for the file to be, but what is in no table
 * is in no file. */
static void kept(const char *what, const void *before, const void *after, size_t size)
{
	for (size_t i = 0; i + sizeof(uint32_t) <= size; i += sizeof(uint32_t)) {
		uint32_t a, b;

		memcpy(&a, (const char *)before + i, sizeof(a));
		memcpy(&b, (const char *)after + i, sizeof(b));
		if (a && !b)
			fail_msg("%s: the member at byte %zu is not in the table", what, i);
	}
}

#define KEPT(before, after) kept(#before, (before), (after), sizeof(*(before)))

static void shield_kept(const struct shield *s)
{
	KEPT(&shields[0], s);
	KEPT(&partitions[0], &s->partitions.items[0]);
	KEPT(&vcpus[0], &s->vcpus[0]);
	KEPT(&rules[0], &s->irq.rules[0]);
}

static void test_read(void **state)
{
	_cleanup_state_ struct state read = { 0 };
	json_t *json = written(), *again;
	struct err err = { 0 };

	(void)state;
	if (state_from_json(json, MOUNT, &read, &err) < 0)
		fail_msg("%s", err.text);
	shield_kept(&read.shields[0]);
	KEPT(&file, read.objects[0]);
	KEPT(&task, read.objects[1]);
	KEPT(&file_claims[0], &read.objects[0]->claims[0]);
	KEPT(&task_claims[0], &read.objects[1]->claims[0]);
	again = state_to_json(&read, BOOT);
	assert_true(json_equal(json, again));
	json_decref(again);
	json_decref(json);
}

/* One shield alone, as it was. */
static void test_back(void **state)
{
	_cleanup_state_ struct state now = { 0 };
	json_t *json = state_shield_to_json(&shields[0]), *again;

	(void)state;
	state_add_shield(&now, "win11");
	state_shield_back(&now, "win11", json);
	shield_kept(&now.shields[0]);
	again = state_shield_to_json(&now.shields[0]);
	assert_true(json_equal(json, again));
	json_decref(again);
	json_decref(json);
}

/* Is it refused, and is that said of this key? */
static void refused(json_t *document, const char *where, const char *key, const char *why)
{
	_cleanup_free_ char *start = xasprintf("%s: %s", where, key);
	_cleanup_state_ struct state read = { 0 };
	struct err err = { 0 };

	if (state_from_json(document, MOUNT, &read, &err) == 0)
		fail_msg("%s: %s: was read", where, key);
	if (strncmp(err.text, start, strlen(start)) != 0 || !strstr(err.text, why))
		fail_msg("%s: %s: %s", where, key, err.text);
}

static bool is_optional(const char *key)
{
	static const char *const keys[] = {
		"irq",	"map", "freed",	 "hold",  "identity",  "next",
		"path", "pid", "scoped", "start", "uncertain", "refused"
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* Every key of the object, which is somewhere in the document: missing, of a type that it never
 * has; and one more. */
static void each_key(json_t *document, json_t *object, const char *where)
{
	json_t *copy = json_copy(object), *value;
	const char *key;

	json_object_foreach (copy, key, value) {
		json_object_del(object, key);
		if (!is_optional(key))
			refused(document, where, key, "missing");
		json_object_set_new(object, key, json_real(1.5));
		refused(document, where, key, "");
		json_object_set(object, key, value);
	}
	json_object_set_new(object, "later", json_true());
	refused(document, where, "later", "unknown key");
	json_object_del(object, "later");
	json_decref(copy);
}

static void test_keys(void **state)
{
	json_t *document = written(), *shield, *irq;

	(void)state;
	shield = json_object_get(json_object_get(document, "shields"), "win11");
	irq = json_object_get(shield, "irq");
	each_key(document, shield, "win11");
	each_key(document, json_object_get(shield, "vm"), "win11: vm");
	each_key(document, json_array_get(json_object_get(shield, "vcpus"), 0), "win11: vcpus");
	each_key(document, irq, "win11: irq");
	each_key(document, json_array_get(json_object_get(irq, "rules"), 0), "win11: irq: rules");
	each_key(document, json_object_get(shield, "map"), "win11: map");
	each_key(document, json_array_get(json_object_get(document, "objects"), 1), "objects: 1");
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, fill, empty);
}
