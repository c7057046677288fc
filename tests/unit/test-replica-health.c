/* test-replica-health.c: what is said of a replica before it is needed. */
#include "json-text.h"
#include "replica-health.h"
#include "replica-here.h"
#include "replica-show.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
	assert_health("{\"lag_s\": 601.0}", "warning",
		      "10 min old, and one is to be made every 5 min: does vmferry replica run, or its service, run here?");
	assert_health("{\"lag_s\": 3601.0}", "critical", "60 min old");
	assert_health("{\"lag_s\": 900.0, \"paused\": true}", "warning", "it is paused");
	assert_health("{\"exit_code\": 3, \"reason\": \"no room\"}", "warning", "the last attempt failed: no room");
	assert_health("{\"exit_code\": 3, \"lag_s\": 9000.0}", "critical", "the last attempt failed");
	assert_health("{\"replaced\": true, \"exit_code\": 3}", "critical", "was taken over");
	assert_health("{\"replaced\": true, \"lag_s\": 9000.0, \"warnings\": [\"a trial\"]}", "critical",
		      "[\"the guest was taken over at the replica: what runs here is not it any more\"]");
	assert_health("{\"freezes\": true, \"frozen\": false}", "warning", "not frozen");
	assert_health("{\"freezes\": true, \"frozen\": true}", "normal", NULL);
	assert_health("{\"ahead_s\": 300.0, \"lag_s\": 0.0}", "normal", NULL);
	assert_health("{\"ahead_s\": 7300.0, \"lag_s\": 0.0}", "warning", "lies 2 h in the future: was the clock set back?");
	assert_health("{\"warnings\": []}", "normal", NULL);
	assert_health("{\"warnings\": [\"there is a trial\", \"no room\"]}", "warning",
		      "as point 9 came there: there is a trial\", \"as point 9 came there: no room");
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
	json_object_set_new(o, "run", json_pack("{s:i,s:s}", "number", 4, "at", "2026-11-29 14:05:10"));
	replica_health_here(o);
	assert_string_equal(json_text(o, "health"), "critical");
	assert_non_null(strstr(json_string_value(json_array_get(json_object_get(o, "health_why"), 0)), "taken over here, from point 4"));
	json_object_del(o, "run");
	json_object_set_new(o, "taken_over_at", json_string("root@host-c"));
	replica_health_here(o);
	assert_string_equal(json_text(o, "health"), "critical");
	json_decref(o);
}

static void row_knows_of_a_clock_that_was_set_back(void **state)
{
	struct replica_conf c = {.to = "root@b", .keep = "3", .every_s = 60, .term = 1};
	json_int_t now = (json_int_t)time(NULL);
	json_t *known = json_pack("{s:i,s:I,s:I,s:i}", "point", 4, "at_ms", (now - 30) * 1000, "tried_at", now - 30, "exit_code", 0);
	json_t *o = replica_row(&c, "vm1", known);

	(void)state;
	assert_string_equal(json_text(o, "health"), "normal");
	json_decref(o);
	json_object_set_new(known, "tried_at", json_integer(now + 7200));
	o = replica_row(&c, "vm1", known);
	assert_string_equal(json_text(o, "health"), "warning");
	json_decref(o);
	json_object_set_new(known, "tried_at", json_integer(now));
	json_object_set_new(known, "at_ms", json_integer((now + 7200) * 1000));
	o = replica_row(&c, "vm1", known);
	assert_string_equal(json_text(o, "health"), "warning");
	json_decref(o);
	json_decref(known);
}

static void old_plan_has_its_moment(void **state)
{
	static const struct {
		const char *row;
		bool old;
	} rows[] = {
		{"{\"every_s\": 300, \"planned_at\": 10000}", false}, /* now is 10600 */
		{"{\"every_s\": 299, \"planned_at\": 10000}", true},
		{"{\"every_s\": 30, \"planned_at\": 10480}", false},
		{"{\"every_s\": 30, \"planned_at\": 10479}", true},
		{"{\"every_s\": 30, \"planned_at\": 10601}", true},
		{"{\"every_s\": 30}", false},
		{"{\"planned_at\": 10600}", true},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *o = json_loads(rows[i].row, 0, NULL);

		if (replica_plan_is_old(o, 10600) != rows[i].old)
			fail_msg("%s", rows[i].row);
		json_decref(o);
	}
}

static void commands_that_are_run_have_this_ones_state(void **state)
{
	struct replica_conf c = {.state_dir = (char *)"/nowhere/state", .runtime_dir = (char *)"/nowhere/run"};

	(void)state;
	setenv("VMFERRY_STATE_DIR", "/another", 1);
	unsetenv("VMFERRY_RUNTIME_DIR");
	assert_int_not_equal(replica_failover_complete(&c, "vm1"), 0); /* no such replica; a child would have been told */
	assert_string_equal(getenv("VMFERRY_STATE_DIR"), "/nowhere/state");
	assert_string_equal(getenv("VMFERRY_RUNTIME_DIR"), "/nowhere/run");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(health_is_the_worst_of_all),
		cmocka_unit_test(one_without_a_point_is_critical),
		cmocka_unit_test(row_knows_of_a_clock_that_was_set_back),
		cmocka_unit_test(old_plan_has_its_moment),
		cmocka_unit_test(commands_that_are_run_have_this_ones_state),
		cmocka_unit_test(points_here_are_judged_by_their_warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
