/* test-xva.c: archives of XenServer's: what is taken, and what is damaged. */
#include "bundle-tar.h"
#include "hex.h"
#include "util.h"
#include "xva.h"

#include <errno.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include <cmocka.h>

#define BLOCK 4096u /* the first one says how long they are */

struct stream {
	uint8_t bytes[256 << 10];
	size_t n, at;
	uint8_t disk[8 * BLOCK];
	unsigned written; /* blocks */
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

static int write_disk(void *ctx, unsigned disk, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct stream *s = ctx;

	(void)e;
	assert_int_equal(disk, 4);
	assert_true(at <= sizeof(s->disk) && n <= sizeof(s->disk) - at);
	memcpy(s->disk + at, p, n);
	s->written++;
	return 0;
}

static void add(struct stream *s, const char *name, const void *p, size_t n)
{
	assert_true(s->n + 2 * TAR_BLOCK + n + TAR_BLOCK < sizeof(s->bytes));
	tar_header(s->bytes + s->n, name, n, 0);
	s->n += TAR_BLOCK;
	memcpy(s->bytes + s->n, p, n);
	s->n += (n + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static void digest(char out[64], const void *p, size_t n)
{
	uint8_t is[EVP_MAX_MD_SIZE];
	unsigned len = 0, i;

	assert_true(EVP_Digest(p, n, is, &len, EVP_sha1(), NULL));
	for (i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", is[i]);
}

static void add_block(struct stream *s, unsigned number, size_t n, uint8_t fill)
{
	AUTO_FREE char *name = xasprintf("Ref:4/%08u", number), *sum = xasprintf("Ref:4/%08u.checksum", number);
	uint8_t block[BLOCK];
	char hex[64];

	memset(block, fill, sizeof(block));
	digest(hex, block, n);
	add(s, name, block, n);
	add(s, sum, hex, strlen(hex));
}

static void end(struct stream *s)
{
	s->n += 2 * TAR_BLOCK;
}

/* A disk of three blocks and 512 bytes, of which the third is left out. */
static struct stream *archive(void)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	add(s, "ova.xml", "<value/>", 8);
	add_block(s, 0, BLOCK, 1);
	add_block(s, 1, BLOCK, 0);
	add_block(s, 3, 512, 3);
	return s;
}

static int read_disks(struct stream *s, uint64_t bytes, struct err *e)
{
	struct xva x = {.disks = {{.number = 4, .bytes = bytes}}, .disk_count = 1};
	int r = xva_read_disks(&x, read_stream, write_disk, s, e);

	xva_fini(&x);
	return r;
}

static void blocks_are_where_their_numbers_say(void **state)
{
	struct stream *s = archive();
	char *config;
	struct err e;
	size_t n;

	(void)state;
	add(s, "Ref:5/00000000", "another disk", 12);
	end(s);
	assert_true(xva_is(s->bytes));
	assert_int_equal(xva_read_config(&config, &n, read_stream, s, &e), 0);
	assert_int_equal(n, 8);
	assert_string_equal(config, "<value/>");
	free(config);
	s->at = 0;
	assert_int_equal(read_disks(s, 3 * BLOCK + 512, &e), 0);
	assert_int_equal(s->written, 2); /* zeros are holes */
	assert_int_equal(s->disk[BLOCK - 1], 1);
	assert_int_equal(s->disk[2 * BLOCK], 0);
	assert_int_equal(s->disk[3 * BLOCK], 3);
	free(s);
}

static void refused(struct stream *s, uint64_t bytes, const char *why)
{
	struct err e;

	end(s);
	assert_int_equal(read_disks(s, bytes, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not why: %s", why, e.msg);
	free(s);
}

static void damaged_archives_are_refused(void **state)
{
	struct stream *s = archive();

	(void)state;
	s->bytes[3 * TAR_BLOCK + 100] ^= 1;
	refused(s, 3 * BLOCK + 512, "block 0 of Ref:4 is not what its digest (.checksum) says");
	refused(archive(), 3 * BLOCK + 511, "block 3 of Ref:4 lies behind the end");
	refused(archive(), BLOCK, "block 1 of Ref:4 lies behind the end");
	s = archive();
	add_block(s, 4, BLOCK, 1);
	refused(s, 8 * BLOCK, "not in its order"); /* behind a short one */
	s = xcalloc(1, sizeof(*s));
	add(s, "ova.xml", "<value/>", 8);
	add_block(s, 0, BLOCK, 1);
	add_block(s, 0, BLOCK, 1);
	refused(s, 8 * BLOCK, "block 0 of Ref:4 is not in its order");
	s = xcalloc(1, sizeof(*s));
	add_block(s, 1, BLOCK, 1);
	refused(s, 8 * BLOCK, "the first block of Ref:4 is missing");
	s = xcalloc(1, sizeof(*s));
	add_block(s, 0, 512, 1);
	add_block(s, 1, BLOCK, 1);
	refused(s, 8 * BLOCK, "a block of Ref:4 has 4096 bytes");
	s = xcalloc(1, sizeof(*s));
	add(s, "ova.xml", "<value/>", 8);
	refused(s, BLOCK, "the archive has no block of the disk Ref:4");
	s = archive();
	add(s, "Ref:4/00000004.checksum", "00", 2);
	refused(s, 8 * BLOCK, "is not behind its block");
	s = archive();
	s->bytes[TAR_BLOCK * 2 + 1] ^= 1;
	refused(s, 8 * BLOCK, "invalid tar header");
}

/* A missing block would be a hole, which nobody sees. */
static void all_that_must_be_there_is(void **state)
{
	uint8_t block[BLOCK];
	struct stream *s = archive();

	(void)state;
	memset(block, 9, sizeof(block));
	refused(s, 4 * BLOCK, "the last block of the disk Ref:4 is missing");
	s = xcalloc(1, sizeof(*s));
	add(s, "Ref:4/00000000", block, sizeof(block));
	refused(s, BLOCK, "no digest of block 0 of Ref:4");
	s = xcalloc(1, sizeof(*s));
	add(s, "Ref:4/00000000", block, sizeof(block));
	add_block(s, 1, BLOCK, 1);
	refused(s, 2 * BLOCK, "no digest of block 0 of Ref:4");
	s = archive();
	add(s, "Ref:4/00000002.checksums", block, 40);
	refused(s, 3 * BLOCK + 512, "unexpected member 'Ref:4/00000002.checksums'");
	s = archive();
	add(s, "Ref:4/x00000002", block, BLOCK);
	refused(s, 3 * BLOCK + 512, "unexpected member 'Ref:4/x00000002'");
}

static void what_is_cut_off_is_refused(void **state)
{
	struct stream *s = archive();
	size_t whole = s->n, cut;
	struct err e;

	(void)state;
	for (cut = 0; cut <= whole; cut += 256) {
		s->n = cut;
		s->at = 0;
		assert_int_equal(read_disks(s, 3 * BLOCK + 512, &e), -EINVAL);
	}
	free(s);
}

/* XCP-ng's: the number, whichever way round it was written. */
static void a_digest_may_be_an_xxhash(void **state)
{
	uint8_t block[BLOCK];
	uint64_t h;
	unsigned i;

	(void)state;
	memset(block, 7, sizeof(block));
	h = XXH64(block, sizeof(block), 0);
	for (i = 0; i < 3; i++) {
		struct stream *s = xcalloc(1, sizeof(*s));
		char hex[32];
		struct err e;

		snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)(i == 0 ? h : i == 1 ? __builtin_bswap64(h) : h + 1));
		add(s, "Ref:4/00000000", block, sizeof(block));
		add(s, "Ref:4/00000000.xxhash", hex, 16);
		end(s);
		assert_int_equal(read_disks(s, BLOCK, &e), i == 2 ? -EINVAL : 0);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_where_their_numbers_say), cmocka_unit_test(damaged_archives_are_refused),
		cmocka_unit_test(all_that_must_be_there_is),	      cmocka_unit_test(what_is_cut_off_is_refused),
		cmocka_unit_test(a_digest_may_be_an_xxhash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
