/* test-estimate-model.c: how much a move carries and how long it takes, by what was measured before it. */
#include "estimate-model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define GB   1e9
#define MB   1e6
#define SLOW 12e6 /* 100 Mb/s */

static struct model_input in;
static struct model_result r;

static struct model_contents contents(double bytes)
{
	return (struct model_contents){.bytes = bytes,
				       .packed = {1, 0.5, 0.4, 0.38},
				       .pack_ns = {0, 1.4, 2.4, 4},
				       .unpack_ns = {0, 0.3, 0.7, 0.7}};
}

static int setup(void **state)
{
	(void)state;
	in = (struct model_input){.ram = contents(1 * GB),
				  .disks = contents(2 * GB),
				  .link_bps = SLOW,
				  .mode = CODEC_MODE_LZ4,
				  .channels = 2,
				  .read_ns = 0.3,
				  .processors = 8,
				  .processors_there = 8};
	return 0;
}

static void estimate(void)
{
	model_estimate(&in, &r);
}

static double seconds(void)
{
	estimate();
	return r.seconds;
}

static double wire(void)
{
	estimate();
	return r.wire_bytes;
}

static void all_that_there_is_travels_compressed_as_fast_as_the_link_allows(void **state)
{
	(void)state;
	estimate();
	assert_float_equal(r.carried, 3 * GB, 1);
	assert_float_equal(r.wire_bytes, 1.5 * GB, 1);
	assert_float_equal(r.seconds, 1.5 * GB / SLOW, 1);
	assert_int_equal(r.limited_by, LIMITED_BY_LINK);
	in.mode = CODEC_MODE_NONE;
	assert_float_equal(wire(), 3 * GB, 1);
	in.mode = CODEC_MODE_ZSTD;
	assert_float_equal(wire(), 1.2 * GB, 1);
}

static void zeros_do_not_travel(void **state)
{
	(void)state;
	in.ram.zero = 0.25;
	in.disks.zero = 0.5;
	estimate();
	assert_float_equal(r.carried, 1.75 * GB, 1);
	assert_float_equal(r.wire_bytes, 0.875 * GB, 1);
}

static void what_is_in_memory_and_on_disk_travels_once(void **state)
{
	(void)state;
	in.ram.zero = 0.5;
	in.seeded = 0.4;
	estimate();
	assert_float_equal(r.carried, 2 * GB + 0.3 * GB, 1);
	assert_float_equal(r.wire_bytes, r.carried / 2, 1);
}

/* 3 MB/s of contents beside 24 MB/s: what is written while 1 GB is carried, while that is carried, and so on. */
static void what_the_guest_writes_while_memory_is_carried_is_carried_again_compressed(void **state)
{
	(void)state;
	in.dirty_bps = 3 * MB;
	estimate();
	assert_float_equal(r.ram_bps, 24 * MB, 1);
	assert_float_equal(r.again, 1 * GB / 7, 1 * MB);
	assert_float_equal(r.carried, 3 * GB + r.again, 1);
	assert_float_equal(r.wire_bytes, r.carried / 2, 1);
	in.dirty_bps = 1 * GB;
	estimate();
	assert_true(r.seconds < 1e6);
}

static void a_fast_link_waits_for_the_processors(void **state)
{
	double eight, two;

	(void)state;
	in.mode = CODEC_MODE_NONE;
	in.link_bps = 100 * GB;
	in.channels = 8;
	estimate();
	assert_int_equal(r.limited_by, LIMITED_BY_PROCESSORS);
	assert_true(r.seconds > 1 && r.seconds < 10);
	eight = r.seconds;
	in.processors = in.processors_there = 2;
	two = seconds();
	assert_true(two > eight);
	in.others = 20;
	assert_true(seconds() > 1.5 * two);
}

static void one_machine_does_the_work_of_both(void **state)
{
	double two;

	(void)state;
	in.link_bps = 100 * GB;
	in.channels = 8;
	in.processors = in.processors_there = 2;
	two = seconds();
	in.one_machine = true;
	assert_true(seconds() > 1.3 * two);
}

static void what_placing_costs_is_believed(void **state)
{
	double guessed;

	(void)state;
	in.mode = CODEC_MODE_NONE;
	in.link_bps = 100 * GB;
	in.channels = 8;
	guessed = seconds();
	in.place_ns = 40; /* 1 GB of memory by 8 processors; 2 GB into a file's, which is single pages */
	assert_float_equal(seconds(), 0.35 + 40 / 8.0, 1.5);
	assert_true(r.seconds > 2 * guessed);
	in.ram.bytes = 0; /* contents in memory only, so the result says nothing of a file */
	guessed = seconds();
	in.place_ns = 0;
	assert_float_equal(seconds(), guessed, 0.001);
}

static void few_channels_compress_on_few_processors(void **state)
{
	double many;

	(void)state;
	in.mode = CODEC_MODE_ZSTD;
	in.link_bps = 100 * GB;
	in.processors = in.processors_there = 64;
	in.channels = 8;
	many = seconds();
	in.channels = 1;
	assert_true(seconds() > 1.5 * many);
}

static void encryption_costs_time_where_processors_are_short(void **state)
{
	double clear;

	(void)state;
	in.mode = CODEC_MODE_NONE;
	in.link_bps = 100 * GB;
	in.processors = in.processors_there = 1;
	clear = seconds();
	in.encrypted = true;
	assert_true(seconds() > 1.1 * clear);
	in.link_bps = SLOW;
	in.encrypted = false;
	clear = seconds();
	in.encrypted = true;
	assert_float_equal(seconds(), clear, 0.001);
}

/* A quarter of a second's worth of the link, once, however much there is. */
static void what_leaves_before_an_effort_is_chosen_is_not_compressed(void **state)
{
	double once, took;

	(void)state;
	in.mode = CODEC_MODE_AUTO;
	in.channels = 8;
	in.processors = in.processors_there = 64;
	in.link_bps = 20 * MB;
	once = wire();
	took = r.seconds;
	in.ram.bytes *= 2;
	in.disks.bytes *= 2;
	assert_true(2 * once - wire() > 2 * MB && 2 * once - r.wire_bytes < 5 * MB);
	assert_true(2 * took - r.seconds > 0.35 + 0.1);
	in.mode = CODEC_MODE_ZSTD;
	once = wire();
	in.ram.bytes /= 2;
	in.disks.bytes /= 2;
	assert_float_equal(2 * wire(), once, 1);
}

/* A busy host, or one with many images to make, takes longer for that. */
static void qemus_have_to_start_there(void **state)
{
	double usual;

	(void)state;
	usual = seconds();
	in.starts_s = 0.1;
	assert_float_equal(seconds(), usual, 0.001);
	in.starts_s = 2.1;
	assert_float_equal(seconds(), usual + 2, 0.001);
	in.starts_s = 0;
}

static void the_slower_the_link_the_more_effort_is_chosen(void **state)
{
	(void)state;
	in.mode = CODEC_MODE_AUTO;
	in.channels = 8;
	in.processors = in.processors_there = 64;
	in.link_bps = 10 * MB;
	assert_true(wire() >= 0.38 * 3 * GB && r.wire_bytes < 0.4 * 3 * GB);
	in.link_bps = 100 * MB; /* all but a little, which comes first */
	assert_true(wire() >= 0.4 * 3 * GB && r.wire_bytes < 0.42 * 3 * GB);
	in.link_bps = 200 * MB;
	assert_float_equal(wire(), 0.5 * 3 * GB, 1);
}

/* With all of it compressed the processors are too slow, with none the link. */
static void between_lz4_and_nothing_as_much_is_compressed_as_keeps_both_busy(void **state)
{
	double link;

	(void)state;
	in.mode = CODEC_MODE_AUTO;
	in.channels = 2;
	in.processors = in.processors_there = 64;
	in.link_bps = 800 * MB;
	estimate();
	link = r.wire_bytes / in.link_bps;
	assert_true(r.wire_bytes > 0.55 * 3 * GB && r.wire_bytes < 2.9 * GB);
	assert_true(r.seconds > link && r.seconds < link + 1);
	in.link_bps = 100 * GB;
	assert_float_equal(wire(), 3 * GB, 1);
}

/* Compressed, few bytes a second leave; but most leave as they are, and fast: no slow link. */
static void few_slow_processors_are_not_taken_for_a_slow_link(void **state)
{
	(void)state;
	in.mode = CODEC_MODE_AUTO;
	in.processors = in.processors_there = 2;
	in.one_machine = true;
	in.read_ns = 0.4;
	in.link_bps = 1.2 * GB;
	in.disks.packed[EFFORT_LZ4] = in.ram.packed[EFFORT_LZ4] = 0.3;
	in.disks.packed[EFFORT_ZSTD] = in.ram.packed[EFFORT_ZSTD] = 0.22;
	assert_float_equal(wire(), 3 * GB, 1);
	in.place_ns = 3;
	assert_float_equal(wire(), 3 * GB, 1);
	in.place_ns = 0; /* nor for one that would be slow, if all were compressed */
	in.link_bps = 150 * MB;
	in.disks = contents(0);
	in.ram.pack_ns[EFFORT_LZ4] = 1.6;
	in.ram.pack_ns[EFFORT_ZSTD] = 0.4;
	in.ram.unpack_ns[EFFORT_ZSTD] = 0.3;
	assert_true(wire() >= 0.3 * GB);
}

/* With zstd it would be idle for most of the time: it is given up. */
static void a_link_that_would_be_idle_with_zstd_gets_a_mixture_of_less(void **state)
{
	(void)state;
	in.mode = CODEC_MODE_AUTO;
	in.processors = in.processors_there = 2;
	in.one_machine = true;
	in.read_ns = 0.4;
	in.link_bps = 80 * MB;
	in.disks = contents(0);
	in.ram.packed[EFFORT_LZ4] = 0.3;
	in.ram.packed[EFFORT_ZSTD] = 0.22;
	assert_true(wire() < 0.3 * GB);
	in.place_ns = 4;
	assert_true(wire() >= 0.3 * GB && r.wire_bytes < 0.5 * GB);
}

static void where_processors_are_short_any_codec_may_be_chosen(void **state)
{
	double least, most;

	(void)state;
	in.mode = CODEC_MODE_AUTO;
	model_wire_range(&in, &least, &most);
	assert_float_equal(least, wire(), 1);
	assert_float_equal(most, r.wire_bytes, 1);
	in.link_bps = 100 * GB;
	model_wire_range(&in, &least, &most);
	assert_float_equal(least, 0.4 * 3 * GB, 1);
	assert_float_equal(most, 3 * GB, 1);
	in.mode = CODEC_MODE_LZ4;
	model_wire_range(&in, &least, &most);
	assert_float_equal(least, 0.5 * 3 * GB, 1);
	assert_float_equal(most, 0.5 * 3 * GB, 1);
}

static void what_was_not_sampled_is_taken_not_to_compress(void **state)
{
	(void)state;
	in = (struct model_input){.ram.bytes = 1 * GB, .link_bps = SLOW, .mode = CODEC_MODE_AUTO, .ram.packed = {1}, .disks.packed = {1}};
	estimate();
	assert_float_equal(r.wire_bytes, 1 * GB, 1);
	assert_float_equal(r.seconds, 1 * GB / SLOW, 1);
	in.ram.bytes = 0;
	estimate();
	assert_float_equal(r.wire_bytes, 0, 1);
	assert_true(r.seconds < 1 && r.ram_bps > 0);
}

static void no_more_is_tried_than_could_be_chosen(void **state)
{
	(void)state;
	assert_int_equal(model_highest_effort(CODEC_MODE_NONE, SLOW), EFFORT_NONE);
	assert_int_equal(model_highest_effort(CODEC_MODE_LZ4, SLOW), EFFORT_LZ4);
	assert_int_equal(model_highest_effort(CODEC_MODE_ZSTD, SLOW), EFFORT_ZSTD);
	assert_int_equal(model_highest_effort(CODEC_MODE_AUTO, SLOW), EFFORT_ZSTD_HARD);
	assert_int_equal(model_highest_effort(CODEC_MODE_AUTO, GB), EFFORT_ZSTD);
}

/* Slow storage delays only the disks; data that travels meanwhile is not counted twice. */
static void storage_that_is_slower_than_the_link_is_waited_for(void **state)
{
	double without = seconds();

	(void)state;
	in.disks.zero = 0.5;
	in.store_bps = 5 * MB;
	assert_float_equal(seconds(), 1 * GB / (5 * MB), 1);
	assert_int_equal(r.limited_by, LIMITED_BY_STORAGE);
	in.disks.zero = 0;
	in.store_bps = 100 * MB;
	assert_float_equal(seconds(), without, 0.001);
	assert_int_equal(r.limited_by, LIMITED_BY_LINK);
	in.store_bps = 5 * MB;
	in.disks.bytes = 0;
	estimate();
	assert_int_equal(r.limited_by, LIMITED_BY_LINK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_that_there_is_travels_compressed_as_fast_as_the_link_allows, setup),
		cmocka_unit_test_setup(zeros_do_not_travel, setup),
		cmocka_unit_test_setup(what_is_in_memory_and_on_disk_travels_once, setup),
		cmocka_unit_test_setup(what_the_guest_writes_while_memory_is_carried_is_carried_again_compressed, setup),
		cmocka_unit_test_setup(a_fast_link_waits_for_the_processors, setup),
		cmocka_unit_test_setup(one_machine_does_the_work_of_both, setup),
		cmocka_unit_test_setup(what_placing_costs_is_believed, setup),
		cmocka_unit_test_setup(few_channels_compress_on_few_processors, setup),
		cmocka_unit_test_setup(encryption_costs_time_where_processors_are_short, setup),
		cmocka_unit_test_setup(what_leaves_before_an_effort_is_chosen_is_not_compressed, setup),
		cmocka_unit_test_setup(qemus_have_to_start_there, setup),
		cmocka_unit_test_setup(the_slower_the_link_the_more_effort_is_chosen, setup),
		cmocka_unit_test_setup(between_lz4_and_nothing_as_much_is_compressed_as_keeps_both_busy, setup),
		cmocka_unit_test_setup(few_slow_processors_are_not_taken_for_a_slow_link, setup),
		cmocka_unit_test_setup(a_link_that_would_be_idle_with_zstd_gets_a_mixture_of_less, setup),
		cmocka_unit_test_setup(where_processors_are_short_any_codec_may_be_chosen, setup),
		cmocka_unit_test_setup(what_was_not_sampled_is_taken_not_to_compress, setup),
		cmocka_unit_test_setup(storage_that_is_slower_than_the_link_is_waited_for, setup),
		cmocka_unit_test_setup(no_more_is_tried_than_could_be_chosen, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
