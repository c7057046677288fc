/* test-codec-choice.c: which codec --codec auto uses, interval by interval. */
#include "codec-choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MB 1000000ULL
#define MS 1000000ULL

static struct codec_choice c;
static struct codec_sample s;

/* So much is sent and encoded in 200 ms, in MB per second, and so many percent of the time it waits. */
static enum data_codec after(uint64_t wire_mb, uint64_t raw_mb, unsigned waits)
{
	s.now_ns += 200 * MS;
	s.wire_bytes += wire_mb * MB / 5;
	s.raw_bytes += raw_mb * MB / 5;
	s.waited_ns += 2 * MS * waits;
	assert_true(codec_choice_step(&c, &s));
	return c.now;
}

static int begin(void **state)
{
	(void)state;
	s = (struct codec_sample){.now_ns = 1000 * MS};
	codec_choice_init(&c, s.now_ns);
	return 0;
}

static void it_chooses_every_200_ms_and_sooner_at_first(void **state)
{
	(void)state;
	s.now_ns += 99 * MS;
	assert_false(codec_choice_step(&c, &s));
	s.now_ns += MS;
	s.wire_bytes = 1;
	assert_true(codec_choice_step(&c, &s));
	s.now_ns += 199 * MS;
	assert_false(codec_choice_step(&c, &s));
	s.now_ns += MS;
	assert_true(codec_choice_step(&c, &s));
}

static void a_fast_link_is_not_compressed_for(void **state)
{
	(void)state;
	assert_int_equal(after(600, 600, 90), CODEC_RAW);
	assert_int_equal(after(600, 600, 90), CODEC_RAW);
}

static void a_slow_link_is_compressed_for_at_once(void **state)
{
	(void)state;
	assert_int_equal(after(60, 100, 80), CODEC_ZSTD);
	assert_int_equal(after(60, 95, 60), CODEC_ZSTD);
}

static void a_middling_one_gets_lz4(void **state)
{
	(void)state;
	assert_int_equal(after(300, 300, 80), CODEC_LZ4);
}

static void on_a_fast_link_a_codec_must_carry_more(void **state)
{
	(void)state;
	after(500, 500, 80);
	assert_int_equal(after(300, 300, 80), CODEC_LZ4);
	assert_int_equal(after(250, 320, 80), CODEC_RAW); /* not a tenth more */
	begin(NULL);
	after(500, 500, 80);
	assert_int_equal(after(300, 300, 80), CODEC_LZ4);
	assert_int_equal(after(250, 340, 80), CODEC_LZ4);
}

static void a_channel_that_does_not_wait_spends_less_step_by_step(void **state)
{
	(void)state;
	assert_int_equal(after(60, 60, 80), CODEC_ZSTD);
	assert_int_equal(after(60, 90, 10), CODEC_LZ4);
	assert_int_equal(after(60, 90, 10), CODEC_RAW);
}

static void contents_that_do_not_compress_are_no_loss(void **state)
{
	(void)state;
	assert_int_equal(after(500, 500, 80), CODEC_RAW);
	assert_int_equal(after(60, 60, 80), CODEC_ZSTD);
	assert_int_equal(after(60, 58, 80), CODEC_ZSTD);
}

static void a_codec_that_carries_less_is_given_up(void **state)
{
	(void)state;
	assert_int_equal(after(500, 500, 80), CODEC_RAW);
	assert_int_equal(after(250, 250, 80), CODEC_LZ4);
	assert_int_equal(after(70, 300, 80), CODEC_ZSTD); /* it carried more: kept, and the next is tried */
	assert_int_equal(after(20, 40, 80), CODEC_LZ4);
}

/* A moment in which nothing went right must not make a codec look good. */
static void a_codec_that_came_in_a_bad_moment_does_not_stay(void **state)
{
	(void)state;
	after(600, 600, 80);
	assert_int_equal(after(600, 600, 80), CODEC_RAW);
	assert_int_equal(after(50, 50, 80), CODEC_ZSTD);
	assert_int_equal(after(100, 200, 80), CODEC_RAW);
	assert_int_equal(after(600, 600, 80), CODEC_RAW);
}

static void what_was_given_up_is_tried_again_later_and_later(void **state)
{
	unsigned tries = 0, i;

	(void)state;
	after(500, 500, 80);
	for (i = 0; i < 150; i++) /* 30 s: at 0.2, then 1, 2, 4, 8 and so on after each failure */
		tries += after(70, c.now == CODEC_RAW ? 140 : 40, 80) == CODEC_ZSTD;
	assert_in_range(tries, 4, 6);
}

/* Between two rounds: it is no fault of the codec. */
static void a_stretch_without_anything_to_send_says_nothing(void **state)
{
	(void)state;
	after(60, 60, 80);
	assert_int_equal(after(60, 120, 80), CODEC_ZSTD);
	s.now_ns += 2000 * MS;
	s.raw_bytes += MB;
	s.wire_bytes += MB / 2;
	assert_false(codec_choice_step(&c, &s));
	assert_int_equal(after(60, 120, 80), CODEC_ZSTD);
}

static void a_codec_that_proves_itself_is_pardoned_sooner_again(void **state)
{
	unsigned i, tries = 0;

	(void)state;
	after(500, 500, 80);
	for (i = 0; i < 60; i++)
		after(70, c.now == CODEC_RAW ? 140 : 40, 80);
	for (i = 0; i < 200 && c.now != CODEC_ZSTD; i++)
		after(70, 140, 80);
	assert_true(c.pardon_ns >= 8000 * MS);
	for (i = 0; i < 50; i++) /* now it carries twice as much */
		assert_int_equal(after(70, 280, 80), CODEC_ZSTD);
	for (i = 0; i < 10; i++) /* and fails but once */
		tries += after(70, c.now != CODEC_ZSTD ? 140 : i ? 280 : 40, 80) == CODEC_ZSTD;
	assert_true(tries >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_chooses_every_200_ms_and_sooner_at_first, begin),
		cmocka_unit_test_setup(a_fast_link_is_not_compressed_for, begin),
		cmocka_unit_test_setup(a_slow_link_is_compressed_for_at_once, begin),
		cmocka_unit_test_setup(a_middling_one_gets_lz4, begin),
		cmocka_unit_test_setup(on_a_fast_link_a_codec_must_carry_more, begin),
		cmocka_unit_test_setup(a_channel_that_does_not_wait_spends_less_step_by_step, begin),
		cmocka_unit_test_setup(contents_that_do_not_compress_are_no_loss, begin),
		cmocka_unit_test_setup(a_codec_that_carries_less_is_given_up, begin),
		cmocka_unit_test_setup(a_stretch_without_anything_to_send_says_nothing, begin),
		cmocka_unit_test_setup(a_codec_that_proves_itself_is_pardoned_sooner_again, begin),
		cmocka_unit_test_setup(a_codec_that_came_in_a_bad_moment_does_not_stay, begin),
		cmocka_unit_test_setup(what_was_given_up_is_tried_again_later_and_later, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
