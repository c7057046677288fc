/* test-named-images.c: whether a name still leads to the file that it led to. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "named-images.h"
#include "util.h"

static char dir[] = "/tmp/named-images.XXXXXX";

static char *file(const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);

	close(open(path, O_WRONLY | O_CREAT, 0600));
	return path;
}

static void another_file_under_a_name_is_noticed(void **state)
{
	AUTO_FREE char *image = file("a"), *copy = file("b");
	json_t *noted = json_object();
	const char *why;

	(void)state;
	assert_true(named_image_note(noted, image));
	assert_null(named_image_lost(noted, &why));
	assert_int_equal(truncate(image, 4096), 0); /* the image is written to */
	assert_null(named_image_lost(noted, &why));
	assert_int_equal(rename(copy, image), 0);
	assert_string_equal(named_image_lost(noted, &why), image);
	assert_non_null(strstr(why, "replaced"));
	assert_false(named_image_is(json_object_get(noted, image), image));
	unlink(image);
	assert_string_equal(named_image_lost(noted, &why), image);
	assert_non_null(strstr(why, "removed"));
	json_decref(noted);
}

static void links_count_by_where_they_lead(void **state)
{
	AUTO_FREE char *image = file("a"), *other = file("b"), *link = xasprintf("%s/link", dir);
	json_t *noted = json_object();
	const char *why;

	(void)state;
	assert_int_equal(symlink("a", link), 0);
	assert_true(named_image_note(noted, link));
	unlink(link);
	assert_int_equal(symlink(image, link), 0);
	assert_null(named_image_lost(noted, &why));
	unlink(link);
	assert_int_equal(symlink("b", link), 0);
	assert_string_equal(named_image_lost(noted, &why), link);
	json_decref(noted);
	unlink(link);
	unlink(image);
	unlink(other);
}

static void what_is_no_image_is_not_noted(void **state)
{
	json_t *noted = json_object();
	const char *why;

	(void)state;
	assert_false(named_image_note(noted, dir));
	assert_false(named_image_note(noted, "/nowhere/at/all"));
	assert_null(named_image_lost(noted, &why));
	assert_null(named_image_lost(NULL, &why));
	json_decref(noted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_file_under_a_name_is_noticed),
		cmocka_unit_test(links_count_by_where_they_lead),
		cmocka_unit_test(what_is_no_image_is_not_noted),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
