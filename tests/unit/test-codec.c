/*
 * test-codec.c: compression of one DATA body, and the digests that prove content arrived.
 */
#include "codec.h"
#include "digest.h"
#include "object.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 2862933555777941757ULL;
static struct err err;
static struct digest_key key;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 8;
}

static void fill_random(uint8_t *p, size_t n)
{
	while (n--)
		*p++ = (uint8_t)rnd();
}

/* Words that repeat, as text and code do. */
static void fill_text(uint8_t *p, size_t n)
{
	static const char *const words[] = {"page ", "dirty ", "block ", "round ", "channel ", "\n", "0x7f", "guest "};
	size_t k;

	while (n) {
		const char *w = words[rnd() % ARRAY_LEN(words)];

		k = MIN(n, strlen(w));
		memcpy(p, w, k);
		p += k;
		n -= k;
	}
}

/* All that shrink contents. */
static enum data_codec packers[CODEC_COUNT];
static size_t packer_count;

static int find_packers(void)
{
	static uint8_t in[8192], packed[8192];
	struct codec *c = codec_new();
	enum data_codec i;

	fill_text(in, sizeof(in));
	for (i = 0; i < CODEC_COUNT; i++)
		if (codec_compress(c, i, in, sizeof(in), packed, sizeof(packed)))
			packers[packer_count++] = i;
	codec_free(c);
	return packer_count < 2 ? -1 : 0;
}

/* ---- codec ---- */

static void compressible_content_survives_a_round_trip(void **state)
{
	static uint8_t in[DATA_RAW_MAX], out[DATA_RAW_MAX], packed[DATA_RAW_MAX];
	struct codec *c = codec_new();
	size_t i, k;

	(void)state;
	for (i = 0; i < packer_count; i++)
		for (k = 0; k < 40; k++) {
			size_t n = k ? 512 * (1 + rnd() % (DATA_RAW_MAX / 512)) : DATA_RAW_MAX, got;

			fill_text(in, n);
			got = codec_compress(c, packers[i], in, n, packed, sizeof(packed));
			assert_true(got > 0 && got <= n - n / 16);
			memset(out, 0xa5, sizeof(out));
			assert_int_equal(codec_decompress(c, packers[i], (struct slice){packed, got}, out, n, &err), 0);
			assert_memory_equal(in, out, n);
		}
	codec_free(c);
}

static void content_that_does_not_shrink_is_left_alone(void **state)
{
	static uint8_t in[65536], packed[65536];
	struct codec *c = codec_new();
	size_t i;

	(void)state;
	fill_random(in, sizeof(in));
	for (i = 0; i < packer_count; i++)
		assert_int_equal(codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed)), 0);
	/* a saving of less than one part in sixteen does not pay either */
	memset(in, 0, sizeof(in) / 20);
	for (i = 0; i < packer_count; i++)
		assert_int_equal(codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed)), 0);
	memset(in, 0, sizeof(in) / 10);
	for (i = 0; i < packer_count; i++)
		assert_true(codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed)) > 0);
	codec_free(c);
}

static void compression_stays_within_the_room_it_is_given(void **state)
{
	static uint8_t in[65536];
	struct codec *c = codec_new();
	size_t i, cap;

	(void)state;
	fill_text(in, sizeof(in));
	for (i = 0; i < packer_count; i++)
		for (cap = 1; cap < sizeof(in); cap *= 3) {
			uint8_t *out = xmalloc(cap); /* asan watches its end */
			size_t got = codec_compress(c, packers[i], in, sizeof(in), out, cap);

			assert_true(got <= cap);
			free(out);
		}
	codec_free(c);
}

static void content_of_another_size_than_announced_is_refused(void **state)
{
	static uint8_t in[8192], packed[8192];
	struct codec *c = codec_new();
	static const size_t wrong[] = {0, 1, 4096, 8191, 8193, 16384};
	size_t i, k;

	(void)state;
	fill_text(in, sizeof(in));
	for (i = 0; i < packer_count; i++) {
		size_t n = codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed));

		assert_true(n > 0);
		for (k = 0; k < ARRAY_LEN(wrong); k++) {
			uint8_t *out = xmalloc(wrong[k]);

			err.code = 0;
			assert_int_equal(codec_decompress(c, packers[i], (struct slice){packed, n}, out, wrong[k], &err), -EPROTO);
			assert_int_equal(err.code, EPROTO);
			free(out);
		}
		/* cut short */
		for (k = 0; k < n; k += 1 + n / 100) {
			uint8_t *out = xmalloc(sizeof(in));

			assert_int_equal(codec_decompress(c, packers[i], (struct slice){packed, k}, out, sizeof(in), &err), -EPROTO);
			free(out);
		}
	}
	codec_free(c);
}

static void raw_content_is_copied_and_must_have_its_size(void **state)
{
	uint8_t in[100], out[100];
	struct codec *c = codec_new();

	(void)state;
	fill_random(in, sizeof(in));
	assert_int_equal(codec_decompress(c, CODEC_RAW, (struct slice){in, 100}, out, 100, &err), 0);
	assert_memory_equal(in, out, 100);
	assert_int_equal(codec_decompress(c, CODEC_RAW, (struct slice){in, 99}, out, 100, &err), -EPROTO);
	assert_int_equal(codec_decompress(c, CODEC_RAW, (struct slice){in, 100}, out, 99, &err), -EPROTO);
	assert_int_equal(codec_decompress(c, CODEC_ZERO, (struct slice){in, 100}, out, 100, &err), -EPROTO);
	assert_int_equal(codec_decompress(c, CODEC_HOLE, (struct slice){in, 0}, out, 0, &err), -EPROTO);
	assert_int_equal(codec_compress(c, CODEC_RAW, in, 100, out, 100), 0);
	codec_free(c);
}

/* Damaged and random input: any answer but a write or read out of bounds, which asan sees at the exact allocations;
 * in a build without it, at the guards. */
static void hostile_compressed_input_never_leaves_its_buffers(void **state)
{
	static uint8_t in[8192], packed[8192];
	struct codec *c = codec_new();
	size_t i, k, j;

	(void)state;
	fill_text(in, sizeof(in));
	for (i = 0; i < packer_count; i++) {
		size_t n = codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed));

		for (k = 0; k < 3000; k++) {
			size_t len = k % 3 ? n : rnd() % 300, room = k % 2 ? sizeof(in) : 1 + rnd() % 600;
			uint8_t *evil = xmalloc(len), *out = xmalloc(room + 16);
			uint8_t guard[16];

			if (k % 3) {
				memcpy(evil, packed, n);
				for (j = 1 + rnd() % 4; j; j--)
					evil[rnd() % n] = (uint8_t)rnd();
			} else {
				fill_random(evil, len);
			}
			memset(guard, 0x5a, sizeof(guard));
			memcpy(out + room, guard, 16);
			codec_decompress(c, packers[i], (struct slice){evil, len}, out, room, &err);
			assert_memory_equal(out + room, guard, 16);
			free(out);
			free(evil);
		}
		/* the contexts still work after all that */
		assert_int_equal(codec_compress(c, packers[i], in, sizeof(in), packed, sizeof(packed)), n);
	}
	codec_free(c);
}

static void zeros_are_known_and_one_bit_anywhere_is_not_missed(void **state)
{
	static uint8_t odd[4097], *p = odd + 1;
	size_t n, at;

	(void)state;
	for (n = 0; n <= 4096; n = n < 256 ? n + 1 : n * 2) {
		assert_true(bytes_are_zero(p, n));
		for (at = 0; at < n; at++) {
			p[at] = (uint8_t)(1 << at % 8);
			assert_false(bytes_are_zero(p, n));
			p[at] = 0;
		}
		if (n < 4096) { /* the function reads at most n bytes */
			p[n] = 1;
			assert_true(bytes_are_zero(p, n));
			p[n] = 0;
		}
	}
}

/* ---- digest ---- */

static struct hash128 random_hash(void)
{
	return (struct hash128){rnd() << 20 ^ rnd(), rnd() << 20 ^ rnd()};
}

static void a_sum_does_not_depend_on_order(void **state)
{
	struct hash128 h[100], a = {0, 0}, b = {0, 0};
	unsigned i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(h); i++) {
		h[i] = random_hash();
		hash_add(&a, h[i]);
	}
	for (i = 0; i < ARRAY_LEN(h); i++) {
		k = i + (unsigned)(rnd() % (ARRAY_LEN(h) - i));
		hash_add(&b, h[k]);
		h[k] = h[i];
	}
	assert_true(hash_equal(a, b));
}

static void subtraction_undoes_addition_over_the_whole_128_bits(void **state)
{
	static const struct hash128 edge[] = {{0, 0}, {1, 0}, {UINT64_MAX, 0}, {0, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {1, 1}};
	struct hash128 sum, was;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(edge); i++)
		for (k = 0; k < ARRAY_LEN(edge); k++) {
			unsigned __int128 a = (unsigned __int128)edge[i].hi << 64 | edge[i].lo;
			unsigned __int128 b = (unsigned __int128)edge[k].hi << 64 | edge[k].lo;

			sum = edge[i];
			hash_add(&sum, edge[k]);
			assert_true(((unsigned __int128)sum.hi << 64 | sum.lo) == (unsigned __int128)(a + b));
			hash_sub(&sum, edge[k]);
			assert_true(hash_equal(sum, edge[i]));
			hash_sub(&sum, edge[k]);
			assert_true(((unsigned __int128)sum.hi << 64 | sum.lo) == (unsigned __int128)(a - b));
		}
	for (i = 0; i < 1000; i++) {
		struct hash128 h = random_hash();

		sum = was = random_hash();
		hash_add(&sum, h);
		assert_false(hash_equal(sum, was));
		hash_sub(&sum, h);
		assert_true(hash_equal(sum, was));
	}
}

static void the_same_content_at_another_place_has_another_hash(void **state)
{
	uint8_t page[4096];
	struct hash128 c, base, other[5];
	size_t i, k;

	(void)state;
	fill_random(page, sizeof(page));
	c = hash_content(&key, page, sizeof(page));
	base = hash_place(&key, c, 1, 0, 8192, 4096);
	assert_true(hash_equal(base, hash_place(&key, c, 1, 0, 8192, 4096)));
	page[4095] ^= 1;
	other[0] = hash_place(&key, hash_content(&key, page, sizeof(page)), 1, 0, 8192, 4096);
	other[1] = hash_place(&key, c, 2, 0, 8192, 4096);
	other[2] = hash_place(&key, c, 1, 1, 8192, 4096);
	other[3] = hash_place(&key, c, 1, 0, 12288, 4096);
	other[4] = hash_place(&key, c, 1, 0, 8192, 4608);
	for (i = 0; i < ARRAY_LEN(other); i++) {
		assert_false(hash_equal(other[i], base));
		for (k = 0; k < i; k++)
			assert_false(hash_equal(other[i], other[k]));
	}
	/* swapping the contents of two places changes the sum */
	page[0] ^= 1;
	struct hash128 d = hash_content(&key, page, sizeof(page)), straight = {0, 0}, swapped = {0, 0};

	hash_add(&straight, hash_place(&key, c, 1, 0, 0, 4096));
	hash_add(&straight, hash_place(&key, d, 1, 0, 4096, 4096));
	hash_add(&swapped, hash_place(&key, d, 1, 0, 0, 4096));
	hash_add(&swapped, hash_place(&key, c, 1, 0, 4096, 4096));
	assert_false(hash_equal(straight, swapped));
}

static void another_secret_gives_other_hashes(void **state)
{
	struct digest_key k2 = key;
	uint8_t page[4096] = {0};

	(void)state;
	k2.secret[DIGEST_SECRET_BYTES - 1] ^= 1;
	/* long content uses the whole secret; a place is short and uses part of it, but of a content hash that differs */
	assert_false(hash_equal(hash_content(&key, page, sizeof(page)), hash_content(&k2, page, sizeof(page))));
	fill_random(k2.secret, sizeof(k2.secret));
	assert_false(
		hash_equal(hash_place(&key, (struct hash128){1, 2}, 1, 0, 0, 512), hash_place(&k2, (struct hash128){1, 2}, 1, 0, 0, 512)));
}

static void a_hash_is_written_little_endian_low_half_first(void **state)
{
	static const uint8_t want[16] = {8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11};
	uint8_t out[16];

	(void)state;
	hash_bytes((struct hash128){0x0102030405060708, 0x1112131415161718}, out);
	assert_memory_equal(out, want, 16);
}

static void a_page_table_keeps_the_sum_of_its_last_contents(void **state)
{
	struct hash128 slots[50] = {{0, 0}}, sum = {0, 0}, again = {0, 0};
	struct page_table t = {ARRAY_LEN(slots), slots};
	unsigned i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		uint64_t page = rnd() % t.pages;
		struct hash128 h = random_hash();

		assert_true(page_table_set(&t, &sum, page, h));
		assert_false(page_table_set(&t, &sum, page, h));
	}
	for (i = 0; i < t.pages; i++)
		hash_add(&again, slots[i]);
	assert_true(hash_equal(sum, again));
}

static void a_place_stays_on_one_channel_and_places_are_spread(void **state)
{
	unsigned count, seen[CHANNELS_MAX], i;
	uint64_t place;

	(void)state;
	for (count = 1; count <= CHANNELS_MAX; count++) {
		memset(seen, 0, sizeof(seen));
		for (place = 0; place < 4096; place++) {
			unsigned ch = place_channel(OBJECT_RAM_BASE, place << PLACE_SHIFT, count);

			assert_true(ch < count);
			assert_int_equal(ch, place_channel(OBJECT_RAM_BASE, ((place + 1) << PLACE_SHIFT) - 1, count));
			seen[ch]++;
		}
		for (i = 0; i < count; i++)
			assert_true(seen[i] > 4096 / count / 2 && seen[i] < 4096 / count * 2);
	}
}

static int setup(void **state)
{
	(void)state;
	fill_random(key.secret, sizeof(key.secret));
	return find_packers();
}

static void a_processor_has_a_channel_and_none_has_too_many(void **state)
{
	(void)state;
	assert_int_equal(channels_for(1), 2);
	assert_int_equal(channels_for(2), 2);
	assert_int_equal(channels_for(4), 4);
	assert_int_equal(channels_for(9), 8);
	assert_int_equal(channels_for(256), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compressible_content_survives_a_round_trip),
		cmocka_unit_test(content_that_does_not_shrink_is_left_alone),
		cmocka_unit_test(compression_stays_within_the_room_it_is_given),
		cmocka_unit_test(content_of_another_size_than_announced_is_refused),
		cmocka_unit_test(raw_content_is_copied_and_must_have_its_size),
		cmocka_unit_test(hostile_compressed_input_never_leaves_its_buffers),
		cmocka_unit_test(zeros_are_known_and_one_bit_anywhere_is_not_missed),
		cmocka_unit_test(a_sum_does_not_depend_on_order),
		cmocka_unit_test(subtraction_undoes_addition_over_the_whole_128_bits),
		cmocka_unit_test(the_same_content_at_another_place_has_another_hash),
		cmocka_unit_test(another_secret_gives_other_hashes),
		cmocka_unit_test(a_hash_is_written_little_endian_low_half_first),
		cmocka_unit_test(a_page_table_keeps_the_sum_of_its_last_contents),
		cmocka_unit_test(a_place_stays_on_one_channel_and_places_are_spread),
		cmocka_unit_test(a_processor_has_a_channel_and_none_has_too_many),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
