/*
 * fuzz-messages.c: libFuzzer on everything that decodes bytes without I/O: messages, runs, frame headers, codecs.
 *
 * The first byte says which; a message that decodes must encode to the very same bytes. With VMFERRY_FUZZ_SEEDS=DIR it
 * writes one seed per message of messages.def and ends.
 */
#include "codec.h"
#include "messages.h"
#include "seed.h"
#include "unit-set.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

enum selector {
#define MESSAGE(NAME, name, number, fields) SELECT_##NAME,
#include "messages.def"
#undef MESSAGE
	SELECT_RUNS,
	SELECT_HEADER,
	SELECT_LZ4,
	SELECT_ZSTD,
	SELECT_COUNT
};

#define MESSAGE(NAME, name, number, fields)                                                                                                \
	static void try_##name(const uint8_t *p, size_t n)                                                                                 \
	{                                                                                                                                  \
		uint8_t *again = xmalloc(n);                                                                                               \
		struct writer w = writer_of(again, n);                                                                                     \
		struct msg_##name m;                                                                                                       \
                                                                                                                                           \
		if (!msg_##name##_decode(&m, p, n)) {                                                                                      \
			msg_##name##_encode(&w, &m);                                                                                       \
			require(!w.bad && writer_len(&w) == n && memcmp(again, p, n) == 0);                                                \
		}                                                                                                                          \
		free(again);                                                                                                               \
	}
#include "messages.def"
#undef MESSAGE

/* Runs ascend within the limit, and comparing says the same as counting. */
static void try_runs(const uint8_t *p, size_t n)
{
	struct reader r = reader_of(p, n);
	uint64_t at = 0, start, length, end = 0, sum = 0, in, out;
	struct unit_set s;
	int k;

	unit_set_init(&s, 5000);
	unit_set_add(&s, 100, 1000);
	while ((k = runs_get(&r, &at, s.units, &start, &length)) > 0) {
		require(start >= end && length && start + length <= s.units);
		end = start + length;
		sum += length;
	}
	require(unit_set_compare(&s, (struct slice){p, n}, &in, &out) == k);
	require(k || in + out == sum);
	unit_set_fini(&s);
}

static void try_header(const uint8_t *p, size_t n)
{
	struct frame_header h;
	uint8_t *copy;

	if (n < FRAME_HEADER_BYTES || frame_header_decode(&h, p) || n < FRAME_HEADER_BYTES + (size_t)h.length)
		return;
	copy = xmalloc(n);
	memcpy(copy, p, n);
	frame_intact(copy, &h);
	require(memcmp(copy, p, n) == 0);
	frame_seal(copy, &h);
	require(!frame_header_decode(&h, copy) && frame_intact(copy, &h));
	free(copy);
}

static void try_codec(enum data_codec which, const uint8_t *p, size_t n)
{
	struct codec *c = codec_new();
	size_t room = n ? 1 + (size_t)p[0] * 64 : 1;
	uint8_t *out = xmalloc(room);
	struct err e;

	codec_decompress(c, which, (struct slice){p + (n ? 1 : 0), n ? n - 1 : 0}, out, room, &e);
	free(out);
	codec_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *exact;

	if (!n)
		return 0;
	exact = xmalloc(n - 1);
	memcpy(exact, p + 1, n - 1);
	switch ((enum selector)(p[0] % SELECT_COUNT)) {
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	case SELECT_##NAME:                                                                                                                \
		try_##name(exact, n - 1);                                                                                                  \
		break;
#include "messages.def"
#undef MESSAGE
	case SELECT_RUNS:
		try_runs(exact, n - 1);
		break;
	case SELECT_HEADER:
		try_header(exact, n - 1);
		break;
	case SELECT_LZ4:
		try_codec(CODEC_LZ4, exact, n - 1);
		break;
	case SELECT_ZSTD:
		try_codec(CODEC_ZSTD, exact, n - 1);
		break;
	case SELECT_COUNT:
		break;
	}
	free(exact);
	return 0;
}

/* ---- seeds ---- */

static void write_seed(const char *name, uint8_t selector, const uint8_t *p, size_t n)
{
	uint8_t whole[1024] = {selector};

	require(n < sizeof(whole));
	memcpy(whole + 1, p, n);
	seed_write(name, whole, 1 + n);
}

#define U8(f)	m.f = 1;
#define U16(f)	m.f = 2;
#define U32(f)	m.f = 3;
#define U64(f)	m.f = 4;
#define ID(f)	memset(m.f, 5, 16);
#define STR(f)	m.f = slice_of(#f);
#define REST(f) m.f = slice_of("{}");
static void write_seeds(void)
{
	static const uint8_t runs[] = {5, 1, 0x80, 1, 0xff, 3};
	uint8_t buf[512];
	struct writer w;

#define MESSAGE(NAME, name, number, fields)                                                                                                \
	{                                                                                                                                  \
		struct msg_##name m;                                                                                                       \
                                                                                                                                           \
		fields w = writer_of(buf, sizeof(buf));                                                                                    \
		msg_##name##_encode(&w, &m);                                                                                               \
		write_seed(#name, SELECT_##NAME, buf, writer_len(&w));                                                                     \
	}
#include "messages.def"
#undef MESSAGE
	write_seed("runs", SELECT_RUNS, runs, sizeof(runs));
	memset(buf, 0, sizeof(buf));
	buf[16] = 4;
	write_seed("header", SELECT_HEADER, buf, FRAME_HEADER_BYTES + 4);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
