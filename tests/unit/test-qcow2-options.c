/* test-qcow2-options.c: the copy of a qcow2 image becomes an image of the same kind. */
#include "qcow2-options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The options of blockdev-create for the copy of an image that QEMU describes so. */
static void becomes(const char *specific, const char *expected)
{
	json_t *said = json_loads(specific, 0, NULL), *options = qcow2_options_of(said), *create = json_object();
	json_t *wanted = json_loads(expected, 0, NULL);

	qcow2_options_add(create, options);
	assert_true(json_equal(create, wanted));
	json_decref(said);
	json_decref(options);
	json_decref(create);
	json_decref(wanted);
}

static void every_option_is_kept(void **state)
{
	(void)state;
	becomes("{\"compat\":\"1.1\",\"lazy-refcounts\":true,\"refcount-bits\":1,\"corrupt\":false,\"compression-type\":\"zstd\",\"extended-l2\":true}",
		"{\"version\":\"v3\",\"lazy-refcounts\":true,\"refcount-bits\":1,\"compression-type\":\"zstd\",\"extended-l2\":true}");
	becomes("{\"compat\":\"1.1\",\"lazy-refcounts\":false,\"refcount-bits\":16,\"compression-type\":\"zlib\",\"extended-l2\":false}",
		"{\"version\":\"v3\",\"lazy-refcounts\":false,\"refcount-bits\":16,\"compression-type\":\"zlib\",\"extended-l2\":false}");
}

static void version_2_has_no_others(void **state)
{
	(void)state;
	becomes("{\"compat\":\"0.10\",\"refcount-bits\":16,\"compression-type\":\"zlib\"}", "{\"version\":\"v2\"}");
}

static void an_image_of_which_nothing_is_told_is_left_to_qemu(void **state)
{
	(void)state;
	becomes("{}", "{}");
	becomes("{\"create-type\":\"monolithicSparse\"}", "{}");
}

/* A peer says what it likes: nothing of it reaches QEMU but what is known. */
static void what_a_peer_says_is_checked(void **state)
{
	json_t *create = json_object();
	json_t *said = json_loads(
		"{\"version\":\"v4\",\"refcount-bits\":3,\"compression-type\":\"x\",\"extended-l2\":1,\"lazy-refcounts\":\"yes\","
		"\"data-file\":\"/etc/passwd\",\"backing-file\":\"/etc/passwd\"}",
		0, NULL);

	(void)state;
	qcow2_options_add(create, said);
	assert_int_equal(json_object_size(create), 0);
	json_object_set_new(said, "refcount-bits", json_integer(128));
	qcow2_options_add(create, said);
	assert_int_equal(json_object_size(create), 0);
	qcow2_options_add(create, NULL);
	assert_int_equal(json_object_size(create), 0);
	json_decref(said);
	json_decref(create);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_option_is_kept),
		cmocka_unit_test(version_2_has_no_others),
		cmocka_unit_test(an_image_of_which_nothing_is_told_is_left_to_qemu),
		cmocka_unit_test(what_a_peer_says_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
