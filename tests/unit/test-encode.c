/* test-encode.c: who of the encoders writes a batch, and which parts make one. The bytes themselves: test-data-send.c. */
#include "encode.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BYTES (64 * 1024)

static uint8_t text[BYTES], noise[BYTES], out[DATA_RAW_MAX + 4096];

static void paint(void)
{
	uint64_t x = 88172645463325252ULL;
	size_t i;

	for (i = 0; i < BYTES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = (uint8_t)(x >> 11);
		text[i] = (uint8_t) "the quick brown fox "[i % 20];
	}
}

/* The codec that a batch of one part goes with; how long its body must be is known if nothing is compressed. */
static enum data_codec goes_as(struct encode *en, enum send_kind kind, const uint8_t *data, uint32_t bytes)
{
	static struct batch b;
	struct encoded x;
	struct msg_data m;
	size_t n, body;

	batch_clear(&b);
	batch_add(&b, kind, OBJECT_DISK_BASE, &(struct send_part){4096, data, bytes});
	x = batch_encode(en, &b, 0, out);
	assert_int_equal(x.pieces, 0);
	n = x.head + x.body;
	assert_true(n <= batch_room(&b));
	assert_int_equal(msg_data_decode(&m, out, n), 0);
	assert_int_equal(m.extents, 1);
	assert_int_equal(m.raw_bytes, data ? bytes : 0);
	body = m.body.n - 12;
	if (m.codec == CODEC_KEPT)
		assert_int_equal(body, 16);
	else
		assert_true(m.codec == CODEC_LZ4 || m.codec == CODEC_ZSTD ? body && body < bytes : body == m.raw_bytes);
	return m.codec;
}

static void zeros_and_holes_have_no_body_and_what_is_kept_a_hash_whatever_the_codec(void **state)
{
	static const enum codec_mode modes[] = {CODEC_MODE_AUTO, CODEC_MODE_NONE, CODEC_MODE_LZ4, CODEC_MODE_ZSTD};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(modes); i++) {
		struct encode *en = encode_new(modes[i]);

		assert_int_equal(goes_as(en, SEND_ZERO, NULL, BYTES), CODEC_ZERO);
		assert_int_equal(goes_as(en, SEND_HOLE, NULL, BYTES), CODEC_HOLE);
		assert_int_equal(goes_as(en, SEND_KEPT, text, BYTES), CODEC_KEPT);
		encode_free(en);
	}
}

static void what_is_as_it_was_is_not_sent(void **state)
{
	(void)state;
	assert_true(encode_sends(SEND_DATA, false) && encode_sends(SEND_ZERO, false) && encode_sends(SEND_HOLE, false));
	assert_false(encode_sends(SEND_DATA, true) || encode_sends(SEND_ZERO, true));
}

static void contents_go_with_the_codec_of_the_mode_until_another_is_named(void **state)
{
	static const struct {
		enum codec_mode mode;
		enum codec_effort first;
	} cases[] = {{CODEC_MODE_AUTO, EFFORT_LZ4},
		     {CODEC_MODE_NONE, EFFORT_NONE},
		     {CODEC_MODE_LZ4, EFFORT_LZ4},
		     {CODEC_MODE_ZSTD, EFFORT_ZSTD}};
	static const enum codec_effort others[] = {EFFORT_ZSTD_HARD, EFFORT_NONE, EFFORT_ZSTD, EFFORT_LZ4};
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct encode *en = encode_new(cases[i].mode);

		assert_int_equal(encode_uses(en), cases[i].first);
		assert_int_equal(goes_as(en, SEND_DATA, text, BYTES), codec_of_effort(cases[i].first));
		for (j = 0; j < ARRAY_LEN(others); j++) {
			encode_use(en, others[j]);
			assert_int_equal(goes_as(en, SEND_DATA, text, BYTES), codec_of_effort(others[j]));
			assert_int_equal(goes_as(en, SEND_DATA, text, 511), CODEC_RAW); /* too little */
		}
		encode_free(en);
	}
}

static unsigned raw_before_one_is_tried(struct encode *en)
{
	unsigned n = 0;

	while (goes_as(en, SEND_DATA, text, BYTES) == CODEC_RAW)
		assert_true(n++ < 100);
	return n;
}

static void what_does_not_compress_is_tried_less_and_less_if_the_codec_is_ours_to_choose(void **state)
{
	struct encode *ours = encode_new(CODEC_MODE_AUTO), *chosen = encode_new(CODEC_MODE_ZSTD);
	unsigned i;

	(void)state;
	encode_use(ours, EFFORT_ZSTD);
	for (i = 0; i < 4; i++) { /* a stretch of them begins anew whenever something was gained */
		assert_int_equal(goes_as(ours, SEND_DATA, noise, BYTES), CODEC_RAW);
		assert_int_equal(raw_before_one_is_tried(ours), 1);
	}
	for (i = 0; i < 1 + 1 + 1; i++) /* tried, left out, tried */
		goes_as(ours, SEND_DATA, noise, BYTES);
	assert_int_equal(raw_before_one_is_tried(ours), 3);
	for (i = 0; i < 1000; i++)
		goes_as(ours, SEND_DATA, noise, BYTES);
	assert_in_range(raw_before_one_is_tried(ours), 0, 31);
	assert_int_equal(raw_before_one_is_tried(ours), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(goes_as(chosen, SEND_DATA, noise, BYTES), CODEC_RAW);
	assert_int_equal(raw_before_one_is_tried(chosen), 0);
	encode_free(ours);
	encode_free(chosen);
}

/* Pages of a batch that lie like this in memory, in units of a page. */
static struct encoded pages_at(struct encode *en, const uint8_t *memory, const unsigned *at, unsigned n, unsigned stay_pieces)
{
	static struct batch b;
	unsigned i;

	batch_clear(&b);
	for (i = 0; i < n; i++)
		batch_add(&b, SEND_DATA, OBJECT_RAM_BASE,
			  &(struct send_part){(uint64_t)i * PAGE_BYTES, memory + (size_t)at[i] * PAGE_BYTES, PAGE_BYTES});
	return batch_encode(en, &b, stay_pieces, out);
}

static void contents_that_go_as_they_are_stay_where_they_are_if_that_is_in_few_pieces(void **state)
{
	static const unsigned at[] = {2, 3, 4, 9, 5, 6}; /* three pieces */
	struct encode *en = encode_new(CODEC_MODE_NONE);
	struct encoded x = pages_at(en, noise, at, 6, 3);
	unsigned i;

	(void)state;
	assert_int_equal(x.pieces, 3);
	assert_int_equal(x.body, 6 * PAGE_BYTES);
	assert_ptr_equal(x.piece[0].iov_base, noise + 2 * PAGE_BYTES);
	assert_int_equal(x.piece[0].iov_len, 3 * PAGE_BYTES);
	assert_ptr_equal(x.piece[1].iov_base, noise + 9 * PAGE_BYTES);
	assert_ptr_equal(x.piece[2].iov_base, noise + 5 * PAGE_BYTES);
	memset(out, 0, sizeof(out));
	x = pages_at(en, noise, at, 6, 2);
	assert_int_equal(x.pieces, 0);
	assert_int_equal(x.body, 6 * PAGE_BYTES);
	for (i = 0; i < 6; i++)
		assert_memory_equal(out + x.head + i * PAGE_BYTES, noise + at[i] * PAGE_BYTES, PAGE_BYTES);
	encode_free(en);
}

static void what_is_compressed_is_written_wherever_it_lay(void **state)
{
	static const unsigned at[2][4] = {{0, 1, 2, 3}, {3, 0, 2, 1}};
	struct encode *en = encode_new(CODEC_MODE_LZ4);
	struct codec *codec = codec_new();
	uint8_t back[4 * PAGE_BYTES];
	struct encoded x;
	struct err e;
	unsigned i, j;

	(void)state;
	for (i = 0; i < 2; i++) {
		x = pages_at(en, text, at[i], 4, 8);
		assert_int_equal(x.pieces, 0);
		assert_true(x.body && x.body < sizeof(back));
		assert_int_equal(codec_decompress(codec, CODEC_LZ4, (struct slice){out + x.head, x.body}, back, sizeof(back), &e), 0);
		for (j = 0; j < 4; j++)
			assert_memory_equal(back + j * PAGE_BYTES, text + at[i][j] * PAGE_BYTES, PAGE_BYTES);
	}
	codec_free(codec);
	encode_free(en);
}

static void a_batch_is_of_one_object_one_kind_and_what_one_data_takes(void **state)
{
	struct send_part page = {0, text, PAGE_BYTES}, none = {0, NULL, PAGE_BYTES}, most = {0, text, DATA_RAW_MAX};
	struct batch *b = xcalloc(1, sizeof(*b));
	unsigned i;

	(void)state;
	assert_true(batch_fits(b, SEND_DATA, 1, &most));
	batch_add(b, SEND_DATA, 1, &page);
	assert_true(batch_fits(b, SEND_DATA, 1, &page));
	assert_false(batch_fits(b, SEND_DATA, 2, &page) || batch_fits(b, SEND_ZERO, 1, &none) || batch_fits(b, SEND_HOLE, 1, &none));
	assert_false(batch_fits(b, SEND_DATA, 1, &most));
	for (i = 1; i < DATA_RAW_MAX / PAGE_BYTES; i++) {
		assert_true(batch_fits(b, SEND_DATA, 1, &page));
		batch_add(b, SEND_DATA, 1, &page);
	}
	assert_int_equal(b->bytes, DATA_RAW_MAX);
	assert_false(batch_fits(b, SEND_DATA, 1, &page));
	batch_clear(b);
	for (i = 0; i < BATCH_PARTS; i++) { /* more than the contents of one DATA, if they had any */
		assert_true(batch_fits(b, SEND_ZERO, 1, &none));
		batch_add(b, SEND_ZERO, 1, &none);
	}
	assert_int_equal(b->bytes, 0);
	assert_false(batch_fits(b, SEND_ZERO, 1, &none));
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeros_and_holes_have_no_body_and_what_is_kept_a_hash_whatever_the_codec),
		cmocka_unit_test(what_is_as_it_was_is_not_sent),
		cmocka_unit_test(contents_go_with_the_codec_of_the_mode_until_another_is_named),
		cmocka_unit_test(what_does_not_compress_is_tried_less_and_less_if_the_codec_is_ours_to_choose),
		cmocka_unit_test(contents_that_go_as_they_are_stay_where_they_are_if_that_is_in_few_pieces),
		cmocka_unit_test(what_is_compressed_is_written_wherever_it_lay),
		cmocka_unit_test(a_batch_is_of_one_object_one_kind_and_what_one_data_takes),
	};

	paint();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
