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

static char *text_of(const char *totals, const char *jobs, const char *replicas)
{
	json_t *t = json_loads(totals, 0, NULL), *j = json_loads(jobs, 0, NULL), *r = json_loads(replicas, 0, NULL);
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(t);
	assert_non_null(j);
	assert_non_null(r);
	metrics_print(to, t, j, r);
	fclose(to);
	json_decref(r);
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
			"[{\"state\": \"waiting\"}, {\"state\": \"under-way\"}, {\"state\": \"under-way\"}, {\"state\": \"odd\"}, 7]",
			"[]");

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

#define PRIMARY                                                                                                                                                 \
	"{\"guest\": \"v\\\"1\", \"role\": \"primary\", \"to\": \"root@b\", \"lag_s\": 61.5, \"every_s\": 30, \"at_ms\": 1790000000500, \"delta_bytes\": 4096," \
	" \"made\": 7, \"failed\": 2, \"bytes_total\": 1000000, \"term\": 1, \"points\": 5, \"health\": \"warning\", \"would_start\": {\"start\": false}}"
#define STORE                                                                                                                              \
	"{\"guest\": \"v2\", \"role\": \"replica\", \"from\": \"a\", \"term\": 3, \"points\": [{}, {}], \"lag_s\": 3.0, \"at_ms\": 1790000000000, \"would_start\": {\"start\": true}, \"trial\": true}"

static void test_replicas(void **state)
{
	AUTO_FREE char *text = text_of("[]", "[]", "[" PRIMARY ", " STORE ", {\"role\": \"primary\"}, 7]");

	(void)state;
#define OF_PRIMARY "{guest=\"v\\\"1\",role=\"primary\",peer=\"root@b\"}"
	assert_has(text, "vmferry_replica_lag_seconds" OF_PRIMARY " 61.5");
	assert_has(text, "vmferry_replica_interval_seconds" OF_PRIMARY " 30");
	assert_has(text, "vmferry_replica_last_point_timestamp_seconds" OF_PRIMARY " 1790000000.5");
	assert_has(text, "vmferry_replica_last_point_bytes" OF_PRIMARY " 4096");
	assert_has(text, "vmferry_replica_points_made_total" OF_PRIMARY " 7");
	assert_has(text, "vmferry_replica_points_failed_total" OF_PRIMARY " 2");
	assert_has(text, "vmferry_replica_carried_bytes_total" OF_PRIMARY " 1000000");
	assert_has(text, "vmferry_replica_term" OF_PRIMARY " 1");
	assert_has(text, "vmferry_replica_points" OF_PRIMARY " 5");
	assert_has(text, "vmferry_replica_would_start" OF_PRIMARY " 0");
	assert_has(text, "vmferry_replica_health{guest=\"v\\\"1\",role=\"primary\",peer=\"root@b\",health=\"warning\"} 1");
	assert_has(text, "vmferry_replica_health{guest=\"v\\\"1\",role=\"primary\",peer=\"root@b\",health=\"normal\"} 0");
	assert_has(text, "vmferry_replica_points{guest=\"v2\",role=\"replica\",peer=\"a\"} 2");
	assert_has(text, "vmferry_replica_term{guest=\"v2\",role=\"replica\",peer=\"a\"} 3");
	assert_has(text, "vmferry_replica_would_start{guest=\"v2\",role=\"replica\",peer=\"a\"} 1");
	assert_has(text, "vmferry_replica_trial{guest=\"v2\",role=\"replica\",peer=\"a\"} 1");
	assert_has(text, "vmferry_replica_lag_seconds{guest=\"v2\",role=\"replica\",peer=\"a\"} 3");
	assert_has(text, "vmferry_replica_last_point_timestamp_seconds{guest=\"v2\",role=\"replica\",peer=\"a\"} 1790000000");
	assert_null(strstr(text, "interval_seconds{guest=\"v2\""));
}

/* Each family has its TYPE before its UNIT, HELP and samples, which follow one another; its unit ends its name; EOF is last. */
static void test_grammar(void **state)
{
	AUTO_FREE char *text = text_of("[{\"how\": \"live\", \"exit_code\": 0, \"count\": 1.0}]", "[]", "[" PRIMARY ", " STORE "]");
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_replicas), cmocka_unit_test(test_grammar)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
