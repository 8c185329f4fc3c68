/* SPDX-License-Identifier: MIT */
#include "shield/tools/devices.h"

#include "shield/base/text.h"
#include "irq/irq.h"
#include "irq/pci.h"

#include <stdio.h>
#include <string.h>

#define CPUS_SHOWN 24
#define LABEL_WIDTH 12

/* A line of words, those that do not fit counted. */
struct words {
	char *text;
	size_t shown, more;
	int left; /* columns */
};

static void words_add(struct words *words, const char *word)
{
	int need = (int)strlen(word) + (words->shown ? 2 : 0);
	char *longer;

	/* "and 1234 more" needs a place as well; one word is always shown. */
	if (words->more || (words->shown && need > words->left)) {
		words->more++;
		return;
	}
	longer = xasprintf("%s%s%s", words->shown ? words->text : "", words->shown ? ", " : "",
			   word);
	free(words->text);
	words->text = longer;
	words->shown++;
	words->left -= need;
}

static void words_print(struct words *words)
{
	if (words->more)
		text_print(stdout, "%s and %zu more\n", words->text, words->more);
	else
		text_print(stdout, "%s\n", words->text);
	free(take_ptr(words->text));
}

static void print_interrupts(struct app *app, const struct topology *topo, int width)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };
	size_t shown = 0, more = 0;
	struct err err;

	if (irqs_snapshot(&app->sys, &irqs, &err) < 0)
		return;
	for (size_t i = 0; i < topo->n; i++) {
		struct words words = { .left = width - LABEL_WIDTH - 14 };

		for (size_t q = 0; q < irqs.n; q++)
			if (cpuset_has(&irqs.items[q].effective, topo->cpus[i].cpu) &&
			    *irqs.items[q].actions)
				words_add(&words, irqs.items[q].actions);
		if (!words.shown)
			continue;
		if (shown++ == 0)
			text_print(stdout, "\nInterrupts, by the CPU that serves them:\n");
		if (shown > CPUS_SHOWN) {
			more++;
			free(words.text);
			continue;
		}
		text_print(stdout, "  CPU %-5u ", topo->cpus[i].cpu);
		words_print(&words);
	}
	if (more)
		text_print(stdout, "  and %zu more CPUs; 'shield irq' lists them\n", more);
}

/* A PCI device with all of its functions that one driver has. */
struct device {
	char *address; /* "0000:00:04" */
	const char *driver;
	int node; /* -1: as near to each */
	struct cpuset functions;
};

struct devices {
	struct device *items;
	size_t n, cap;
};

static int node_of(struct sys *sys, const char *address)
{
	_cleanup_free_ char *path = xasprintf("/sys/bus/pci/devices/%s/numa_node", address);
	_cleanup_free_ char *text = NULL;

	return sys_read_line(sys, path, &text) < 0 ? -1 : atoi(text);
}

/* Bridges are not shown: users do not look for them. */
static bool interesting(const struct pci_device *device)
{
	return *device->driver && strcmp(device->driver, "pcieport") != 0;
}

/* By node, those without one last; then by driver and address. */
static int in_order(const void *a, const void *b)
{
	const struct device *x = a, *y = b;
	int order = (unsigned)x->node < (unsigned)y->node ? -1 : x->node != y->node;

	order = order ? order : strcmp(x->driver, y->driver);
	return order ? order : strcmp(x->address, y->address);
}

/* pci's devices come in the order of their addresses. */
static void collect(struct sys *sys, const struct pci *pci, struct devices *devices)
{
	for (size_t i = 0; i < pci->n; i++) {
		const struct pci_device *device = &pci->devices[i];
		size_t stem = strcspn(device->address, ".");
		_cleanup_free_ char *address = xstrndup(device->address, stem);
		int node = node_of(sys, device->address);
		struct device *d = NULL;

		if (!interesting(device) || !device->address[stem])
			continue;
		for (size_t k = devices->n; k-- > 0 && !d;) {
			if (strcmp(devices->items[k].address, address) != 0)
				break;
			if (devices->items[k].node == node &&
			    strcmp(devices->items[k].driver, device->driver) == 0)
				d = &devices->items[k];
		}
		if (!d) {
			GROW(devices->items, devices->n, devices->cap);
			d = &devices->items[devices->n++];
			*d = (struct device){ take_ptr(address), device->driver, node, { 0 } };
		}
		cpuset_add(&d->functions, (unsigned)strtoul(device->address + stem + 1, NULL, 16));
	}
}

static void print_devices(struct app *app, int width)
{
	_cleanup_pci_ struct pci pci = { 0 };
	struct devices devices = { 0 };
	const struct device *last = NULL;

	pci_snapshot(&app->sys, &pci);
	collect(&app->sys, &pci, &devices);
	if (devices.n) {
		qsort(devices.items, devices.n, sizeof(*devices.items), in_order);
		text_print(stdout, "\nPCI devices, by the node they are at:\n");
	}
	for (size_t i = 0, next; i < devices.n; i = next) {
		const struct device *d = &devices.items[i];
		bool same_node = last && last->node == d->node;
		_cleanup_free_ char *node = same_node	  ? xstrdup("")
					    : d->node < 0 ? xstrdup("no node")
							  : xasprintf("node %d", d->node);
		struct words words = { 0 };

		words.left = width - text_print(stdout, "  %-8s  %-12s  ", node, d->driver) - 14;
		for (next = i; next < devices.n && devices.items[next].node == d->node &&
			       strcmp(devices.items[next].driver, d->driver) == 0;
		     next++) {
			_cleanup_free_ char *list = cpulist_format(&devices.items[next].functions);
			_cleanup_free_ char *word =
				xasprintf("%s.%s", devices.items[next].address, list);

			words_add(&words, word);
		}
		words_print(&words);
		last = d;
	}
	for (size_t i = 0; i < devices.n; i++) {
		free(devices.items[i].address);
		cpuset_clear(&devices.items[i].functions);
	}
	free(devices.items);
}

void devices_print(struct app *app, const struct topology *topo, int width)
{
	print_interrupts(app, topo, width);
	print_devices(app, width);
}

static json_t *json_interrupts(struct app *app)
{
	_cleanup_irqs_ struct irqs irqs = { 0 };
	json_t *array = json_array();
	struct err err;

	if (irqs_snapshot(&app->sys, &irqs, &err) < 0)
		return array;
	for (size_t i = 0; i < irqs.n; i++) {
		const struct irq *irq = &irqs.items[i];
		_cleanup_free_ char *cpus = cpulist_format(&irq->effective);

		if (*irq->actions)
			json_array_append_new(array, json_pack("{s:i, s:o, s:s, s:s}", "number",
							       (int)irq->number, "actions",
							       cmd_json_bytes(irq->actions), "cpus",
							       cpus, "device", irq->device));
	}
	return array;
}

static json_t *json_devices(struct app *app)
{
	_cleanup_pci_ struct pci pci = { 0 };
	json_t *array = json_array();

	pci_snapshot(&app->sys, &pci);
	for (size_t i = 0; i < pci.n; i++)
		if (interesting(&pci.devices[i]))
			json_array_append_new(
				array,
				json_pack("{s:s, s:o, s:i}", "address", pci.devices[i].address,
					  "driver", cmd_json_bytes(pci.devices[i].driver), "node",
					  node_of(&app->sys, pci.devices[i].address)));
	return array;
}

void devices_json(struct app *app, const struct topology *topo, json_t *document)
{
	_cleanup_cpuset_ struct cpuset offline = { 0 };
	_cleanup_free_ char *list = NULL;

	cpuset_copy(&offline, &topo->present);
	cpuset_andnot(&offline, &topo->online);
	list = cpulist_format(&offline);
	json_object_set_new(document, "offline", json_string(list));
	json_object_set_new(document, "interrupts", json_interrupts(app));
	json_object_set_new(document, "devices", json_devices(app));
}
