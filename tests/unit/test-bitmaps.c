/* test-bitmaps.c: what a source may say of dirty bitmaps that come along, and how what is in them is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* gives access to the private runs */
#include "../../agent-dst/parts/bitmaps.c"

static struct err e;

/* Stubs: there is no QEMU here, and the other agent has functions of the same names. */
int disks_find_node(const struct arriving_disk *d, struct qmp *q, char **node, bool *unsafe, struct err *err)
{
	(void)d, (void)q, (void)node, (void)unsafe, (void)err;
	fail();
	return 0;
}

int disks_start_nbd(struct disks *ds, struct err *err)
{
	(void)ds, (void)err;
	fail();
	return 0;
}

static int plan(uint64_t virtual_size, const char *json)
{
	struct arriving_disk d = {.object = 1, .source.name = "d", .path = "d", .virtual_size = virtual_size};
	json_t *said = json_loads(json, 0, NULL);
	int r;

	assert_non_null(said);
	r = bitmaps_plan(&d, said, &e);
	if (!r)
		assert_true(!d.bitmaps.count ||
			    (d.bitmaps.written.units << d.bitmaps.shift >= virtual_size && d.bitmaps.written.units <= UNITS_MAX + 1));
	bitmaps_fini(&d);
	json_decref(said);
	return r;
}

#define ONE "{\"name\": \"a\", \"granularity\": 65536}"

static void what_is_no_bitmap_is_refused(void **state)
{
	(void)state;
	assert_int_equal(plan(MIB, "[" ONE "]"), 0);
	assert_int_equal(plan(INT64_MAX, "[" ONE "]"), 0);
	assert_int_equal(plan(512, "[" ONE "]"), 0);
	assert_int_equal(plan(MIB, "[]"), 0);
	assert_int_equal(plan(0, "[" ONE "]"), -EPROTO);
	assert_int_equal(plan(UINT64_MAX, "[" ONE "]"), -EPROTO);
	assert_int_equal(plan(MIB, "[" ONE "," ONE "]"), -EPROTO);
	assert_int_equal(plan(MIB, "[{\"name\": \"a\", \"granularity\": 65535}]"), -EPROTO);
	assert_int_equal(plan(MIB, "[{\"name\": \"a\", \"granularity\": 256}]"), -EPROTO);
	assert_int_equal(plan(MIB, "[{\"name\": \"a\", \"granularity\": 4294967296}]"), -EPROTO);
	assert_int_equal(plan(MIB, "[{\"name\": \"\", \"granularity\": 512}]"), -EPROTO);
	assert_int_equal(plan(MIB, "[{\"granularity\": 512}]"), -EPROTO);
	assert_int_equal(plan(MIB, "[1]"), -EPROTO);
}

static void runs_are_joined_over_the_least_gap(void **state)
{
	uint64_t at = 0, first, n;
	struct unit_set s;

	(void)state;
	unit_set_init(&s, 1000);
	unit_set_add(&s, 0, 2);
	unit_set_add(&s, 4, 1);
	unit_set_add(&s, 100, 10);
	unit_set_add(&s, 999, 1);
	assert_int_equal(runs_with(&s, 1), 4);
	assert_int_equal(runs_with(&s, 2), 4);
	assert_int_equal(runs_with(&s, 4), 3);
	assert_int_equal(runs_with(&s, 128), 2);
	assert_int_equal(runs_with(&s, 1024), 1);
	assert_true(next_joined(&s, 4, &at, &first, &n));
	assert_int_equal(first, 0);
	assert_int_equal(n, 5);
	assert_true(next_joined(&s, 4, &at, &first, &n));
	assert_int_equal(first, 100);
	assert_int_equal(n, 10);
	assert_true(next_joined(&s, 4, &at, &first, &n));
	assert_int_equal(first, 999);
	assert_int_equal(n, 1);
	assert_false(next_joined(&s, 4, &at, &first, &n));
	unit_set_fini(&s);
}

/* Sectors 127 and 128 are in two pieces of 64 KiB; a run that only touches one has it. */
static void a_piece_that_is_touched_is_in_it(void **state)
{
	static const uint8_t runs[] = {127, 2};
	struct unit_set s;

	(void)state;
	unit_set_init(&s, 4);
	add_runs(&s, 16, runs, sizeof(runs));
	assert_int_equal(s.count, 2);
	assert_true(unit_set_has(&s, 0) && unit_set_has(&s, 1));
	unit_set_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_bitmap_is_refused),
		cmocka_unit_test(runs_are_joined_over_the_least_gap),
		cmocka_unit_test(a_piece_that_is_touched_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
