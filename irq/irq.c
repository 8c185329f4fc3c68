#include "irq/irq.h"

#include "irq/pci.h"
#include "shield/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

char *irq_path(unsigned number)
{
	return xasprintf("/proc/irq/%u/smp_affinity_list", number);
}

bool irq_path_number(const char *path, unsigned *number)
{
	_cleanup_free_ char *same = NULL;
	static const char dir[] = "/proc/irq/";

	if (strncmp(path, dir, sizeof(dir) - 1) != 0 || !isdigit((unsigned char)path[sizeof(dir) - 1]))
		return false;
	*number = (unsigned)strtoul(path + sizeof(dir) - 1, NULL, 10);
	same = irq_path(*number);
	return strcmp(path, same) == 0;
}

const char *irq_class_name(enum irq_class class)
{
	static const char *const names[] = { "ordinary", "vfio", "managed", "per-cpu", "no action" };

	return names[class];
}

bool irq_movable(const struct irq *irq)
{
	return irq->class != IRQ_MANAGED && irq->class != IRQ_PER_CPU;
}

char *irq_identity(const struct irq *irq)
{
	return *irq->device ? xasprintf("%s@%s", irq->actions, irq->device) : xstrdup(irq->actions);
}

void irqs_clear(struct irqs *irqs)
{
	for (size_t i = 0; i < irqs->n; i++) {
		free(irqs->items[i].actions);
		free(irqs->items[i].chip);
		free(irqs->items[i].device);
		free(irqs->items[i].driver);
		cpuset_clear(&irqs->items[i].mask);
		cpuset_clear(&irqs->items[i].effective);
		cpuset_clear(&irqs->items[i].near);
	}
	free(irqs->items);
	*irqs = (struct irqs){ 0 };
}

/* A file of the interrupt as text, "" where there is none. *rc is what could
 * not be read, and stays. */
static char *attribute(struct sys *sys, const char *number, const char *name, int *rc)
{
	_cleanup_free_ char *path = xasprintf("/sys/kernel/irq/%s/%s", number, name);
	_cleanup_free_ char *text = NULL;
	int now = sys_read_line(sys, path, &text);

	if (now < 0 && now != -ENOENT)
		*rc = now;
	return text_escape(now < 0 ? "" : text);
}

static int mask(struct sys *sys, const char *number, const char *name, struct cpuset *set)
{
	_cleanup_free_ char *path = xasprintf("/proc/irq/%s/%s", number, name);
	_cleanup_free_ char *text = NULL;
	int rc = sys_read_line(sys, path, &text);

	return rc < 0 ? rc : cpulist_parse(text, set, NULL);
}

int irq_is(struct sys *sys, unsigned number, const char *identity)
{
	const char *at = strrchr(identity, '@');
	size_t n = at && pci_address_ok(at + 1) ? (size_t)(at - identity) : strlen(identity);
	_cleanup_free_ char *path = xasprintf("/sys/kernel/irq/%u/actions", number);
	_cleanup_free_ char *raw = NULL, *actions = NULL;
	int rc;

	rc = sys_read_line(sys, path, &raw);
	if (rc < 0)
		return rc == -ENOENT || rc == -ENODEV ? 0 : rc;
	actions = text_escape(raw);
	return strlen(actions) == n && memcmp(actions, identity, n) == 0 &&
	       (!identity[n] || pci_has_irq(sys, at + 1, number));
}

static bool several_nodes(struct sys *sys)
{
	_cleanup_free_ char *text = NULL;

	return sys_read_line(sys, "/sys/devices/system/node/online", &text) == 0 &&
	       strcmp(text, "0") != 0;
}

/* The CPUs of its node; none if it has no node. */
static void node_cpus(struct sys *sys, unsigned number, struct cpuset *cpus)
{
	_cleanup_free_ char *path = xasprintf("/proc/irq/%u/node", number), *node = NULL;
	_cleanup_free_ char *list = NULL, *text = NULL;

	if (sys_read_line(sys, path, &node) < 0 || !isdigit((unsigned char)*node))
		return;
	list = xasprintf("/sys/devices/system/node/node%s/cpulist", node);
	if (sys_read_line(sys, list, &text) == 0)
		cpulist_parse(text, cpus, NULL);
}

void irq_near(struct sys *sys, unsigned number, struct cpuset *cpus)
{
	_cleanup_cpuset_ struct cpuset near = { 0 };

	if (several_nodes(sys))
		node_cpus(sys, number, &near);
	if (cpuset_intersects(cpus, &near))
		cpuset_and(cpus, &near);
}

const char *irq_write_hint(int rc)
{
	switch (rc) {
	case -ENOSPC:
		return "; no interrupt vector is left on these CPUs: leave the host more CPUs, or "
		       "give its devices fewer queues (ethtool -L IFACE combined N)";
	case -EINVAL:
		return "; none of these CPUs is online";
	case -ERANGE:
	case -EOVERFLOW:
		return "; this kernel cannot have such a CPU";
	default:
		return "";
	}
}

/* A read-only mask is one that the kernel never lets anybody change. Of MSI it
 * can only be a managed one: every MSI chip can move the others. */
static enum irq_class classify(struct sys *sys, const struct irq *irq)
{
	_cleanup_free_ char *path = irq_path(irq->number);
	struct stat st;

	if (sys->ops->lstat(sys->ctx, path, &st) == 0 && !(st.st_mode & S_IWUSR))
		return *irq->device && strstr(irq->chip, "MSI") ? IRQ_MANAGED : IRQ_PER_CPU;
	if (strncmp(irq->actions, "vfio-", 5) == 0)
		return IRQ_VFIO;
	return *irq->actions ? IRQ_ORDINARY : IRQ_NO_ACTION;
}

int irqs_snapshot(struct sys *sys, struct irqs *irqs, struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_pci_ struct pci pci = { 0 };
	bool nodes = several_nodes(sys);
	int rc = sys->ops->list(sys->ctx, "/proc/irq", &names);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "/proc/irq: cannot be listed: %s", err_errno(rc));
	strv_sort(&names);
	pci_snapshot(sys, &pci);
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.items[i];
		const struct pci_device *device;
		struct irq *irq;

		if (!isdigit((unsigned char)*name))
			continue;
		GROW(irqs->items, irqs->n, irqs->cap);
		irq = &irqs->items[irqs->n];
		rc = mask(sys, name, "smp_affinity_list", &irq->mask);
		if (rc == -ENOENT || rc == -ENODEV)
			continue; /* freed since */
		irq->number = (unsigned)strtoul(name, NULL, 10);
		mask(sys, name, "effective_affinity_list", &irq->effective);
		irq->actions = attribute(sys, name, "actions", &rc);
		irq->chip = attribute(sys, name, "chip_name", &rc);
		device = pci_of_irq(&pci, irq->number);
		irq->device = xstrdup(device ? device->address : "");
		irq->driver = xstrdup(device ? device->driver : "");
		irq->class = classify(sys, irq);
		if (nodes)
			node_cpus(sys, irq->number, &irq->near);
		irqs->n++;
		if (rc < 0)
			return err_set(err, ERR_FAILED, "/proc/irq/%s: cannot be read: %s", name,
				       err_errno(rc));
	}
	return 0;
}
