/* test-revert.c: may a guest be had back? Both sides must be able to do it, and each disk must tell whether it is as the guest left it. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/test-revert-XXXXXX";
static struct move_options opt;
static struct transfer t;
static struct err e;

static int setup(void **state)
{
	(void)state;
	opt = (struct move_options){.revert_within_s = 60};
	memset(&t, 0, sizeof(t));
	t.opt = &opt;
	t.plan = json_pack("{s:b}", "revertible", 1);
	t.src.disk_paths = json_pack("[s]", file);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(t.plan);
	json_decref(t.src.disk_paths);
	return 0;
}

static void both_sides_must_be_able_to(void **state)
{
	(void)state;
	assert_int_equal(revert_agreed(&t, &e), 0);
	json_object_del(t.plan, "revertible"); /* an older destination says nothing of it, and would go on with the guest for good */
	assert_int_equal(revert_agreed(&t, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "gives no guest back"));
	opt.revert_within_s = 0;
	assert_int_equal(revert_agreed(&t, &e), 0);
}

static void each_disk_must_tell_when_it_was_written(void **state)
{
	(void)state;
	json_array_append_new(t.src.disk_paths, json_string("/dev/null"));
	assert_int_equal(revert_agreed(&t, &e), -ENOTSUP);
	assert_non_null(strstr(e.msg, "/dev/null"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_sides_must_be_able_to, setup, teardown),
		cmocka_unit_test_setup_teardown(each_disk_must_tell_when_it_was_written, setup, teardown),
	};
	int fd = mkostemp(file, O_CLOEXEC), r;

	close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return r;
}
