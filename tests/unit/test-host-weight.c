/* test-host-weight.c: how much a thread of others weighs beside one of ours. */
#include "host-weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void others_weigh_what_the_time_tells(void **state)
{
	(void)state;
	assert_float_equal(host_weight_from(5, 2, 2, 8), 1, 0.001);
	assert_float_equal(host_weight_from(3, 2, 2, 8), 0.5, 0.001); /* niced, say */
	assert_float_equal(host_weight_from(4, 2, 4, 8), 0.5, 0.001); /* a guest computes, too */
}

static void what_tells_nothing_is_not_believed(void **state)
{
	(void)state;
	assert_float_equal(host_weight_from(1, 2, 2, 0.2), 1, 0.001);
	assert_float_equal(host_weight_from(1, 2, 4, 2), 0, 0.001);    /* ours were counted, and gone */
	assert_float_equal(host_weight_from(1000, 2, 2, 1), 1, 0.001); /* a host that was suspended */
}

static void it_is_one_until_it_is_known_and_can_be_ended_at_once(void **state)
{
	struct host_weight *w;

	(void)state;
	assert_float_equal(host_weight_of(NULL), 1, 0.001);
	w = host_weight_begin(0);
	assert_true(host_weight_of(w) >= 0);
	host_weight_free(w);
	host_weight_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_weigh_what_the_time_tells),
		cmocka_unit_test(what_tells_nothing_is_not_believed),
		cmocka_unit_test(it_is_one_until_it_is_known_and_can_be_ended_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
