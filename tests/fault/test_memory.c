/* SPDX-License-Identifier: MIT */
/*
 * Every allocation that a command makes fails, one after the other, jansson's
 * included. It says so in one line and ends with status 5; a fresh process then
 * finds no lock held, recovers, and all is as before or as wanted; in the end
 * all is as it was. (The allocations of libraries which do not come through here
 * end the process in the same function, shield/base/malloc.c; tests/memory fails
 * those, in the program itself.)
 */
#include "tests/fault/scenes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct faulty *faulty; /* NULL: not armed */
	size_t count, at;
	char said[256];
	size_t lines;
	int status;
	jmp_buf death;
} memory;

/* What the fake kernel allocates is not the command's. */
static bool fails(void)
{
	return memory.faulty && !memory.faulty->depth && ++memory.count == memory.at;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

int __real_vasprintf(char **text, const char *format, va_list args);
int __wrap_vasprintf(char **text, const char *format, va_list args);
int __wrap_vasprintf(char **text, const char *format, va_list args)
{
	return fails() ? -1 : __real_vasprintf(text, format, args);
}

/* The same, in an optimised build. */
int __real___vasprintf_chk(char **text, int flag, const char *format, va_list args);
int __wrap___vasprintf_chk(char **text, int flag, const char *format, va_list args);
int __wrap___vasprintf_chk(char **text, int flag, const char *format, va_list args)
{
	return fails() ? -1 : __real___vasprintf_chk(text, flag, format, args);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (!memory.faulty)
		return __real_write(fd, data, size);
	snprintf(memory.said, sizeof(memory.said), "%.*s", (int)size, (const char *)data);
	memory.lines++;
	return (ssize_t)size;
}

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status)
{
	if (!memory.faulty)
		__real__exit(status);
	memory.status = status;
	longjmp(memory.death, 1);
}

/* Did the at-th allocation fail (0: none shall)? *count: how many there were. */
static bool starve(struct world *w, enum command command, const char *shield, size_t at,
		   size_t *count)
{
	struct faulty f = { 0 };
	struct outcome outcome;
	struct sys sys;
	bool died;

	faulty_sys(&f, &w->sys, &sys);
	memory.count = memory.lines = 0;
	memory.at = at;
	memory.status = 0;
	memory.faulty = &f;
	died = setjmp(memory.death) != 0;
	if (!died)
		world_run(w, &sys, command, shield, &outcome);
	memory.faulty = NULL;
	*count = memory.count;
	faulty_clear(&f);
	if (died)
		fake_process_dies(w->fake);
	return died;
}

static const struct scene_case scenes[] = {
	{ "on", { { 0 } }, CMD_ON, "win11" },
	{ "off", { { CMD_ON, "win11", 0 } }, CMD_OFF, "win11" },
	{ "attach", { { CMD_ON, "win11", 0 } }, CMD_ATTACH, "win11" },
	{ "off with a VM",
	  { { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "second on", { { CMD_ON, "win11", 0 } }, CMD_ON, "lin" },
	{ "recover", { { CMD_ON, "win11", 18 } }, CMD_RECOVER, "win11" },
	{ "on with systemd", { { CMD_SYSTEMD, "x", 0 } }, CMD_ON, "win11" },
	{ "attach with systemd",
	  { { CMD_SYSTEMD_261, "x", 0 }, { CMD_ON, "win11", 0 } },
	  CMD_ATTACH,
	  "win11" },
	{ "off with a VM and systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 0 }, { CMD_ATTACH, "win11", 0 } },
	  CMD_OFF,
	  "win11" },
	{ "recover with systemd",
	  { { CMD_SYSTEMD, "x", 0 }, { CMD_ON, "win11", 26 } },
	  CMD_RECOVER,
	  "win11" },
	{ "domain follows",
	  { { CMD_START, "vm", 0 }, { CMD_DOMAIN, "vm", 0 }, { CMD_REPIN, "vm", 0 } },
	  CMD_FOLLOW,
	  "vm" },
};

/* NULL, or what is wrong after the death of a command. */
static char *judge(struct world *w, const char *before, const char *goal, const char *original)
{
	_cleanup_free_ char *now = NULL, *why = NULL, *diff = NULL, *more = NULL;
	struct outcome outcome;

	if (memory.status != ERR_INCOMPLETE)
		return xasprintf("status %d", memory.status);
	if (memory.lines != 1 || strchr(memory.said, '\n') != strrchr(memory.said, '\n') ||
	    !strstr(memory.said, "out of memory"))
		return xasprintf("it said, in %zu pieces: %s", memory.lines, memory.said);
	world_run(w, &w->sys, CMD_RECOVER, NULL, &outcome);
	if (outcome.rc < 0)
		return xasprintf("recover: %s", outcome.err.text);
	now = fake_snapshot_kernel(w->fake);
	diff = text_diff(before, now);
	more = text_diff(goal, now);
	if (*diff && *more && !diff_is_anchor(more))
		return xasprintf("neither before nor after:\n%s", diff);
	why = world_restore(w);
	if (why)
		return take_ptr(why);
	free(now);
	free(diff);
	now = fake_snapshot_kernel(w->fake);
	diff = text_diff(original, now);
	return *diff ? take_ptr(diff) : NULL;
}

/* What must be before, after, and in the end. */
struct expected {
	char *before, *goal, *original;
};

/* Says nothing, or what is wrong after the at-th allocation of this scene failed;
 * if none shall (0), how many there were. */
static void fail_at(const struct scene_case *s, const struct world *prepared, size_t at,
		    const struct expected *e, FILE *out)
{
	_cleanup_free_ char *why = NULL;
	struct world w;
	size_t n;

	world_copy(&w, prepared);
	if (starve(&w, s->command, s->shield, at, &n))
		why = judge(&w, e->before, e->goal, e->original);
	else if (!at)
		why = xasprintf("%zu", n);
	else
		why = xstrdup("it went on without memory");
	fputs(why ? why : "", out);
	fclose(out);
}

/* The same in a process of its own: what a command had allocated when it died is
 * never freed, and there are tens of thousands of them. */
static char *fail_apart(const struct scene_case *s, const struct world *prepared, size_t at,
			const struct expected *e)
{
	FILE *out = tmpfile();
	long size;
	char *why;
	int status = 0;
	pid_t pid;

	assert_non_null(out);
	pid = fork();
	if (pid == 0) {
		fail_at(s, prepared, at, e, out);
		__real__exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	fseek(out, 0, SEEK_END);
	size = ftell(out);
	rewind(out);
	why = xcalloc((size_t)size + 1, 1);
	assert_int_equal(fread(why, 1, (size_t)size, out), size);
	fclose(out);
	if (status != 0) {
		free(why);
		why = xasprintf("the test itself ended with status %x", (unsigned)status);
	}
	return why;
}

static void snapshot(void **state)
{
	const struct scene_case *s = *state;
	size_t runs = 0, failed = 0;

	for (enum flavour flavour = 0; flavour < FAKE_FLAVOURS; flavour++) {
		_cleanup_free_ char *count = NULL;
		struct expected e;
		size_t n;
		struct world prepared, w;

		if (!scene_possible(flavour, s))
			continue;
		e.original = scene_original(flavour, s);
		scene_prepare(&prepared, flavour, s);
		world_copy(&w, &prepared);
		e.before = fake_snapshot_kernel(w.fake);
		starve(&w, s->command, s->shield, 0, &n);
		e.goal = fake_snapshot_kernel(w.fake);
		world_clear(&w);
		count = fail_apart(s, &prepared, 0, &e);
		n = strtoul(count, NULL, 10);
		assert_true(n > 100);
		for (size_t at = scene_sample ? scene_sample : scene_sample_of; at <= n;
		     at += scene_sample_of) {
			_cleanup_free_ char *why = fail_apart(s, &prepared, at, &e);

			runs++;
			if (*why && failed++ < 5)
				print_error("%s, %s: allocation %zu of %zu: %s\n", s->name,
					    fake_flavour_name(flavour), at, n, why);
		}
		world_clear(&prepared);
		free(e.before);
		free(e.goal);
		free(e.original);
		print_message("%s, %s: %zu allocations\n", s->name, fake_flavour_name(flavour), n);
	}
	print_message("%s: %zu failed allocations, %zu not recovered\n", s->name, runs, failed);
	assert_int_equal(failed, 0);
	assert_true(runs > 0);
}

/* There are more allocations than operations: $SHIELD_MEMORY_SAMPLE is for these. */
int main(int argc, char **argv)
{
	const char *sample = getenv("SHIELD_MEMORY_SAMPLE");

	if (sample)
		setenv("SHIELD_FAULT_SAMPLE", sample, 1);
	mem_init();
	return scene_main(argc, argv, scenes, ARRAY_SIZE(scenes), snapshot);
}
