#include "irq/irq.h"

#include "shield/base/text.h"

#include <ctype.h>
#include <string.h>

char *irq_path(unsigned number)
{
	return xasprintf("/proc/irq/%u/smp_affinity_list", number);
}

void irqs_clear(struct irqs *irqs)
{
	for (size_t i = 0; i < irqs->n; i++) {
		free(irqs->items[i].actions);
		free(irqs->items[i].chip);
		cpuset_clear(&irqs->items[i].mask);
		cpuset_clear(&irqs->items[i].effective);
	}
	free(irqs->items);
	*irqs = (struct irqs){ 0 };
}

/* A file of the interrupt as text, "" where there is none. */
static char *attribute(struct sys *sys, const char *dir, const char *number, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/%s", dir, number, name);
	_cleanup_free_ char *text = NULL;

	if (sys_read_line(sys, path, &text) < 0)
		return xstrdup("");
	return text_escape(text);
}

static int mask(struct sys *sys, const char *number, const char *name, struct cpuset *set)
{
	_cleanup_free_ char *path = xasprintf("/proc/irq/%s/%s", number, name);
	_cleanup_free_ char *text = NULL;
	int rc = sys_read_line(sys, path, &text);

	return rc < 0 ? rc : cpulist_parse(text, set, NULL);
}

static enum irq_class classify(struct sys *sys, const struct irq *irq)
{
	_cleanup_free_ char *path = irq_path(irq->number);
	struct stat st;

	if (sys->ops->lstat(sys->ctx, path, &st) == 0 && !(st.st_mode & S_IWUSR))
		return IRQ_IMMOVABLE;
	if (strncmp(irq->actions, "vfio-", 5) == 0)
		return IRQ_VFIO;
	return *irq->actions ? IRQ_ORDINARY : IRQ_NO_ACTION;
}

int irqs_snapshot(struct sys *sys, struct irqs *irqs, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	int rc = sys->ops->list(sys->ctx, "/proc/irq", &names);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "/proc/irq: cannot be listed: %s", err_errno(rc));
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.items[i];
		struct irq *irq;

		if (!isdigit((unsigned char)*name))
			continue;
		GROW(irqs->items, irqs->n, irqs->cap);
		irq = &irqs->items[irqs->n];
		if (mask(sys, name, "smp_affinity_list", &irq->mask) < 0)
			continue; /* freed since */
		irq->number = (unsigned)strtoul(name, NULL, 10);
		mask(sys, name, "effective_affinity_list", &irq->effective);
		irq->actions = attribute(sys, "/sys/kernel/irq", name, "actions");
		irq->chip = attribute(sys, "/sys/kernel/irq", name, "chip_name");
		irq->class = classify(sys, irq);
		irqs->n++;
	}
	return 0;
}
