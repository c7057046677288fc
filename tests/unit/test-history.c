/*
 * test-history.c: what became of the last moves, written down and read.
 * takes: 30
 */
#include "history.h"
#include "json-text.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char dir[] = "/tmp/vmferry-test-history.XXXXXX";

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	AUTO_FREE char *file = xasprintf("%s/history", dir);
	AUTO_FREE char *lock = xasprintf("%s/history.lock", dir);
	AUTO_FREE char *totals = xasprintf("%s/totals", dir);

	(void)state;
	unlink(file);
	unlink(lock);
	unlink(totals);
	return rmdir(dir);
}

static void add(const char *guest, int number)
{
	json_t *entry = json_pack("{s:s,s:s,s:{s:i}}", "guest", guest, "how", "live", "result", "number", number);
	struct err e;

	assert_int_equal(history_add(dir, entry, &e), 0);
	json_decref(entry);
}

static int number_at(const json_t *all, size_t i)
{
	return (int)json_integer_value(json_object_get(json_object_get(json_array_get(all, i), "result"), "number"));
}

static void the_newest_are_kept_in_their_order(void **state)
{
	json_t *all;
	int i;

	(void)state;
	all = history_read(dir, NULL);
	assert_int_equal(json_array_size(all), 0);
	json_decref(all);
	for (i = 1; i <= HISTORY_KEPT + 3; i++)
		add(i % 2 ? "odd" : "even", i);
	all = history_read(dir, NULL);
	assert_int_equal(json_array_size(all), HISTORY_KEPT);
	assert_int_equal(number_at(all, 0), 4);
	assert_int_equal(number_at(all, HISTORY_KEPT - 1), HISTORY_KEPT + 3);
	json_decref(all);
	all = history_read(dir, "odd");
	assert_int_equal(number_at(all, json_array_size(all) - 1), HISTORY_KEPT + 3);
	assert_int_equal(number_at(all, 0), 5);
	json_decref(all);
}

static void what_cannot_be_read_is_left_out(void **state)
{
	AUTO_FREE char *path = xasprintf("%s/history", dir);
	json_t *all;
	FILE *f;

	(void)state;
	add("a", 1);
	f = fopen(path, "a");
	fputs("{\"guest\": \"a\", \n[]\n\n7\n", f);
	fclose(f);
	add("a", 2);
	all = history_read(dir, NULL);
	assert_int_equal(json_array_size(all), 2);
	assert_int_equal(number_at(all, 1), 2);
	json_decref(all);
}

static void a_long_plan_is_not_kept(void **state)
{
	AUTO_FREE char *text = xcalloc(1, 70000);
	json_t *entry, *all;
	struct err e;

	(void)state;
	memset(text, 'x', 69999);
	entry = json_pack("{s:s,s:{s:s},s:{}}", "guest", "a", "plan", "text", text, "result");
	assert_int_equal(history_add(dir, entry, &e), 0);
	json_decref(entry);
	all = history_read(dir, "a");
	assert_int_equal(json_array_size(all), 1);
	assert_null(json_object_get(json_array_get(all, 0), "plan"));
	assert_non_null(json_object_get(json_array_get(all, 0), "result"));
	json_decref(all);
}

static void many_bytes_are_not_kept_either(void **state)
{
	AUTO_FREE char *text = xcalloc(1, 40000);
	AUTO_FREE char *path = xasprintf("%s/history", dir);
	json_t *entry, *all;
	struct stat st;
	struct err e;
	FILE *f = fopen(path, "w"); /* entries as that many calls of history_add would leave them */
	int i;

	(void)state;
	assert_non_null(f);
	memset(text, 'x', 39999);
	for (i = 1; i < 90; i++)
		fprintf(f, "{\"guest\":\"a\",\"result\":{\"text\":\"%s\",\"number\":%d}}\n", text, i);
	assert_int_equal(fclose(f), 0);
	entry = json_pack("{s:s,s:{s:s,s:i}}", "guest", "a", "result", "text", text, "number", i);
	assert_int_equal(history_add(dir, entry, &e), 0);
	json_decref(entry);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < (3 << 20) + 50000); /* room for one more */
	all = history_read(dir, NULL);
	assert_true(json_array_size(all) > 70);
	assert_int_equal(number_at(all, json_array_size(all) - 1), 90);
	json_decref(all);
}

static void add_result(const char *how, int code, double ms)
{
	json_t *entry = json_pack("{s:s,s:s,s:{s:i,s:f,s:i,s:{s:f},s:[s]}}", "guest", "a", "how", how, "result", "exit_code", code,
				  "total_ms", ms, "bytes_wire", 10, "downtime_ms", "total", ms / 2, "leftovers", "a file");
	struct err e;

	assert_int_equal(history_add(dir, entry, &e), 0);
	json_decref(entry);
}

static void sums_are_by_kind_and_exit_code(void **state)
{
	json_t *all, *row;

	(void)state;
	add_result("live", 0, 1000);
	add_result("live", 0, 3000);
	add_result("live", 1, 500);
	add_result("cold", 0, 500);
	all = history_totals(dir);
	assert_int_equal(json_array_size(all), 3);
	row = json_array_get(all, 0);
	assert_string_equal(json_text(row, "how"), "live");
	assert_true(json_number_value(json_object_get(row, "count")) == 2);
	assert_true(json_number_value(json_object_get(row, "seconds")) == 4);
	assert_true(json_number_value(json_object_get(row, "bytes")) == 20);
	assert_true(json_number_value(json_object_get(row, "downtime_s")) == 2);
	assert_true(json_number_value(json_object_get(row, "leftovers")) == 2);
	assert_true(json_integer_value(json_object_get(row, "last_at")) > 0);
	json_decref(all);
}

static void add_attempt(const char *attempt, int code, const char *plan)
{
	json_t *entry = json_pack("{s:s,s:s,s:s*,s:{s:i,s:s,s:[ss],s:i}}", "guest", "a", "how", "live", "plan", plan, "result", "exit_code",
				  code, "attempt", attempt, "leftovers", "a file", "a disk", "kept", 1);
	struct err e;

	assert_int_equal(history_add(dir, entry, &e), 0);
	json_decref(entry);
}

/* An attempt is listed once, as it ended last: its agent ended it, and `recover` then settled the rest. */
static void an_attempt_is_there_once_as_it_ended_last(void **state)
{
	json_t *all, *totals;

	(void)state;
	add_attempt("01", 4, "its plan");
	add_attempt("02", 0, NULL);
	add_attempt("01", 1, NULL);
	all = history_read(dir, NULL);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(json_text(json_object_get(json_array_get(all, 1), "result"), "attempt"), "01");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(json_array_get(all, 1), "result"), "exit_code")), 1);
	assert_string_equal(json_text(json_array_get(all, 1), "plan"), "its plan");
	totals = history_totals(dir);
	assert_int_equal(json_array_size(totals), 2);
	assert_true(json_number_value(json_object_get(json_array_get(totals, 0), "count")) == 1);
	/* leftovers do not count files kept on purpose */
	assert_true(json_number_value(json_object_get(json_array_get(totals, 0), "leftovers")) == 1);
	json_decref(totals);
	json_decref(all);
}

static void assert_line(const char *entry, const char *begins, const char *ends)
{
	json_t *o = json_loads(entry, 0, NULL);
	AUTO_FREE char *line = history_line(o);

	assert_non_null(o);
	assert_true(!strncmp(line, begins, strlen(begins)));
	assert_true(strlen(line) > strlen(ends) && !strcmp(line + strlen(line) - strlen(ends), ends));
	json_decref(o);
}

static void a_line_says_how_it_ended(void **state)
{
	(void)state;
	assert_line("{\"at\": 1, \"guest\": \"web1\", \"destination\": \"host-b\", \"how\": \"live\", \"result\":"
		    " {\"outcome\": \"migrated\", \"total_ms\": 9150.0, \"downtime_ms\": {\"total\": 134.6}}}",
		    "web1 -> host-b, 19", ": migrated (live) in 9.2 s, stood still 135 ms");
	assert_line("{\"at\": 1, \"guest\": \"a\\u001b[2J\", \"how\": \"storage\", \"result\":"
		    " {\"outcome\": \"failed\", \"reason\": \"no space\\nleft\"}}",
		    "a?[2J, 19", ": failed (storage) in 0.0 s: no space?left");
	assert_line("{}", "?, 19", ": ? (?) in 0.0 s");
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(the_newest_are_kept_in_their_order),
		test(what_cannot_be_read_is_left_out),
		test(a_long_plan_is_not_kept),
		test(many_bytes_are_not_kept_either),
		test(sums_are_by_kind_and_exit_code),
		test(a_line_says_how_it_ended),
		test(an_attempt_is_there_once_as_it_ended_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
