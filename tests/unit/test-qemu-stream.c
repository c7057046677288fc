/*
 * test-qemu-stream.c: the walker against streams built here (both layouts, all known traps),
 * against damaged ones, and against captures of real QEMUs (tests/data/streams). The run state that they
 * end with, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>
/* cmocka.h wants the above */
#include <cmocka.h>

#include "qemu-multifd.h"
#include "qemu-runstate.h"
#include "qemu-stream.h"
#include "qemu-rp.h"
#include "util.h"

#define PAGE   QEMU_PAGE_BYTES
#define RAM_ID 2

/* --- bytes --- */

struct buf {
	uint8_t *p;
	size_t n, cap;
};

static void put(struct buf *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->p = xrealloc(b->p, b->cap);
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_be(struct buf *b, uint64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--) {
		uint8_t c = (uint8_t)(v >> (8 * i));

		put(b, &c, 1);
	}
}

static void put_name(struct buf *b, const char *name)
{
	put_be(b, strlen(name), 1);
	put(b, name, strlen(name));
}

static void put_command(struct buf *b, unsigned command, size_t n, uint32_t value)
{
	put_be(b, 0x08, 1);
	put_be(b, command, 2);
	put_be(b, n, 2);
	put_be(b, value, (int)n);
}

static void put_header(struct buf *b)
{
	put(b, "QEVM\0\0\0\3", 8);
	put_be(b, 0x07, 1);
	put_be(b, 11, 4);
	put(b, "pc-q35-10.0", 11);
}

static void put_start(struct buf *b)
{
	put_be(b, 0x01, 1);
	put_be(b, RAM_ID, 4);
	put_name(b, "ram");
	put_be(b, 0, 4);
	put_be(b, 4, 4);
}

static void put_list(struct buf *b)
{
	put_be(b, 0x13000 | 0x04, 8);
	put_name(b, "pc.ram");
	put_be(b, 0x10000, 8);
	put_name(b, "/rom@etc/acpi/tables");
	put_be(b, 0x2000, 8);
	put_name(b, "pc.bios");
	put_be(b, 0x1000, 8);
}

static void put_footer(struct buf *b)
{
	put_be(b, 0x7e, 1);
	put_be(b, RAM_ID, 4);
}

static void put_eos(struct buf *b)
{
	put_be(b, 0x10, 8);
	put_footer(b);
}

static void put_setup(struct buf *b, bool flush)
{
	put_start(b);
	put_list(b);
	if (flush)
		put_be(b, 0x200, 8);
	put_eos(b);
}

static void put_section(struct buf *b, unsigned type)
{
	put_be(b, type, 1);
	put_be(b, RAM_ID, 4);
}

#define BITMAP_ID 7

/* The section of the dirty bitmap that holds QEMU, as 7.2, 10.0 and 11.1 send it. */
static void put_bitmap_start(struct buf *b)
{
	put_be(b, 0x01, 1);
	put_be(b, BITMAP_ID, 4);
	put_name(b, "dirty-bitmap");
	put_be(b, 0, 4);
	put_be(b, 1, 4);
	put_be(b, 0x1c, 1); /* START, node, bitmap */
	put_name(b, "vmferry-01234567-hold");
	put_name(b, "hold");
	put_be(b, 0x10000, 4); /* granularity */
	put_be(b, 1, 1);
	put_be(b, 0x01, 1); /* EOS */
	put_be(b, 0x7e, 1);
	put_be(b, BITMAP_ID, 4);
}

static void put_bitmap_part(struct buf *b)
{
	put_be(b, 0x02, 1);
	put_be(b, BITMAP_ID, 4);
	put_be(b, 0x01, 1);
	put_be(b, 0x7e, 1);
	put_be(b, BITMAP_ID, 4);
}

static void put_bitmap_end(struct buf *b)
{
	put_be(b, 0x03, 1);
	put_be(b, BITMAP_ID, 4);
	put_be(b, 0x4e, 1); /* bits, of zeroes, with both names */
	put_name(b, "vmferry-01234567-hold");
	put_name(b, "hold");
	put_be(b, 0, 8);
	put_be(b, 2048, 4);
	put_be(b, 0x20, 1); /* complete, with no name */
	put_be(b, 0x01, 1);
	put_be(b, 0x7e, 1);
	put_be(b, BITMAP_ID, 4);
}

/* A NULL block: the record continues the last one. */
static void put_page(struct buf *b, const char *block, uint64_t offset, uint8_t fill)
{
	uint8_t page[PAGE];

	put_be(b, offset | 0x08 | (block ? 0 : 0x20), 8);
	if (block)
		put_name(b, block);
	memset(page, fill, sizeof(page));
	put(b, page, sizeof(page));
}

static void put_zero(struct buf *b, const char *block, uint64_t offset, uint8_t fill)
{
	put_be(b, offset | 0x02 | (block ? 0 : 0x20), 8);
	if (block)
		put_name(b, block);
	put_be(b, fill, 1);
}

static const uint8_t device_state[] = "\4\0\0\0\0\5timer\0\0\0\0\0\0\0\2 anything, \2\3\7\x7e too"
				      "\0\6\0\0\0\2{}";
#define DEVICE_BYTES (sizeof(device_state) - 1)
#define FOOTER_BYTES 5

static void put_device_state(struct buf *b)
{
	put(b, device_state, DEVICE_BYTES);
}

/* QEMU 10, with subsections, a section that begins with CONTINUE, several flushes,
 * SWITCHOVER_START. */
static struct buf modern(void)
{
	struct buf b = {0};

	put_header(&b);
	put_be(&b, 0x05, 1);
	put_name(&b, "configuration/target-page-bits");
	put_be(&b, 1, 4);
	put_be(&b, 12, 4);
	put_be(&b, 0x05, 1);
	put_name(&b, "configuration/uuid");
	put_be(&b, 1, 4);
	put(&b, "0123456789abcdef", 16);
	put_command(&b, 1, 0, 0);
	put_command(&b, 2, 4, 1);
	put_command(&b, 3, 0, 0); /* POSTCOPY_ADVISE, of the dirty bitmap */
	put_bitmap_start(&b);
	put_setup(&b, true);
	put_section(&b, 0x02);
	put_page(&b, "pc.ram", 0x3000, 0xa1);
	put_page(&b, NULL, 0x4000, 0xa2);
	put_be(&b, 0x200, 8);
	put_eos(&b);
	put_bitmap_part(&b);
	put_section(&b, 0x02);
	put_zero(&b, NULL, 0xf000, 0);
	put_page(&b, "/rom@etc/acpi/tables", 0x1000, 0xb1);
	put_be(&b, 0x200, 8);
	put_be(&b, 0x200, 8);
	put_eos(&b);
	put_section(&b, 0x02);
	put_eos(&b);
	put_command(&b, 11, 0, 0);
	put_bitmap_end(&b);
	put_section(&b, 0x03);
	put_page(&b, NULL, 0, 0xb2);
	put_be(&b, 0x200, 8);
	put_eos(&b);
	put_device_state(&b);
	return b;
}

static struct buf modern_thin(void)
{
	struct buf b = {0};

	put_header(&b);
	put_be(&b, 0x05, 1);
	put_name(&b, "configuration/target-page-bits");
	put_be(&b, 1, 4);
	put_be(&b, 12, 4);
	put_be(&b, 0x05, 1);
	put_name(&b, "configuration/uuid");
	put_be(&b, 1, 4);
	put(&b, "0123456789abcdef", 16);
	put_command(&b, 1, 0, 0);
	put_command(&b, 2, 4, 1);
	put_setup(&b, false);
	put_command(&b, 11, 0, 0);
	put_section(&b, 0x03);
	put_eos(&b);
	put_device_state(&b);
	return b;
}

/* Machine types before 8.1: no flush, zero pages on the main channel, no subsections. */
static struct buf legacy(void)
{
	struct buf b = {0};

	put_header(&b);
	put_command(&b, 1, 0, 0);
	put_command(&b, 2, 4, 1);
	put_bitmap_start(&b);
	put_setup(&b, false);
	put_section(&b, 0x02);
	put_zero(&b, "pc.ram", 0x1000, 0);
	put_zero(&b, NULL, 0x2000, 0);
	put_zero(&b, "pc.bios", 0, 0);
	put_eos(&b);
	put_section(&b, 0x03);
	put_zero(&b, "pc.ram", 0x1000, 0);
	put_page(&b, NULL, 0x2000, 7);
	put_eos(&b);
	put_bitmap_end(&b); /* QEMU 11.1 has it behind RAM's */
	put_device_state(&b);
	return b;
}

/* --- what the walker tells, written down --- */

struct seen {
	struct buf thin;
	char log[4096];
	size_t log_n;
	unsigned pages, zeros, flushes, sections[3], blocks;
	const uint8_t *lo, *hi; /* bounds of the input */
	unsigned direct;	/* pages handed out from the input itself */
	const struct ram_block *list;
	size_t ram_end; /* bytes of the thin stream before the footer of RAM's last section */
	bool pause_all, pause_flush;
	int fail_page;
	bool quiet;
};

__attribute__((format(printf, 2, 3))) static void note(struct seen *s, const char *fmt, ...)
{
	va_list ap;

	if (s->quiet || s->log_n > sizeof(s->log) - 100)
		return;
	va_start(ap, fmt);
	s->log_n += (size_t)vsnprintf(s->log + s->log_n, 80, fmt, ap);
	va_end(ap);
	s->log_n += (size_t)snprintf(s->log + s->log_n, 20, " @%zu\n", s->thin.n);
}

static int on_thin(void *ctx, const uint8_t *p, size_t n)
{
	struct seen *s = ctx;

	put(&s->thin, p, n);
	return s->pause_all;
}

static int on_blocks(void *ctx, const struct ram_block *blocks, size_t count)
{
	struct seen *s = ctx;

	s->blocks += (unsigned)count;
	s->list = blocks;
	for (size_t i = 0; i < count; i++)
		note(s, "block %.20s %" PRIx64, blocks[i].name, blocks[i].used_bytes);
	return s->pause_all;
}

static int on_page(void *ctx, unsigned block, uint64_t offset, const uint8_t *data)
{
	struct seen *s = ctx;
	unsigned sum = 0;

	for (unsigned i = 0; i < PAGE; i++)
		sum += data[i];
	s->pages++;
	s->direct += data >= s->lo && data + PAGE <= s->hi;
	note(s, "page %u %" PRIx64 " %x", block, offset, sum / PAGE);
	return s->fail_page ? s->fail_page : s->pause_all;
}

static int on_zero(void *ctx, unsigned block, uint64_t offset)
{
	struct seen *s = ctx;

	s->zeros++;
	note(s, "zero %u %" PRIx64, block, offset);
	return s->pause_all;
}

static int on_flush(void *ctx)
{
	struct seen *s = ctx;

	s->flushes++;
	note(s, "flush");
	return s->pause_all || s->pause_flush;
}

static int on_section_end(void *ctx, enum ram_section which)
{
	struct seen *s = ctx;

	s->sections[which]++;
	s->ram_end = s->thin.n;
	note(s, "end %d", which);
	return s->pause_all;
}

static int on_ping(void *ctx, uint32_t value)
{
	struct seen *s = ctx;

	note(s, "ping %" PRIu32, value);
	return s->pause_all;
}

static int on_return_path(void *ctx)
{
	struct seen *s = ctx;

	note(s, "return path");
	return s->pause_all;
}

static int on_mark(void *ctx)
{
	struct seen *s = ctx;

	note(s, "mark");
	return s->pause_all;
}

static const struct qemu_stream_handlers handlers = {
	on_thin, on_blocks, on_page, on_zero, on_flush, on_section_end, on_ping, on_return_path, on_mark,
};

/* Pushes all of p, in pieces of their own memory so that a read beyond the end is seen by ASan. */
static int feed(struct qemu_stream *w, struct seen *s, const uint8_t *p, size_t n, struct err *e)
{
	AUTO_FREE uint8_t *copy = xmalloc(n + !n);
	size_t pos = 0, used = 0;
	int ret = 0;

	memcpy(copy, p, n);
	s->lo = copy;
	s->hi = copy + n;
	while (pos < n) {
		ret = qemu_stream_push(w, copy + pos, n - pos, &used, e);
		if (ret < 0)
			return ret;
		assert_true(used > 0 && used <= n - pos);
		assert_true(ret == 1 || used == n - pos);
		pos += used;
	}
	return 0;
}

/* Bytes of the thin stream after RAM's last section: device state. */
static size_t device_bytes(const struct seen *s)
{
	return s->sections[RAM_COMPLETE] && s->thin.n > s->ram_end + FOOTER_BYTES ? s->thin.n - s->ram_end - FOOTER_BYTES : 0;
}

/* Walks p cut at `cut` (0: whole), to its end. */
static int walk(struct seen *s, const struct buf *b, size_t cut, struct err *e)
{
	struct qemu_stream *w = qemu_stream_new(&handlers, s);
	int ret = feed(w, s, b->p, cut, e);

	if (ret == 0)
		ret = feed(w, s, b->p + cut, b->n - cut, e);
	if (ret == 0)
		ret = device_bytes(s) ? 0 : -EPROTO; /* was it whole? */
	qemu_stream_free(w);
	return ret;
}

static void forget(struct seen *s)
{
	free(s->thin.p);
	*s = (struct seen){0};
}

static void assert_same(const struct seen *a, const struct seen *b)
{
	assert_string_equal(a->log, b->log);
	assert_int_equal(a->thin.n, b->thin.n);
	assert_memory_equal(a->thin.p, b->thin.p, a->thin.n);
}

/* --- the main channel --- */

static void thin_stream_is_the_stream_without_ram(void **state)
{
	struct buf in = modern(), want = modern_thin();
	struct seen s = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(walk(&s, &in, 0, &e), 0);
	assert_int_equal(s.thin.n, want.n);
	assert_memory_equal(s.thin.p, want.p, want.n);
	assert_string_equal(s.log, "return path @109\n"
				   "ping 1 @118\n"
				   "block pc.ram 10000 @203\n"
				   "block /rom@etc/acpi/tables 2000 @203\n"
				   "block pc.bios 1000 @203\n"
				   "flush @203\n"
				   "end 0 @211\n"
				   "page 0 3000 a1 @216\n"
				   "page 0 4000 a2 @216\n"
				   "flush @216\n"
				   "end 1 @216\n"
				   "zero 0 f000 @216\n"
				   "page 1 1000 b1 @216\n"
				   "flush @216\n"
				   "flush @216\n"
				   "end 1 @216\n"
				   "end 1 @216\n"
				   "mark @226\n"
				   "page 1 0 b2 @226\n"
				   "flush @226\n"
				   "end 2 @234\n");
	assert_int_equal(s.direct, s.pages);
	forget(&s);
	free(in.p);
	free(want.p);
}

static void old_layout_has_no_flush_and_zero_records(void **state)
{
	struct buf in = legacy();
	struct seen s = {0};
	struct err e = {0};
	struct qemu_stream *w = qemu_stream_new(&handlers, &s);

	(void)state;
	assert_int_equal(feed(w, &s, in.p, in.n, &e), 0);
	assert_false(qemu_stream_has_flush(w));
	assert_int_equal(device_bytes(&s), DEVICE_BYTES);
	assert_int_equal(qemu_stream_thin_bytes(w), s.thin.n);
	assert_string_equal(s.list[2].name, "pc.bios");
	assert_int_equal(s.blocks, 3);
	assert_non_null(strstr(s.log, "zero 2 0 @"));
	assert_non_null(strstr(s.log, "zero 0 1000 @"));
	assert_non_null(strstr(s.log, "page 0 2000 7 @"));
	assert_int_equal(s.zeros, 4);
	qemu_stream_free(w);
	forget(&s);
	free(in.p);
}

static void check_all_cuts(struct buf in)
{
	struct seen whole = {0}, s = {0};
	struct err e = {0};
	struct qemu_stream *w;

	assert_int_equal(walk(&whole, &in, 0, &e), 0);
	for (size_t cut = 1; cut < in.n; cut++) {
		assert_int_equal(walk(&s, &in, cut, &e), 0);
		assert_same(&s, &whole);
		forget(&s);
	}
	for (size_t piece = 1; piece < 70; piece++) {
		w = qemu_stream_new(&handlers, &s);
		s.pause_all = piece & 1;
		for (size_t i = 0; i < in.n; i += piece)
			assert_int_equal(feed(w, &s, in.p + i, MIN(piece, in.n - i), &e), 0);
		assert_int_equal(device_bytes(&s), DEVICE_BYTES);
		assert_same(&s, &whole);
		qemu_stream_free(w);
		forget(&s);
	}
	forget(&whole);
	free(in.p);
}

static void any_cut_and_any_pause_tells_the_same(void **state)
{
	(void)state;
	check_all_cuts(modern());
	check_all_cuts(legacy());
}

static void check_truncated(struct buf in)
{
	struct buf part = in;
	struct seen s = {.quiet = true};
	struct err e;

	for (part.n = 0; part.n < in.n; part.n++) {
		e.code = 0;
		assert_int_equal(walk(&s, &part, 0, &e), part.n <= in.n - DEVICE_BYTES ? -EPROTO : 0);
		forget(&s);
	}
	free(in.p);
}

static void cut_short_wants_more_and_is_not_whole(void **state)
{
	(void)state;
	check_truncated(modern());
	check_truncated(legacy());
}

static void check_flips(struct buf in)
{
	static const uint8_t flips[] = {0x01, 0x10, 0x80, 0xff};
	struct seen s = {.quiet = true};
	struct err e;
	size_t refused = 0;

	for (size_t i = 0; i < in.n * ARRAY_LEN(flips); i++) {
		uint8_t *byte = &in.p[i / ARRAY_LEN(flips)], flip = flips[i % ARRAY_LEN(flips)];

		*byte ^= flip;
		e.code = 0;
		if (walk(&s, &in, 0, &e) < 0 && e.code) { /* without a code it only wants more */
			refused++;
			assert_true(e.code == EPROTO || e.code == ENOTSUP);
			assert_true(strlen(e.msg) > 20);
		}
		*byte ^= flip;
		forget(&s);
	}
	assert_true(refused > 300);
	free(in.p);
}

static void any_flipped_byte_is_survived(void **state)
{
	(void)state;
	check_flips(modern());
	check_flips(legacy());
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Changes, removes and doubles random pieces, mostly outside of page content. */
static struct buf mutated(const struct buf *in, uint64_t *x)
{
	struct buf out = {0};
	size_t at = next_random(x) % in->n, n = next_random(x) % 24;

	n = MIN(n, in->n - at);
	put(&out, in->p, at);
	switch (next_random(x) % 3) {
	case 0:
		put_be(&out, next_random(x), (int)(next_random(x) % 9));
		put(&out, in->p + at + n, in->n - at - n);
		break;
	case 1:
		put(&out, in->p + next_random(x) % (in->n - 64), 64);
		put(&out, in->p + at, in->n - at);
		break;
	case 2:
		put(&out, in->p + at + n, in->n - at - n);
		break;
	}
	return out;
}

static void random_damage_is_survived(void **state)
{
	struct buf kinds[] = {modern(), legacy()};
	uint64_t x = 0x9e3779b97f4a7c15, end = now_ns() + 1500000000;
	unsigned rounds = 0;

	(void)state;
	while (now_ns() < end) {
		struct buf one = mutated(&kinds[rounds % 2], &x), two = mutated(&one, &x);
		struct seen s = {.quiet = true, .pause_all = rounds & 4};
		struct err e = {0};

		walk(&s, &two, next_random(&x) % two.n, &e);
		forget(&s);
		free(one.p);
		free(two.p);
		rounds++;
	}
	assert_true(rounds > 100);
	free(kinds[0].p);
	free(kinds[1].p);
}

static void pause_stops_right_after_the_flush(void **state)
{
	struct buf in = modern();
	struct seen s = {.pause_flush = true};
	struct qemu_stream *w = qemu_stream_new(&handlers, &s);
	struct err e = {0};
	size_t pos = 0, used;
	unsigned pauses = 0;
	int ret;

	(void)state;
	while ((ret = qemu_stream_push(w, in.p + pos, in.n - pos, &used, &e)) == 1) {
		pos += used;
		assert_int_equal(s.flushes, ++pauses);
		assert_memory_equal(in.p + pos - 8, "\0\0\0\0\0\0\2\0", 8);
	}
	assert_int_equal(ret, 0);
	assert_int_equal(pos + used, in.n);
	assert_int_equal(pauses, 5);
	qemu_stream_free(w);
	forget(&s);
	free(in.p);
}

static void handler_error_is_passed_on_and_sticks(void **state)
{
	struct buf in = modern();
	struct seen s = {.fail_page = -EIO};
	struct qemu_stream *w = qemu_stream_new(&handlers, &s);
	struct err e = {0};
	size_t used = 77;

	(void)state;
	assert_int_equal(qemu_stream_push(w, in.p, in.n, &used, &e), -EIO);
	assert_int_equal(used, 77);
	assert_int_equal(s.pages, 1);
	assert_int_equal(qemu_stream_push(w, in.p, in.n, &used, &e), -EIO);
	assert_int_equal(s.pages, 1);
	qemu_stream_free(w);
	forget(&s);
	free(in.p);
}

/* --- layouts that are refused --- */

static void after_header(struct buf *b)
{
	put_header(b);
}

static void after_setup(struct buf *b)
{
	put_header(b);
	put_setup(b, false);
}

static void in_part(struct buf *b)
{
	after_setup(b);
	put_section(b, 0x02);
}

static void in_list(struct buf *b)
{
	put_header(b);
	put_start(b);
}

/* Right after the chunk that begins it. */
static void in_bitmap(struct buf *b)
{
	put_header(b);
	put_bitmap_start(b);
	b->n -= 6; /* EOS, footer */
}

static void bitmap_without_end(struct buf *b)
{
	put_header(b);
	put_bitmap_start(b);
	put_setup(b, false);
}

static void before_header(struct buf *b)
{
	(void)b;
}

/* The bytes in `hex` after what `before` wrote are refused with `code` and a message that has
 * `says`. */
static const struct refused {
	const char *name;
	void (*before)(struct buf *b);
	const char *hex;
	int code;
	const char *says;
} refused[] = {
	{"magic", before_header, "5145564e00000003", EPROTO, "magic"},
	{"version 2", before_header, "5145564d00000002", ENOTSUP, "version 2 at offset 0; use --ram-mode"},
	{"empty machine name", before_header, "5145564d00000003 07 00000000", EPROTO, "machine name"},
	{"long machine name", before_header, "5145564d00000003 07 00000100", EPROTO, "machine name"},
	{"capability", after_header, "05 1a 636f6e66696775726174696f6e2f6361706162696c6974696573 00000001 00000001", ENOTSUP,
	 "1 capabilities"},
	{"subsection 'a'", after_header, "05 01 61 00000001", ENOTSUP, "subsection 'a'"},
	{"subsection version 2", after_header, "05 01 61 00000002", ENOTSUP, "version 2"},
	{"subsection with control bytes", after_header, "05 02 1b61 00000001", ENOTSUP, "'?a'"},
	{"subsection without a name", after_header, "05 00", EPROTO, "without a name"},
	{"subsection elsewhere", after_setup, "05", ENOTSUP, "out of place"},
	{"second configuration", after_header, "07", ENOTSUP, "out of place"},
	{"section type 9", after_header, "09", ENOTSUP, "type 0x09 at offset 24; use --ram-mode opaque"},
	{"device state before RAM", after_header, "04", ENOTSUP, "before RAM was complete"},
	{"device state before RAM's end", after_setup, "04", ENOTSUP, "before RAM was complete"},
	{"EOF before RAM's end", after_setup, "00", EPROTO, "its end, before RAM"},
	{"PART before START", after_header, "02", EPROTO, "before its start"},
	{"postcopy advise", after_header, "08 0003 0010", ENOTSUP, "command 3 (postcopy"},
	{"packaged", after_setup, "08 0007 0004", ENOTSUP, "command 7"},
	{"ping of 5 bytes", after_header, "08 0002 0005", EPROTO, "command 2 with 5 bytes"},
	{"return path with data", after_header, "08 0001 0001", EPROTO, "command 1 with 1 bytes"},
	{"another's dirty bitmap", after_header, "01 00000001 0c 64697274792d6269746d6170 00000000 00000001 1c 02 6430", ENOTSUP,
	 "bitmap that the move did not make"},
	{"dirty bitmap version 2", after_header, "01 00000001 0c 64697274792d6269746d6170 00000000 00000002", ENOTSUP, "version 2"},
	{"dirty bitmap twice", in_bitmap, "01 7e 00000007 01 00000008 0c 64697274792d6269746d6170 00000000 00000001", ENOTSUP, "twice"},
	{"dirty bitmap that is written", in_bitmap, "40 0000000000000000 00000800", ENOTSUP, "not empty"},
	{"more dirty bitmap flags", in_bitmap, "81", ENOTSUP, "flags 0x81"},
	{"dirty bitmap of no node", in_bitmap, "08 00", EPROTO, "without a name"},
	{"dirty bitmap without a name", in_bitmap, "04 00", EPROTO, "without a name"},
	{"footer of a dirty bitmap", in_bitmap, "01 7e 00000002", EPROTO, "footer of section 2 in section 7"},
	{"section before any start", in_bitmap, "01 7e 00000007 02 00000002", ENOTSUP, "section 2"},
	{"device state before the end of a dirty bitmap", bitmap_without_end, "03 00000002 0000000000000010 7e 00000002 04", ENOTSUP,
	 "before the end of a dirty bitmap"},
	{"second end of RAM", bitmap_without_end, "03 00000002 0000000000000010 7e 00000002 03 00000002", ENOTSUP, "section 2"},
	{"dirty bitmaps after ram", after_setup, "01 00000003 01 61 00000000 00000001", ENOTSUP, "'a'"},
	{"ram version 5", after_header, "01 00000002 03 72616d 00000000 00000005", ENOTSUP, "version 5"},
	{"ram instance 1", after_header, "01 00000002 03 72616d 00000001 00000004", ENOTSUP, "instance 1"},
	{"ram twice", after_setup, "01 00000003 03 72616d 00000000 00000004", ENOTSUP, "second section"},
	{"section without a name", after_header, "01 00000002 00", EPROTO, "without a name"},
	{"other section", after_setup, "02 00000009", ENOTSUP, "section 9 while RAM is section 2"},
	{"pages before the list", in_list, "0000000000000028", ENOTSUP, "before the list"},
	{"EOS before the list", in_list, "0000000000000010", ENOTSUP, "before the list"},
	{"empty list", in_list, "0000000000000004", EPROTO, "empty list"},
	{"block without a name", in_list, "0000000000001004 00", EPROTO, "without a name"},
	{"NUL in a block's name", in_list, "0000000000001004 02 6100 0000000000001000", EPROTO, "NUL"},
	{"block larger than the sum", in_list, "0000000000001004 01 61 0000000000002000", EPROTO, "left"},
	{"odd block", in_list, "0000000000001004 01 61 0000000000000800", EPROTO, "left"},
	{"block twice", in_list, "0000000000002004 01 61 0000000000001000 01 61 0000000000001000", EPROTO, "'a' twice"},
	{"second list", in_part, "0000000000001004", ENOTSUP, "second list"},
	{"page in the setup section", in_list, "0000000000001004 01 61 0000000000001000 0000000000000008", ENOTSUP, "first RAM section"},
	{"no footer", in_part, "0000000000000010 0200000002", ENOTSUP, "no section footer"},
	{"other footer", in_part, "0000000000000010 7e00000003", EPROTO, "footer of section 3"},
	{"unexpected flush", in_part, "0000000000000200", ENOTSUP, "MULTIFD_FLUSH"},
	{"EOS with an address", in_part, "0000000000001010", EPROTO, "address with RAM flags"},
	{"xbzrle", in_part, "0000000000000040", ENOTSUP, "RAM flags 0x040"},
	{"hook", in_part, "0000000000000080", ENOTSUP, "RAM flags 0x080"},
	{"compressed page", in_part, "0000000000000100", ENOTSUP, "RAM flags 0x100"},
	{"page and zero", in_part, "000000000000000a", ENOTSUP, "RAM flags 0x00a"},
	{"no flags", in_part, "0000000000001000", ENOTSUP, "RAM flags 0x000"},
	{"flag 0x400", in_part, "0000000000000400", ENOTSUP, "RAM flags 0x400"},
	{"continues nothing", in_part, "0000000000000028", EPROTO, "continues no RAM block"},
	{"unlisted block", in_part, "0000000000000008 01 61", EPROTO, "unlisted RAM block 'a'"},
	{"block name of no bytes", in_part, "0000000000000008 00", EPROTO, "without a name"},
	{"page beyond its block", in_part, "0000000000010008 06 70632e72616d", EPROTO, "a page at 0x10000"},
	{"page at the end of all", in_part, "fffffffffffff008 06 70632e72616d", EPROTO, "a page at 0xf"},
	{"filled with 1", in_part, "0000000000000002 06 70632e72616d 01", ENOTSUP, "byte 0x01"},
};

static void put_hex(struct buf *b, const char *hex)
{
	unsigned byte;

	for (; *hex; hex += *hex == ' ' ? 1 : 2)
		if (*hex != ' ') {
			assert_int_equal(sscanf(hex, "%2x", &byte), 1);
			put_be(b, byte, 1);
		}
}

static void unknown_layouts_are_refused_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const struct refused *r = &refused[i];
		struct buf in = {0};
		struct seen s = {0};
		struct err e = {0};

		r->before(&in);
		put_hex(&in, r->hex);
		if (walk(&s, &in, 0, &e) != -r->code || !strstr(e.msg, r->says))
			fail_msg("%s: %d '%s'", r->name, e.code, e.msg);
		assert_int_equal(r->code == ENOTSUP, !!strstr(e.msg, "; use --ram-mode opaque"));
		forget(&s);
		free(in.p);
	}
}

static void too_many_blocks_are_refused(void **state)
{
	struct buf in = {0};
	struct seen s = {.quiet = true};
	struct err e = {0};
	char name[16];

	(void)state;
	in_list(&in);
	put_be(&in, (QEMU_BLOCKS_MAX + 1ULL) * PAGE | 0x04, 8);
	for (int i = 0; i <= QEMU_BLOCKS_MAX; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		put_name(&in, name);
		put_be(&in, PAGE, 8);
	}
	assert_int_equal(walk(&s, &in, 0, &e), -EPROTO);
	assert_non_null(strstr(e.msg, "more than 4096"));
	forget(&s);
	free(in.p);
}

static void block_check_wants_a_whole_aligned_page(void **state)
{
	static const struct ram_block b[] = {{"a", 2 * PAGE}, {"b", 0}, {"c", UINT64_MAX - PAGE + 1}};

	(void)state;
	assert_int_equal(ram_block_check(b, 3, 0, PAGE), 0);
	assert_int_equal(ram_block_check(b, 3, 0, 2 * PAGE), -EPROTO);
	assert_int_equal(ram_block_check(b, 3, 0, 1), -EPROTO);
	assert_int_equal(ram_block_check(b, 3, 1, 0), -EPROTO);
	assert_int_equal(ram_block_check(b, 3, 3, 0), -EPROTO);
	assert_int_equal(ram_block_check(b, 3, 2, UINT64_MAX - PAGE + 1), -EPROTO);
	assert_int_equal(ram_block_check(b, 3, 2, UINT64_MAX - 2 * PAGE + 1), 0);
	assert_int_equal(ram_block_find(b, 3, "c"), 2);
	assert_int_equal(ram_block_find(b, 3, "d"), -ENOENT);
}

/* --- multifd --- */

struct fields {
	uint32_t flags, alloc, normal, next, zero;
	const char *block;
	uint64_t first;	 /* offset of the first page; the others follow */
	unsigned filled; /* offsets that are set, also beyond those used */
};

static struct buf packet(struct fields f)
{
	struct buf b = {0};
	char name[256] = {0};

	put_be(&b, 0x11223344, 4);
	put_be(&b, 1, 4);
	put_be(&b, f.flags, 4);
	put_be(&b, f.alloc, 4);
	put_be(&b, f.normal, 4);
	put_be(&b, f.next, 4);
	put_be(&b, 0x1234567890, 8);
	put_be(&b, f.zero, 4);
	put_be(&b, 0, 4);
	for (int i = 0; i < 3; i++)
		put_be(&b, 0, 8);
	memcpy(name, f.block, strlen(f.block));
	put(&b, name, sizeof(name));
	for (unsigned i = 0; i < MULTIFD_PAGES_MAX; i++)
		put_be(&b, i < f.filled ? f.first + i * (uint64_t)PAGE : 0, 8);
	assert_int_equal(b.n, MULTIFD_PACKET_BYTES);
	return b;
}

static int decode(struct fields f, struct multifd_packet *out, struct err *e)
{
	struct buf b = packet(f);
	int ret = multifd_packet_decode(b.p, out, e);

	free(b.p);
	return ret;
}

static void multifd_packet_has_normal_then_zero_pages(void **state)
{
	struct multifd_packet p;
	struct err e = {0};

	(void)state;
	assert_int_equal(decode((struct fields){0, 128, 3, 3 * PAGE, 2, "pc.ram", 0x7000, 5}, &p, &e), 0);
	assert_false(p.sync);
	assert_string_equal(p.block, "pc.ram");
	assert_int_equal(p.normal_count, 3);
	assert_int_equal(p.zero_count, 2);
	assert_int_equal(p.payload_bytes, 3 * PAGE);
	assert_int_equal(p.packet_num, 0x1234567890);
	assert_int_equal(p.offsets[0], 0x7000);
	assert_int_equal(p.offsets[4], 0xb000);
	assert_int_equal(decode((struct fields){0, 128, 128, 0, 0, "pc.ram", 0, 128}, &p, &e), 0);
	assert_int_equal(p.payload_bytes, 128 * PAGE);
}

static void multifd_sync_packets_of_both_versions(void **state)
{
	struct multifd_packet p;
	struct err e = {0};

	(void)state;
	assert_int_equal(decode((struct fields){1, 0, 0, 0, 0, "", 0, 0}, &p, &e), 0);
	assert_true(p.sync);
	assert_int_equal(p.payload_bytes, 0);
	/* 7.2: everything stale, even odd offsets */
	assert_int_equal(decode((struct fields){1, 128, 0, 524288, 0, "pc.ram", 0x123, 128}, &p, &e), 0);
	assert_true(p.sync);
	assert_int_equal(p.payload_bytes, 0);
	assert_string_equal(p.block, "");
	/* 7.2: with data; next_packet_size lies */
	assert_int_equal(decode((struct fields){1, 128, 2, 524288, 0, "pc.ram", 0, 128}, &p, &e), 0);
	assert_true(p.sync);
	assert_int_equal(p.payload_bytes, 2 * PAGE);
}

static void multifd_nonsense_is_refused(void **state)
{
	static const struct {
		struct fields f;
		int code;
	} bad[] = {
		{{2, 128, 1, 0, 0, "pc.ram", 0, 1}, ENOTSUP},	 /* zlib */
		{{0x40, 128, 1, 0, 0, "pc.ram", 0, 1}, ENOTSUP}, /* device state */
		{{0, 256, 1, 0, 0, "pc.ram", 0, 1}, ENOTSUP},
		{{0, 128, 129, 0, 0, "pc.ram", 0, 128}, EPROTO},
		{{0, 128, 0, 0, 129, "pc.ram", 0, 128}, EPROTO},
		{{0, 128, 64, 0, 65, "pc.ram", 0, 128}, EPROTO},
		{{0, 128, 1, 0, UINT32_MAX, "pc.ram", 0, 1}, EPROTO},
		{{0, 128, UINT32_MAX, 0, 1, "pc.ram", 0, 1}, EPROTO},
		{{0, 128, 1, 0, 0, "", 0, 1}, EPROTO},
		{{0, 128, 1, 0, 0, "pc.ram", 0x800, 1}, EPROTO},
		{{0, 128, 0, 0, 1, "pc.ram", 0x1001, 1}, EPROTO},
	};
	struct multifd_packet p;
	struct err e = {0};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(decode(bad[i].f, &p, &e), -bad[i].code);
	b = packet((struct fields){0, 128, 1, PAGE, 0, "pc.ram", 0, 1});
	memset(b.p + 64, 'a', 256);
	assert_int_equal(multifd_packet_decode(b.p, &p, &e), -EPROTO);
	b.p[7] = 2;
	assert_int_equal(multifd_packet_decode(b.p, &p, &e), -ENOTSUP);
	b.p[0] = 2;
	assert_int_equal(multifd_packet_decode(b.p, &p, &e), -EPROTO);
	free(b.p);
}

static void multifd_damage_is_survived(void **state)
{
	struct buf b = packet((struct fields){0, 128, 100, 100 * PAGE, 28, "pc.ram", 0, 128});
	struct multifd_packet p;
	struct err e = {0};

	(void)state;
	b.p = xrealloc(b.p, b.n); /* no room behind it */
	for (size_t i = 0; i < b.n; i++)
		for (int flip = 1; flip < 256; flip++) {
			b.p[i] ^= (uint8_t)flip;
			if (multifd_packet_decode(b.p, &p, &e) == 0) {
				assert_true(p.normal_count + p.zero_count <= MULTIFD_PAGES_MAX);
				assert_int_equal(p.payload_bytes, p.normal_count * PAGE);
				assert_non_null(memchr(p.block, 0, sizeof(p.block)));
			}
			b.p[i] ^= (uint8_t)flip;
		}
	free(b.p);
}

static void multifd_init_names_the_channel(void **state)
{
	uint8_t in[MULTIFD_INIT_BYTES] = "\x11\x22\x33\x44\0\0\0\1uuid-uuid-uuid-u\3";
	struct multifd_init out;
	struct err e = {0};

	(void)state;
	assert_int_equal(multifd_init_decode(in, &out, &e), 0);
	assert_int_equal(out.id, 3);
	assert_memory_equal(out.uuid, "uuid-uuid-uuid-u", 16);
	assert_int_equal(qemu_channel_kind(in), QEMU_CHANNEL_MULTIFD);
	assert_int_equal(qemu_channel_kind((const uint8_t *)"QEVM"), QEMU_CHANNEL_MAIN);
	assert_int_equal(qemu_channel_kind((const uint8_t *)"HTTP"), QEMU_CHANNEL_UNKNOWN);
	in[7] = 2;
	assert_int_equal(multifd_init_decode(in, &out, &e), -ENOTSUP);
	in[0] = 0;
	assert_int_equal(multifd_init_decode(in, &out, &e), -EPROTO);
}

/* --- return path --- */

static void replies_are_as_captured(void **state)
{
	uint8_t out[8];

	(void)state;
	assert_int_equal(rp_encode_pong(out, 1), 8);
	assert_memory_equal(out, "\0\2\0\4\0\0\0\1", 8);
	assert_int_equal(rp_encode_shut(out), 8);
	assert_memory_equal(out, "\0\1\0\4\0\0\0\0", 8);
	assert_int_equal(rp_encode_switchover_ack(out), 4);
	assert_memory_equal(out, "\0\7\0\0", 4);
}

static void replies_are_decoded_at_any_cut(void **state)
{
	static const uint8_t in[] = "\0\7\0\0"
				    "\0\2\0\4\0\0\1\2"
				    "\0\5\0\3abc"
				    "\0\1\0\4\0\0\0\1";
	const size_t n = sizeof(in) - 1;

	(void)state;
	for (size_t piece = 1; piece <= n; piece++) {
		struct rp_decoder d = {0};
		struct rp_message m = {0};
		struct err e = {0};
		uint32_t values[4] = {9, 9, 9, 9};
		uint16_t types[4];
		size_t used = 0, count = 0;
		int ret;

		for (size_t pos = 0; pos < n; pos += used) {
			ret = rp_push(&d, in + pos, MIN(piece, n - pos), &used, &m, &e);
			assert_true(ret >= 0);
			if (ret == 0)
				continue;
			assert_true(count < 4);
			types[count] = m.type;
			values[count++] = m.value;
			if (m.type == 5)
				assert_memory_equal(m.data, "abc", m.data_bytes);
		}
		assert_int_equal(count, 4);
		assert_true(types[0] == RP_SWITCHOVER_ACK && types[1] == RP_PONG && types[2] == 5);
		assert_true(types[3] == RP_SHUT && values[1] == 0x102 && values[2] == 0 && values[3] == 1);
	}
}

static void bad_reply_lengths_are_refused(void **state)
{
	static const uint8_t bad[][4] = {{0, 2, 0, 5}, {0, 1, 0, 0}, {0, 7, 0, 1}, {0, 5, 0x10, 1}, {0, 5, 255, 255}};
	struct rp_message m;
	struct err e = {0};
	size_t used;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct rp_decoder d = {0};

		assert_int_equal(rp_push(&d, bad[i], 4, &used, &m, &e), -EPROTO);
		assert_int_equal(rp_push(&d, (const uint8_t *)"\0\7\0\0", 4, &used, &m, &e), 1);
	}
}

/* --- captures of real QEMUs --- */

static struct buf capture(const char *name)
{
	AUTO_FREE char *path = xasprintf("tests/data/streams/%s.zst", name);
	AUTO_FREE uint8_t *packed = xmalloc(MIB);
	FILE *f = fopen(path, "rb");
	struct buf b = {.p = xmalloc(MIB)};
	size_t n;

	if (!f)
		fail_msg("%s: %s (run from the top of the tree)", path, strerror(errno));
	n = fread(packed, 1, MIB, f);
	fclose(f);
	b.n = ZSTD_decompress(b.p, MIB, packed, n);
	assert_false(ZSTD_isError(b.n));
	return b;
}

struct channel {
	unsigned normal, zero, sync;
};

static void add_channel(const char *name, uint8_t id, const struct ram_block *blocks, size_t count, struct channel *sum)
{
	struct buf b = capture(name);
	struct multifd_init init;
	struct multifd_packet p;
	struct err e = {0};
	size_t pos = MULTIFD_INIT_BYTES;
	int block;

	assert_int_equal(multifd_init_decode(b.p, &init, &e), 0);
	assert_int_equal(init.id, id);
	while (pos < b.n) {
		assert_int_equal(multifd_packet_decode(b.p + pos, &p, &e), 0);
		block = ram_block_find(blocks, count, p.block);
		for (unsigned i = 0; i < p.normal_count + p.zero_count; i++)
			assert_int_equal(ram_block_check(blocks, count, (unsigned)block, p.offsets[i]), 0);
		sum->normal += p.normal_count;
		sum->zero += p.zero_count;
		sum->sync += p.sync;
		pos += MULTIFD_PACKET_BYTES + p.payload_bytes;
	}
	assert_int_equal(pos, b.n);
	free(b.p);
}

static void check_capture(const char *version, bool multifd, unsigned pages, unsigned zeros, size_t thin_bytes, bool has_flush)
{
	AUTO_FREE char *main_name = xasprintf("%s-main", version);
	struct buf b = capture(main_name);
	struct seen s = {.quiet = true};
	struct qemu_stream *w = qemu_stream_new(&handlers, &s);
	struct err e = {0};
	struct channel sum = {0};

	for (size_t i = 0; i < b.n; i += 1000)
		assert_int_equal(feed(w, &s, b.p + i, MIN(1000, b.n - i), &e), 0);
	assert_true(device_bytes(&s));
	assert_int_equal(s.blocks, 6);
	for (uint8_t i = 0; multifd && i < 2; i++) {
		AUTO_FREE char *name = xasprintf("%s-ch%u", version, i);

		add_channel(name, i, s.list, s.blocks, &sum);
	}
	assert_int_equal(s.pages + sum.normal, pages);
	assert_int_equal(s.zeros + sum.zero, zeros);
	assert_int_equal(s.thin.n, thin_bytes);
	assert_int_equal(qemu_stream_has_flush(w), has_flush);
	if (multifd)
		assert_int_equal(sum.sync, 2 * (has_flush ? s.flushes : s.sections[0] + s.sections[1] + s.sections[2]));
	assert_memory_equal(s.thin.p + s.thin.n - 2, "]}", 2);
	qemu_stream_free(w);
	forget(&s);
	free(b.p);
}

static void real_captures_are_walked(void **state)
{
	(void)state;
	check_capture("qemu-10.0-single", false, 7, 1099, 76569, false);
	check_capture("qemu-10.0-multifd", true, 7, 1099, 76569, true);
	check_capture("qemu-7.2-multifd", true, 7, 1099, 76231, false);
}

/* --- the run state at a stream's end --- */

#define VMDESC_BYTES 300

/* Section "globalstate", and the end of the stream up to VMDESC's text. */
static void put_state(struct buf *b, const char *state)
{
	uint8_t runstate[100] = {[32] = 1, [33] = 1}; /* QEMU 10 adds whether the guest slept, behind the name */

	memcpy(runstate, state, strlen(state));
	put_be(b, 0x0400000026, 5);
	put_name(b, "globalstate");
	put_be(b, 1, 8);
	put_be(b, strlen(state) + 1, 4);
	put(b, runstate, sizeof(runstate));
	put_be(b, 0x7e00000026, 5);
	put_be(b, 0x0006, 2);
	put_be(b, VMDESC_BYTES, 4);
}

static void put_zeroes(struct buf *b, size_t n)
{
	while (n--)
		put_be(b, 0, 1);
}

static struct buf ends_with(const char *state)
{
	struct buf b = {0};

	put_device_state(&b);
	put_zeroes(&b, 200);
	put_state(&b, state);
	put_zeroes(&b, VMDESC_BYTES);
	return b;
}

static enum qemu_runstate found_in(const uint8_t *p, size_t n, size_t piece)
{
	struct runstate_scan s = {0};

	for (size_t i = 0; i < n; i += piece) {
		uint8_t *part = xmalloc(MIN(piece, n - i)); /* a copy of the piece, whose bounds the sanitizer watches */

		memcpy(part, p + i, MIN(piece, n - i));
		runstate_scan(&s, part, MIN(piece, n - i));
		free(part);
	}
	return runstate_found(&s);
}

static void run_state_is_found_at_any_cut(void **state)
{
	static const struct {
		const char *name;
		enum qemu_runstate found;
	} states[] = {
		{"running", RUNSTATE_LIVE},
		{"suspended", RUNSTATE_LIVE},
		{"paused", RUNSTATE_STOPPED},
		{"io-error", RUNSTATE_STOPPED_BY_ERROR},
		{"watchdog", RUNSTATE_STOPPED_BY_ERROR},
		{"guest-panicked", RUNSTATE_STOPPED_BY_ERROR},
		{"internal-error", RUNSTATE_STOPPED_BY_ERROR},
		{"runn", RUNSTATE_STOPPED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		struct buf b = ends_with(states[i].name);

		for (size_t piece = 1; piece <= b.n; piece++)
			assert_int_equal(found_in(b.p, b.n, piece), states[i].found);
		free(b.p);
	}
}

/* Guest memory may hold the like, whole streams even. */
static void only_the_run_state_at_the_very_end_counts(void **state)
{
	struct buf b = ends_with("paused"), other = {0};

	(void)state;
	put_zeroes(&b, 1);
	for (size_t piece = 1; piece <= b.n; piece++)
		assert_int_equal(found_in(b.p, b.n, piece), RUNSTATE_UNKNOWN);
	assert_int_equal(found_in(b.p, b.n - 2, b.n), RUNSTATE_UNKNOWN);
	put_state(&b, "running");
	put_zeroes(&b, VMDESC_BYTES);
	for (size_t piece = 1; piece <= b.n; piece++)
		assert_int_equal(found_in(b.p, b.n, piece), RUNSTATE_LIVE);
	free(b.p);

	assert_int_equal(found_in(NULL, 0, 1), RUNSTATE_UNKNOWN);
	put_state(&other, "paused"); /* a section within the other's VMDESC, which is longer than QEMU's may be */
	put_state(&other, "running");
	put_zeroes(&other, VMDESC_BYTES);
	assert_int_equal(found_in(other.p, other.n, other.n), RUNSTATE_LIVE);
	free(other.p);
}

static void another_layout_has_no_run_state(void **state)
{
	struct buf b = ends_with("paused");
	size_t at = b.n - VMDESC_BYTES - RUNSTATE_BYTES;
	unsigned matters = 0;

	(void)state;
	for (size_t i = at; i < b.n; i++) {
		b.p[i] ^= 0x80;
		matters += found_in(b.p, b.n, b.n) == RUNSTATE_UNKNOWN;
		b.p[i] ^= 0x80;
	}
	/* all but the name's six letters (another is no live one), and what is behind its NUL, and VMDESC */
	assert_int_equal(matters, RUNSTATE_BYTES - 6 - 93);
	memset(b.p + at + 29, 'x', 100);
	assert_int_equal(found_in(b.p, b.n, b.n), RUNSTATE_UNKNOWN);
	free(b.p);
}

static void real_captures_end_with_a_run_state(void **state)
{
	static const char *const names[] = {"qemu-10.0-single-main", "qemu-10.0-multifd-main", "qemu-7.2-multifd-main"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct buf b = capture(names[i]);
		uint8_t *at = memmem(b.p, b.n, "prelaunch", 10);

		assert_int_equal(found_in(b.p, b.n, 1000), RUNSTATE_STOPPED);
		assert_int_equal(found_in(b.p, b.n - 1, 1000), RUNSTATE_UNKNOWN);
		memcpy(at - 4, "\0\0\0\x08running\0\0", 14);
		assert_int_equal(found_in(b.p, b.n, 1000), RUNSTATE_LIVE);
		free(b.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thin_stream_is_the_stream_without_ram),
		cmocka_unit_test(old_layout_has_no_flush_and_zero_records),
		cmocka_unit_test(any_cut_and_any_pause_tells_the_same),
		cmocka_unit_test(cut_short_wants_more_and_is_not_whole),
		cmocka_unit_test(any_flipped_byte_is_survived),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(pause_stops_right_after_the_flush),
		cmocka_unit_test(handler_error_is_passed_on_and_sticks),
		cmocka_unit_test(unknown_layouts_are_refused_with_a_reason),
		cmocka_unit_test(too_many_blocks_are_refused),
		cmocka_unit_test(block_check_wants_a_whole_aligned_page),
		cmocka_unit_test(multifd_packet_has_normal_then_zero_pages),
		cmocka_unit_test(multifd_sync_packets_of_both_versions),
		cmocka_unit_test(multifd_nonsense_is_refused),
		cmocka_unit_test(multifd_damage_is_survived),
		cmocka_unit_test(multifd_init_names_the_channel),
		cmocka_unit_test(replies_are_as_captured),
		cmocka_unit_test(replies_are_decoded_at_any_cut),
		cmocka_unit_test(bad_reply_lengths_are_refused),
		cmocka_unit_test(real_captures_are_walked),
		cmocka_unit_test(run_state_is_found_at_any_cut),
		cmocka_unit_test(only_the_run_state_at_the_very_end_counts),
		cmocka_unit_test(another_layout_has_no_run_state),
		cmocka_unit_test(real_captures_end_with_a_run_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
