/* test-script-record.c: what a script starts, from the words that it gave its QEMU (script-record.h). The run itself is of e2e/cold. */
#include "script-record.h"
#include "record.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ONE(count, words) RECORD_MARK "\0" count "\0/srv/vm\0\0/modules\0/usr/bin/qemu-system-x86_64\0" words
#define TAKE(g, text, e)  script_take_records("a.sh", text, sizeof(text) - 1, g, e)

static void its_words_directory_and_environment_are_taken(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("3", "-name\0vm\0a b\0"), &e), 0);
	assert_int_equal(g.line.argc, 4);
	assert_string_equal(g.line.argv[0], "/usr/bin/qemu-system-x86_64");
	assert_string_equal(g.line.argv[3], "a b");
	assert_null(g.line.argv[4]);
	assert_string_equal(g.cwd, "/srv/vm");
	assert_null(g.env.ld_library_path);
	assert_string_equal(g.env.module_dir, "/modules");
	guest_fini(&g);
}

static void what_asks_qemu_of_itself_starts_nothing(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("1", "--version\0") ONE("2", "-cpu\0help\0") ONE("0", "") ONE("2", "-m\00064\0"), &e), 0);
	assert_string_equal(g.line.argv[1], "-m");
	guest_fini(&g);
}

static void one_guest_and_no_more(void **state)
{
	struct guest g = {.pid = 0};
	struct err e;

	(void)state;
	assert_int_equal(TAKE(&g, ONE("2", "-m\00064\0") ONE("2", "-m\00065\0"), &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "starts 2 QEMUs"));
	guest_fini(&g);
	assert_int_equal(TAKE(&g, ONE("2", "-m\00064\0") ONE("2", "-m\00064\0"), &e), 0); /* a loop that starts it again */
	assert_string_equal(g.line.argv[2], "64");
	guest_fini(&g);
	assert_int_equal(TAKE(&g, "", &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "started no QEMU"));
	guest_fini(&g);
}

/* Whoever writes to the pipe may say anything. */
static void records_that_lie_are_refused(void **state)
{
	static const char whole[] = ONE("3", "-name\0vm\0x\0"), many[] = ONE("99999999999999999999", "-m\0"),
			  negative[] = ONE("-1", "-m\0"), other[] = "x\0001\0";
	struct guest g = {.pid = 0};
	struct err e;
	size_t n;

	(void)state;
	for (n = 1; n < sizeof(whole) - 1; n++) {
		assert_int_equal(script_take_records("a.sh", whole, n, &g, &e), -ENOTSUP);
		guest_fini(&g);
	}
	assert_int_equal(TAKE(&g, many, &e), -ENOTSUP);
	assert_int_equal(TAKE(&g, negative, &e), -ENOTSUP);
	assert_int_equal(TAKE(&g, other, &e), -ENOTSUP);
	guest_fini(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(its_words_directory_and_environment_are_taken),
						  cmocka_unit_test(what_asks_qemu_of_itself_starts_nothing),
						  cmocka_unit_test(one_guest_and_no_more), cmocka_unit_test(records_that_lie_are_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
