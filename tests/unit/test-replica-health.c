/* test-replica-health.c: what is said of a replica before it is needed. */
#include "json-text.h"
#include "replica-health.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A row that is normal, but for these members. */
static json_t *row(const char *members)
{
	json_t *out = json_pack("{s:i,s:f,s:i,s:i,s:b,s:{s:b,s:[]}}", "every_s", 300, "lag_s", 20.0, "point", 9, "exit_code", 0, "replaced",
				0, "would_start", "start", 1, "why");
	json_t *more = json_loads(members, 0, NULL);

	assert_non_null(more);
	json_object_update(out, more);
	json_decref(more);
	replica_health(out);
	return out;
}

static void assert_health(const char *members, const char *health, const char *word)
{
	json_t *o = row(members);
	AUTO_FREE char *why = json_dumps(json_object_get(o, "health_why"), 0);

	if (strcmp(json_text(o, "health"), health) || (word ? !strstr(why, word) : json_array_size(json_object_get(o, "health_why"))))
		fail_msg("%s: %s %s", members, json_text(o, "health"), why);
	json_decref(o);
}

static void health_is_the_worst_of_all(void **state)
{
	(void)state;
	assert_health("{}", "normal", NULL);
	assert_health("{\"lag_s\": 600.0}", "normal", NULL);
	assert_health("{\"lag_s\": 601.0}", "warning", "10 min old, and one is to be made every 5 min");
	assert_health("{\"lag_s\": 3601.0}", "critical", "60 min old");
	assert_health("{\"lag_s\": 900.0, \"paused\": true}", "warning", "it is paused");
	assert_health("{\"exit_code\": 3, \"reason\": \"no room\"}", "warning", "the last attempt failed: no room");
	assert_health("{\"exit_code\": 3, \"lag_s\": 9000.0}", "critical", "the last attempt failed");
	assert_health("{\"replaced\": true, \"exit_code\": 3}", "critical", "was taken over");
	assert_health("{\"freezes\": true, \"frozen\": false}", "warning", "not frozen");
	assert_health("{\"freezes\": true, \"frozen\": true}", "normal", NULL);
	assert_health("{\"warnings\": []}", "normal", NULL);
	assert_health("{\"warnings\": [\"there is a trial\", \"no room\"]}", "warning", "there is a trial\", \"no room");
	assert_health("{\"would_start\": {\"start\": false, \"why\": [\"no bridge br0\"]}}", "warning",
		      "the guest would not start there: no bridge br0");
}

static void one_without_a_point_is_critical(void **state)
{
	json_t *o = json_pack("{s:i}", "every_s", 300);

	(void)state;
	replica_health(o);
	assert_string_equal(json_text(o, "health"), "critical");
	json_decref(o);
}

static void points_here_are_judged_by_their_warnings(void **state)
{
	json_t *o = json_pack("{s:[]}", "warnings");

	(void)state;
	replica_health_here(o); /* how old they are to be is not known there */
	assert_string_equal(json_text(o, "health"), "normal");
	json_array_append_new(json_object_get(o, "warnings"), json_string("there is a trial"));
	replica_health_here(o);
	assert_string_equal(json_text(o, "health"), "warning");
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health_is_the_worst_of_all),
		cmocka_unit_test(one_without_a_point_is_critical),
		cmocka_unit_test(points_here_are_judged_by_their_warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
