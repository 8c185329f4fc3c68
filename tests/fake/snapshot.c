/* SPDX-License-Identifier: MIT */
/* Everything observable as text. */
#include "tests/fake/internal.h"

static void add_file(struct fake *fake, FILE *out, const char *path)
{
	_cleanup_free_ char *text = NULL;
	mode_t mode;

	if (cg_read(fake, path, &text) == 0 || dev_read(fake, path, &text, &mode) == 0)
		fprintf(out, "%s: %s", path, text);
}

static void add_threads(struct fake *fake, FILE *out)
{
	for (size_t i = 0; i < fake->n_tasks; i++) {
		const struct ftask *t = fake->tasks[i];
		_cleanup_free_ char *cpus = cpulist_format(&t->allowed), *cg = cg_path(t->cg);

		fprintf(out, "thread %d (%s): %s in %s\n", (int)t->tid, t->comm, cpus, cg);
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: the order in which cgroups were made does not show. */
static void add_cgroups(struct fake *fake, FILE *out)
{
	static const char *const shown[] = {
		"cgroup.subtree_control",
		"cgroup.type",
		"cpuset.cpus",
		"cpuset.cpus.effective",
		"cpuset.cpus.exclusive",
		"cpuset.cpus.exclusive.effective",
		"cpuset.cpus.isolated",
		"cpuset.cpus.partition",
	};
	_cleanup_strv_ struct strv paths = { 0 };

	for (struct cg *c = fake->root; c; c = cg_next(c))
		strv_take(&paths, cg_path(c));
	qsort(paths.items, paths.n, sizeof(*paths.items), by_path);
	for (size_t i = 0; i < paths.n; i++) {
		fprintf(out, "cgroup %s\n", paths.items[i]);
		for (size_t f = 0; f < ARRAY_SIZE(shown); f++) {
			_cleanup_free_ char *path =
				xasprintf("%s%s%s%s", FAKE_MOUNT, paths.items[i],
					  paths.items[i][1] ? "/" : "", shown[f]);

			add_file(fake, out, path);
		}
	}
}

static void add_irqs(struct fake *fake, FILE *out)
{
	_cleanup_strv_ struct strv numbers = { 0 };

	for (size_t i = 0; i < fake->n_irqs; i++)
		strv_addf(&numbers, "%u", fake->irqs[i].number);
	strv_sort(&numbers);
	for (size_t i = 0; i < numbers.n; i++) {
		_cleanup_free_ char *path =
			xasprintf("/proc/irq/%s/smp_affinity_list", numbers.items[i]);

		add_file(fake, out, path);
	}
}

/* Plain files whose path begins so. */
static void add_plain(struct fake *fake, FILE *out, const char *prefix)
{
	_cleanup_strv_ struct strv lines = { 0 };

	for (size_t i = 0; i < fake->n_nodes; i++) {
		const struct node *n = fake->nodes[i];

		if (n->path && strncmp(n->path, prefix, strlen(prefix)) == 0 && S_ISREG(n->mode))
			strv_addf(&lines, "file %s: %.*s\n", n->path, (int)n->size, n->text);
	}
	if (lines.n)
		qsort(lines.items, lines.n, sizeof(*lines.items), by_path);
	for (size_t i = 0; i < lines.n; i++)
		fputs(lines.items[i], out);
}

char *fake_snapshot_kernel(struct fake *fake)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	manager_show(fake, out);
	add_threads(fake, out);
	add_cgroups(fake, out);
	add_irqs(fake, out);
	add_file(fake, out, "/proc/irq/default_smp_affinity");
	add_file(fake, out, "/sys/devices/virtual/workqueue/cpumask");
	add_file(fake, out, "/sys/devices/virtual/workqueue/cpumask_requested");
	add_file(fake, out, "/sys/devices/system/cpu/online");
	balancer_show(&fake->balancer, out);
	add_plain(fake, out, "/proc/sys/");
	add_plain(fake, out, "/sys/");
	fclose(out);
	return text;
}

char *fake_snapshot(struct fake *fake)
{
	_cleanup_free_ char *kernel = fake_snapshot_kernel(fake);
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(kernel, out);
	add_plain(fake, out, "/run/shield/");
	fclose(out);
	return text;
}
