/* SPDX-License-Identifier: MIT */
/*
 * snapshot: the judge. What the kernel holds, read without any help from
 * Shield, and whether it is as it was.
 *
 *	snapshot take FILE		write it down, a line an object
 *	snapshot compare [--within S] BEFORE [AFTER]
 *					0: the same; without AFTER it is what the kernel
 *					holds now, or within S seconds. Of what differs,
 *					"OBJECT: was VALUE, is VALUE" a line
 *	snapshot table			what is left out on this kernel, a line each:
 *					OBJECT, how, why, with tabs between
 *	snapshot on CPULIST		the threads that may use any of these CPUs:
 *					TID TGID KIND CPULIST CGROUP COMM, where KIND
 *					is user, kernel, or fixed (a kernel thread
 *					whose CPUs only the kernel may set)
 *	snapshot irqs CPULIST		the interrupts that may use any of these CPUs,
 *					and whether the kernel takes a change:
 *					N movable|immovable CPULIST
 *
 * snapshot-take.c reads, and leaves nothing out; what is left out is in the
 * table below and nowhere else. tests/vm/judge plants a change beside each row
 * and wants it named: who adds a row adds a case there.
 */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum kernel {
	K_OLD = 1, /* before 6.7, which has no remote partitions */
	K_MID = 2,
	K_7 = 4,
	K_ALL = 7,
};

enum how {
	VALUE,	  /* it is not looked at */
	COMES,	  /* it may come and go, with what is below; while there it is compared */
	BALANCED, /* it is not looked at while an irqbalance runs */
};

/*
 * An object is a key of the snapshot. In a pattern "*" is within a name,
 * "@(a|b)" one of these, and "**" any number of folders.
 */
static const struct row {
	const char *object;
	enum kernel kernels;
	enum how how;
	const char *why;
} table[] = {
	{ "thread *", K_ALL, COMES, "the host's own begin and end" },
	{ "thread * @(fixed|handler|rescuer)", K_OLD, VALUE,
	  "the kernel rewrites their CPUs at every change of a cpuset, and takes no correction" },
	{ "thread * handler", K_MID | K_7, VALUE,
	  "it follows its interrupt to the CPU that the kernel chose, and cannot be set" },
	{ "thread * rescuer", K_MID | K_7, VALUE,
	  "it has the CPUs that workqueues had when it last helped, and they cannot be set" },

	{ "/sys/fs/cgroup/**/cgroup.@(procs|threads)", K_ALL, VALUE,
	  "each thread's own line has its cgroup" },
	{ "/sys/fs/cgroup/**/@(cgroup|cpu|io|memory).stat?(.local)", K_ALL, VALUE, "counts" },
	{ "/sys/fs/cgroup/**/memory.numa_stat", K_ALL, VALUE, "counts" },
	{ "/sys/fs/cgroup/**/*.@(current|peak|events|events.local)", K_ALL, VALUE,
	  "what is used now; who lives where is in the threads' lines" },
	{ "/sys/fs/cgroup/**/hugetlb.*.numa_stat", K_ALL, VALUE, "counts" },
	{ "/sys/fs/cgroup/**/@(cpu|io|irq|memory).pressure", K_ALL, VALUE, "averages over time" },

	{ "/proc/irq/*/effective_affinity?(_list)", K_ALL, VALUE,
	  "the kernel chooses a CPU of the mask, and not before the next interrupt" },
	{ "/proc/irq/*/spurious", K_ALL, VALUE, "counts" },
	{ "/proc/irq/*/smp_affinity?(_list)", K_ALL, BALANCED,
	  "irqbalance sets them, whenever it likes" },

	{ "/proc/sys/fs/@(aio-nr|dentry-state|file-nr|inode-nr|inode-state)", K_ALL, VALUE,
	  "counts" },
	{ "/proc/sys/fs/quota/@(allocated_dquots|cache_hits|drops|free_dquots|lookups|reads|syncs|"
	  "writes)",
	  K_ALL, VALUE, "counts" },
	{ "/proc/sys/kernel/random/@(uuid|entropy_avail)", K_ALL, VALUE,
	  "another one at every look" },
	{ "/proc/sys/kernel/ns_last_pid", K_ALL, VALUE, "counts" },
	{ "/proc/sys/kernel/pty/nr", K_ALL, VALUE, "counts" },
	{ "/proc/sys/kernel/tainted", K_ALL, VALUE,
	  "a warning sets it, and who reads the kernel log judges warnings" },
	{ "/proc/sys/kernel/perf_event_max_sample_rate", K_ALL, VALUE,
	  "the kernel lowers it when its interrupts take long, as they do here" },
	{ "/proc/sys/vm/stat_refresh", K_ALL, VALUE, "to read it does something" },

	{ "/sys/devices/virtual/workqueue/*/pool_ids", K_OLD, VALUE,
	  "numbers that the kernel gives anew at every change of a mask" },
	{ "/sys/module/damon_stat/parameters/@(aggr_interval_us|memory_idle_ms_percentiles|"
	  "estimated_memory_bandwidth|memory_idle_ms|kdamond_pid)",
	  K_7, VALUE, "it measures, and tunes itself" },
	{ "/sys/kernel/sched_ext/hotplug_seq", K_7, VALUE, "counts CPUs that come and go" },
	{ "/sys/devices/**/power/@(async|autosuspend_delay_ms|runtime_*)", K_ALL, VALUE,
	  "how devices sleep that never do: CPUs, nodes, clocks, workqueues" },
	{ "/sys/devices/system/cpu/cpu*/@(cache|topology)", K_ALL, VALUE,
	  "what the machine is made of" },
	{ "/sys/devices/system/cpu/cpu*/cpuidle/state*/@(above|below|rejected|time|usage)", K_ALL,
	  VALUE, "counts" },
	{ "/sys/devices/system/cpu/cpufreq/policy*/@(scaling|cpuinfo)_cur_freq", K_ALL, VALUE,
	  "what the clock is now" },
	{ "/sys/devices/system/cpu/cpufreq/policy*/stats/*", K_ALL, VALUE, "counts" },
	{ "/sys/devices/system/node/node*/@(meminfo|numastat|vmstat)", K_ALL, VALUE, "counts" },
	{ "/sys/kernel/mm/transparent_hugepage/khugepaged/@(pages_collapsed|full_scans)", K_ALL,
	  VALUE, "counts" },
	{ "/sys/kernel/mm/transparent_hugepage/hugepages-*/stats/*", K_MID | K_7, VALUE, "counts" },
	{ "/sys/kernel/mm/ksm/@(full_scans|general_profit|ksm_zero_pages|pages_scanned|"
	  "pages_shared|pages_sharing|pages_skipped|pages_unshared|pages_volatile|"
	  "stable_node_chains|stable_node_dups)",
	  K_ALL, VALUE, "counts" },
	{ "/sys/class/net/*/queues/*/byte_queue_limits/@(inflight|limit|stall_cnt|stall_max)",
	  K_ALL, VALUE, "what is under way now" },
	{ "/run/shield", K_ALL, COMES,
	  "the first command makes the folder, which is what is locked" },
};

#define ITEMS(array) (sizeof(array) / sizeof(*(array)))

static enum kernel this_kernel(void)
{
	static enum kernel kernel;
	unsigned major, minor;
	struct utsname name;

	if (kernel)
		return kernel;
	if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		die("uname");
	kernel = major >= 7 ? K_7 : major == 6 && minor >= 7 ? K_MID : K_OLD;
	return kernel;
}

/* "HEAD/ ** /TAIL": the tail may begin behind any slash. */
static bool fits(const char *pattern, const char *key)
{
	const char *deep = strstr(pattern, "/**/"), *at;
	int flags = FNM_PATHNAME | FNM_EXTMATCH;

	/* Most fail here already, and fnmatch() is slow where all is emulated. */
	if (strncmp(pattern, key, strcspn(pattern, "*@?")) != 0)
		return false;
	if (!deep)
		return fnmatch(pattern, key, flags) == 0;
	for (at = key + (deep - pattern); (at = strchr(at, '/')); at++)
		if (fnmatch(deep + 4, at + 1, flags) == 0)
			return true;
	return false;
}

static bool applies(const struct row *row)
{
	return (row->kernels & this_kernel()) && (row->how != BALANCED || balancer_runs());
}

bool left_out(const char *key)
{
	for (size_t i = 0; i < ITEMS(table); i++)
		if (table[i].how != COMES && applies(&table[i]) && fits(table[i].object, key))
			return true;
	return false;
}

/* Did an irqbalance run when either snapshot was taken? */
static bool balanced;

/* Also what was left out on one side only, for irqbalance. */
static bool may_come(const char *key)
{
	for (size_t i = 0; i < ITEMS(table); i++) {
		const struct row *row = &table[i];

		if (row->how == COMES && applies(row) && fits(row->object, key))
			return true;
		if (row->how == BALANCED && balanced && fits(row->object, key))
			return true;
	}
	return false;
}

static int print_table(void)
{
	static const char *const how[] = {
		[VALUE] = "value",
		[COMES] = "comes",
		[BALANCED] = "balanced",
	};

	for (size_t i = 0; i < ITEMS(table); i++)
		if (table[i].kernels & this_kernel())
			printf("%s\t%s\t%s\n", table[i].object, how[table[i].how], table[i].why);
	return 0;
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

/* A snapshot in memory, sorted by key. */
struct line {
	char *key, *value;
	const char *note;
};

struct lines {
	struct line *items;
	size_t n;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

static void add_line(struct lines *lines, char *text)
{
	char *tab = strchr(text, '\t'), *second = tab ? strchr(tab + 1, '\t') : NULL;

	if (!tab)
		return;
	*tab = '\0';
	if (second)
		*second = '\0';
	if (lines->n % 1024 == 0)
		lines->items = realloc(lines->items, (lines->n + 1024) * sizeof(*lines->items));
	if (!lines->items)
		die("memory");
	lines->items[lines->n++] =
		(struct line){ strdup(text), strdup(tab + 1), second ? strdup(second + 1) : "" };
}

static struct lines load(FILE *in)
{
	struct lines lines = { 0 };
	size_t size = 0;
	char *line = NULL;
	ssize_t n;

	while ((n = getline(&line, &size, in)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		add_line(&lines, line);
	}
	free(line);
	fclose(in);
	if (lines.n)
		qsort(lines.items, lines.n, sizeof(*lines.items), by_key);
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

static const char *find(const struct lines *lines, const char *key)
{
	struct line wanted = { .key = (char *)key }, *found;

	found = lines->n ? bsearch(&wanted, lines->items, lines->n, sizeof(wanted), by_key) : NULL;
	return found ? found->value : NULL;
}

/* The number of the interrupt that is called so, if exactly one is. */
static long number_of(const struct lines *lines, const char *actions)
{
	long number, found = -1;

	for (size_t i = 0; i < lines->n; i++) {
		if (sscanf(lines->items[i].key, "/sys/kernel/irq/%ld/actions", &number) != 1 ||
		    strcmp(lines->items[i].value, actions) != 0)
			continue;
		if (found >= 0)
			return -1;
		found = number;
	}
	return found;
}

/* The number that the interrupt N of BEFORE has in AFTER; N if that cannot be
 * told. */
static long renumbered(const struct lines *before, const struct lines *after, long n)
{
	char *key = format("/sys/kernel/irq/%ld/actions", n);
	const char *was = find(before, key), *is = find(after, key);
	long now = -1;

	if (was && *was && (!is || strcmp(was, is) != 0) && number_of(before, was) == n)
		now = number_of(after, was);
	free(key);
	return now >= 0 ? now : n;
}

/* A driver that starts again gets other numbers for its interrupts. */
static void renumber(struct lines *before, const struct lines *after)
{
	size_t size = before->n * sizeof(*before->items);
	struct lines renamed = { malloc(size + 1), before->n };

	if (!renamed.items)
		die("memory");
	for (size_t i = 0; i < before->n; i++) {
		struct line line = before->items[i];
		char *at = strstr(line.key, "/irq/"), *rest;
		long n = at ? strtol(at + 5, &rest, 10) : 0, now = n;

		if (at && rest > at + 5)
			now = renumbered(before, after, n);
		if (now != n)
			line.key =
				format("%.*s%ld%s", (int)(at + 5 - line.key), line.key, now, rest);
		renamed.items[i] = line;
	}
	if (renamed.n)
		qsort(renamed.items, renamed.n, sizeof(*renamed.items), by_key);
	*before = renamed;
}

struct verdict {
	size_t compared, threads, differ;
};

static void judge(const struct line *was, const struct line *is, struct verdict *verdict)
{
	const char *key = was ? was->key : is->key;

	if (!was || !is) {
		if (may_come(key))
			return;
	} else {
		verdict->compared++;
		verdict->threads += strncmp(key, "thread ", 7) == 0;
		if (strcmp(was->value, is->value) == 0)
			return;
	}
	verdict->differ++;
	printf("%s: was %s, is %s%s%s\n", key, was ? was->value : "absent",
	       is ? is->value : "absent", *(is ? is->note : was->note) ? " " : "",
	       is ? is->note : was->note);
}

static struct verdict judge_all(const struct lines *a, const struct lines *b)
{
	struct verdict verdict = { 0 };
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : by_key(&a->items[i], &b->items[k]);

		judge(order <= 0 ? &a->items[i] : NULL, order >= 0 ? &b->items[k] : NULL, &verdict);
		i += order <= 0;
		k += order >= 0;
	}
	printf("%zu values compared, %zu of them threads: %zu differ\n", verdict.compared,
	       verdict.threads, verdict.differ);
	return verdict;
}

static struct verdict compare_once(const char *before, const char *after)
{
	struct lines a = load_file(before), b = after ? load_file(after) : load_now();
	struct verdict verdict;

	balanced = find(&a, "irqbalance CPUs") || find(&b, "irqbalance CPUs");
	renumber(&a, &b);
	verdict = judge_all(&a, &b);
	if (!verdict.compared) {
		fprintf(stderr, "snapshot: %s: holds nothing to compare\n", before);
		exit(2);
	}
	return verdict;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Each look begins anew, the last one when the time is over; only that is printed. */
static int compare_within(long seconds, const char *before, const char *after)
{
	double end = now() + (double)seconds, begin;
	struct verdict verdict;
	FILE *real = stdout;
	size_t size;
	char *text;

	for (;;) {
		begin = now();
		stdout = open_memstream(&text, &size);
		if (!stdout)
			die("memory");
		verdict = compare_once(before, after);
		fclose(stdout);
		stdout = real;
		if (!verdict.differ || begin >= end)
			break;
		free(text);
		usleep(200000);
	}
	fputs(text, stdout);
	free(text);
	return verdict.differ ? 1 : 0;
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
		       !(t->flags & PF_KERNEL) ? "user"
		       : t->flags & PF_FIXED   ? "fixed"
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
	if (is_number(name) && mask && touches(mask)) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		movable = fd >= 0 && write(fd, mask, strlen(mask)) > 0;
		if (fd >= 0)
			close(fd);
		printf("%s %s %s\n", name, movable ? "movable" : "immovable", mask);
	}
	free(mask);
	free(path);
}

static int usage(void)
{
	fprintf(stderr, "usage: snapshot take FILE | compare [--within S] BEFORE [AFTER] | table | "
			"on CPULIST | irqs CPULIST\n");
	return 2;
}

static int compare(int argc, char **argv)
{
	long within = 0;

	if (argc > 2 && strcmp(argv[0], "--within") == 0) {
		within = atol(argv[1]);
		argc -= 2;
		argv += 2;
	}
	if (argc != 1 && argc != 2)
		return usage();
	return compare_within(within, argv[0], argc == 2 ? argv[1] : NULL);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (strcmp(command, "compare") == 0)
		return compare(argc - 2, argv + 2);
	if (argc == 2 && strcmp(command, "table") == 0)
		return print_table();
	if (argc == 3 && strcmp(command, "take") == 0)
		return take_into(argv[2]);
	if (argc != 3 || !parse_list(argv[2], wanted, CPUS))
		return usage();
	if (strcmp(command, "on") == 0)
		with_threads(print_thread, NULL);
	else if (strcmp(command, "irqs") == 0)
		each("/proc/irq", print_irq, NULL);
	else
		return usage();
	return 0;
}
