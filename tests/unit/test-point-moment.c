/*
 * test-point-moment.c: the moment of a replica's point, against a QEMU that is played here: what is asked of it, and in which order. QEMU
 * holds a disk from the turn of its backup job to the end of the transaction; a bitmap that is ended before may lack what the copy has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* gives access to the private runs */
#include "../../agent-src/parts/point-bitmaps.c"

#include "frozen-disks.h"
#include "../lib/played-qemu.h"

#define PAIR "0123456789abcdef"

static json_t *asked; /* actions of all transactions */
static bool refuse;

static json_t *nodes_told(void)
{
	return json_pack("[{s:s,s:[{s:s,s:b,s:b,s:i}]},{s:s,s:[{s:s,s:b,s:b,s:i}]}]", "node-name", "d0", "dirty-bitmaps", "name",
			 "vmfr-" PAIR "-4", "recording", 1, "busy", 0, "granularity", 4096, "node-name", "d1", "dirty-bitmaps", "name",
			 "vmfr-" PAIR "-4", "recording", 1, "busy", 0, "granularity", 131072);
}

static json_t *answer(const char *command, const json_t *args)
{
	json_t *copy;

	if (!strcmp(command, "transaction")) {
		if (refuse)
			return error("no");
		copy = json_deep_copy(json_object_get(args, "actions")); /* the thread that plays QEMU keeps its own */
		json_array_extend(asked, copy);
		json_decref(copy);
	}
	return done(!strcmp(command, "query-named-block-nodes") ? nodes_told() : json_object());
}

static struct guest_disk guest[2] = {{.node = (char *)"d0", .virtual_size = MIB}, {.node = (char *)"d1", .virtual_size = MIB}};
static struct disk disk[2] = {{.guest = &guest[0], .object = 1}, {.guest = &guest[1], .object = 2}};
static struct replica_sync replica = {.pair = PAIR, .outcome.number = 5};
static struct source source;
static struct attempt attempt;
static struct disks disks;

static int set_up(void **state)
{
	(void)state;
	refuse = false;
	asked = json_array();
	if (played_begin(answer))
		return -1;
	source.qmp = q;
	disks = (struct disks){.src = &source,
			       .list = {&disk[0], &disk[1]},
			       .count = 2,
			       .part.a = &attempt,
			       .since = {.sync = &replica, .records = true, .recording = 4, .from = 4}};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(asked);
	played_end();
	return 0;
}

static const char *type_of(size_t i)
{
	return json_string_value(json_object_get(json_array_get(asked, i), "type")) ?: "";
}

static json_t *data_of(size_t i)
{
	return json_object_get(json_array_get(asked, i), "data");
}

static const char *said(size_t i, const char *key)
{
	return json_string_value(json_object_get(data_of(i), key)) ?: "";
}

/* The index of the first such action, or SIZE_MAX. */
static size_t find(const char *type, const char *node, const char *name)
{
	size_t i;

	for (i = 0; i < json_array_size(asked); i++)
		if (!strcmp(type_of(i), type) && !strcmp(said(i, "node"), node) &&
		    !strcmp(said(i, strcmp(type, "block-dirty-bitmap-merge") ? "name" : "target"), name))
			return i;
	return SIZE_MAX;
}

static void bitmaps_change_while_all_disks_are_held(void **state)
{
	const struct frozen_disk list[2] = {{.node = "d0", .bytes = MIB, .target = "/t0", .bitmap = "twin0"},
					    {.node = "d1", .bytes = MIB, .target = "/t1", .bitmap = "twin1"}};
	struct frozen_disks f = {.q = q, .prefix = "vmferry-x-", .format = "raw"};
	json_t *held = json_array();
	size_t i;

	(void)state;
	point_bitmaps_change(&disks, held);
	assert_int_equal(frozen_prepare(&f, list, 2, &e), 0);
	assert_int_equal(frozen_begin(&f, held, 0, &e), 0);
	played_has_answered();
	assert_int_equal(json_array_size(asked), 6);
	for (i = 0; i < 2; i++) {
		assert_string_equal(type_of(i), "blockdev-backup");
		assert_string_equal(said(i, "device"), list[i].node);
		assert_string_equal(said(i, "bitmap"), list[i].bitmap);
	}
	for (i = 0; i < 2; i++) {
		assert_true(find("block-dirty-bitmap-add", list[i].node, "vmfr-" PAIR "-5") < 6);
		assert_true(find("block-dirty-bitmap-disable", list[i].node, "vmfr-" PAIR "-4") < 6);
	}
	json_decref(held);
	frozen_fini(&f);
}

/* A job keeps its bitmap to itself, so it has another one; whose blocks are not finer, or it would lack what the first has. */
static void job_has_a_twin_that_is_not_finer(void **state)
{
	json_t *nodes = nodes_told();
	char name[POINT_BITMAP_NAME];
	unsigned i;

	(void)state;
	assert_int_equal(point_bitmaps_double(&disks, nodes, &e), 0);
	played_has_answered();
	for (i = 0; i < 2; i++) {
		size_t added, merged;

		point_bitmap_twin(&disks, name, &disk[i]);
		assert_string_not_equal(name, "vmfr-" PAIR "-4");
		added = find("block-dirty-bitmap-add", guest[i].node, name);
		merged = find("block-dirty-bitmap-merge", guest[i].node, name);
		assert_true(added < merged && merged != SIZE_MAX);
		assert_true(json_is_false(json_object_get(data_of(added), "persistent")));
		assert_false(json_is_true(json_object_get(data_of(added), "disabled")));
		assert_int_equal(json_integer_value(json_object_get(data_of(added), "granularity")), i ? 131072 : 65536);
		assert_string_equal(json_string_value(json_array_get(json_object_get(data_of(merged), "bitmaps"), 0)), "vmfr-" PAIR "-4");
	}
	refuse = true;
	assert_int_not_equal(point_bitmaps_double(&disks, nodes, &e), 0);
	json_decref(nodes);
}

/* Writes of the guest during a merge are in the older bitmap, which records by then; the newer one goes. */
static void older_bitmap_records_before_it_takes_the_newer(void **state)
{
	size_t i;

	(void)state;
	disks.since.recording = 5;
	disks.since.two = true;
	assert_int_equal(point_bitmaps_settle(&disks, &e), 0);
	played_has_answered();
	for (i = 0; i < 2; i++) {
		size_t enabled = find("block-dirty-bitmap-enable", guest[i].node, "vmfr-" PAIR "-4");
		size_t merged = find("block-dirty-bitmap-merge", guest[i].node, "vmfr-" PAIR "-4");
		size_t removed = find("block-dirty-bitmap-remove", guest[i].node, "vmfr-" PAIR "-5");

		assert_true(enabled < merged && merged < removed && removed != SIZE_MAX);
	}
	assert_int_equal(disks.since.recording, 4);
	assert_false(disks.since.two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bitmaps_change_while_all_disks_are_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(job_has_a_twin_that_is_not_finer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(older_bitmap_records_before_it_takes_the_newer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
