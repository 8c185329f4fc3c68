/* SPDX-License-Identifier: MIT */
/* The machine as it is booted, its plain files, and the kernel's texts of CPU
 * sets. */
#include "tests/fake/internal.h"

#include <stdio.h>
#include <unistd.h>

int fake_parse(const struct fake *fake, const char *text, bool mask, struct cpuset *set)
{
	int rc;

	if (!mask && strpbrk(text, ":^"))
		return -EINVAL;
	rc = mask ? cpumask_parse(text, set, NULL) : cpulist_parse(text, set, NULL);
	if (rc < 0)
		return -EINVAL;
	if (cpuset_last(set) >= (int)fake->ncpus)
		return mask ? -EOVERFLOW : -ERANGE;
	return 0;
}

char *fake_list_text(const struct cpuset *set)
{
	_cleanup_free_ char *list = cpulist_format(set);

	return xasprintf("%s\n", list);
}

char *fake_mask_text(const struct fake *fake, const struct cpuset *set)
{
	unsigned digits = (fake->ncpus + 3) / 4, at = 0;
	char *text = xmalloc(digits + digits / 8 + 2);

	for (unsigned d = digits; d-- > 0;) {
		unsigned value = 0;

		for (unsigned b = 0; b < 4; b++)
			value |= (unsigned)cpuset_has(set, 4 * d + b) << b;
		text[at++] = "0123456789abcdef"[value];
		if (d && d % 8 == 0)
			text[at++] = ',';
	}
	text[at++] = '\n';
	text[at] = '\0';
	return text;
}

struct cpuset fake_cpus(const struct fake *fake, const char *list)
{
	struct cpuset set = { 0 };

	if (list)
		cpulist_parse(list, &set, NULL);
	else
		cpuset_copy(&set, &fake->possible);
	return set;
}

struct node *node_find(const struct fake *fake, const char *path)
{
	for (size_t i = 0; i < fake->n_nodes; i++)
		if (fake->nodes[i]->path && strcmp(fake->nodes[i]->path, path) == 0)
			return fake->nodes[i];
	return NULL;
}

struct node *node_new(struct fake *fake, const char *path, mode_t mode)
{
	struct node *node = xcalloc(1, sizeof(*node));

	*node = (struct node){ .path = xstrdup(path),
			       .mode = mode,
			       .links = 1,
			       .ino = ++fake->inodes,
			       .text = xstrdup("") };
	GROW(fake->nodes, fake->n_nodes, fake->cap_nodes);
	fake->nodes[fake->n_nodes++] = node;
	return node;
}

/* The name goes; the node lives while it is open. */
void node_unlink(struct fake *fake, struct node *node)
{
	free(node->path);
	node->path = NULL;
	node->links = 0;
	if (node->refs)
		return;
	for (size_t i = 0; i < fake->n_nodes; i++)
		if (fake->nodes[i] == node)
			fake->nodes[i] = fake->nodes[--fake->n_nodes];
	free(node->text);
	free(node->target);
	free(node);
}

void fake_dir(struct fake *fake, const char *path)
{
	for (const char *at = path; at && *at; at = strchr(at + 1, '/')) {
		const char *end = strchr(at + 1, '/');
		_cleanup_free_ char *prefix =
			xstrndup(path, end ? (size_t)(end - path) : strlen(path));

		if (!node_find(fake, prefix))
			node_new(fake, prefix, S_IFDIR | 0755);
	}
}

static struct node *plain(struct fake *fake, const char *path, mode_t mode)
{
	_cleanup_free_ char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct node *node = node_find(fake, path);

	fake_dir(fake, dir);
	return node ? node : node_new(fake, path, mode);
}

void fake_file(struct fake *fake, const char *path, const char *text)
{
	struct node *node = plain(fake, path, S_IFREG | 0644);

	free(node->text);
	node->text = xstrdup(text);
	node->size = strlen(text);
}

void fake_symlink(struct fake *fake, const char *path, const char *target)
{
	plain(fake, path, S_IFLNK | 0777)->target = xstrdup(target);
}

void fake_chattr(struct fake *fake, const char *path, unsigned mode, unsigned uid, unsigned links)
{
	struct node *node = node_find(fake, path);

	node->mode = mode;
	node->uid = uid;
	node->links = links;
}

const char *fake_flavour_name(enum flavour flavour)
{
	static const char *const names[] = { "6.1", "6.12", "7" };

	return names[flavour];
}

struct fake *fake_new(enum flavour flavour, unsigned ncpus)
{
	struct fake *fake = xcalloc(1, sizeof(*fake));

	fake->flavour = flavour;
	fake->ncpus = ncpus;
	snprintf(fake->machine, sizeof(fake->machine), "core:%u pu:1", ncpus);
	fake->next_pid = 100;
	cpuset_add_range(&fake->possible, 0, ncpus - 1);
	cpuset_copy(&fake->online, &fake->possible);
	cpuset_copy(&fake->default_irq, &fake->possible);
	cpuset_copy(&fake->wq_requested, &fake->possible);
	cpuset_copy(&fake->wq, &fake->possible);
	fake->root = cg_new(NULL, "");
	cpuset_update(fake);
	fake_process_as(fake, 1, "init");
	fake_process_as(fake, 2, "kthreadd");
	ftask_find(fake, 2)->kthread = true;
	fake->self = getpid();
	if (fake->self > 2)
		fake_process_as(fake, fake->self, "shield");
	for (unsigned cpu = 0; cpu < ncpus; cpu += 2) {
		_cleanup_free_ char *name = xasprintf("migration/%u", cpu);
		_cleanup_free_ char *only = xasprintf("%u", cpu);

		fake_kthread(fake, name, only, FAKE_PERCPU);
	}
	fake_kthread(fake, "kworker/u16:0", NULL, FAKE_NOAFF);
	fake_dir(fake, "/");
	fake_dir(fake, "/run");
	fake_file(fake, "/proc/sys/kernel/random/boot_id",
		  "5a1d7a0e-0000-4000-8000-000000000001\n");
	fake_file(fake, "/proc/cmdline", "quiet\n");
	return fake;
}

void fake_free(struct fake *fake)
{
	fake_process_dies(fake);
	while (fake->n_nodes)
		node_unlink(fake, fake->nodes[0]);
	while (fake->n_irqs)
		fake_irq_free(fake, fake->irqs[0].number);
	for (size_t i = 0; i < fake->n_tasks; i++)
		ftask_free(fake->tasks[i]);
	cg_free(fake->root);
	cpuset_clear(&fake->possible);
	cpuset_clear(&fake->online);
	cpuset_clear(&fake->taken);
	cpuset_clear(&fake->leaked);
	cpuset_clear(&fake->isolated);
	cpuset_clear(&fake->wq_isolated);
	cpuset_clear(&fake->default_irq);
	cpuset_clear(&fake->wq_requested);
	cpuset_clear(&fake->wq);
	balancer_clear(&fake->balancer);
	manager_clear(&fake->manager);
	free(fake->nodes);
	free(fake->tasks);
	free(fake->irqs);
	free(fake->fds);
	free(fake);
}
