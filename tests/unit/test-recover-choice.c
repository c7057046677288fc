/* test-recover-choice.c: which guest's move `vmferry recover WORD` settles; above all, which not. */
#include "recover-choice.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ATTEMPT "deadbeef0102030405060708090a0b0c"

/* Names that are parts of one another, of paths and of attempts. */
static const char *const names[] = {"vm",
				    "vm1",
				    "vm11",
				    "1",
				    "ferry",
				    "vmferry",
				    "lib",
				    "src",
				    "-src",
				    "journal",
				    "db",
				    "ad",
				    "be",
				    "fe",
				    "dead",
				    "beef",
				    "web",
				    "we",
				    "eb",
				    "WEB",
				    "web ",
				    "deadbee",
				    "adbeef0102030405",
				    "42",
				    "424",
				    "",
				    "src.journal",
				    "/var/lib/vmferry",
				    "/var/lib/vmferry/" ATTEMPT "-src.journal",
				    ATTEMPT "0"};

static void name_is_that_guest_s_and_no_other_s(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(names); i++)
		for (j = 0; j < ARRAY_LEN(names); j++)
			assert_int_equal(recover_means(names[i], names[j], 4242, ATTEMPT), i == j);
}

static void pid_is_the_whole_number(void **state)
{
	static const char *const wrong[] = {"4", "424", "242", "42420", "04242", "+4242", " 4242", "4242 ", "0", "-1"};
	size_t i;

	(void)state;
	assert_true(recover_means("4242", "vm1", 4242, ATTEMPT));
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(recover_means(wrong[i], "vm1", 4242, ATTEMPT));
	assert_false(recover_means("0", "vm1", 0, ATTEMPT)); /* 0: no pid was recorded */
	assert_false(recover_means("-1", "vm1", -1, ATTEMPT));
}

static void attempt_is_its_first_eight_digits_or_more(void **state)
{
	static const char *const wrong[] = {"deadbee", "eadbeef0", "DEADBEEF", "deadbeef1", "01020304", ATTEMPT "0", "0xdeadbeef"};
	size_t i;

	(void)state;
	assert_true(recover_means("deadbeef", "vm1", 1, ATTEMPT));
	assert_true(recover_means("deadbeef0", "vm1", 1, ATTEMPT));
	assert_true(recover_means(ATTEMPT, "vm1", 1, ATTEMPT));
	for (i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(recover_means(wrong[i], "vm1", 1, ATTEMPT));
}

static void guest_without_a_name_has_pid_and_attempt(void **state)
{
	(void)state;
	assert_false(recover_means("vm1", NULL, 4242, ATTEMPT));
	assert_false(recover_means("", NULL, 4242, ATTEMPT));
	assert_true(recover_means("4242", NULL, 4242, ATTEMPT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_that_guest_s_and_no_other_s),
		cmocka_unit_test(pid_is_the_whole_number),
		cmocka_unit_test(attempt_is_its_first_eight_digits_or_more),
		cmocka_unit_test(guest_without_a_name_has_pid_and_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
