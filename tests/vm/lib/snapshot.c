/*
 * snapshot: what the kernel holds, read without any help from Shield.
 *
 *	snapshot take FILE		write it down, a line an object
 *	snapshot compare BEFORE [AFTER]	0: the same; without AFTER it is what the kernel
 *					holds now. Threads count only if they live in both.
 *	snapshot on CPULIST		the threads that may use any of these CPUs:
 *					TID TGID KIND CPULIST CGROUP COMM, where KIND
 *					is user, kernel, or fixed (a kernel thread
 *					whose CPUs nobody outside may set)
 *	snapshot irqs CPULIST		the interrupts that may use any of these CPUs,
 *					and whether the kernel takes a change:
 *					N movable|immovable CPULIST
 *
 * On a kernel before 6.7 the kernel itself rewrites the CPUs even of fixed
 * kernel threads at every cpuset change, and takes no correction: there, these
 * are compared as a note and not as a difference.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED 0x04000000UL   /* PF_NO_SETAFFINITY */
#define KTHREAD 0x00200000UL /* PF_KTHREAD */
#define MOUNT "/sys/fs/cgroup"

struct thread {
	long tid, tgid;
	unsigned long flags;
	unsigned long long start;
	char comm[64], allowed[1024], cgroup[PATH_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "snapshot: %s: %s\n", what, strerror(errno));
	exit(2);
}

static char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("memory");
	va_end(args);
	return text;
}

/* The content, without the last newline; others as "|". NULL when unreadable. */
static char *slurp(const char *path)
{
	static char buffer[1 << 20];
	size_t size = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	while (size < sizeof(buffer) - 1 &&
	       (n = read(fd, buffer + size, sizeof(buffer) - 1 - size)) > 0)
		size += (size_t)n;
	close(fd);
	if (n < 0)
		return NULL;
	while (size && buffer[size - 1] == '\n')
		size--;
	buffer[size] = '\0';
	for (size_t i = 0; i < size; i++)
		if (buffer[i] == '\n' || buffer[i] == '\0')
			buffer[i] = '|';
	return strdup(buffer);
}

static bool number(const char *name)
{
	return isdigit((unsigned char)*name);
}

/* Calls back for every entry of a directory, in a stable order. */
static void each(const char *dir, void (*fn)(const char *dir, const char *name, void *ctx),
		 void *ctx)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.')
			fn(dir, names[i]->d_name, ctx);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static bool read_stat(const char *dir, struct thread *t)
{
	char *path = format("%s/stat", dir), *text = slurp(path), *open, *close;
	bool ok = false;

	free(path);
	if (!text)
		return false;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (open && close) {
		*close = '\0';
		snprintf(t->comm, sizeof(t->comm), "%s", open + 1);
		/* state ppid pgrp session tty tpgid flags, and 13 fields on: start */
		ok = sscanf(close + 2,
			    "%*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			    &t->flags, &t->start) == 2;
	}
	free(text);
	return ok;
}

static bool read_status(const char *dir, struct thread *t)
{
	static const char key[] = "|Cpus_allowed_list:\t";
	char *path = format("%s/status", dir), *text = slurp(path);
	char *at = text ? strstr(text, key) : NULL;

	free(path);
	if (at)
		snprintf(t->allowed, sizeof(t->allowed), "%.*s",
			 (int)strcspn(at + sizeof(key) - 1, "|"), at + sizeof(key) - 1);
	free(text);
	return at != NULL;
}

static bool read_cgroup(const char *dir, struct thread *t)
{
	char *path = format("%s/cgroup", dir), *text = slurp(path);
	char *at = text ? strstr(text, "0::") : NULL;

	free(path);
	snprintf(t->cgroup, sizeof(t->cgroup), "%.*s", at ? (int)strcspn(at + 3, "|") : 0,
		 at ? at + 3 : "");
	free(text);
	return true;
}

static void with_threads(void (*fn)(const struct thread *t, void *ctx), void *ctx)
{
	DIR *proc = opendir("/proc");
	struct dirent *p, *e;

	if (!proc)
		die("/proc");
	while ((p = readdir(proc))) {
		char *tasks;
		DIR *dir;

		if (!number(p->d_name))
			continue;
		tasks = format("/proc/%s/task", p->d_name);
		dir = opendir(tasks);
		while (dir && (e = readdir(dir))) {
			char *path = format("%s/%s", tasks, e->d_name);
			struct thread t = { .tid = atol(e->d_name), .tgid = atol(p->d_name) };

			if (number(e->d_name) && read_stat(path, &t) && read_status(path, &t) &&
			    read_cgroup(path, &t))
				fn(&t, ctx);
			free(path);
		}
		if (dir)
			closedir(dir);
		free(tasks);
	}
	closedir(proc);
}

static void put(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s\t%s\n", key, value ? value : "(unreadable)");
}

static void put_file(FILE *out, const char *path)
{
	char *value = slurp(path);

	put(out, path, value);
	free(value);
}

static void put_thread(const struct thread *t, void *ctx)
{
	char *key =
		format("thread %ld %llu %s", t->tid, t->start, t->flags & FIXED ? "fixed" : "free");
	char *value = format("%s in %s (%s)", t->allowed, t->cgroup, t->comm);

	put(ctx, key, value);
	free(key);
	free(value);
}

static void put_cgroup(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		put(ctx, path, "is a cgroup");
		each(path, put_cgroup, ctx);
	} else if (strncmp(name, "cpuset.", 7) == 0 ||
		   strcmp(name, "cgroup.subtree_control") == 0 ||
		   strcmp(name, "cgroup.type") == 0) {
		put_file(ctx, path);
	}
	free(path);
}

static void put_irq(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s%s", dir, name, number(name) ? "/smp_affinity" : "");

	if (number(name) || strcmp(name, "default_smp_affinity") == 0)
		put_file(ctx, path);
	free(path);
}

static void put_workqueue(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);
	struct stat st;

	if (strncmp(name, "cpumask", 7) == 0)
		put_file(ctx, path);
	else if (strcmp(name, "power") != 0 && strcmp(name, "subsystem") != 0 &&
		 lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		each(path, put_workqueue, ctx);
	free(path);
}

static void put_sysctl(const char *dir, const char *name, void *ctx)
{
	static const char *const moving[] = { "ns_last_pid", "stat_refresh", "compact_memory",
					      "drop_caches", "tainted",	     "random",
					      "pty",	     "keys" };
	char *path = format("%s/%s", dir, name);
	struct stat st;
	bool skip = false;

	for (size_t i = 0; i < sizeof(moving) / sizeof(*moving); i++)
		skip |= strcmp(name, moving[i]) == 0;
	if (!skip && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0444))
		put_file(ctx, path);
	free(path);
}

static void put_cpu(const char *dir, const char *name, void *ctx)
{
	static const char *const files[] = { "online", "cpufreq/scaling_governor",
					     "power/pm_qos_resume_latency_us" };

	if (strncmp(name, "cpu", 3) != 0 || !number(name + 3))
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *path = format("%s/%s/%s", dir, name, files[i]);

		if (access(path, R_OK) == 0)
			put_file(ctx, path);
		free(path);
	}
}

static void put_run(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);
	struct stat st;
	char *value;

	if (lstat(path, &st) == 0) {
		value = format("mode %o, %lld bytes", st.st_mode, (long long)st.st_size);
		put(ctx, path, value);
		free(value);
		if (S_ISDIR(st.st_mode))
			each(path, put_run, ctx);
	}
	free(path);
}

static void take(FILE *out)
{
	static const char *const settings[] = {
		"/sys/kernel/mm/ksm/run",
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/kernel/mm/transparent_hugepage/khugepaged/defrag",
		"/sys/kernel/rcu_normal",
		"/sys/devices/system/machinecheck/machinecheck0/check_interval",
	};

	put(out, "fixed threads",
	    access(MOUNT "/cpuset.cpus.isolated", F_OK) ? "rewritten" : "kept");
	with_threads(put_thread, out);
	put_cgroup("/sys/fs", "cgroup", out);
	each("/proc/irq", put_irq, out);
	each("/sys/devices/virtual/workqueue", put_workqueue, out);
	each("/proc/sys/kernel", put_sysctl, out);
	each("/proc/sys/vm", put_sysctl, out);
	each("/sys/devices/system/cpu", put_cpu, out);
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (access(settings[i], R_OK) == 0)
			put_file(out, settings[i]);
	each("/run/shield", put_run, out);
}

static int take_into(const char *file)
{
	FILE *out = fopen(file, "we");

	if (!out)
		die(file);
	take(out);
	if (fclose(out) != 0)
		die(file);
	return 0;
}

/* A snapshot in memory: "key\tvalue" lines, sorted. */
struct lines {
	char **items;
	size_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct lines load(FILE *in)
{
	struct lines lines = { 0 };
	size_t size = 0, cap = 0;
	char *line = NULL;
	ssize_t n;

	while ((n = getline(&line, &size, in)) > 0) {
		char *tab = strchr(line, '\t');

		line[n - 1] = '\0';
		if (!tab)
			continue;
		*tab = '\0';
		if (lines.n == cap) {
			cap = cap ? 2 * cap : 1024;
			lines.items = realloc(lines.items, cap * sizeof(*lines.items));
			if (!lines.items)
				die("memory");
		}
		/* key NUL value NUL */
		lines.items[lines.n] = malloc((size_t)n);
		if (!lines.items[lines.n])
			die("memory");
		memcpy(lines.items[lines.n++], line, (size_t)n);
	}
	free(line);
	fclose(in);
	qsort(lines.items, lines.n, sizeof(*lines.items), by_text);
	return lines;
}

static struct lines load_file(const char *file)
{
	FILE *in = fopen(file, "re");

	if (!in)
		die(file);
	return load(in);
}

static struct lines load_now(void)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		die("memory");
	take(out);
	fclose(out);
	return load(fmemopen(text, size, "r"));
}

static const char *value_of(const char *line)
{
	return line + strlen(line) + 1;
}

/* Threads come and go, and change their names. */
static bool differs(const char *key, const char *a, const char *b)
{
	if (strncmp(key, "thread ", 7) != 0)
		return strcmp(a, b) != 0;
	return strcspn(a, "(") != strcspn(b, "(") || strncmp(a, b, strcspn(a, "(")) != 0;
}

static int compare(const char *before, const char *after)
{
	struct lines a = load_file(before), b = after ? load_file(after) : load_now();
	size_t i = 0, k = 0, compared = 0, threads = 0, differences = 0, notes = 0;
	bool rewritten = false;

	while (i < a.n || k < b.n) {
		int order = i == a.n ? 1 : k == b.n ? -1 : strcmp(a.items[i], b.items[k]);
		const char *key = order <= 0 ? a.items[i] : b.items[k];
		bool thread = strncmp(key, "thread ", 7) == 0;
		const char *was = order <= 0 ? value_of(a.items[i]) : "absent";
		const char *is = order >= 0 ? value_of(b.items[k]) : "absent";

		if (strcmp(key, "fixed threads") == 0)
			rewritten = strcmp(is, "rewritten") == 0;
		if (order == 0) {
			compared++;
			threads += thread;
		}
		if (order == 0 ? differs(key, was, is) : !thread) {
			bool note = thread && rewritten && strstr(key, " fixed");

			printf("%s%s: was %s, is %s\n",
			       note ? "note: the kernel's own doing: " : "", key, was, is);
			if (note)
				notes++;
			else
				differences++;
		}
		i += order <= 0;
		k += order >= 0;
	}
	printf("%zu values compared, %zu of them threads: %zu differ, %zu notes\n", compared,
	       threads, differences, notes);
	return differences ? 1 : 0;
}

static bool parse_list(const char *text, bool *set, size_t n)
{
	memset(set, 0, n);
	while (*text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < n; first++)
			set[first] = true;
		text = *end == ',' ? end + 1 : end;
		if (*end && *end != ',')
			return false;
	}
	return true;
}

#define CPUS 4096
static bool wanted[CPUS];

static bool touches(const char *list)
{
	static bool set[CPUS];

	if (!parse_list(list, set, CPUS))
		return false;
	for (size_t i = 0; i < CPUS; i++)
		if (set[i] && wanted[i])
			return true;
	return false;
}

static void print_thread(const struct thread *t, void *ctx)
{
	(void)ctx;
	if (t->tgid != getpid() && touches(t->allowed))
		printf("%ld %ld %s %s %s %s\n", t->tid, t->tgid,
		       !(t->flags & KTHREAD) ? "user"
		       : t->flags & FIXED    ? "fixed"
					     : "kernel",
		       t->allowed, t->cgroup, t->comm);
}

/* Writing what it holds already changes nothing, but is refused like a change. */
static void print_irq(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s/smp_affinity_list", dir, name), *mask = slurp(path);
	bool movable = false;
	int fd;

	(void)ctx;
	if (number(name) && mask && touches(mask)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		movable = fd >= 0 && write(fd, mask, strlen(mask)) > 0;
		if (fd >= 0)
			close(fd);
		printf("%s %s %s\n", name, movable ? "movable" : "immovable", mask);
	}
	free(mask);
	free(path);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "take") == 0)
		return take_into(argv[2]);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "compare") == 0)
		return compare(argv[2], argv[3]);
	if (argc == 3 && parse_list(argv[2], wanted, CPUS)) {
		if (strcmp(argv[1], "on") == 0) {
			with_threads(print_thread, NULL);
			return 0;
		}
		if (strcmp(argv[1], "irqs") == 0) {
			each("/proc/irq", print_irq, NULL);
			return 0;
		}
	}
	fprintf(stderr,
		"usage: snapshot take FILE | compare BEFORE [AFTER] | on CPULIST | irqs CPULIST\n");
	return 2;
}
