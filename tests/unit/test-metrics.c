/* test-metrics.c: OpenMetrics text of what has moved, by its grammar. */
#include "metrics.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char *text_of(const char *totals, const char *jobs)
{
	json_t *t = json_loads(totals, 0, NULL), *j = json_loads(jobs, 0, NULL);
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(t);
	assert_non_null(j);
	metrics_print(to, t, j);
	fclose(to);
	json_decref(t);
	json_decref(j);
	return text;
}

static void assert_has(const char *text, const char *line)
{
	AUTO_FREE char *whole = xasprintf("\n%s\n", line);

	if (!strstr(text, whole))
		fail_msg("'%s' is not in:\n%s", line, text);
}

static void test_values(void **state)
{
	AUTO_FREE char *text =
		text_of("[{\"how\": \"live\", \"exit_code\": 0, \"count\": 3.0, \"seconds\": 12.5, \"bytes\": 1e12, \"downtime_s\": 0.25,"
			" \"leftovers\": 0.0, \"last_at\": 1790000000},"
			" {\"how\": \"a\\\"b\\\\c\\nd\", \"exit_code\": 6, \"count\": 1.0}]",
			"[{\"state\": \"waiting\"}, {\"state\": \"under-way\"}, {\"state\": \"under-way\"}, {\"state\": \"odd\"}, 7]");

	(void)state;
	assert_has(text, "vmferry_moves_total{how=\"live\",exit_code=\"0\"} 3");
	assert_has(text, "vmferry_move_seconds_total{how=\"live\",exit_code=\"0\"} 12.5");
	assert_has(text, "vmferry_move_bytes_total{how=\"live\",exit_code=\"0\"} 1000000000000");
	assert_has(text, "vmferry_move_downtime_seconds_total{how=\"live\",exit_code=\"0\"} 0.25");
	assert_has(text, "vmferry_last_move_timestamp_seconds{how=\"live\",exit_code=\"0\"} 1790000000");
	assert_has(text, "vmferry_moves_total{how=\"a\\\"b\\\\c\\nd\",exit_code=\"6\"} 1");
	assert_has(text, "vmferry_jobs{state=\"waiting\"} 1");
	assert_has(text, "vmferry_jobs{state=\"under-way\"} 2");
	assert_has(text, "vmferry_jobs{state=\"undecided\"} 0");
}

/* Each family has its TYPE before its UNIT, HELP and samples, which follow one another; its unit ends its name; EOF is last. */
static void test_grammar(void **state)
{
	AUTO_FREE char *text = text_of("[{\"how\": \"live\", \"exit_code\": 0, \"count\": 1.0}]", "[]");
	char *rest = text, *line, family[64] = "", type[16], name[64], unit[16];

	(void)state;
	assert_string_equal(text + strlen(text) - strlen("# EOF\n"), "# EOF\n");
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "# TYPE %63s %15s", name, type) == 2) {
			assert_string_not_equal(name, family);
			strcpy(family, name);
			assert_true(!strcmp(type, "counter") || !strcmp(type, "gauge"));
		} else if (sscanf(line, "# UNIT %63s %15s", name, unit) == 2) {
			assert_string_equal(name, family);
			assert_string_equal(name + strlen(name) - strlen(unit), unit);
		} else if (sscanf(line, "# HELP %63s", name) == 1) {
			assert_string_equal(name, family);
		} else if (*line && *line != '#') {
			assert_true(!strncmp(line, family, strlen(family)));
			const char *behind = !strcmp(type, "counter") ? "_total{" : "{";

			assert_true(!strncmp(line + strlen(family), behind, strlen(behind)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_grammar)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
