/* SPDX-License-Identifier: MIT */
#include "shield/ops/on_paper.h"

#include "shield/preview/preview.h"

static bool is_set(const struct object *o)
{
	for (size_t i = 0; i < o->n_claims; i++)
		if (o->claims[i].set)
			return true;
	return false;
}

/* Those that Shield has set have chosen that. */
int on_paper_remember(struct sys *preview, struct err *err)
{
	_cleanup_txn_ struct txn txn = { .lock = -1 };

	if (txn_view(&txn, preview, err) < 0)
		return -1;
	for (size_t i = 0; i < txn.state.n_objects; i++) {
		const struct object *o = txn.state.objects[i];

		if (o->kind == STEP_AFFINITY && !is_set(o))
			preview_remember(preview, o->task.pid, o->original);
	}
	return 0;
}
