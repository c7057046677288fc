/* test-bench-runs.c: what the moves of a cell and tool add up to. */
#include "bench.h"
#include "bench-runs.h"
#include "percentile.h"
#include "util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define NEAR 1e-9

static void percentiles_are_linear_between_values(void **state)
{
	static const double one[] = {7}, two[] = {10, 20}, five[] = {1, 2, 3, 4, 100};
	double hundred[101];
	unsigned i;

	(void)state;
	for (i = 0; i < 101; i++)
		hundred[i] = i;
	assert_true(isnan(percentile(one, 0, 50)));
	assert_float_equal(percentile(one, 1, 0), 7, 0);
	assert_float_equal(percentile(one, 1, 99), 7, 0);
	assert_float_equal(percentile(two, 2, 50), 15, NEAR);
	assert_float_equal(percentile(two, 2, 90), 19, NEAR);
	assert_float_equal(percentile(two, 2, 100), 20, 0);
	assert_float_equal(percentile(five, 5, 0), 1, 0);
	assert_float_equal(percentile(five, 5, 50), 3, NEAR);
	assert_float_equal(percentile(five, 5, 75), 4, NEAR);
	assert_float_equal(percentile(five, 5, 99), 4 + 96 * 0.96, NEAR);
	assert_float_equal(percentile(hundred, 101, 90), 90, NEAR);
	assert_float_equal(percentile(hundred, 101, 99), 99, NEAR);
}

static void add(json_t *moves, const char *link, const char *tool, bool warmup, const char *outcome, double total, double down)
{
	json_array_append_new(moves, json_pack("{s:s,s:s,s:i,s:s,s:b,s:s,s:f,s:{s:f,s:f},s:i}", "link", link, "workload", "idle", "mem_mib",
					       512, "tool", tool, "warmup", warmup, "outcome", outcome, "total_ms", total, "downtime_ms",
					       "guest", down, "qmp", 1.0, "bytes_wire", 1000));
}

static double at(const json_t *o, const char *figure, const char *name)
{
	json_t *v = json_object_get(json_object_get(o, figure), name);

	return v ? json_number_value(v) : NAN;
}

/* The run that has these moves, whose reference it takes. */
static struct runs runs_with(json_t *moves, const char *first_tool)
{
	struct runs r;
	struct err e;

	if (runs_init(&r, json_pack("{s:i,s:o,s:{s:[s]}}", "schema", 1, "moves", moves, "plan", "tools", first_tool), &e))
		fail_msg("%s", e.msg);
	return r;
}

static void runs_end(struct runs *r)
{
	runs_fini(r);
	json_decref((json_t *)r->root);
}

/* Two moves of one tool in one cell: neither those of others, nor warm-ups, nor what went wrong. */
static void statistics_are_of_the_moves_that_count(void **state)
{
	json_t *moves = json_array(), *list, *o;
	struct runs r;
	size_t i;

	(void)state;
	add(moves, "1gbit", "single", true, "ok", 1, 1);
	add(moves, "1gbit", "single", false, "ok", 3000, 30);
	add(moves, "1gbit", "vmferry", false, "ok", 77, 7); /* alone */
	add(moves, "10gbit", "single", false, "ok", 99, 9);
	add(moves, "1gbit", "single", false, "damaged", 1, 1);
	add(moves, "1gbit", "single", false, "failed", 1, 1);
	add(moves, "1gbit", "single", false, "ok", 1000, 10);
	for (i = 0; i < json_array_size(moves); i++)
		json_object_set_new(json_array_get(moves, i), "cached_percent", json_integer(80));
	json_array_append_new(moves, json_pack("{s:s}", "tool", "single"));
	r = runs_with(moves, "single");
	list = runs_statistics(&r);
	assert_int_equal(json_array_size(list), 1);
	o = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(o, "tool")), "single");
	assert_string_equal(json_string_value(json_object_get(o, "link")), "1gbit");
	assert_string_equal(json_string_value(json_object_get(o, "workload")), "idle");
	assert_int_equal(json_integer_value(json_object_get(o, "mem_mib")), 512);
	assert_int_equal(json_integer_value(json_object_get(o, "moves")), 2);
	assert_int_equal(json_integer_value(json_object_get(o, "cached_percent")), 80);
	assert_null(json_object_get(o, "delay_ms"));
	assert_float_equal(at(o, "total_ms", "p50"), 2000, NEAR);
	assert_float_equal(at(o, "total_ms", "p90"), 2800, NEAR);
	assert_float_equal(at(o, "downtime_ms", "p99"), 29.8, NEAR);
	assert_float_equal(at(o, "bytes_wire", "p90"), 1000, NEAR);
	json_decref(list);
	runs_end(&r);
}

static void a_tool_counts_what_went_wrong_and_keeps_it_out_of_figures(void **state)
{
	json_t *moves = json_array();
	const struct run_tool *t;
	struct spread total;
	struct runs r;

	(void)state;
	add(moves, "1gbit", "single", true, "damaged", 1, 1);
	add(moves, "1gbit", "single", false, "failed", 2, 2);
	add(moves, "1gbit", "single", false, "ok", 5, 5);
	add(moves, "1gbit", "single", false, "ok", 4, 4);
	r = runs_with(moves, "single");
	t = &r.cells[0].tools[0];
	assert_int_equal(t->good_count, 2);
	assert_int_equal(t->bad_count, 2);
	assert_int_equal(t->damaged, 1);
	total = tool_spread(t, FIGURE_TOTAL);
	assert_int_equal(total.count, 2);
	assert_float_equal(total.min, 4, 0);
	assert_true(isnan(tool_median(t, FIGURE_USE)));
	spread_fini(&total);
	runs_end(&r);
}

static void add_round(json_t *moves, const char *tool, int round, double total, double yardstick)
{
	add(moves, "1gbit", tool, round == 0, "ok", total, 1);
	json_object_set_new(json_array_get(moves, json_array_size(moves) - 1), "round", json_integer(round));
	json_object_set_new(json_array_get(moves, json_array_size(moves) - 1), "yardstick_ms", json_real(yardstick));
}

/* The machine is half as fast in the second round, of which one tool has no move that counts. */
static void moves_are_compared_within_their_round(void **state)
{
	json_t *moves = json_array(), *list, *o;
	const struct run_tool *native, *ours;
	struct spread s;
	struct runs r;

	(void)state;
	add_round(moves, "multifd", 0, 1, 1);
	add_round(moves, "vmferry", 0, 100, 1);
	add_round(moves, "multifd", 1, 1000, 20);
	add_round(moves, "vmferry", 1, 500, 21);
	add_round(moves, "vmferry", 2, 1100, 41);
	add_round(moves, "multifd", 2, 2000, 40);
	add_round(moves, "vmferry", 3, 5, 20);
	add(moves, "1gbit", "multifd", false, "failed", 1, 1);
	add_round(moves, "multifd", 4, 1000, 20);
	r = runs_with(moves, "multifd");
	native = &r.cells[0].tools[0], ours = &r.cells[0].tools[1];
	assert_string_equal(native->name, "multifd");
	assert_float_equal(tool_beside(ours, native), (0.5 + 0.55) / 2, NEAR);
	assert_float_equal(tool_beside(native, ours), (2 + 1 / 0.55) / 2, NEAR);
	list = runs_statistics(&r);
	assert_int_equal(json_array_size(list), 2);
	assert_null(json_object_get(json_array_get(list, 0), "beside"));
	o = json_object_get(json_array_get(list, 1), "beside");
	assert_string_equal(json_string_value(json_object_get(o, "tool")), "multifd");
	assert_float_equal(json_number_value(json_object_get(o, "total")), 0.525, NEAR);
	s = runs_yardsticks(&r);
	assert_int_equal(s.count, 6);
	assert_float_equal(s.min, 20, 0);
	assert_float_equal(s.max, 41, 0);
	spread_fini(&s);
	json_decref(list);
	runs_end(&r);
}

static void add_carried(json_t *moves, const char *link, const char *tool, const char *outcome, int carried)
{
	add(moves, link, tool, true, outcome, 1, 1);
	json_object_set_new(json_array_get(moves, json_array_size(moves) - 1), "carried_bytes", json_integer(carried));
}

static json_int_t payload(const json_t *moves, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(moves, i), "payload_bytes"));
}

/* vmferry's own count may leave out what it need not carry: it is taken only where nobody else has moved the guest. */
static void the_payload_is_what_a_tool_without_tricks_carries(void **state)
{
	json_t *moves = json_array(), *result;

	(void)state;
	add_carried(moves, "1gbit", "vmferry+tls", "ok", 500);
	run_set_payload(moves, json_array_get(moves, 0));
	assert_int_equal(payload(moves, 0), 500);
	add_carried(moves, "1gbit", "multifd", "ok", 900);
	add_carried(moves, "1gbit", "single", "ok", 800);
	add_carried(moves, "1gbit", "single", "failed", 10);
	add_carried(moves, "10gbit", "single", "ok", 7);
	run_set_payload(moves, json_array_get(moves, 3));
	assert_int_equal(payload(moves, 0), 800);
	assert_int_equal(payload(moves, 1), 800);
	assert_int_equal(payload(moves, 2), 800);
	assert_int_equal(payload(moves, 4), 0);
	json_decref(moves);
	result = json_pack("{s:{s:i,s:i,s:i,s:i},s:[{s:i},{s:i}]}", "ram", "pages", 10, "seed_pages", 5, "same_pages", 6, "zero_pages", 100,
			   "disks", "bytes_read", 4096, "bytes_read", 100);
	assert_int_equal(ferry_carried(result), 16 * 4096 + 100);
	json_object_set_new(json_object_get(result, "ram"), "pages", json_integer(0));
	assert_int_equal(ferry_carried(result), 0);
	json_decref(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_linear_between_values),
		cmocka_unit_test(statistics_are_of_the_moves_that_count),
		cmocka_unit_test(a_tool_counts_what_went_wrong_and_keeps_it_out_of_figures),
		cmocka_unit_test(moves_are_compared_within_their_round),
		cmocka_unit_test(the_payload_is_what_a_tool_without_tricks_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
