/* test-image-mark.c: a mark is seen on the file that has it, by whatever name, and on no other (common/disk/image-mark.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "image-mark.h"
#include "util.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/vmferry-mark.XXXXXX";
static char *image, *other, *linked;

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	image = xasprintf("%s/a", dir);
	other = xasprintf("%s/b", dir);
	linked = xasprintf("%s/c", dir);
	close(open(image, O_WRONLY | O_CREAT, 0600));
	close(open(other, O_WRONLY | O_CREAT, 0600));
	return link(image, linked);
}

static int remove_files(void **state)
{
	(void)state;
	unlink(image), unlink(other), unlink(linked);
	free(image), free(other), free(linked);
	return rmdir(dir);
}

static void a_mark_is_seen_until_it_is_let_go(void **state)
{
	int64_t mark, second;
	int fd = image_mark(image, &mark), fd2;

	(void)state;
	assert_true(fd >= 0);
	assert_true(image_is_marked(image, mark));
	assert_true(image_is_marked(linked, mark));
	assert_false(image_is_marked(other, mark));
	assert_false(image_is_marked(image, mark + 1));
	fd2 = image_mark(linked, &second); /* two moves of guests that share it */
	assert_true(fd2 >= 0 && second != mark && image_is_marked(image, second) && image_is_marked(image, mark));
	close(fd);
	assert_false(image_is_marked(image, mark));
	assert_true(image_is_marked(image, second));
	close(fd2);
}

static void only_a_mark_counts(void **state)
{
	int fd = open(image, O_RDWR | O_CLOEXEC);
	struct flock all = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int64_t mark;

	(void)state;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0); /* somebody's lock on all of it */
	assert_false(image_is_marked(image, 1LL << 50));
	all.l_type = F_WRLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
	assert_false(image_is_marked(image, 1LL << 50));
	assert_int_equal(image_mark(image, &mark), -1);
	close(fd);
	assert_false(image_is_marked(image, 100)); /* no mark, but the place where QEMU's are */
	assert_false(image_is_marked(image, -1));
	assert_false(image_is_marked(image, INT64_MAX));
}

static void what_was_written_or_cannot_be_told_is_found(void **state)
{
	json_t *then = json_pack("{s:I,s:I}", image, (json_int_t)file_written_ns(image), other, (json_int_t)file_written_ns(other));
	struct timespec back[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1}};
	const char *why;

	(void)state;
	assert_null(file_written_since(NULL, &why));
	assert_null(file_written_since(then, &why));
	assert_int_equal(utimensat(AT_FDCWD, other, back, 0), 0); /* backwards, too */
	assert_string_equal(file_written_since(then, &why), other);
	assert_string_equal(why, "was written");
	json_object_del(then, other);
	json_object_set_new(then, "/nowhere/at/all", json_integer(0));
	assert_string_equal(file_written_since(then, &why), "/nowhere/at/all");
	assert_string_equal(why, "cannot be looked at");
	json_decref(then);
}

static void what_is_no_regular_file_has_none(void **state)
{
	int64_t mark;

	(void)state;
	assert_int_equal(image_mark(dir, &mark), -1);
	assert_int_equal(image_mark("/dev/null", &mark), -1);
	assert_int_equal(image_mark("/nowhere/at/all", &mark), -1);
	assert_int_equal(file_written_ns("/nowhere/at/all"), 0);
	assert_true(file_written_ns(image) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_is_seen_until_it_is_let_go),
		cmocka_unit_test(only_a_mark_counts),
		cmocka_unit_test(what_was_written_or_cannot_be_told_is_found),
		cmocka_unit_test(what_is_no_regular_file_has_none),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
