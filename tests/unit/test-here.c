/* What is created on this host: is there room for it, and who may use it? */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rights.h"
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

static void a_list_that_cannot_be_given_is_told_and_fails_nothing(void **state)
{
	/* user::rw- user:1:rw- group::r-- mask::rw- other::---, as the kernel's posix_acl_xattr.h has it */
	static const char list[] = "0200000001000600ffffffff020006000100000004000400ffffffff10000600ffffffff20000000ffffffff";
	struct rights r = {.uid = -1, .gid = -1, .mode = 0640};
	struct stat st;
	struct err e;
	int fds[2];
	char *text;

	(void)state;
	rights_parse_acl(&r, "no list");
	assert_int_equal(r.acl_bytes, 0);
	rights_parse_acl(&r, list);
	text = rights_print_acl(&r);
	assert_string_equal(text, list);
	free(text);
	assert_int_equal(pipe(fds), 0); /* which has no lists */
	assert_int_equal(rights_give(&r, fds[0], "/a/disk", &e), 1);
	assert_non_null(strstr(e.msg, "the access control list of /a/disk cannot be set"));
	assert_int_equal(fstat(fds[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_one_file_system_need_its_space_together),
		cmocka_unit_test(a_directory_that_is_not_there_has_no_space),
		cmocka_unit_test(a_list_that_cannot_be_given_is_told_and_fails_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
