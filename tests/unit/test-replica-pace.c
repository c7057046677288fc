/* test-replica-pace.c: when the next point of a replica is due, and what is said of those that fail. */
#include "replica-pace.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static double due(double began, double ended, unsigned failures, double every)
{
	const struct replica_attempt last = {began, ended, failures};

	return replica_due(&last, every);
}

static void points_begin_an_interval_apart(void **state)
{
	(void)state;
	assert_float_equal(due(1000, 1004, 0, 30), 1030, 1e-9);
	assert_float_equal(due(1000, 1030, 0, 30), 1030, 1e-9);
}

static void a_slow_point_is_followed_by_a_pause(void **state)
{
	(void)state;
	assert_float_equal(due(1000, 1100, 0, 30), 1110, 1e-9);
	assert_float_equal(due(1000, 1100, 0, 105), 1105, 1e-9);
	assert_float_equal(due(1000, 1031, 0, 30), 1034.1, 1e-9);
}

static void failures_are_tried_less_often(void **state)
{
	(void)state;
	assert_float_equal(due(0, 1, 1, 30), 30, 1e-9);
	assert_float_equal(due(0, 1, 2, 30), 60, 1e-9);
	assert_float_equal(due(0, 1, 3, 30), 120, 1e-9);
	assert_float_equal(due(0, 1, 4, 30), 240, 1e-9);
	assert_float_equal(due(0, 1, 4000000000U, 30), 240, 1e-9);
	assert_float_equal(due(0, 1, 3, 600), 1800, 1e-9);    /* half an hour */
	assert_float_equal(due(0, 1, 9, 86400), 86400, 1e-9); /* never more often than was asked for */
}

static void a_service_that_is_started_anew_waits_its_turn(void **state)
{
	(void)state;
	assert_float_equal(replica_first_due(50, 10, 300), 340, 1e-9);
	assert_float_equal(replica_first_due(50, 300, 300), 50, 1e-9);
	assert_float_equal(replica_first_due(50, 1e9, 300), 50, 1e-9); /* never tried */
	assert_float_equal(replica_first_due(50, -7200, 300), 50, 1e-9);
}

static void a_reason_is_said_once(void **state)
{
	struct replica_word w = {.code = 0};

	(void)state;
	assert_int_equal(replica_is_news(&w, 0, NULL), REPLICA_SAYS_NOTHING);
	assert_int_equal(replica_is_news(&w, 3, "no route to host-b, port 4001"), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 3, "no route to host-b, port 4002"), REPLICA_SAYS_NOTHING);
	assert_int_equal(replica_is_news(&w, 3, "cannot create /a/.vmferry-6e935479-1.delta"), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 3, "cannot create /a/.vmferry-4d2f3470-12.delta"), REPLICA_SAYS_NOTHING);
	assert_int_equal(replica_is_news(&w, 3, "cannot create /b/.vmferry-4d2f3470-12.delta"), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 3, "no room"), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 1, "no room"), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 1, NULL), REPLICA_SAYS_FAILED);
	assert_int_equal(replica_is_news(&w, 1, NULL), REPLICA_SAYS_NOTHING);
	assert_int_equal(replica_is_news(&w, 0, "of before"), REPLICA_SAYS_OVER);
	assert_int_equal(replica_is_news(&w, 0, NULL), REPLICA_SAYS_NOTHING);
	assert_int_equal(replica_is_news(&w, 1, NULL), REPLICA_SAYS_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_begin_an_interval_apart), cmocka_unit_test(a_slow_point_is_followed_by_a_pause),
		cmocka_unit_test(failures_are_tried_less_often),  cmocka_unit_test(a_service_that_is_started_anew_waits_its_turn),
		cmocka_unit_test(a_reason_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
