/* SPDX-License-Identifier: MIT */
/* Interrupts, the mask of unbound workqueues, the list of CPUs. */
#include "tests/fake/internal.h"

#include <stdlib.h>

static struct firq *find_irq(struct fake *fake, const char *path, const char *prefix,
			     const char **rest)
{
	size_t n = strlen(prefix);
	unsigned long number;
	char *end;

	if (strncmp(path, prefix, n) != 0 || path[n] < '0' || path[n] > '9')
		return NULL;
	number = strtoul(path + n, &end, 10);
	for (size_t i = 0; i < fake->n_irqs; i++)
		if (fake->irqs[i].number == number && (*end == '/' || !*end)) {
			*rest = *end ? end + 1 : end;
			return &fake->irqs[i];
		}
	return NULL;
}

static void settle_irq(struct fake *fake, struct firq *irq)
{
	_cleanup_cpuset_ struct cpuset on = { 0 };

	cpuset_copy(&on, &irq->mask);
	cpuset_and(&on, &fake->online);
	if (cpuset_empty(&on))
		return;
	cpuset_clear(&irq->effective);
	cpuset_add(&irq->effective, (unsigned)cpuset_next(&on, -1));
}

void fake_irq(struct fake *fake, unsigned number, const char *actions, const char *cpus,
	      unsigned flags)
{
	struct firq *irq;

	GROW(fake->irqs, fake->n_irqs, fake->cap_irqs);
	irq = &fake->irqs[fake->n_irqs++];
	*irq = (struct firq){ .number = number, .actions = xstrdup(actions) };
	irq->mask = fake_cpus(fake, cpus);
	irq->managed = flags & FAKE_MANAGED;
	irq->pending = flags & FAKE_PENDING;
	settle_irq(fake, irq);
}

void fake_irq_fire(struct fake *fake, unsigned number)
{
	for (size_t i = 0; i < fake->n_irqs; i++)
		if (fake->irqs[i].number == number)
			settle_irq(fake, &fake->irqs[i]);
}

static struct firq *irq_of(struct fake *fake, unsigned number)
{
	for (size_t i = 0; i < fake->n_irqs; i++)
		if (fake->irqs[i].number == number)
			return &fake->irqs[i];
	abort();
}

void fake_irq_refuse(struct fake *fake, unsigned number, int error)
{
	irq_of(fake, number)->error = error;
}

void fake_irq_vanish(struct fake *fake, unsigned number)
{
	irq_of(fake, number)->vanishing = true;
}

void fake_irq_free(struct fake *fake, unsigned number)
{
	for (size_t i = 0; i < fake->n_irqs; i++)
		if (fake->irqs[i].number == number) {
			free(fake->irqs[i].actions);
			cpuset_clear(&fake->irqs[i].mask);
			cpuset_clear(&fake->irqs[i].effective);
			fake->irqs[i] = fake->irqs[--fake->n_irqs];
			return;
		}
}

static int write_irq(struct fake *fake, struct firq *irq, const char *text, bool mask)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int rc;

	if (irq->managed)
		return fake->flavour == FAKE_6_1 ? -EIO : -EPERM;
	rc = -irq->error;
	if (rc == -ENOENT)
		fake_irq_free(fake, irq->number);
	if (rc < 0)
		return rc;
	rc = fake_parse(fake, text, mask, &cpus);
	if (rc < 0)
		return rc;
	if (!cpuset_intersects(&cpus, &fake->online))
		return -EINVAL;
	cpuset_copy(&irq->mask, &cpus);
	if (!irq->pending)
		settle_irq(fake, irq);
	return 0;
}

/* Unbound workers follow the mask. */
void dev_settle_workers(struct fake *fake)
{
	for (size_t i = 0; i < fake->n_tasks; i++)
		if (strncmp(fake->tasks[i]->comm, "kworker/u", 9) == 0)
			cpuset_copy(&fake->tasks[i]->allowed, &fake->wq);
}

static int write_mask(struct fake *fake, const char *text, bool workqueues)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };
	int rc = fake_parse(fake, text, true, &cpus);

	if (rc < 0)
		return rc;
	if (!cpuset_intersects(&cpus, workqueues ? &fake->possible : &fake->online))
		return -EINVAL;
	if (!workqueues) {
		cpuset_copy(&fake->default_irq, &cpus);
		return 0;
	}
	/* Not masked by isolation until a partition changes. */
	cpuset_copy(&fake->wq_requested, &cpus);
	cpuset_copy(&fake->wq, &cpus);
	dev_settle_workers(fake);
	return 0;
}

#define WQ "/sys/devices/virtual/workqueue"
#define CPU "/sys/devices/system/cpu"

static int read_irq(struct fake *fake, struct firq *irq, const char *rest, bool proc, char **ret,
		    mode_t *mode)
{
	if (!*rest)
		return 0;
	if (!proc) {
		if (irq->vanishing) {
			fake_irq_free(fake, irq->number);
			return -ENODEV;
		}
		if (strcmp(rest, "actions") == 0)
			*ret = xasprintf("%s\n", irq->actions);
		else if (strcmp(rest, "chip_name") == 0)
			*ret = xstrdup("PCI-MSI\n");
		else if (strcmp(rest, "hwirq") == 0)
			*ret = xasprintf("%u\n", irq->number);
		else if (strcmp(rest, "type") == 0)
			*ret = xstrdup("edge\n");
		*mode = 0444;
		return *ret ? 0 : -ENOENT;
	}
	if (strcmp(rest, "smp_affinity_list") == 0)
		*ret = fake_list_text(&irq->mask);
	else if (strcmp(rest, "smp_affinity") == 0)
		*ret = fake_mask_text(fake, &irq->mask);
	else if (strcmp(rest, "effective_affinity_list") == 0)
		*ret = fake_list_text(&irq->effective);
	else if (strcmp(rest, "effective_affinity") == 0)
		*ret = fake_mask_text(fake, &irq->effective);
	else
		return FAKE_NOT_MINE; /* node and affinity_hint are plain files */
	if (*rest == 'e' || (irq->managed && fake->flavour != FAKE_6_1))
		*mode = 0444;
	return 0;
}

/* "…/cpu3/online"; the first CPU has none. */
static bool cpu_of(const struct fake *fake, const char *path, unsigned *cpu)
{
	return sscanf(path, CPU "/cpu%5u", cpu) == 1 && *cpu > 0 &&
	       cpuset_has(&fake->possible, *cpu) && strcmp(strrchr(path, '/'), "/online") == 0;
}

/* Interrupts and threads whose last CPU goes may run anywhere from then on. */
void dev_cpu_gone(struct fake *fake)
{
	for (size_t i = 0; i < fake->n_irqs; i++)
		if (!fake->irqs[i].managed &&
		    !cpuset_intersects(&fake->irqs[i].mask, &fake->online))
			cpuset_copy(&fake->irqs[i].mask, &fake->online);
	for (size_t i = 0; i < fake->n_irqs; i++)
		settle_irq(fake, &fake->irqs[i]);
}

int dev_read(struct fake *fake, const char *path, char **ret, mode_t *mode)
{
	const char *rest;
	struct firq *irq = find_irq(fake, path, "/proc/irq/", &rest);
	unsigned cpu;

	if (irq)
		return read_irq(fake, irq, rest, true, ret, mode);
	irq = find_irq(fake, path, "/sys/kernel/irq/", &rest);
	if (irq)
		return read_irq(fake, irq, rest, false, ret, mode);
	if (strcmp(path, "/proc/irq/default_smp_affinity") == 0)
		*ret = fake_mask_text(fake, &fake->default_irq);
	else if (strcmp(path, WQ "/cpumask") == 0)
		*ret = fake_mask_text(fake, &fake->wq);
	else if (strcmp(path, WQ "/cpumask_isolated") == 0 && fake->flavour != FAKE_6_1)
		*ret = fake_mask_text(fake, &fake->wq_isolated);
	else if (strcmp(path, WQ "/cpumask_requested") == 0 && fake->flavour != FAKE_6_1)
		*ret = fake_mask_text(fake, &fake->wq_requested);
	else if (strcmp(path, CPU "/online") == 0)
		*ret = fake_list_text(&fake->online);
	else if (cpu_of(fake, path, &cpu))
		*ret = xasprintf("%d\n", cpuset_has(&fake->online, cpu));
	else if (strcmp(path, CPU "/possible") == 0 || strcmp(path, CPU "/present") == 0)
		*ret = fake_list_text(&fake->possible);
	else if (strcmp(path, CPU "/housekeeping") == 0 && fake->flavour == FAKE_7)
		*ret = fake_list_text(&fake->online); /* as far as it is asked */
	else if (strcmp(path, CPU "/isolated") == 0)
		*ret = xstrdup("\n"); /* that of the command line, isolcpus= */
	else
		return FAKE_NOT_MINE;
	return 0;
}

int dev_write(struct fake *fake, const char *path, const char *text)
{
	const char *rest;
	struct firq *irq = find_irq(fake, path, "/proc/irq/", &rest);
	unsigned cpu;

	if (irq && strcmp(rest, "smp_affinity_list") == 0)
		return write_irq(fake, irq, text, false);
	if (irq && strcmp(rest, "smp_affinity") == 0)
		return write_irq(fake, irq, text, true);
	if (strcmp(path, "/proc/irq/default_smp_affinity") == 0)
		return write_mask(fake, text, false);
	if (strcmp(path, WQ "/cpumask") == 0)
		return write_mask(fake, text, true);
	if (cpu_of(fake, path, &cpu)) {
		if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
			return -EINVAL;
		fake_cpu(fake, cpu, *text == '1');
		return 0;
	}
	return FAKE_NOT_MINE;
}

int dev_list(struct fake *fake, const char *path, struct strv *names)
{
	static const char *const proc[] = { "effective_affinity", "effective_affinity_list",
					    "smp_affinity", "smp_affinity_list" };
	static const char *const sys[] = { "actions", "chip_name", "hwirq", "type" };
	bool in_proc = strcmp(path, "/proc/irq") == 0;
	const char *rest;

	if (in_proc || strcmp(path, "/sys/kernel/irq") == 0) {
		for (size_t i = 0; i < fake->n_irqs; i++)
			strv_addf(names, "%u", fake->irqs[i].number);
		if (in_proc)
			strv_add(names, "default_smp_affinity");
		return 0;
	}
	if (find_irq(fake, path, "/proc/irq/", &rest) && !*rest) {
		for (size_t i = 0; i < ARRAY_SIZE(proc); i++)
			strv_add(names, proc[i]);
		return 0;
	}
	if (find_irq(fake, path, "/sys/kernel/irq/", &rest) && !*rest) {
		for (size_t i = 0; i < ARRAY_SIZE(sys); i++)
			strv_add(names, sys[i]);
		return 0;
	}
	if (strcmp(path, WQ) == 0) {
		strv_add(names, "cpumask");
		if (fake->flavour != FAKE_6_1) {
			strv_add(names, "cpumask_isolated");
			strv_add(names, "cpumask_requested");
		}
		return 0;
	}
	if (strcmp(path, CPU) == 0) {
		strv_add(names, "online");
		strv_add(names, "possible");
		strv_add(names, "present");
		strv_add(names, "isolated");
		return 0;
	}
	return FAKE_NOT_MINE;
}
