/* SPDX-License-Identifier: MIT */
#include "irq/irq.h"

#include "irq/pci.h"
#include "shield/base/pci_address.h"
#include "shield/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

const char irq_managed_reason[] =
	"managed; only isolcpus=managed_irq at boot keeps it away; it fires only for I/O submitted "
	"on that CPU";

char *irq_path(unsigned number)
{
	return xasprintf("/proc/irq/%u/smp_affinity_list", number);
}

bool irq_path_number(const char *path, unsigned *number)
{
	_cleanup_free_ char *same = NULL;
	static const char dir[] = "/proc/irq/";

	if (strncmp(path, dir, sizeof(dir) - 1) != 0 ||
	    !isdigit((unsigned char)path[sizeof(dir) - 1]))
		return false;
	*number = (unsigned)strtoul(path + sizeof(dir) - 1, NULL, 10);
	same = irq_path(*number);
	return strcmp(path, same) == 0;
}

const char *irq_class_name(enum irq_class class)
{
	static const char *const names[] = { IRQ_CLASSES(NAMES_TEXT) };

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

static void irq_clear(struct irq *irq)
{
	free(irq->actions);
	free(irq->chip);
	free(irq->device);
	free(irq->driver);
	cpuset_clear(&irq->mask);
	cpuset_clear(&irq->effective);
	*irq = (struct irq){ 0 };
}

void irqs_clear(struct irqs *irqs)
{
	for (size_t i = 0; i < irqs->n; i++)
		irq_clear(&irqs->items[i]);
	free(irqs->items);
	nodes_clear(&irqs->nodes);
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

	return sys_read_cpulist(sys, path, set);
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
	if (strlen(actions) != n || memcmp(actions, identity, n) != 0)
		return 0;
	return identity[n] ? pci_has_irq(sys, at + 1, number) : 1;
}

/* -1 where there is none. */
static int node_of(struct sys *sys, unsigned number)
{
	_cleanup_free_ char *path = xasprintf("/proc/irq/%u/node", number), *text = NULL;

	if (sys_read_line(sys, path, &text) < 0 || !isdigit((unsigned char)*text))
		return -1;
	return (int)strtoul(text, NULL, 10);
}

char *irq_born(const struct irqs *irqs, const struct irq *irq, const char *default_mask)
{
	_cleanup_cpuset_ struct cpuset cpus = { 0 };

	cpulist_parse(default_mask, &cpus, NULL);
	nodes_own(&irqs->nodes, irq->node, &cpus);
	return cpulist_format(&cpus);
}

void irq_near(struct sys *sys, unsigned number, struct cpuset *cpus)
{
	_cleanup_nodes_ struct nodes nodes = { 0 };

	nodes_snapshot(sys, &nodes);
	nodes_nearest(&nodes, nodes.n ? node_of(sys, number) : -1, cpus);
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

/* Of a line that a guest's device shares with a host's, the host takes care. */
static bool all_vfio(const char *actions)
{
	static const char prefix[] = "vfio-";
	const char *at = actions;

	while (strncmp(at, prefix, sizeof(prefix) - 1) == 0) {
		at = strchr(at, ',');
		if (!at)
			return true;
		at++;
	}
	return false;
}

/* A read-only mask is one that the kernel never lets users change. Of MSI it
 * can only be a managed one: every MSI chip can move the others. */
static enum irq_class classify(struct sys *sys, const struct irq *irq)
{
	_cleanup_free_ char *path = irq_path(irq->number);
	struct stat st;

	if (sys->ops->lstat(sys->ctx, path, &st) == 0 && !(st.st_mode & S_IWUSR))
		return *irq->device && strstr(irq->chip, "MSI") ? IRQ_MANAGED : IRQ_PER_CPU;
	if (all_vfio(irq->actions))
		return IRQ_VFIO;
	return *irq->actions ? IRQ_ORDINARY : IRQ_NO_ACTION;
}

/* 0, or a negated errno with nothing to free: -ENOENT if there is no such. within:
 * where its mask must lie, or NULL. */
static int read_irq(struct sys *sys, const struct pci *pci, const struct nodes *nodes,
		    const char *name, const struct cpuset *within, struct irq *irq)
{
	const struct pci_device *device;
	int rc;

	*irq = (struct irq){ .number = (unsigned)strtoul(name, NULL, 10) };
	rc = mask(sys, name, "smp_affinity_list", &irq->mask);
	if (rc == 0 && within && !cpuset_within(&irq->mask, within)) {
		irq_clear(irq);
		return -ENOENT;
	}
	mask(sys, name, "effective_affinity_list", &irq->effective);
	irq->actions = attribute(sys, name, "actions", &rc);
	irq->chip = attribute(sys, name, "chip_name", &rc);
	device = pci_of_irq(pci, irq->number);
	irq->device = xstrdup(device ? device->address : "");
	irq->driver = xstrdup(device ? device->driver : "");
	irq->nvme = device && device->nvme;
	irq->node = nodes->n ? node_of(sys, irq->number) : -1;
	irq->class = classify(sys, irq);
	if (rc < 0)
		irq_clear(irq);
	return rc;
}

static int snapshot(struct sys *sys, const struct cpuset *within, struct irqs *irqs,
		    struct err *err)
{
	_cleanup_strv_ struct strv names = { 0 };
	_cleanup_pci_ struct pci pci = { 0 };
	int rc = sys->ops->list(sys->ctx, "/proc/irq", &names);

	if (rc < 0)
		return err_set(err, ERR_FAILED, "/proc/irq: cannot be listed: %s", err_errno(rc));
	strv_sort(&names);
	pci_snapshot(sys, &pci);
	nodes_snapshot(sys, &irqs->nodes);
	for (size_t i = 0; i < names.n; i++) {
		if (!isdigit((unsigned char)*names.items[i]))
			continue;
		GROW(irqs->items, irqs->n, irqs->cap);
		/* A file that goes between its opening and its reading answers EIO
		 * in /proc, ENODEV in /sys; it may be there again. */
		for (unsigned tries = 0; tries < 3; tries++) {
			rc = read_irq(sys, &pci, &irqs->nodes, names.items[i], within,
				      &irqs->items[irqs->n]);
			if (rc != -EIO && rc != -ENODEV)
				break;
		}
		if (rc == 0)
			irqs->n++;
		else if (rc != -ENOENT && rc != -ENODEV)
			return err_set(err, ERR_FAILED, "/proc/irq/%s: cannot be read: %s",
				       names.items[i], err_errno(rc));
	}
	return 0;
}

int irqs_snapshot(struct sys *sys, struct irqs *irqs, struct err *err)
{
	return snapshot(sys, NULL, irqs, err);
}

int irqs_within(struct sys *sys, const struct cpuset *cpus, struct irqs *irqs, struct err *err)
{
	return snapshot(sys, cpus, irqs, err);
}
