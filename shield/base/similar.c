/* SPDX-License-Identifier: MIT */
#include "shield/base/similar.h"

#include <ctype.h>
#include <string.h>

#define LENGTH_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* How many letters must be added, removed, changed or swapped with the next. */
static size_t distance(const char *a, size_t m, const char *b, size_t n)
{
	size_t rows[3][LENGTH_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= n; j++)
		last[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t *spare = before;

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);

			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

const char *similar_find(const char *word, const char *const *candidates, size_t n)
{
	size_t length = strlen(word), best_edits = (length + 2) / 3 + 1;
	const char *best = NULL;

	if (length == 0 || length > LENGTH_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(candidates[i]), edits;

		if (other == 0 || other > LENGTH_MAX)
			continue;
		edits = distance(word, length, candidates[i], other);
		if (edits < best_edits && edits < other) {
			best_edits = edits;
			best = candidates[i];
		}
	}
	return best;
}
