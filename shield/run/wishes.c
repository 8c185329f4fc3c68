#include "shield/run/wishes.h"

#include "irq/vfio.h"
#include "shield/task/task.h"

static void read_wish(struct sys *sys, const struct shield *s, struct irq_wish *w)
{
	*w = (struct irq_wish){ .name = s->name,
				.guest = &s->guest,
				.vfio = s->irq.vfio,
				.rules = s->irq.rules,
				.n_rules = s->irq.n_rules };
	w->cpus = xcalloc(s->n_vcpus, sizeof(*w->cpus));
	for (size_t i = 0; i < s->n_vcpus; i++)
		w->cpus[w->n_cpus++] = s->vcpus[i].cpu;
	for (size_t i = 0; i < s->irq.devices.n; i++)
		strv_add(&w->devices, s->irq.devices.items[i]);
	if (s->vm.pid && task_alive(sys, s->vm.pid, s->vm.start))
		vfio_devices(sys, s->vm.pid, &w->devices);
}

void wishes_read(struct sys *sys, const struct state *state, struct wishes *wishes)
{
	*wishes = (struct wishes){ xcalloc(state->n_shields, sizeof(*wishes->items)),
				   state->n_shields };
	for (size_t i = 0; i < wishes->n; i++)
		read_wish(sys, &state->shields[i], &wishes->items[i]);
}

void wishes_clear(struct wishes *wishes)
{
	for (size_t i = 0; i < wishes->n; i++)
		irq_wish_clear(&wishes->items[i]);
	free(wishes->items);
	*wishes = (struct wishes){ 0 };
}
