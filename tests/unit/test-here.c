/* Files created on this host: the check for space, and their access rights. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "owners.h"
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
	assert_int_equal(space_check(&s, &e), -ENOSPC);
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
	assert_int_equal(pipe(fds), 0); /* a pipe has no such lists */
	assert_int_equal(rights_give(&r, fds[0], "/a/disk", &e), 1);
	assert_non_null(strstr(e.msg, "the access control list of /a/disk cannot be set"));
	assert_int_equal(fstat(fds[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	close(fds[0]);
	close(fds[1]);
}

/* ---- whose a file is ---- */

#define OTHER_USER 12345

static char image[64], elsewhere[80];
static json_t *owner;

static int image_begin(void **state)
{
	int fd;

	(void)state;
	strcpy(image, "/tmp/test-here-image-XXXXXX");
	fd = mkostemp(image, O_CLOEXEC);
	if (fd < 0)
		return -1;
	close(fd);
	snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", image);
	owner = owner_of(image);
	return owner ? 0 : -1;
}

static int image_end(void **state)
{
	(void)state;
	json_decref(owner);
	unlink(elsewhere);
	return unlink(image) && errno != ENOENT;
}

static void assert_owner(const char *path, uid_t uid)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
}

/* Pretends that the file belonged to another user when it was noted. */
static void was_others(void)
{
	json_object_set_new(owner, "uid", json_integer(OTHER_USER));
}

static void another_file_in_the_place_of_an_image_is_not_given_away(void **state)
{
	struct err e;

	(void)state;
	was_others();
	assert_int_equal(rename(image, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, image), 0); /* the link leads to the same file */
	assert_int_equal(owner_give_back(owner, geteuid(), &e), -ESTALE);
	assert_int_equal(unlink(image), 0);
	close(open(image, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(owner_give_back(owner, geteuid(), &e), -ESTALE);
	assert_owner(image, geteuid());
	assert_int_equal(unlink(image), 0);
	assert_int_equal(owner_give_back(owner, geteuid(), &e), 0); /* the file is gone: nothing to give back */
	close(open(image, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* A file system may give the number of a file that was removed to the next. */
static void nor_one_that_only_has_its_number(void **state)
{
	struct err e;

	(void)state;
	if (!json_integer_value(json_object_get(owner, "born")))
		skip();
	was_others();
	json_object_set_new(owner, "born", json_integer(1));
	assert_int_equal(owner_give_back(owner, geteuid(), &e), -ESTALE);
	assert_owner(image, geteuid());
}

static void what_is_no_file_is_not_noted(void **state)
{
	(void)state;
	assert_null(owner_of("/tmp"));
	assert_null(owner_of("/dev/null"));
	assert_null(owner_of("/nowhere/at/all"));
}

static void an_image_is_given_back_only_by_those_whom_libvirt_gave_it(void **state)
{
	struct err e;

	(void)state;
	if (geteuid()) {
		printf("skipped: only root can give a file away\n");
		skip();
	}
	was_others();
	assert_int_equal(chown(image, OTHER_USER + 1, 0), 0);
	assert_int_equal(owner_give_back(owner, OTHER_USER + 2, &e), -EPERM);
	assert_int_equal(owner_give_back(owner, 0, &e), -EPERM);
	assert_owner(image, OTHER_USER + 1);
	assert_int_equal(owner_give_back(owner, OTHER_USER + 1, &e), 0);
	assert_owner(image, OTHER_USER);
	assert_int_equal(chown(image, 0, 0), 0);
	assert_int_equal(owner_give_back(owner, 0, &e), 0);
	assert_owner(image, OTHER_USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_one_file_system_need_its_space_together),
		cmocka_unit_test(a_directory_that_is_not_there_has_no_space),
		cmocka_unit_test_setup_teardown(another_file_in_the_place_of_an_image_is_not_given_away, image_begin, image_end),
		cmocka_unit_test_setup_teardown(nor_one_that_only_has_its_number, image_begin, image_end),
		cmocka_unit_test_setup_teardown(an_image_is_given_back_only_by_those_whom_libvirt_gave_it, image_begin, image_end),
		cmocka_unit_test(what_is_no_file_is_not_noted),
		cmocka_unit_test(a_list_that_cannot_be_given_is_told_and_fails_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
