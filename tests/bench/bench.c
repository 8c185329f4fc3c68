/* SPDX-License-Identifier: MIT */
/*
 * bench: what does the safety of a transaction cost? Times `shield on` and
 * `shield off` against a bare program that makes the same kernel writes, as
 * `shield -v` has listed them, and nothing else: no look at the host, no state
 * file, nothing read back. Both are started as programs, twice a round. After
 * each the machine is left alone for a while, which is not counted: what the
 * guard does after `on` has returned is not a part of it. Run by
 * tests/bench/run in a test VM; not a test.
 *
 * Usage: bench ROUNDS PROFILE ON-TRACE OFF-TRACE
 *        bench replay TRACE	the bare program
 *        bench threads N	N threads that sleep, until it is killed
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 20000
#define PAUSE_US 300000

struct trace {
	char *lines[LINES_MAX];
	int n;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void load(const char *path, struct trace *trace)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;

	while (f && trace->n < LINES_MAX && getline(&line, &size, f) > 0)
		if (strstr(line, " -> "))
			trace->lines[trace->n++] = strdup(line + strlen("shield: "));
	free(line);
	if (f)
		fclose(f);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "bare: %s: %s: %m\n", path, text);
	close(fd);
}

/* A list of CPUs below 64 as a mask. */
static unsigned long long mask(const char *list)
{
	unsigned long long bits = 0;
	char *end;

	for (; *list; list = *end ? end + 1 : end) {
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last; first++)
			bits |= 1ULL << first;
	}
	return bits;
}

/* "PATH: OLD -> NEW", "thread TID (NAME): OLD -> NEW" */
static void replay_line(const char *line)
{
	char object[4096], value[4096];
	const char *to = strstr(line, " -> ") + 4, *colon = strstr(line, ": ");

	snprintf(object, sizeof(object), "%.*s", (int)(colon - line), line);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(to, "\n"), to);
	if (strncmp(object, "thread ", 7) == 0) {
		unsigned long long bits = mask(value);

		sched_setaffinity(atoi(object + 7), sizeof(bits), (cpu_set_t *)&bits);
	} else if (strcmp(value, "present") == 0) {
		mkdir(object, 0755);
	} else if (strcmp(value, "absent") == 0) {
		rmdir(object);
	} else if (strstr(object, "default_smp_affinity") || strstr(object, "workqueue/cpumask")) {
		char hex[32];

		snprintf(hex, sizeof(hex), "%llx", mask(value));
		put(object, hex);
	} else {
		put(object, strcmp(value, "(empty)") == 0 ? "\n" : value);
	}
}

static int replay(const char *path)
{
	static struct trace trace;

	load(path, &trace);
	for (int i = 0; i < trace.n; i++)
		replay_line(trace.lines[i]);
	return 0;
}

static double run(char *const argv[])
{
	double start = now(), end;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	end = now();
	if (status)
		fprintf(stderr, "%s %s: status %d\n", argv[0], argv[1], status);
	usleep(PAUSE_US);
	return end - start;
}

static double bare(char *trace)
{
	return run((char *[]){ "bench", "replay", trace, NULL });
}

static double shield(char *command, char *profile)
{
	return run((char *[]){ "shield", command, "-q", profile, NULL });
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare);
	return values[n / 2];
}

static void *doze(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static int threads(int n)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	for (int i = 1; i < n; i++)
		if (pthread_create(&thread, &attr, doze, NULL) != 0)
			return 1;
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}

int main(int argc, char **argv)
{
	static double without[100], begin[100], end[100], with[100], start[100], plan[100];
	int rounds = argc == 5 ? atoi(argv[1]) : 0;

	if (argc == 3 && strcmp(argv[1], "threads") == 0)
		return threads(atoi(argv[2]));
	if (argc == 3 && strcmp(argv[1], "replay") == 0)
		return replay(argv[2]);
	if (rounds < 1 || rounds > 100) {
		fprintf(stderr, "usage: bench ROUNDS PROFILE ON-TRACE OFF-TRACE\n");
		return 2;
	}
	/* Alternating, so that other work of the machine hits both. */
	for (int i = 0; i < rounds; i++) {
		without[i] = bare(argv[3]) + bare(argv[4]);
		begin[i] = shield("on", argv[2]);
		end[i] = shield("off", argv[2]);
		with[i] = begin[i] + end[i];
		start[i] = run((char *[]){ "shield", "--version", NULL });
		plan[i] = shield("plan", argv[2]);
	}
	printf("bare %.1f ms, shield %.1f ms (on %.1f, off %.1f), ratio %.1f; to start a program "
	       "%.1f, and to make a plan %.1f\n",
	       median(without, rounds), median(with, rounds), median(begin, rounds),
	       median(end, rounds), median(with, rounds) / median(without, rounds),
	       median(start, rounds), median(plan, rounds));
	return 0;
}
