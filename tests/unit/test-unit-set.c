/*
 * test-unit-set.c: the set of units against a model that is one bool per unit.
 */
#include "unit-set.h"
#include "messages.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UNITS_MAX 3000

static uint64_t seed = 7046029254386353131ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

struct model {
	bool has[UNITS_MAX];
};

static void model_add(struct model *m, uint64_t first, uint64_t n)
{
	while (n--)
		m->has[first++] = true;
}

static void check(const struct unit_set *s, const struct model *m)
{
	uint64_t i, count = 0;

	for (i = 0; i < s->units; i++) {
		assert_int_equal(unit_set_has(s, i), m->has[i]);
		count += m->has[i];
	}
	assert_int_equal(s->count, count);
}

/* A few random operations on both. Mostly short ranges, some long, some at word boundaries, some to the very end. */
static void mutate(struct unit_set *s, struct model *m, unsigned ops)
{
	while (ops--) {
		uint64_t first = rnd() % s->units, n;

		if (rnd() % 4 == 0)
			first -= first % 64;
		n = 1 + rnd() % (rnd() % 16 ? 5 : s->units);
		if (rnd() % 5 == 0)
			n = 64;
		n = rnd() % 40 ? MIN(n, s->units - first) : s->units - first;
		unit_set_add(s, first, n);
		model_add(m, first, n);
	}
}

static void random_operations_agree_with_a_naive_set(void **state)
{
	static const uint64_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 1000, UNITS_MAX};
	unsigned i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		struct model m = {0};
		struct unit_set s;

		unit_set_init(&s, sizes[i]);
		check(&s, &m);
		for (k = 0; k < 200; k++) {
			mutate(&s, &m, 1 + (unsigned)(rnd() % 5));
			check(&s, &m);
			if (rnd() % 4 == 0) { /* before it is full */
				unit_set_clear(&s);
				memset(&m, 0, sizeof(m));
				check(&s, &m);
			}
		}
		unit_set_fini(&s);
	}
}

static void adding_nothing_changes_nothing(void **state)
{
	struct unit_set s;

	(void)state;
	unit_set_init(&s, 64);
	unit_set_add(&s, 10, 0);
	unit_set_add(&s, 64, 0);
	assert_int_equal(s.count, 0);
	unit_set_add(&s, 10, 1);
	unit_set_add(&s, 10, 1);
	assert_int_equal(s.count, 1);
	unit_set_fini(&s);
}

/* Decodes pieces into got; each piece starts anew, as each DELTA does. */
static void decode_piece(struct model *got, uint64_t units, const uint8_t *p, size_t n)
{
	struct reader r = reader_of(p, n);
	uint64_t at = 0, start, length, i;
	int k;

	while ((k = runs_get(&r, &at, units, &start, &length)) > 0)
		for (i = start; i < start + length; i++) {
			assert_false(got->has[i]); /* no unit is named twice, over all pieces */
			got->has[i] = true;
		}
	assert_int_equal(k, 0);
}

static void a_set_encoded_in_many_small_pieces_decodes_to_the_same_set(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++) {
		struct model m = {0}, got = {0};
		uint64_t from = 0, units = 1 + rnd() % UNITS_MAX, before;
		size_t cap = i % 3 == 0 ? 20 : 20 + rnd() % 100;
		uint8_t piece[120];
		struct unit_set s;
		bool done = false;
		unsigned pieces = 0;

		unit_set_init(&s, units);
		mutate(&s, &m, (unsigned)(rnd() % 60));
		while (!done) {
			struct writer w = writer_of(piece, cap);

			before = from;
			done = unit_set_encode(&s, &w, &from);
			assert_false(w.bad);
			assert_true(done || from > before); /* each step makes progress */
			decode_piece(&got, units, piece, writer_len(&w));
			assert_true(++pieces <= units + 1);
		}
		assert_memory_equal(&m, &got, sizeof(m));
		unit_set_fini(&s);
	}
}

static void an_empty_set_encodes_to_nothing(void **state)
{
	uint8_t b[64];
	struct writer w = writer_of(b, sizeof(b));
	struct unit_set s;
	uint64_t from = 0;

	(void)state;
	unit_set_init(&s, 100);
	assert_true(unit_set_encode(&s, &w, &from));
	assert_int_equal(writer_len(&w), 0);
	unit_set_fini(&s);
}

static void compare_counts_what_is_and_what_is_not_in_the_set(void **state)
{
	static uint8_t buf[UNITS_MAX * 20 + 20];
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++) {
		struct model a = {0}, b = {0};
		uint64_t units = 1 + rnd() % UNITS_MAX, from = 0, in, out, want_in = 0, want_out = 0, k;
		struct writer w = writer_of(buf, sizeof(buf));
		struct unit_set s, t;

		unit_set_init(&s, units);
		unit_set_init(&t, units);
		mutate(&s, &a, (unsigned)(rnd() % 40));
		mutate(&t, &b, (unsigned)(rnd() % 40));
		for (k = 0; k < units; k++) {
			want_in += b.has[k] && a.has[k];
			want_out += b.has[k] && !a.has[k];
		}
		assert_true(unit_set_encode(&t, &w, &from));
		assert_int_equal(unit_set_compare(&s, (struct slice){buf, writer_len(&w)}, &in, &out), 0);
		assert_int_equal(in, want_in);
		assert_int_equal(out, want_out);
		/* the same runs in a universe one smaller than their last end are malformed */
		if (t.count) {
			for (k = units; !b.has[k - 1]; k--)
				;
			s.units = k - 1;
			assert_int_equal(unit_set_compare(&s, (struct slice){buf, writer_len(&w)}, &in, &out), -EPROTO);
		}
		unit_set_fini(&s);
		unit_set_fini(&t);
	}
}

static void compare_refuses_garbage(void **state)
{
	struct unit_set s;
	unsigned i, k;

	(void)state;
	unit_set_init(&s, 1000);
	unit_set_add(&s, 100, 200);
	for (i = 0; i < 20000; i++) {
		uint8_t junk[24];
		size_t n = rnd() % sizeof(junk);
		uint64_t in, out;
		int r;

		for (k = 0; k < n; k++)
			junk[k] = (uint8_t)rnd();
		r = unit_set_compare(&s, (struct slice){junk, n}, &in, &out);
		assert_true(r == 0 || r == -EPROTO);
		assert_true(in <= 200 && in + out <= 1000);
	}
	unit_set_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_a_naive_set),
		cmocka_unit_test(adding_nothing_changes_nothing),
		cmocka_unit_test(a_set_encoded_in_many_small_pieces_decodes_to_the_same_set),
		cmocka_unit_test(an_empty_set_encodes_to_nothing),
		cmocka_unit_test(compare_counts_what_is_and_what_is_not_in_the_set),
		cmocka_unit_test(compare_refuses_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
