/* nearest.c: see nearest.h. */
#include "nearest.h"
#include "util.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LONGEST	   48
#define SHORT_WORD 5

static bool is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Letters to insert, delete, change or swap with the next one, to make b of a; both are at most LONGEST bytes long. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1], n = strlen(a), m = strlen(b), i, k;
	size_t *before_last = rows[0], *last = rows[1], *row = rows[2], *spare;

	for (k = 0; k <= m; k++)
		last[k] = k;
	for (i = 1; i <= n; i++) {
		row[0] = i;
		for (k = 1; k <= m; k++) {
			row[k] = MIN(MIN(last[k] + 1, row[k - 1] + 1), last[k - 1] + !is_same(a[i - 1], b[k - 1]));
			if (i > 1 && k > 1 && is_same(a[i - 1], b[k - 2]) && is_same(a[i - 2], b[k - 1]))
				row[k] = MIN(row[k], before_last[k - 2] + 1);
		}
		spare = before_last;
		before_last = last;
		last = row;
		row = spare;
	}
	return last[m];
}

const char *nearest_word(const char *typed, const char *const *words, size_t count)
{
	size_t length = strlen(typed), best = length <= SHORT_WORD ? 2 : 3, far, i;
	const char *nearest = NULL;

	for (i = 0; i < count && length <= LONGEST; i++) {
		if (!words[i] || strlen(words[i]) > LONGEST)
			continue;
		far = distance(typed, words[i]);
		if (far < best) {
			best = far;
			nearest = words[i];
		}
	}
	return nearest;
}

void nearest_propose(const char *before, const char *typed, const char *const *words, size_t count)
{
	const char *meant = nearest_word(typed, words, count);

	if (meant)
		fprintf(stderr, "did you mean %s%s?\n", before, meant);
}
