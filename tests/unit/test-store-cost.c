/* test-store-cost.c: how fast storage is written to is found without leaving anything there; where that cannot be, it is not known. */
#include "store-cost.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static unsigned entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void a_disk_takes_something_and_keeps_nothing(void **state)
{
	char dir[] = "/var/tmp/vmferry-test-XXXXXX";
	double bps;

	(void)state;
	assert_non_null(mkdtemp(dir));
	bps = store_bps(dir);
	assert_true(bps > 1e4 && bps < 1e12);
	assert_int_equal(entries(dir), 2);
	assert_int_equal(rmdir(dir), 0);
}

static void where_no_file_can_be_had_it_is_not_known(void **state)
{
	(void)state;
	assert_float_equal(store_bps("/var/tmp/vmferry-is-not-there"), 0, 0);
	assert_float_equal(store_bps("/proc"), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_takes_something_and_keeps_nothing),
		cmocka_unit_test(where_no_file_can_be_had_it_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
