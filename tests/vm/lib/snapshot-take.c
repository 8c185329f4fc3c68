/* SPDX-License-Identifier: MIT */
/*
 * snapshot-take: read the host, whole trees of it, with no opinion of what is
 * worth comparing: that is the table in snapshot.c. All that Shield can change
 * (shield/sys/kfile.c) is in here, with its neighbours.
 */
#include "snapshot.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ITEMS(array) (sizeof(array) / sizeof(*(array)))

void die(const char *what)
{
	fprintf(stderr, "snapshot: %s: %s\n", what, strerror(errno));
	exit(2);
}

char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("memory");
	va_end(args);
	return text;
}

/* In place: one line, without tabs. */
static void flatten(char *text, size_t size)
{
	while (size && text[size - 1] == '\n')
		size--;
	text[size] = '\0';
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\n' || text[i] == '\0')
			text[i] = '|';
		else if (text[i] == '\t')
			text[i] = ' ';
}

char *slurp(const char *path)
{
	static char buffer[1 << 20];
	size_t size = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error;

	if (fd < 0)
		return NULL;
	/* In small pieces: for a sysctl the kernel clears as much memory as is asked for. */
	while (size < sizeof(buffer) - 4096 && (n = read(fd, buffer + size, 4095)) > 0)
		size += (size_t)n;
	error = errno;
	close(fd);
	errno = error;
	if (n < 0)
		return NULL;
	flatten(buffer, size);
	return strdup(buffer);
}

bool is_number(const char *name)
{
	return isdigit((unsigned char)*name);
}

void each(const char *dir, void (*fn)(const char *dir, const char *name, void *ctx), void *ctx)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
			fn(dir, names[i]->d_name, ctx);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

/* proc_pid_stat(5): the name is in brackets, and may hold brackets. */
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
		t->state = close[2];
		/* state to tpgid; flags; minflt to priority; nice; two; start; 17 to
		 * processor; rt_priority; policy */
		ok = sscanf(close + 2,
			    "%*c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			    "%ld %*d %*d %llu %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u "
			    "%*u %*u %*u %*d %*d %lu %lu",
			    &t->flags, &t->nice, &t->start, &t->rt_priority, &t->policy) == 5;
	}
	free(text);
	return ok;
}

/* The rest of the line of KEY in a text whose lines slurp() has joined. */
static bool find_line(const char *text, const char *key, char *value, size_t size)
{
	const char *at = text ? strstr(text, key) : NULL;

	if (!at)
		return false;
	at += strlen(key);
	snprintf(value, size, "%.*s", (int)strcspn(at, "|"), at);
	return true;
}

static bool read_status(const char *dir, struct thread *t)
{
	char *path = format("%s/status", dir), *text = slurp(path);
	bool ok = find_line(text, "|Cpus_allowed_list: ", t->allowed, sizeof(t->allowed)) &&
		  find_line(text, "|Mems_allowed_list: ", t->mems, sizeof(t->mems));

	free(path);
	free(text);
	return ok;
}

/* "" where cgroup v2 is not mounted. */
static void read_cgroup(const char *dir, struct thread *t)
{
	char *path = format("%s/cgroup", dir), *text = slurp(path);

	free(path);
	*t->cgroup = '\0';
	find_line(text, "0::", t->cgroup, sizeof(t->cgroup));
	free(text);
}

static void with_tasks(const char *pid, void (*fn)(const struct thread *t, void *ctx), void *ctx)
{
	char *tasks = format("/proc/%s/task", pid);
	DIR *dir = opendir(tasks);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char *path = format("%s/%s", tasks, e->d_name);
		struct thread t = { .tid = atol(e->d_name), .tgid = atol(pid) };

		if (is_number(e->d_name) && read_stat(path, &t) && t.state != 'Z' &&
		    read_status(path, &t)) {
			read_cgroup(path, &t);
			fn(&t, ctx);
		}
		free(path);
	}
	if (dir)
		closedir(dir);
	free(tasks);
}

void with_threads(void (*fn)(const struct thread *t, void *ctx), void *ctx)
{
	DIR *proc = opendir("/proc");
	struct dirent *p;

	if (!proc)
		die("/proc");
	while ((p = readdir(proc)))
		if (is_number(p->d_name))
			with_tasks(p->d_name, fn, ctx);
	closedir(proc);
}

static void put(FILE *out, const char *key, const char *value)
{
	if (!left_out(key))
		fprintf(out, "%s\t%s\n", key, value);
}

static void put_file(FILE *out, const char *path)
{
	char *value;

	if (left_out(path))
		return;
	value = slurp(path);
	/* It has gone since its folder was read. */
	if (!value && (errno == ENOENT || errno == ENODEV))
		return;
	if (!value)
		value = format("(unreadable: %s)", strerror(errno));
	put(out, path, value);
	free(value);
}

static void put_optional(FILE *out, const char *path)
{
	if (access(path, R_OK) == 0)
		put_file(out, path);
}

static void put_thread(const struct thread *t, void *ctx)
{
	const char *kind = !(t->flags & PF_FIXED)		     ? "free"
			   : strncmp(t->comm, "kworker/R-", 10) == 0 ? "rescuer"
			   : strncmp(t->comm, "irq/", 4) == 0	     ? "handler"
								     : "fixed";
	char *key = format("thread %ld %llu %s", t->tid, t->start, kind);
	FILE *out = ctx;

	if (!left_out(key))
		fprintf(out, "%s\tCPUs %s nodes %s in %s policy %lu priority %lu nice %ld\t(%s)\n",
			key, t->allowed, t->mems, t->cgroup, t->policy, t->rt_priority, t->nice,
			t->comm);
	free(key);
	/* What is left running of ours. */
	if (t->tid == t->tgid && strncmp(t->comm, "shield", 6) == 0) {
		key = format("process %ld %s", t->tid, t->comm);
		put(out, key, "runs");
		free(key);
	}
}

/*
 * A tree of plain files that any user may read. What is mounted in it (another
 * device) belongs to others, and to look into an automount would mount it.
 */
static void put_tree(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);
	struct stat st, above;

	if (lstat(path, &st) == 0 && lstat(dir, &above) == 0 && st.st_dev == above.st_dev &&
	    !left_out(path)) {
		if (S_ISDIR(st.st_mode))
			each(path, put_tree, ctx);
		else if (S_ISREG(st.st_mode) && (st.st_mode & 0444))
			put_file(ctx, path);
	}
	free(path);
}

static void put_cgroup(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name), *value;
	struct stat st;

	if (lstat(path, &st) != 0) {
		free(path);
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		value = format("cgroup, mode %o of %u:%u", st.st_mode & 07777, st.st_uid,
			       st.st_gid);
		put(ctx, path, value);
		free(value);
		each(path, put_cgroup, ctx);
	} else if (st.st_mode & 0444) {
		put_file(ctx, path);
	}
	free(path);
}

/* Where a link leads, by its last name. */
static void put_link(FILE *out, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0)
		return;
	target[n] = '\0';
	put(out, path, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/* The name of an interrupt is with it, for its number may be another one later. */
static void put_irq(const char *dir, const char *name, void *ctx)
{
	char *path;

	put_tree(dir, name, ctx);
	if (!is_number(name))
		return;
	path = format("/sys/kernel/irq/%s/actions", name);
	put_optional(ctx, path);
	free(path);
}

static void put_interface(const char *dir, const char *name, void *ctx)
{
	static const char *const files[] = { "flags",
					     "mtu",
					     "tx_queue_len",
					     "threaded",
					     "gro_flush_timeout",
					     "napi_defer_hard_irqs" };
	/* Through the link, which put_tree() would not follow. */
	char *queues = format("%s/%s/queues", dir, name);

	for (size_t i = 0; i < ITEMS(files); i++) {
		char *path = format("%s/%s/%s", dir, name, files[i]);

		put_optional(ctx, path);
		free(path);
	}
	each(queues, put_tree, ctx);
	free(queues);
}

static void put_pci(const char *dir, const char *name, void *ctx)
{
	static const char *const files[] = { "driver_override", "numa_node", "power/control",
					     "enable" };
	char *path = format("%s/%s/driver", dir, name);

	put_link(ctx, path);
	free(path);
	for (size_t i = 0; i < ITEMS(files); i++) {
		path = format("%s/%s/%s", dir, name, files[i]);
		put_optional(ctx, path);
		free(path);
	}
}

static void put_parameters(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);

	put_tree(path, "parameters", ctx);
	free(path);
}

/* Files that any user may have put there: also which, and of what size. */
static void put_files(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name), *value;
	struct stat st;

	if (lstat(path, &st) == 0) {
		value = format("mode %o of %u:%u, %lld bytes", st.st_mode, st.st_uid, st.st_gid,
			       S_ISDIR(st.st_mode) ? 0 : (long long)st.st_size);
		put(ctx, path, value);
		free(value);
		if (S_ISDIR(st.st_mode))
			each(path, put_files, ctx);
	}
	free(path);
}

/* The strictest latency that any program asks for; asking for it asks for none. */
static void put_latency(FILE *out)
{
	int fd = open("/dev/cpu_dma_latency", O_RDONLY | O_CLOEXEC);
	int32_t us;
	char *value;

	if (fd < 0)
		return;
	value = read(fd, &us, sizeof(us)) == sizeof(us) ? format("%d us", us)
							: format("(unreadable)");
	close(fd);
	put(out, "/dev/cpu_dma_latency", value);
	free(value);
}

static char *ask(const char *socket_path, const char *request)
{
	static char answer[1 << 16];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t size = 0;
	ssize_t n;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    write(fd, request, strlen(request)) < 0) {
		close(fd);
		return NULL;
	}
	while (size < sizeof(answer) - 1 &&
	       (n = read(fd, answer + size, sizeof(answer) - 1 - size)) > 0)
		size += (size_t)n;
	close(fd);
	flatten(answer, size);
	return answer;
}

static void find_balancer(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name);

	if (strncmp(name, "irqbalance", 10) == 0 && ask(path, "setup"))
		*(bool *)ctx = true;
	free(path);
}

bool balancer_runs(void)
{
	static bool asked, runs;

	if (!asked)
		each("/run/irqbalance", find_balancer, &runs);
	asked = true;
	return runs;
}

/* irqbalance answers "SLEEP 10 IRQ 34 LOAD … BANNED 000000f0": its ban of CPUs, and the interrupts
 * it leaves alone. */
static void put_balancer(const char *dir, const char *name, void *ctx)
{
	char *path = format("%s/%s", dir, name), *answer, *irqs = format("alone:"), *longer;
	char cpus[256] = "(no answer)";

	if (strncmp(name, "irqbalance", 10) == 0 && (answer = ask(path, "setup"))) {
		if (find_line(answer, "BANNED ", cpus, sizeof(cpus)))
			cpus[strcspn(cpus, " ")] = '\0';
		for (const char *at = answer; (at = strstr(at, "IRQ ")); at += 4) {
			longer = format("%s %ld", irqs, strtol(at + 4, NULL, 10));
			free(irqs);
			irqs = longer;
		}
		put(ctx, "irqbalance CPUs", cpus);
		put(ctx, "irqbalance interrupts", irqs);
	}
	free(irqs);
	free(path);
}

/* Units: all that are called as ours are, the state of timers, and what has failed. */
static void put_units(FILE *out)
{
	char line[4096], name[512], load[64], active[64];
	FILE *in = popen("systemctl list-units --all --full --plain --no-legend --no-pager", "re");

	if (!in)
		die("systemctl");
	while (fgets(line, sizeof(line), in)) {
		char *key, *value;

		if (sscanf(line, "%511s %63s %63s", name, load, active) != 3)
			continue;
		if (strncmp(name, "shield", 6) != 0 && !strstr(name, ".timer") &&
		    strcmp(active, "failed") != 0)
			continue;
		key = format("unit %s", name);
		value = format("%s %s", load, active);
		put(out, key, value);
		free(key);
		free(value);
	}
	if (pclose(in) != 0)
		die("systemctl list-units");
}

static void put_systemd(FILE *out)
{
	if (access("/run/systemd/system", F_OK) != 0)
		return;
	put_units(out);
	each("/run/systemd/transient", put_files, out);
	put_files("/run/systemd", "system.control", out);
	put_files("/etc/systemd", "system.control", out);
}

void take(FILE *out)
{
	static const char *const trees[][2] = {
		{ "/proc", "sys" },
		{ "/sys/devices/virtual", "workqueue" },
		{ "/sys/devices/system", "cpu" },
		{ "/sys/devices/system", "node" },
		{ "/sys/devices/system", "machinecheck" },
		{ "/sys/devices/system", "clocksource" },
		{ "/sys/devices/system", "clockevents" },
		{ "/sys/kernel", "mm" },
		{ "/sys/kernel", "sched_ext" },
	};
	static const char *const files[] = {
		"/sys/kernel/rcu_normal",
		"/sys/kernel/rcu_expedited",
		"/sys/kernel/profiling",
		"/sys/kernel/tracing/tracing_on",
		"/sys/kernel/tracing/current_tracer",
		"/sys/kernel/tracing/tracing_cpumask",
		"/sys/kernel/tracing/set_event",
		"/sys/kernel/tracing/dynamic_events",
		"/sys/power/mem_sleep",
		"/sys/power/pm_async",
	};

	with_threads(put_thread, out);
	put_cgroup("/sys/fs", "cgroup", out);
	each("/proc/irq", put_irq, out);
	for (size_t i = 0; i < ITEMS(trees); i++)
		put_tree(trees[i][0], trees[i][1], out);
	for (size_t i = 0; i < ITEMS(files); i++)
		put_optional(out, files[i]);
	each("/sys/kernel/tracing/instances", put_files, out);
	each("/sys/module", put_parameters, out);
	each("/sys/class/net", put_interface, out);
	each("/sys/bus/pci/devices", put_pci, out);
	put_latency(out);
	each("/run/irqbalance", put_balancer, out);
	put_systemd(out);
	put_files("/run", "shield", out);
}
