/* test-place-cost.c: what it costs to write new memory is a time that a processor may take for it, and leaves nothing. */
#include "place-cost.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

static void a_byte_costs_more_than_nothing_and_less_than_a_microsecond(void **state)
{
	uint64_t before = process_resident_bytes(getpid());
	static const uint64_t of[] = {0, 4096, 1 << 20, (uint64_t)1 << 30, (uint64_t)1 << 50};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(of) / sizeof(*of); i++) {
		double ns = place_cost_ns(of[i]);

		assert_true(ns > 0.005 && ns < 1000);
	}
	assert_true(process_resident_bytes(getpid()) < before + (3U << 20));
}

static void what_is_not_tried_costs_what_the_last_of_it_did(void **state)
{
	static const uint64_t took[] = {1, 2, 3, 4, 5, 6, 26, 46}; /* six cheap pieces, two dear ones */

	(void)state;
	assert_float_equal(place_cost_of(took, 8, 8), 46 / 8.0, 0.001);
	assert_float_equal(place_cost_of(took, 8, 100), (46 + 92 * 20) / 100.0, 0.001);
	assert_float_equal(place_cost_of(took, 1, 10), 1, 0.001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_costs_more_than_nothing_and_less_than_a_microsecond),
		cmocka_unit_test(what_is_not_tried_costs_what_the_last_of_it_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
