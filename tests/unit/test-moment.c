/* Moments of the wall clock: what is read, what is none, and what a clock that is set forward and back makes of them. */
#include "moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static time_t of(const char *utc)
{
	struct tm tm = {0};

	assert_non_null(strptime(utc, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

#define NOW of("2026-12-23 22:30:20") /* 23:30:20 there */

static void a_time_of_the_day_is_the_next_one(void **state)
{
	(void)state;
	assert_int_equal(moment_read("23:31", NOW), of("2026-12-23 22:31:00"));
	assert_int_equal(moment_read("23:30:21", NOW), of("2026-12-23 22:30:21"));
	assert_int_equal(moment_read("23:30:20", NOW), of("2026-12-24 22:30:20"));
	assert_int_equal(moment_read("3:00", NOW), of("2026-12-24 02:00:00"));
	assert_int_equal(moment_read("00:00", NOW), of("2026-12-23 23:00:00"));
}

static void a_day_and_how_long_from_now(void **state)
{
	(void)state;
	assert_int_equal(moment_read("2026-12-24 3:00", NOW), of("2026-12-24 02:00:00"));
	assert_int_equal(moment_read("2027-07-01T03:00:07", NOW), of("2027-07-01 01:00:07"));
	assert_int_equal(moment_read("+90", NOW), NOW + 90);
	assert_int_equal(moment_read("+90s", NOW), NOW + 90);
	assert_int_equal(moment_read("+2m", NOW), NOW + 120);
	assert_int_equal(moment_read("+3h", NOW), NOW + 10800);
	assert_int_equal(moment_read("+5d", NOW), NOW + 432000);
	assert_int_equal(moment_span("90m"), 5400);
	assert_int_equal(moment_span("366d"), 31622400);
	assert_int_equal(moment_span("367d"), 0);
	assert_int_equal(moment_span("-1d"), 0);
	assert_int_equal(moment_span("0"), 0);
}

static void what_is_no_moment_to_come(void **state)
{
	static const char *const none[] = {"",
					   "now",
					   "24:30",
					   "3",
					   "3:00 ",
					   "3:00pm",
					   "2026-12-23 23:30:20",
					   "2025-12-24 3:00",
					   "2027-02-30 3:00",
					   "+",
					   "+0",
					   "+-5",
					   "+5w",
					   "+ 5",
					   "+99999999999999999999h",
					   "+9000h"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (moment_read(none[i], NOW))
			fail_msg("'%s' is taken", none[i]);
}

/* 2:00 to 3:00 is left out on one day in March. */
static void an_hour_that_the_clock_leaves_out(void **state)
{
	(void)state;
	assert_int_equal(moment_read("2027-03-28 02:30", NOW), 0);
	assert_int_equal(moment_read("2027-03-28 03:00", NOW), of("2027-03-28 01:00:00"));
	assert_int_equal(moment_read("3:30", of("2027-03-27 12:00:00")), of("2027-03-28 01:30:00"));
}

static void what_is_written_is_read_again(void **state)
{
	char text[MOMENT_TEXT];

	(void)state;
	assert_string_equal(moment_text(text, NOW + 5), "2026-12-23 23:30:25");
	assert_int_equal(moment_read(text, NOW), NOW + 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_of_the_day_is_the_next_one), cmocka_unit_test(a_day_and_how_long_from_now),
		cmocka_unit_test(what_is_no_moment_to_come),	     cmocka_unit_test(an_hour_that_the_clock_leaves_out),
		cmocka_unit_test(what_is_written_is_read_again),
	};

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
