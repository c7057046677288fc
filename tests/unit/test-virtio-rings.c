/* test-virtio-rings.c: how long a played QEMU's rings are, and whether another's are long enough for what a guest uses. */
#include "virtio-rings.h"
#include "json-text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/played-qemu.h"

static bool is_old; /* an old QEMU, which has no such commands */
static const char *type_of_disk;

static json_t *carry_out(const char *command, const json_t *args)
{
	const char *path = json_string_value(json_object_get(args, "path"));
	json_int_t ring = json_integer_value(json_object_get(args, "queue"));

	if (!strcmp(command, "x-query-virtio-status"))
		fail_msg("a command that ends QEMU 11.1.3");
	if (!strcmp(command, "qmp_capabilities"))
		return done(json_object());
	if (is_old)
		return error("no such command");
	if (!strcmp(command, "x-query-virtio"))
		return done(
			json_pack("[{s:s,s:s},{s:s,s:s},{}]", "name", "virtio-net", "path", "/net", "name", "virtio-blk", "path", "/disk"));
	if (!strcmp(command, "qom-get"))
		return done(json_string(strcmp(path, "/disk") ? "virtio-net-device" : type_of_disk));
	if (!strcmp(command, "x-query-virtio-queue-status"))
		return ring < (strcmp(path, "/disk") ? 3 : 2)
			       ? done(json_pack("{s:I,s:I}", "vring-num", (json_int_t)128 + ring, "vring-num-default", (json_int_t)256))
			       : error("no such ring");
	return error("not played");
}

static int setup(void **state)
{
	(void)state;
	is_old = false;
	type_of_disk = "virtio-blk-device";
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return 0;
}

static void assert_rings(const char *version, int (*ask)(struct qmp *q, json_t **rings, struct err *e), const char *expected)
{
	json_t *rings = NULL, *want = json_loads(expected, JSON_DECODE_ANY, NULL);

	assert_int_equal(played_begin_as(version, carry_out), 0);
	assert_int_equal(ask(q, &rings, &e), 0);
	assert_true(!rings == !want);
	if (want && !json_equal(rings, want))
		fail_msg("%s", json_dumps(rings, 0));
	json_decref(rings);
	json_decref(want);
	played_end();
}

#define IS_LONG "\"micro\": 13, \"minor\": 0, \"major\": 10"
#define IS_NOT	"\"micro\": 12, \"minor\": 0, \"major\": 10"
#define IS_NEW	"\"micro\": 13, \"minor\": 1, \"major\": 11"

static void the_longest_are_told_ring_by_ring(void **state)
{
	(void)state;
	assert_rings(IS_NEW, virtio_rings_longest,
		     "[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [256, 256, 256]},"
		     " {\"device\": \"virtio-blk\", \"path\": \"/disk\", \"entries\": [256, 256]}]");
	is_old = true;
	assert_rings(IS_NEW, virtio_rings_longest, "[]");
}

static void a_guest_is_asked_for_rings_of_qemus_own_devices_alone(void **state)
{
	(void)state;
	assert_rings(IS_LONG, virtio_rings_used, "[{\"device\": \"virtio-blk\", \"path\": \"/disk\", \"entries\": [128, 129]}]");
	type_of_disk = "vhost-user-blk";
	assert_rings(IS_LONG, virtio_rings_used, "[]");
}

static void a_guest_whose_qemu_was_not_tried_is_not_asked(void **state)
{
	(void)state;
	assert_rings(IS_NOT, virtio_rings_used, "");
	assert_rings(IS_NEW, virtio_rings_used, "");
}

static void assert_misfit(const char *used, const char *longest, const char *expected)
{
	json_t *has = json_loads(used, 0, NULL), *may = json_loads(longest, 0, NULL);
	AUTO_FREE char *words = virtio_rings_misfit(has, may);

	assert_non_null(may);
	assert_true(!words == !expected);
	if (expected)
		assert_string_equal(words, expected);
	json_decref(has);
	json_decref(may);
}

static void a_ring_that_is_too_long_is_named(void **state)
{
	static const char there[] = "[{\"device\": \"virtio-net\", \"path\": \"/other\", \"entries\": [8]},"
				    " {\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [256, 64, 0]}]";

	(void)state;
	assert_misfit("[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [256, 64]}]", there, NULL);
	assert_misfit("[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [256, 65]}]", there,
		      "the guest's virtio-net device has a ring of 65 entries, which that QEMU makes 64 entries long at most");
	/* another device at that place, a place that is not there, and a ring without a length say nothing */
	assert_misfit("[{\"device\": \"virtio-blk\", \"path\": \"/net\", \"entries\": [1024]}]", there, NULL);
	assert_misfit("[{\"device\": \"virtio-net\", \"path\": \"/none\", \"entries\": [1024]}]", there, NULL);
	assert_misfit("[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [1, 1, 1024, 1024]}]", there, NULL);
}

static void what_a_peer_says_is_believed_only_as_it_should_be(void **state)
{
	static const char there[] = "[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [256]}]";

	(void)state;
	assert_misfit("{}", there, NULL);
	assert_misfit("[1, {}, {\"device\": 3, \"path\": \"/net\"}, {\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": 7}]",
		      there, NULL);
	assert_misfit("[{\"device\": \"virtio-net\", \"path\": \"/net\", \"entries\": [\"x\"]}]", there, NULL);
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(the_longest_are_told_ring_by_ring),
		test(a_guest_is_asked_for_rings_of_qemus_own_devices_alone),
		test(a_guest_whose_qemu_was_not_tried_is_not_asked),
		test(a_ring_that_is_too_long_is_named),
		test(what_a_peer_says_is_believed_only_as_it_should_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
