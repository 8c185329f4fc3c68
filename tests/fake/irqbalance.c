/* SPDX-License-Identifier: MIT */
/*
 * irqbalance, as 1.9.2 answers on its socket. A ban replaces the one before, and
 * counts, and is reported, from its next scan on: here the third "setup" after
 * it. It moves no interrupts.
 */
#include "tests/fake/internal.h"

#define SCANS 3

pid_t fake_irqbalance(struct fake *fake)
{
	struct balancer *b = &fake->balancer;

	b->pid = fake_process(fake, "irqbalance", "system");
	b->socket = xasprintf("/run/irqbalance/irqbalance%d.sock", (int)b->pid);
	fake_file(fake, b->socket, "");
	fake_chattr(fake, b->socket, S_IFSOCK | 0600, 0, 1);
	return b->pid;
}

void balancer_clear(struct balancer *b)
{
	free(b->socket);
	cpuset_clear(&b->banned);
	cpuset_clear(&b->cpus);
	cpuset_clear(&b->irqs);
}

static void scan(struct balancer *b)
{
	if (b->asked && ++b->asked > SCANS) {
		cpuset_copy(&b->banned, &b->cpus);
		b->asked = 0;
	}
}

static char *setup(struct fake *fake)
{
	struct balancer *b = &fake->balancer;
	_cleanup_free_ char *mask = fake_mask_text(fake, &b->banned);
	char *text = xstrdup("SLEEP 10 ");

	for (int irq = cpuset_next(&b->irqs, -1); irq >= 0; irq = cpuset_next(&b->irqs, irq)) {
		char *more = xasprintf("%sIRQ %d LOAD 0 DIFF 0 CLASS other ", text, irq);

		free(text);
		text = more;
	}
	mask[strcspn(mask, "\n")] = '\0';
	scan(b);
	char *answer = xasprintf("%sBANNED %s", text, mask);

	free(text);
	return answer;
}

/* One list up to the first blank, NULL: what its configuration says, nothing. */
static void ban_cpus(struct balancer *b, const char *list)
{
	_cleanup_free_ char *word = xstrndup(list, strcspn(list, " "));

	if (!*word)
		abort(); /* it crashes */
	cpuset_clear(&b->cpus);
	if (strcmp(word, "NULL") != 0)
		cpulist_parse(word, &b->cpus, NULL);
	b->asked = 1;
}

static void ban_irqs(struct balancer *b, const char *numbers)
{
	char *end;

	cpuset_clear(&b->irqs);
	for (unsigned long n; (n = strtoul(numbers, &end, 10)), end != numbers; numbers = end)
		cpuset_add(&b->irqs, (unsigned)n);
}

int fake_ask(void *ctx, const char *path, const char *request, char **answer)
{
	static const char cpus[] = "settings cpus ", irqs[] = "settings ban irqs ";
	struct fake *fake = ctx;
	struct balancer *b = &fake->balancer;

	if (!node_find(fake, path))
		return -ENOENT;
	if (!ftask_find(fake, b->pid) || strcmp(path, b->socket) != 0)
		return -ECONNREFUSED;
	if (strncmp(request, cpus, sizeof(cpus) - 1) == 0)
		ban_cpus(b, request + sizeof(cpus) - 1);
	else if (strncmp(request, irqs, sizeof(irqs) - 1) == 0)
		ban_irqs(b, request + sizeof(irqs) - 1);
	if (answer)
		*answer = strcmp(request, "setup") == 0 ? setup(fake) : xstrdup("");
	return 0;
}

/* What it was told last: that counts, sooner or later. */
void balancer_show(const struct balancer *b, FILE *out)
{
	_cleanup_free_ char *cpus = cpulist_format(&b->cpus), *irqs = cpulist_format(&b->irqs);

	if (b->pid)
		fprintf(out, "irqbalance: without CPUs %s and interrupts %s\n", cpus, irqs);
}
