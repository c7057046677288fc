/* What is created on this host: is there room for it? */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "room.h"
#include "space.h"
#include "util.h"

static void files_of_one_file_system_need_its_space_together(void **state)
{
	struct space s = {.count = 0};
	struct room room;
	struct err e;

	(void)state;
	assert_int_equal(space_check_dir("/", 0, "the disks", &e), 0);
	assert_int_equal(room_get("/", &room), 0);
	assert_int_equal(space_add(&s, "/", room.disk / 4 * 3, &e), 0);
	assert_int_equal(space_add(&s, "/.", room.disk / 4 * 3, &e), 0);
	assert_int_equal(s.count, 1);
	assert_int_equal(space_check(&s, "the disks", &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "the disks need "));
	assert_non_null(strstr(e.msg, "but / has only "));
	space_fini(&s);
}

static void a_directory_that_is_not_there_has_no_space(void **state)
{
	struct space s = {.count = 0};
	struct err e;

	(void)state;
	assert_int_equal(space_add(&s, "/nowhere", 0, &e), -ENOENT);
	assert_int_equal(space_check_dir("/nowhere", 0, "the disks", &e), -ENOENT);
	space_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_one_file_system_need_its_space_together),
		cmocka_unit_test(a_directory_that_is_not_there_has_no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
