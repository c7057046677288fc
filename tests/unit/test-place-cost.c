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
	double ns = place_cost_ns();

	(void)state;
	assert_true(ns > 0.005 && ns < 1000);
	assert_true(process_resident_bytes(getpid()) < before + (3U << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_costs_more_than_nothing_and_less_than_a_microsecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
