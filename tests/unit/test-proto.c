/*
 * test-proto.c: the cursor, every message of messages.def, frames, and runs.
 *
 * The tables are expanded from messages.def, so a message that is added there is tested here.
 */
#include "digest.h"
#include "messages.h"
#include "object.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#define BUF_BYTES 65536
#define TRIES	  50

static uint64_t seed = 88172645463325252ULL;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(uint8_t *p, size_t n)
{
	while (n--)
		*p++ = (uint8_t)(rnd() >> 32);
}

/* Random bytes that live until the next message is made. */
static struct slice random_slice(size_t max)
{
	static uint8_t pool[4][BUF_BYTES];
	static unsigned next;
	uint8_t *p = pool[next++ % 4];
	size_t n = rnd() % (max + 1);

	fill(p, n);
	return (struct slice){p, n};
}

static bool same(struct slice a, struct slice b)
{
	return a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0);
}

/* ---- one driver per message ---- */

struct driver {
	const char *name;
	uint16_t number;
	/* Makes a random message, encodes it; checks that decoding gives the same fields. Returns the length, and in
	 * *fixed how many of those bytes come before a last REST field. */
	size_t (*round_trip)(uint8_t *buf, size_t *fixed);
	int (*decode)(const uint8_t *p, size_t n);
};

/* length of a message on the wire, counted independently of the encoder */
#define U8(f)	n += 1;
#define U16(f)	n += 2;
#define U32(f)	n += 4;
#define U64(f)	n += 8;
#define ID(f)	n += 16;
#define STR(f)	n += 2 + m->f.n;
#define REST(f) *rest = m->f.n;
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	static size_t name##_size(const struct msg_##name *m, size_t *rest)                                                                \
	{                                                                                                                                  \
		size_t n = 0;                                                                                                              \
                                                                                                                                           \
		(void)m;                                                                                                                   \
		*rest = 0;                                                                                                                 \
		fields return n;                                                                                                           \
	}
#include "messages.def"
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef ID
#undef STR
#undef REST

#define U8(f)	m->f = (uint8_t)rnd();
#define U16(f)	m->f = (uint16_t)rnd();
#define U32(f)	m->f = (uint32_t)rnd();
#define U64(f)	m->f = rnd();
#define ID(f)	fill(m->f, 16);
#define STR(f)	m->f = random_slice(MSG_STR_MAX);
#define REST(f) m->f = random_slice(2000);
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	static void name##_random(struct msg_##name *m)                                                                                    \
	{                                                                                                                                  \
		fields                                                                                                                     \
	}
#include "messages.def"
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef ID
#undef STR
#undef REST

#define U8(f)	assert_int_equal(a->f, b->f);
#define U16(f)	assert_int_equal(a->f, b->f);
#define U32(f)	assert_int_equal(a->f, b->f);
#define U64(f)	assert_true(a->f == b->f);
#define ID(f)	assert_memory_equal(a->f, b->f, 16);
#define STR(f)	assert_true(same(a->f, b->f));
#define REST(f) assert_true(same(a->f, b->f));
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	static void name##_compare(const struct msg_##name *a, const struct msg_##name *b)                                                 \
	{                                                                                                                                  \
		fields                                                                                                                     \
	}
#include "messages.def"
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef ID
#undef STR
#undef REST

#define MESSAGE(NAME, name, number, fields)                                                                                                \
	static size_t name##_round_trip(uint8_t *buf, size_t *fixed)                                                                       \
	{                                                                                                                                  \
		struct writer w = writer_of(buf, BUF_BYTES);                                                                               \
		struct msg_##name in, out;                                                                                                 \
		size_t rest;                                                                                                               \
                                                                                                                                           \
		name##_random(&in);                                                                                                        \
		msg_##name##_encode(&w, &in);                                                                                              \
		assert_false(w.bad);                                                                                                       \
		*fixed = name##_size(&in, &rest);                                                                                          \
		assert_int_equal(writer_len(&w), *fixed + rest);                                                                           \
		memset(&out, 0xa5, sizeof(out));                                                                                           \
		assert_int_equal(msg_##name##_decode(&out, buf, writer_len(&w)), 0);                                                       \
		name##_compare(&in, &out);                                                                                                 \
		return writer_len(&w);                                                                                                     \
	}                                                                                                                                  \
	static int name##_decode(const uint8_t *p, size_t n)                                                                               \
	{                                                                                                                                  \
		struct msg_##name m;                                                                                                       \
                                                                                                                                           \
		return msg_##name##_decode(&m, p, n);                                                                                      \
	}                                                                                                                                  \
	/* with a writer one byte too small it says so and stays inside */                                                                 \
	static void name##_no_room(void)                                                                                                   \
	{                                                                                                                                  \
		struct msg_##name in;                                                                                                      \
		size_t rest, n, k;                                                                                                         \
                                                                                                                                           \
		name##_random(&in);                                                                                                        \
		n = name##_size(&in, &rest) + rest;                                                                                        \
		for (k = 0; k < n; k += 1 + n / 50) {                                                                                      \
			uint8_t *exact = xmalloc(k);                                                                                       \
			struct writer w = writer_of(exact, k);                                                                             \
                                                                                                                                           \
			msg_##name##_encode(&w, &in);                                                                                      \
			assert_true(w.bad);                                                                                                \
			assert_true(writer_len(&w) <= k);                                                                                  \
			free(exact);                                                                                                       \
		}                                                                                                                          \
	}
#include "messages.def"
#undef MESSAGE

static const struct driver drivers[] = {
#define MESSAGE(NAME, name, number, fields) {#NAME, number, name##_round_trip, name##_decode},
#include "messages.def"
#undef MESSAGE
};

/* ---- messages ---- */

static void every_message_survives_a_round_trip(void **state)
{
	static uint8_t buf[BUF_BYTES];
	size_t i, k, fixed;

	(void)state;
	for (i = 0; i < ARRAY_LEN(drivers); i++)
		for (k = 0; k < TRIES; k++)
			drivers[i].round_trip(buf, &fixed);
}

static void every_truncation_is_refused(void **state)
{
	static uint8_t buf[BUF_BYTES];
	size_t i, k, n, fixed;

	(void)state;
	for (i = 0; i < ARRAY_LEN(drivers); i++) {
		drivers[i].round_trip(buf, &fixed);
		for (n = 0; n < fixed; n++) {
			/* at the end of its own allocation, so that asan sees one byte too many */
			uint8_t *exact = xmalloc(n);

			memcpy(exact, buf, n);
			k = (size_t)-drivers[i].decode(exact, n);
			free(exact);
			if (k != EPROTO)
				fail_msg("%s cut to %zu of %zu bytes gave %zu", drivers[i].name, n, fixed, k);
		}
	}
}

static void trailing_bytes_are_refused(void **state)
{
	static uint8_t buf[BUF_BYTES];
	size_t i, n, fixed;
	bool has_rest;

	(void)state;
	for (i = 0; i < ARRAY_LEN(drivers); i++) {
		has_rest = false;
		for (n = 0; n < TRIES; n++) /* a REST of random length is not empty every time */
			if (drivers[i].round_trip(buf, &fixed) != fixed)
				has_rest = true;
		n = drivers[i].round_trip(buf, &fixed);
		buf[n] = 0;
		assert_int_equal(drivers[i].decode(buf, n + 1), has_rest ? 0 : -EPROTO);
	}
}

static void a_message_that_does_not_fit_is_not_written_past_the_end(void **state)
{
	(void)state;
#define MESSAGE(NAME, name, number, fields) name##_no_room();
#include "messages.def"
#undef MESSAGE
}

static void a_string_longer_than_the_maximum_is_cut_by_the_writer_and_refused_by_the_reader(void **state)
{
	static uint8_t text[MSG_STR_MAX + 1], buf[BUF_BYTES];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_error m = {.code = 5, .doing = {text, sizeof(text)}, .text = slice_of("no")}, out;

	(void)state;
	memset(text, 'x', sizeof(text));
	msg_error_encode(&w, &m);
	assert_int_equal(msg_error_decode(&out, buf, writer_len(&w)), 0);
	assert_int_equal(out.doing.n, MSG_STR_MAX);
	assert_true(same(out.text, slice_of("no")));

	/* code, a string of MSG_STR_MAX + 1, an empty string: well-formed but for its length */
	w = writer_of(buf, sizeof(buf));
	write_u32(&w, 5);
	write_u16(&w, MSG_STR_MAX + 1);
	write_bytes(&w, text, sizeof(text));
	write_u16(&w, 0);
	assert_int_equal(msg_error_decode(&out, buf, writer_len(&w)), -EPROTO);
}

static void layout_on_the_wire_is_little_endian_in_the_order_of_the_table(void **state)
{
	static const uint8_t want[] = {0x04, 0x03, 0x02, 0x01, 0x07, 0x09, 0x02, 0x01, 0x44, 0x33, 0x22, 0x11, 'b', 'o'};
	struct msg_data m =
		{.object = 0x01020304, .codec = 7, .base = 9, .extents = 0x0102, .raw_bytes = 0x11223344, .body = slice_of("bo")};
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	(void)state;
	msg_data_encode(&w, &m);
	assert_int_equal(writer_len(&w), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

static void every_number_is_unique_and_named(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_LEN(drivers); i++) {
		assert_string_equal(msg_name(drivers[i].number), drivers[i].name);
		for (k = 0; k < i; k++)
			assert_int_not_equal(drivers[i].number, drivers[k].number);
	}
	assert_null(msg_name(0));
	assert_null(msg_name(0xffff));
	/* only an acknowledgement, and what is there to be acknowledged, may be skipped by a peer that does not know it */
	for (i = 0; i < ARRAY_LEN(drivers); i++)
		assert_true(drivers[i].number == MSG_ACK || drivers[i].number == MSG_PROBE || drivers[i].number & MSG_CRITICAL);
}

/* ---- cursor ---- */

static void a_reader_that_overran_gives_zeros_ever_after(void **state)
{
	static const uint8_t b[5] = {1, 2, 3, 4, 5};
	struct reader r = reader_of(b, sizeof(b));

	(void)state;
	assert_int_equal(read_u8(&r), 1);
	assert_int_equal(reader_left(&r), 4);
	assert_true(read_u64(&r) == 0);
	assert_true(r.bad);
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(read_bytes(&r, 1).n, 0);
	assert_null(read_bytes(&r, 0).p);
}

static void a_writer_that_overran_writes_nothing_more(void **state)
{
	uint8_t b[4] = {0xee, 0xee, 0xee, 0xee};
	struct writer w = writer_of(b, 3);

	(void)state;
	write_u16(&w, 0x0201);
	write_u32(&w, 0);
	assert_true(w.bad);
	write_u8(&w, 3);
	assert_int_equal(writer_len(&w), 2);
	assert_int_equal(writer_left(&w), 0);
	assert_int_equal(b[2], 0xee);
	assert_int_equal(b[3], 0xee);
}

static void varints_of_all_widths_survive_a_round_trip(void **state)
{
	uint8_t b[10];
	unsigned bit, i;

	(void)state;
	for (bit = 0; bit < 64; bit++)
		for (i = 0; i < 3; i++) {
			uint64_t v = (1ULL << bit) - 1 + i;
			struct writer w = writer_of(b, sizeof(b));
			struct reader r;

			write_varint(&w, v);
			assert_false(w.bad);
			r = reader_of(b, writer_len(&w));
			assert_true(read_varint(&r) == v);
			assert_int_equal(reader_left(&r), 0);
			assert_false(r.bad);
			/* a number without its last byte is refused */
			r = reader_of(b, writer_len(&w) - 1);
			assert_true(read_varint(&r) == 0);
			assert_true(r.bad);
		}
}

static void a_varint_of_more_than_64_bits_is_refused(void **state)
{
	static const uint8_t most[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
	static const uint8_t over[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
	static const uint8_t endless[] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0};
	struct reader r = reader_of(most, sizeof(most));

	(void)state;
	assert_true(read_varint(&r) == UINT64_MAX);
	assert_false(r.bad);
	r = reader_of(over, sizeof(over));
	assert_true(read_varint(&r) == 0);
	assert_true(r.bad);
	r = reader_of(endless, sizeof(endless));
	assert_true(read_varint(&r) == 0);
	assert_true(r.bad);
}

/* ---- frames ---- */

static void a_sealed_frame_is_intact_and_carries_xxh3_over_all_of_it(void **state)
{
	uint8_t buf[FRAME_HEADER_BYTES + 100], copy[sizeof(buf)];
	struct frame_header in = {.type = 0x8021, .summed = 0x0102, .channel = 7, .sequence = 0x1122334455667788, .length = 100};
	struct frame_header h;

	(void)state;
	fill(buf, sizeof(buf));
	frame_seal(buf, &in);
	memcpy(copy, buf, sizeof(buf));
	assert_int_equal(frame_header_decode(&h, buf), 0);
	assert_int_equal(h.type, in.type);
	assert_int_equal(h.summed, in.summed);
	assert_int_equal(h.channel, in.channel);
	assert_true(h.sequence == in.sequence);
	assert_int_equal(h.length, 100);
	assert_true(frame_intact(buf, &h));
	assert_memory_equal(buf, copy, sizeof(buf));
	memset(copy + FRAME_HEADER_BYTES - 8, 0, 8);
	assert_true(h.checksum == XXH3_64bits(copy, sizeof(copy)));
}

static bool is_seen(uint8_t *buf, size_t at)
{
	struct frame_header h;
	bool seen;

	buf[at] ^= 0x10;
	seen = frame_header_decode(&h, buf) || h.length > 100 || !frame_intact(buf, &h);
	buf[at] ^= 0x10;
	return seen;
}

/* The checksum covers a part only of DATA, and always its header; a number larger than the frame means everything. */
static void a_checksum_covers_as_much_of_data_as_the_header_says(void **state)
{
	static const struct {
		uint16_t type, summed;
		size_t covered;
	} cases[] = {{MSG_DATA, 1, 1},	     {MSG_DATA_ALSO, 99, 99}, {MSG_DATA, 100, 100}, {MSG_DATA, 101, 100},
		     {MSG_DATA, 65535, 100}, {MSG_DATA, 0, 100},      {MSG_END, 7, 100},    {MSG_FILE_DATA, 7, 100}};
	uint8_t buf[FRAME_HEADER_BYTES + 100];
	size_t i, at;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct frame_header h = {.type = cases[i].type, .summed = cases[i].summed, .length = 100};

		fill(buf, sizeof(buf));
		frame_seal(buf, &h);
		for (at = 0; at < sizeof(buf); at++)
			assert_int_equal(is_seen(buf, at), at < FRAME_HEADER_BYTES + cases[i].covered);
	}
}

static void every_single_changed_byte_of_a_frame_is_seen(void **state)
{
	uint8_t *buf = xcalloc(1, FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX);
	struct frame_header h = {.type = MSG_DATA, .channel = 3, .sequence = 9, .length = 300};
	size_t at;
	unsigned x;

	(void)state;
	fill(buf + FRAME_HEADER_BYTES, h.length);
	frame_seal(buf, &h);
	for (at = 0; at < FRAME_HEADER_BYTES + 300; at++)
		for (x = 1; x < 256; x = x < 8 ? x + 1 : x * 2 + (x & 1)) {
			struct frame_header got;

			buf[at] ^= (uint8_t)x;
			if (!frame_header_decode(&got, buf) && frame_intact(buf, &got))
				fail_msg("byte %zu xor %#x was not seen", at, x);
			buf[at] ^= (uint8_t)x;
		}
	assert_int_equal(frame_header_decode(&h, buf), 0);
	assert_true(frame_intact(buf, &h));
	free(buf);
}

static void a_header_with_an_absurd_length_is_refused(void **state)
{
	static const uint32_t lengths[] = {FRAME_PAYLOAD_MAX, FRAME_PAYLOAD_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff};
	uint8_t buf[FRAME_HEADER_BYTES];
	struct frame_header h;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(lengths); i++) {
		struct writer w = writer_of(buf, sizeof(buf));

		memset(buf, 0, sizeof(buf));
		write_u64(&w, 0x8021);
		write_u64(&w, 1);
		write_u32(&w, lengths[i]);
		assert_int_equal(frame_header_decode(&h, buf), i ? -EPROTO : 0);
		assert_int_equal(h.length, lengths[i]);
	}
}

/* ---- runs ---- */

static void runs_survive_a_round_trip(void **state)
{
	static uint8_t buf[BUF_BYTES];
	static uint64_t start[1000], length[1000];
	unsigned try, i, n;

	(void)state;
	for (try = 0; try < TRIES; try++) {
		struct writer w = writer_of(buf, sizeof(buf));
		uint64_t at = 0, s, l, next = 0;
		struct reader r;

		n = (unsigned)(rnd() % ARRAY_LEN(start));
		for (i = 0; i < n; i++) {
			start[i] = next + (rnd() >> (20 + rnd() % 44));
			length[i] = 1 + (rnd() >> (20 + rnd() % 44));
			next = start[i] + length[i];
			assert_true(runs_put(&w, &at, start[i], length[i]));
		}
		assert_true(at == next);
		at = 0;
		r = reader_of(buf, writer_len(&w));
		for (i = 0; i < n; i++) {
			assert_int_equal(runs_get(&r, &at, next, &s, &l), 1);
			assert_true(s == start[i] && l == length[i]);
		}
		assert_int_equal(runs_get(&r, &at, next, &s, &l), 0);
	}
}

static void a_run_without_room_is_not_written_in_part(void **state)
{
	uint8_t buf[20];
	struct writer w = writer_of(buf, 19);
	uint64_t at = 5;

	(void)state;
	assert_false(runs_put(&w, &at, 6, 1));
	assert_int_equal(writer_len(&w), 0);
	assert_true(at == 5);
	assert_false(w.bad);
	/* the longest run that can be */
	w = writer_of(buf, 20);
	at = 0;
	assert_true(runs_put(&w, &at, 1ULL << 63, (1ULL << 63) - 1));
	assert_false(w.bad);
}

/* The result of runs_get() for a pair after a first run that ends at `at`. */
static int get_pair(uint64_t at, uint64_t limit, uint64_t gap, uint64_t length)
{
	uint8_t buf[20];
	struct writer w = writer_of(buf, sizeof(buf));
	uint64_t s = 0, l = 0;
	struct reader r;
	int k;

	write_varint(&w, gap);
	write_varint(&w, length);
	r = reader_of(buf, writer_len(&w));
	k = runs_get(&r, &at, limit, &s, &l);
	if (k == 1)
		assert_true(s + l <= limit && l == length);
	return k;
}

static void runs_beyond_the_limit_or_wrapping_around_are_refused(void **state)
{
	(void)state;
	assert_int_equal(get_pair(0, 100, 0, 100), 1);
	assert_int_equal(get_pair(0, 100, 99, 1), 1);
	assert_int_equal(get_pair(60, 100, 0, 40), 1);
	assert_int_equal(get_pair(60, 100, 39, 1), 1);
	assert_int_equal(get_pair(0, 100, 0, 101), -EPROTO);
	assert_int_equal(get_pair(0, 100, 100, 1), -EPROTO);
	assert_int_equal(get_pair(0, 100, 101, 1), -EPROTO);
	assert_int_equal(get_pair(60, 100, 0, 41), -EPROTO);
	assert_int_equal(get_pair(60, 100, 40, 1), -EPROTO);
	assert_int_equal(get_pair(60, 100, 41, 1), -EPROTO);
	/* an empty run */
	assert_int_equal(get_pair(0, 100, 0, 0), -EPROTO);
	assert_int_equal(get_pair(0, 100, 5, 0), -EPROTO);
	/* sums that wrap to something small: a run that goes back over the one before it */
	assert_int_equal(get_pair(60, 100, UINT64_MAX - 9, 1), -EPROTO);
	assert_int_equal(get_pair(60, 100, 1, UINT64_MAX), -EPROTO);
	assert_int_equal(get_pair(60, 100, 39, UINT64_MAX - 38), -EPROTO);
	assert_int_equal(get_pair(0, UINT64_MAX, UINT64_MAX, 1), -EPROTO);
	assert_int_equal(get_pair(0, UINT64_MAX, 0, UINT64_MAX), 1);
	assert_int_equal(get_pair(100, 100, 0, 1), -EPROTO);
}

static void a_run_cut_short_is_refused(void **state)
{
	static const uint8_t gap_only[] = {5}, half[] = {5, 0x80}, none[] = {0x80};
	const struct slice cut[] = {{gap_only, 1}, {half, 2}, {none, 1}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cut); i++) {
		struct reader r = reader_of(cut[i].p, cut[i].n);
		uint64_t at = 0, s, l;

		assert_int_equal(runs_get(&r, &at, 1000, &s, &l), -EPROTO);
		/* a bad reader stays bad, and is not at its end */
		assert_int_equal(runs_get(&r, &at, 1000, &s, &l), -EPROTO);
	}
}

/* ---- the test vectors of PROTOCOL.md ---- */

/* The bytes of the n-th block of lines with four spaces before them in that section; comments behind three spaces. */
static size_t vector(unsigned n, uint8_t out[256])
{
	FILE *f = fopen("proto/PROTOCOL.md", "re");
	bool section = false, in_block = false;
	unsigned block = 0, byte;
	char line[512];
	size_t bytes = 0;

	if (!f) {
		print_message("skipped: proto/PROTOCOL.md is not below the working directory\n");
		skip();
	}
	while (fgets(line, sizeof(line), f)) {
		const char *at = line;
		int used;

		section |= !strcmp(line, "## Test vectors\n");
		if (strncmp(line, "    ", 4)) {
			block += section && in_block;
			in_block = false;
			continue;
		}
		in_block = section;
		for (at += 4; section && block == n && strncmp(at, "  ", 2) && sscanf(at, "%2x%n", &byte, &used) == 1 && used == 2;
		     at += 3) {
			assert_true(bytes < 256);
			out[bytes++] = (uint8_t)byte;
		}
	}
	fclose(f);
	return bytes;
}

static void assert_frame_is_vector(unsigned n, const struct frame_header *like, uint8_t *buf, const struct writer *w)
{
	struct frame_header h = *like;
	uint8_t want[256];
	size_t bytes = vector(n, want);

	h.length = (uint32_t)writer_len(w);
	frame_seal(buf, &h);
	assert_int_equal(bytes, FRAME_HEADER_BYTES + h.length);
	assert_memory_equal(buf, want, bytes);
}

static void the_test_vectors_of_the_document_are_what_is_sent(void **state)
{
	static const struct msg_applied applied = {.group = 1, .number = 2};
	uint8_t buf[FRAME_HEADER_BYTES + 256], body[24];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, 256), b = writer_of(body, sizeof(body));
	struct msg_hello hello = {.version = 1,
				  .version_min = 1,
				  .software = slice_of("vmferry 0.1"),
				  .way = slice_of("127.0.0.1:40000 127.0.0.1:7788")};
	struct msg_data data = {.object = 256, .codec = CODEC_ZERO, .extents = 2};
	unsigned i;

	(void)state;
	msg_applied_encode(&w, &applied);
	assert_frame_is_vector(0, &(struct frame_header){.type = MSG_APPLIED, .sequence = 5}, buf, &w);

	for (i = 0; i < 16; i++) {
		hello.session[i] = (uint8_t)i;
		hello.nonce[i] = (uint8_t)(0x10 + i);
	}
	w = writer_of(buf + FRAME_HEADER_BYTES, 256);
	msg_hello_encode(&w, &hello);
	assert_frame_is_vector(1, &(struct frame_header){.type = MSG_HELLO}, buf, &w);

	write_u64(&b, 0x1000);
	write_u32(&b, 3);
	write_u64(&b, 0x200000);
	write_u32(&b, 1);
	data.body = (struct slice){body, writer_len(&b)};
	w = writer_of(buf + FRAME_HEADER_BYTES, 256);
	msg_data_encode(&w, &data);
	assert_frame_is_vector(2, &(struct frame_header){.type = MSG_DATA, .channel = 1, .sequence = 7}, buf, &w);
}

/* The 16 bytes at the end of the line that begins so. */
static void assert_digest_is(const char *begin, struct hash128 h)
{
	FILE *f = fopen("proto/PROTOCOL.md", "re");
	uint8_t got[16], want[16] = {0};
	char line[512];
	unsigned i;

	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(line);

		if (strncmp(line, begin, strlen(begin)) || n < 48)
			continue;
		for (i = 0; i < 16; i++)
			want[i] = (uint8_t)strtoul(line + n - 48 + 3 * (size_t)i, NULL, 16);
	}
	fclose(f);
	hash_bytes(h, got);
	assert_memory_equal(got, want, 16);
}

static void digests_and_places_are_as_in_the_document(void **state)
{
	static const unsigned channels[] = {1, 2, 3, 1, 2};
	uint8_t page[4096] = {0};
	struct hash128 content, at_1000, sum;
	struct digest_key key;
	unsigned i;

	(void)state;
	if (access("proto/PROTOCOL.md", R_OK)) {
		print_message("skipped: proto/PROTOCOL.md is not below the working directory\n");
		skip();
	}
	for (i = 0; i < sizeof(key.secret); i++)
		key.secret[i] = (uint8_t)i;
	content = hash_content(&key, page, sizeof(page));
	at_1000 = hash_place(&key, content, 256, 0, 0x1000, 4096);
	sum = at_1000;
	hash_add(&sum, hash_place(&key, content, 256, 0, 0x2000, 4096));
	assert_digest_is("    content hash of a page of zeros", content);
	assert_digest_is("    its place hash in object 256", at_1000);
	assert_digest_is("    the sum of that", sum);
	assert_digest_is("    hole of disk 1, round 3", hash_place(&key, (struct hash128){0, 0}, 1, 3, 1048576, 65536));
	for (i = 0; i < 5; i++)
		assert_int_equal(place_channel(256, (uint64_t)i << PLACE_SHIFT, 4) + 1, channels[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_survives_a_round_trip),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(trailing_bytes_are_refused),
		cmocka_unit_test(a_message_that_does_not_fit_is_not_written_past_the_end),
		cmocka_unit_test(a_string_longer_than_the_maximum_is_cut_by_the_writer_and_refused_by_the_reader),
		cmocka_unit_test(layout_on_the_wire_is_little_endian_in_the_order_of_the_table),
		cmocka_unit_test(every_number_is_unique_and_named),
		cmocka_unit_test(a_reader_that_overran_gives_zeros_ever_after),
		cmocka_unit_test(a_writer_that_overran_writes_nothing_more),
		cmocka_unit_test(varints_of_all_widths_survive_a_round_trip),
		cmocka_unit_test(a_varint_of_more_than_64_bits_is_refused),
		cmocka_unit_test(a_sealed_frame_is_intact_and_carries_xxh3_over_all_of_it),
		cmocka_unit_test(a_checksum_covers_as_much_of_data_as_the_header_says),
		cmocka_unit_test(every_single_changed_byte_of_a_frame_is_seen),
		cmocka_unit_test(a_header_with_an_absurd_length_is_refused),
		cmocka_unit_test(runs_survive_a_round_trip),
		cmocka_unit_test(a_run_without_room_is_not_written_in_part),
		cmocka_unit_test(runs_beyond_the_limit_or_wrapping_around_are_refused),
		cmocka_unit_test(a_run_cut_short_is_refused),
		cmocka_unit_test(the_test_vectors_of_the_document_are_what_is_sent),
		cmocka_unit_test(digests_and_places_are_as_in_the_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
