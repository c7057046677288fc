/* test-tarred-disk.c: images of Google Compute Engine's, a disk in a tar: with a map of its holes and without, damaged and cut off. */
#include "tarred-disk.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DISK_BYTES (64u * 512)
#define END_BYTES  1024u

enum { AT_SIZE = 124, AT_SUM = 148, AT_TYPE = 156, AT_MAP = 386, AT_MORE = 482, AT_REAL = 483, AT_MORE_BEHIND = 504 };

struct stream {
	uint8_t bytes[256 << 10];
	size_t n, at;
	uint8_t disk[DISK_BYTES];
	unsigned written;
};

static int read_stream(void *ctx, void *to, size_t n, struct err *e)
{
	struct stream *s = ctx;

	if (s->at == s->n)
		return 1;
	if (n > s->n - s->at)
		return err_set(e, EINVAL, "cut off");
	memcpy(to, s->bytes + s->at, n);
	s->at += n;
	return 0;
}

static int write_disk(void *ctx, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct stream *s = ctx;

	(void)e;
	assert_true(at <= sizeof(s->disk) && n <= sizeof(s->disk) - at);
	memcpy(s->disk + at, p, n);
	s->written++;
	return 0;
}

/* ---- an archive ---- */

static void sum(uint8_t *h)
{
	char text[16];
	unsigned total = 0, i;

	memset(h + AT_SUM, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		total += h[i];
	snprintf(text, sizeof(text), "%06o", total);
	memcpy(h + AT_SUM, text, 7);
}

static void put(uint8_t *field, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%011llo", (unsigned long long)v);
	memcpy(field, text, 12);
}

static void end(struct stream *s)
{
	memset(s->bytes + s->n, 0, END_BYTES);
	s->n += END_BYTES;
}

static void plain(struct stream *s, const char *name)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	tar_header(s->bytes, name, DISK_BYTES, 0);
	for (i = 0; i < DISK_BYTES; i++)
		s->bytes[TAR_BLOCK + i] = (uint8_t)(1 + i / 512);
	s->n = TAR_BLOCK + DISK_BYTES;
	end(s);
}

struct piece {
	uint64_t at, n;
};

/* Each piece has its number, from 1 on. */
static void sparse(struct stream *s, const struct piece *p, size_t count, uint64_t size)
{
	uint8_t *h = s->bytes;
	size_t i, in = 0, room = 4, at = AT_MAP;

	memset(s, 0, sizeof(*s));
	tar_header(h, TARRED_DISK, size, 0);
	memcpy(h + TAR_MAGIC_AT, "ustar  ", 8);
	h[AT_TYPE] = 'S';
	put(h + AT_REAL, DISK_BYTES);
	s->n = TAR_BLOCK;
	for (i = 0; i < count; i++, in++) {
		if (in == room) {
			h[h == s->bytes ? AT_MORE : AT_MORE_BEHIND] = 1;
			h = s->bytes + s->n;
			s->n += TAR_BLOCK;
			room = 21;
			in = at = 0;
		}
		put(h + at + in * 24, p[i].at);
		put(h + at + in * 24 + 12, p[i].n);
	}
	sum(s->bytes);
	for (i = 0; i < count; i++) {
		memset(s->bytes + s->n, (int)i + 1, p[i].n);
		s->n += p[i].n;
	}
	s->n = (s->n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	end(s);
}

/* In posix format (pax): an extended header, and a member of that name, whose contents begin with the map if it has one. */
static void posix(struct stream *s, const char *records, const char *name, const char *map, size_t data)
{
	size_t all = map ? (strlen(map) + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK + data : data, i;
	uint8_t *h = s->bytes;

	memset(s, 0, sizeof(*s));
	tar_header(h, "./PaxHeaders/disk.raw", strlen(records), 0);
	h[AT_TYPE] = 'x';
	sum(h);
	memcpy(h + TAR_BLOCK, records, strlen(records));
	s->n = (2 * TAR_BLOCK + strlen(records) - 1) / TAR_BLOCK * TAR_BLOCK;
	tar_header(s->bytes + s->n, name, all, 0);
	s->n += TAR_BLOCK;
	if (map)
		memcpy(s->bytes + s->n, map, strlen(map));
	for (i = all - data; i < all; i++)
		s->bytes[s->n + i] = (uint8_t)(1 + (i - (all - data)) / 512);
	s->n += (all + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	end(s);
}

#define TIMES	"30 mtime=1796021723.312800492\n"
#define SPARSED "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.name=disk.raw\n29 GNU.sparse.realsize=32768\n" TIMES

static int read_it(struct stream *s, struct err *e)
{
	s->at = 0;
	return tarred_disk_read(DISK_BYTES, read_stream, write_disk, s, e);
}

static void refused(struct stream *s, const char *why)
{
	struct err e;

	assert_int_equal(read_it(s, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not why: %s", why, e.msg);
}

/* ---- tests ---- */

static void a_disk_without_a_map_is_whole(void **state)
{
	static struct stream s;
	uint64_t bytes = 0;
	struct err e;

	(void)state;
	plain(&s, "./" TARRED_DISK);
	assert_true(tarred_disk_is(s.bytes, s.n, &bytes));
	assert_int_equal(bytes, DISK_BYTES);
	assert_int_equal(read_it(&s, &e), 0);
	assert_memory_equal(s.disk, s.bytes + TAR_BLOCK, DISK_BYTES);
	assert_int_equal(s.at, s.n);
}

static void pieces_go_where_the_map_says(void **state)
{
	static struct stream s;
	struct piece p[32];
	uint64_t bytes = 0;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < 31; i++) /* beyond the header, and one that follows it */
		p[i] = (struct piece){2 * 512 * i, i == 30 ? 100 : 512};
	p[31] = (struct piece){DISK_BYTES, 0}; /* a hole at the end */
	sparse(&s, p, 32, 30 * 512 + 100);
	assert_true(tarred_disk_is(s.bytes, s.n, &bytes));
	assert_int_equal(bytes, DISK_BYTES);
	if (read_it(&s, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(s.written, 31);
	for (i = 0; i < DISK_BYTES; i++)
		assert_int_equal(s.disk[i], i / 512 % 2 || i >= 60 * 512 + 100 ? 0 : i / 1024 + 1);
	memset(s.bytes + TAR_BLOCK + 512 * 2, 0, 512); /* zeros that are no hole are one here */
	s.written = 0;
	assert_int_equal(read_it(&s, &e), 0);
	assert_int_equal(s.written, 30);
}

static void a_map_that_cannot_be_is_refused(void **state)
{
	static const struct {
		struct piece p[2];
		size_t count;
		uint64_t size;
		const char *why;
	} cases[] = {
		{{{512, 512}, {0, 512}}, 2, 1024, "not in their place"},
		{{{0, 1024}, {512, 512}}, 2, 1536, "not in their place"},
		{{{DISK_BYTES, 512}}, 1, 512, "not in their place"},
		{{{DISK_BYTES - 512, 1024}}, 1, 1024, "not in their place"},
		{{{0, 100}, {1024, 512}}, 2, 612, "not in their place"},
		{{{(uint64_t)1 << 32, 512}}, 1, 512, "not in their place"},
		{{{0, 512}}, 1, 1024, "512 bytes that are none, and its header says 1024"},
		{{{0, 1024}}, 1, 512, "1024 bytes that are none, and its header says 512"},
	};
	static struct stream s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		sparse(&s, cases[i].p, cases[i].count, cases[i].size);
		refused(&s, cases[i].why);
		assert_int_equal(s.written, 0);
	}
	sparse(&s, cases[0].p, 1, 512);
	s.bytes[AT_MAP] = 'x';
	sum(s.bytes);
	refused(&s, "no number");
}

/* The second block again and again, but not for ever, lest a test never ends. */
static int repeat_second(void *ctx, void *to, size_t n, struct err *e)
{
	struct stream *s = ctx;

	if (s->at > (size_t)TARRED_PIECES_MAX * TAR_BLOCK)
		return err_set(e, EIO, "nobody has ended it");
	memcpy(to, s->bytes + MIN(s->at, TAR_BLOCK), n);
	s->at += n;
	return 0;
}

/* A map of headers without pieces, for as long as somebody likes. */
static void a_map_without_an_end_is_refused(void **state)
{
	static const struct piece p = {0, 512};
	static struct stream s;
	struct err e;

	(void)state;
	sparse(&s, &p, 1, 512);
	s.bytes[AT_MORE] = 1;
	sum(s.bytes);
	memset(s.bytes + TAR_BLOCK, 0, TAR_BLOCK);
	s.bytes[TAR_BLOCK + AT_MORE_BEHIND] = 1;
	assert_int_equal(tarred_disk_read(DISK_BYTES, repeat_second, write_disk, &s, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "does not end"));
}

static void a_disk_in_posix_format_is_whole(void **state)
{
	static struct stream s;
	uint64_t bytes = 0;
	struct err e;
	size_t i;

	(void)state;
	posix(&s, TIMES, "disk.raw", NULL, DISK_BYTES);
	assert_true(tarred_disk_is(s.bytes, s.n, &bytes));
	assert_int_equal(bytes, DISK_BYTES);
	assert_false(tarred_disk_is(s.bytes, 2 * TAR_BLOCK, &bytes)); /* the member's own header is needed */
	assert_int_equal(read_it(&s, &e), 0);
	for (i = 0; i < DISK_BYTES; i++)
		assert_int_equal(s.disk[i], 1 + i / 512);
	posix(&s, SPARSED, "./GNUSparseFile.7/disk.raw", "3\n0\n512\n2048\n1124\n32768\n0\n", 512 + 1124);
	assert_true(tarred_disk_is(s.bytes, s.n, &bytes));
	assert_int_equal(bytes, DISK_BYTES);
	if (read_it(&s, &e))
		fail_msg("%s", e.msg);
	for (i = 0; i < DISK_BYTES; i++)
		assert_int_equal(s.disk[i], i < 512 ? 1 : i >= 2048 && i < 2048 + 1124 ? 2 + (i - 2048) / 512 : 0);
	for (i = s.n - END_BYTES; i; i -= 64) { /* cut off anywhere */
		s.n = i;
		refused(&s, "cut off");
	}
}

static void a_posix_map_that_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *map;
		size_t data;
		const char *why;
	} cases[] = {
		{"1\n0\n1024\n", 512, "has 1024 bytes that are none, and its header says 512"},
		{"2\n512\n512\n0\n512\n", 1024, "not in their place"},
		{"1\n32768\n512\n", 512, "not in their place"},
		{"1\nx\n512\n", 512, "no number"},
		{"1\n-1\n512\n", 512, "no number"},
		{"1\n99999999999999999999\n512\n", 512, "no number"},
		{"1\n000000000000000000000000\n512\n", 512, "no number"},
		{"99999999\n0\n0\n", 0, "no number"}, /* the rest of its block */
	};
	static struct stream s;
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		posix(&s, SPARSED, "./GNUSparseFile.7/disk.raw", cases[i].map, cases[i].data);
		refused(&s, cases[i].why);
		assert_int_equal(s.written, 0);
	}
	posix(&s, "22 GNU.sparse.major=2\n" TIMES, "disk.raw", NULL, DISK_BYTES); /* an unknown version */
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	posix(&s, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=1\n" TIMES, "disk.raw", NULL, DISK_BYTES);
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	posix(&s, "99 mtime=1\n", "disk.raw", NULL, DISK_BYTES);
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	posix(&s, TIMES, "box.img", NULL, DISK_BYTES);
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
}

static void what_is_cut_off_is_refused(void **state)
{
	static const struct piece p[6] = {{0, 512}, {1024, 512}, {2048, 512}, {3072, 512}, {4096, 512}, {5120, 512}};
	static struct stream s;
	size_t n;

	(void)state;
	sparse(&s, p, 6, 6 * 512);
	for (n = 0; n <= s.n - END_BYTES; n += 64) {
		s.n = n;
		refused(&s, "cut off");
		sparse(&s, p, 6, 6 * 512);
	}
}

static void what_is_another_archive_is_refused(void **state)
{
	static struct stream s;
	uint64_t bytes;

	(void)state;
	plain(&s, "box.img");
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	refused(&s, "does not begin with disk.raw");
	plain(&s, TARRED_DISK);
	s.bytes[AT_TYPE] = '2'; /* a link */
	sum(s.bytes);
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	plain(&s, TARRED_DISK);
	s.bytes[0] = 'D'; /* a header with a wrong checksum */
	assert_false(tarred_disk_is(s.bytes, s.n, &bytes));
	plain(&s, TARRED_DISK);
	put(s.bytes + AT_SIZE, DISK_BYTES + 512);
	sum(s.bytes);
	refused(&s, "does not begin with disk.raw, a disk of 32768 bytes");
	plain(&s, TARRED_DISK);
	tar_header(s.bytes + s.n - END_BYTES, "manifest.json", 0, 0);
	refused(&s, "the archive has 'manifest.json' behind disk.raw");
	plain(&s, TARRED_DISK);
	memset(s.bytes + s.n - END_BYTES, 'x', 512);
	refused(&s, "invalid tar header behind the disk");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_without_a_map_is_whole),   cmocka_unit_test(pieces_go_where_the_map_says),
		cmocka_unit_test(a_map_that_cannot_be_is_refused), cmocka_unit_test(a_map_without_an_end_is_refused),
		cmocka_unit_test(a_disk_in_posix_format_is_whole), cmocka_unit_test(a_posix_map_that_cannot_be_is_refused),
		cmocka_unit_test(what_is_cut_off_is_refused),	   cmocka_unit_test(what_is_another_archive_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
