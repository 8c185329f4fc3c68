/* SPDX-License-Identifier: MIT */
/* The threads of a VM as a list (vm.h). */
#include "shield/vm/vm.h"

#include <string.h>

void vm_vcpus_clear(struct vm_vcpus *vcpus)
{
	free(vcpus->items);
	for (size_t i = 0; i < vcpus->n_iothreads; i++)
		free(vcpus->iothreads[i].id);
	free(vcpus->iothreads);
	*vcpus = (struct vm_vcpus){ 0 };
}

struct vm_vcpu *vm_vcpus_add(struct vm_vcpus *vcpus, unsigned index, pid_t tid)
{
	struct vm_vcpu *v;

	for (size_t i = 0; i < vcpus->n; i++) {
		v = &vcpus->items[i];
		if (v->tid != tid)
			continue;
		v->count++;
		v->index = index < v->index ? index : v->index;
		return v;
	}
	GROW(vcpus->items, vcpus->n, vcpus->cap);
	v = &vcpus->items[vcpus->n++];
	*v = (struct vm_vcpu){ .index = index,
			       .count = 1,
			       .tid = tid,
			       .socket = -1,
			       .die = -1,
			       .cluster = -1,
			       .core = -1,
			       .thread = -1 };
	return v;
}

void vm_iothreads_add(struct vm_vcpus *vcpus, const char *id, pid_t tid)
{
	GROW(vcpus->iothreads, vcpus->n_iothreads, vcpus->cap_iothreads);
	vcpus->iothreads[vcpus->n_iothreads++] =
		(struct vm_iothread){ .id = xstrdup(id), .tid = tid };
}

static int by_id(const void *a, const void *b)
{
	const struct vm_iothread *x = a, *y = b;

	return strverscmp(x->id, y->id);
}

static int by_index(const void *a, const void *b)
{
	const struct vm_vcpu *x = a, *y = b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

void vm_vcpus_sort(struct vm_vcpus *vcpus)
{
	if (vcpus->n)
		qsort(vcpus->items, vcpus->n, sizeof(*vcpus->items), by_index);
	if (vcpus->n_iothreads)
		qsort(vcpus->iothreads, vcpus->n_iothreads, sizeof(*vcpus->iothreads), by_id);
}

bool vm_vcpus_within(const struct vm_vcpus *a, const struct vm_vcpus *b)
{
	for (size_t i = 0; i < a->n; i++) {
		size_t j = 0;

		while (j < b->n && b->items[j].tid != a->items[i].tid)
			j++;
		if (j == b->n)
			return false;
	}
	for (size_t i = 0; i < a->n_iothreads; i++) {
		size_t j = 0;

		while (j < b->n_iothreads && b->iothreads[j].tid != a->iothreads[i].tid)
			j++;
		if (j == b->n_iothreads)
			return false;
	}
	return true;
}
