/* unit-set.c: see unit-set.h. */
#include "unit-set.h"
#include "messages.h"
#include "util.h"

#include <string.h>

void unit_set_init(struct unit_set *s, uint64_t units)
{
	s->units = units;
	s->count = 0;
	s->bits = xcalloc((units + 63) / 64, 8);
}

void unit_set_fini(struct unit_set *s)
{
	free(s->bits);
	s->bits = NULL;
}

void unit_set_clear(struct unit_set *s)
{
	if (s->count)
		memset(s->bits, 0, (s->units + 63) / 64 * 8);
	s->count = 0;
}

bool unit_set_has(const struct unit_set *s, uint64_t unit)
{
	return s->bits[unit / 64] >> (unit % 64) & 1;
}

void unit_set_add(struct unit_set *s, uint64_t first, uint64_t n)
{
	while (n) {
		unsigned bit = (unsigned)(first % 64);
		uint64_t k = MIN(n, 64 - bit);
		uint64_t mask = (k == 64 ? ~0ULL : (1ULL << k) - 1) << bit;
		uint64_t *w = &s->bits[first / 64];

		s->count += (uint64_t)__builtin_popcountll(mask & ~*w);
		*w |= mask;
		first += k;
		n -= k;
	}
}

/* The first unit at or after `from` that is (or is not) in the set; s->units if none. */
static uint64_t seek(const struct unit_set *s, uint64_t from, bool in)
{
	while (from < s->units) {
		uint64_t w = s->bits[from / 64];

		if (!in)
			w = ~w;
		w >>= from % 64;
		if (w)
			return MIN(s->units, from + (uint64_t)__builtin_ctzll(w));
		from = (from / 64 + 1) * 64;
	}
	return s->units;
}

bool unit_set_next(const struct unit_set *s, uint64_t *at, uint64_t *first, uint64_t *n)
{
	*first = seek(s, *at, true);
	*at = seek(s, *first, false);
	*n = *at - *first;
	return *n > 0;
}

bool unit_set_encode(const struct unit_set *s, struct writer *w, uint64_t *from)
{
	uint64_t at = 0, start, end;

	if (!s->count)
		return true;
	while ((start = seek(s, *from, true)) < s->units) {
		end = seek(s, start, false);
		if (!runs_put(w, &at, start, end - start))
			return false;
		*from = end;
	}
	*from = s->units;
	return true;
}

int unit_set_compare(const struct unit_set *s, struct slice runs, uint64_t *in, uint64_t *out)
{
	struct reader r = reader_of(runs.p, runs.n);
	uint64_t at = 0, start, n, end;
	int k;

	*in = *out = 0;
	while ((k = runs_get(&r, &at, s->units, &start, &n)) > 0) {
		for (end = start + n; start < end;) {
			bool has = unit_set_has(s, start);
			uint64_t stop = MIN(end, seek(s, start, !has));

			*(has ? in : out) += stop - start;
			start = stop;
		}
	}
	return k;
}
