/* test-image-name.c: what QEMU calls an image: its file, which part of that is shown, and whether anything else makes it what it is. */
#include "image-name.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Names as QEMU 7.2 and 10.0 report them for a -blockdev and a -drive. */
#define FILE_AT	 "\"file\": {\"driver\": \"host_device\", \"filename\": \"/dev/vg/a\"}}"
#define BY_SIZE	 "json:{\"driver\": \"raw\", \"size\": 73465856, " FILE_AT
#define BY_TEXT	 "json:{\"offset\": \"0\", \"driver\": \"raw\", \"size\": \"64M\", " FILE_AT
#define LATER	 "json:{\"offset\": \"1M\", \"driver\": \"raw\", " FILE_AT
#define BELOW	 "json:{\"driver\": \"qcow2\", \"file\": {\"driver\": \"raw\", \"size\": 512, " FILE_AT "}"
#define THROTTLE "json:{\"driver\": \"throttle\", \"throttle-group\": \"g\", " FILE_AT

static void expect_file(const char *name, const char *want)
{
	AUTO_FREE char *got = image_name_file(name);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void the_file_is_what_lies_innermost(void **state)
{
	(void)state;
	expect_file("/a/b:c", "/a/b:c");
	expect_file("file:b:c", "b:c");
	expect_file("nbd:unix:/s", NULL);
	expect_file(NULL, NULL);
	expect_file("json:{", NULL);
	expect_file("json:{\"driver\": \"raw\", \"file\": {\"driver\": \"nbd\"}}", NULL);
	expect_file(BY_SIZE, "/dev/vg/a");
	expect_file(BELOW, "/dev/vg/a");
}

static void expect_below(const char *name, const char *want)
{
	AUTO_FREE char *got = image_name_below(name);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void an_image_below_goes_by_a_path_alone(void **state)
{
	(void)state;
	expect_below("/a/b", "/a/b");
	expect_below("b", "b");
	expect_below("./a:b", "./a:b");
	expect_below("file:/a/b", "/a/b");
	expect_below("json:{\"driver\": \"raw\", \"file\": {\"driver\": \"file\", \"filename\": \"/a/b\"}}", "/a/b");
	expect_below("json:{\"driver\": \"file\", \"filename\": \"/a/b\"}", "/a/b");
	/* QEMU looks for these where it was started, not where the image above is */
	expect_below("file:b", NULL);
	expect_below("json:{\"driver\": \"file\", \"filename\": \"b\"}", NULL);
	expect_below(LATER, NULL);
	expect_below(BELOW, NULL);
	expect_below("json:{\"driver\": \"file\", \"filename\": \"/b\", \"locking\": \"off\"}", NULL);
	expect_below("json:{", NULL);
	expect_below("nbd:unix:/s", NULL);
	expect_below(NULL, NULL);
}

static void a_part_is_shown_by_offset_and_size(void **state)
{
	(void)state;
	assert_true(image_ends_by_size(BY_SIZE) && image_ends_by_size(BY_TEXT));
	assert_false(image_ends_by_size(LATER) || image_ends_by_size(BELOW) || image_ends_by_size("/dev/vg/a"));
	assert_true(image_begins_later(LATER));
	assert_false(image_begins_later(BY_SIZE) || image_begins_later(BY_TEXT) || image_begins_later(BELOW));
	assert_true(image_ends_by_size_below(BELOW));
	assert_false(image_ends_by_size_below(BY_SIZE) || image_ends_by_size_below(LATER));
}

static void nothing_else_makes_a_plain_image(void **state)
{
	(void)state;
	assert_true(image_is_plain("/a/b") && image_is_plain(BY_SIZE) && image_is_plain(BY_TEXT) && image_is_plain(LATER));
	assert_false(image_is_plain(BELOW) || image_is_plain(THROTTLE) || image_is_plain("json:{") || image_is_plain(NULL));
	assert_false(image_is_plain("json:{\"driver\": \"raw\", " FILE_AT));
	assert_false(image_is_plain("json:{\"driver\": \"raw\", \"size\": 1, \"detect-zeroes\": \"on\", " FILE_AT));
	assert_false(image_is_plain(
		"json:{\"driver\": \"raw\", \"size\": 1, \"file\": {\"driver\": \"file\", \"filename\": \"/a\", \"locking\": \"off\"}}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_file_is_what_lies_innermost),
		cmocka_unit_test(an_image_below_goes_by_a_path_alone),
		cmocka_unit_test(a_part_is_shown_by_offset_and_size),
		cmocka_unit_test(nothing_else_makes_a_plain_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
