/* test-import-vma.c: archives of Proxmox VE's, whole, damaged and cut off; and files that are compressed. */
#include "be.h"
#include "packed.h"
#include "unpack.h"
#include "util.h"
#include "vma.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <bzlib.h>
#include <lzma.h>
#include <zstd.h>

#include <cmocka.h>

#include "guarded.h"

#define HEADER	   12288u
#define BLOBS	   512u
#define EXTENT	   512u
#define BLOCK	   4096u
#define DISK_BYTES (2 * VMA_CLUSTER + 5 * BLOCK - 512) /* the last cluster and the last block are not whole */
#define CONFIG	   "name: web\n"

/* ---- an archive ---- */

struct archive {
	uint8_t bytes[HEADER + BLOBS + 4 * (EXTENT + 4 * VMA_CLUSTER)];
	size_t n, extent; /* offset of the last extent */
};

static void digest(uint8_t *p, size_t n, size_t at)
{
	uint8_t value[EVP_MAX_MD_SIZE];
	unsigned bytes;

	memset(p + at, 0, 16);
	EVP_Digest(p, n, value, &bytes, EVP_md5(), NULL);
	memcpy(p + at, value, 16);
}

static uint32_t put_blob(struct archive *a, size_t *at, const char *text, size_t n)
{
	uint32_t pointer = (uint32_t)(*at - HEADER);

	a->bytes[(*at)++] = (uint8_t)n;
	a->bytes[(*at)++] = (uint8_t)(n >> 8);
	memcpy(a->bytes + *at, text, n);
	*at += n;
	return pointer;
}

static void begin_with(struct archive *a, const char *config, const char *second, uint64_t second_bytes)
{
	size_t at = HEADER + 1;

	memset(a, 0, sizeof(*a));
	memcpy(a->bytes, "VMA", 4);
	put32(a->bytes + 4, 1);
	memset(a->bytes + 8, 7, 16);
	put32(a->bytes + 48, HEADER);
	put32(a->bytes + 52, BLOBS);
	put32(a->bytes + 56, HEADER + BLOBS);
	put32(a->bytes + 2044, put_blob(a, &at, "qemu-server.conf", 17));
	put32(a->bytes + 3068, put_blob(a, &at, config, strlen(config)));
	put32(a->bytes + 4096 + 32, put_blob(a, &at, "drive-scsi0", 12));
	put64(a->bytes + 4096 + 32 + 8, DISK_BYTES);
	if (second) {
		put32(a->bytes + 4096 + 64, put_blob(a, &at, second, strlen(second) + 1));
		put64(a->bytes + 4096 + 64 + 8, second_bytes);
	}
	digest(a->bytes, HEADER + BLOBS, 32);
	a->n = HEADER + BLOBS;
}

static void begin(struct archive *a)
{
	begin_with(a, CONFIG, NULL, 0);
}

static void extent(struct archive *a, size_t n, const uint64_t infos[], size_t blocks)
{
	uint8_t *p = a->bytes + a->n;
	size_t i;

	a->extent = a->n;
	memcpy(p, "VMAE", 4);
	put16(p + 6, (uint16_t)blocks);
	memset(p + 8, 7, 16);
	for (i = 0; i < n; i++)
		put64(p + 40 + 8 * i, infos[i]);
	digest(p, EXTENT, 24);
	for (i = 0; i < blocks; i++)
		memset(p + EXTENT + i * BLOCK, (int)('a' + i), BLOCK);
	a->n += EXTENT + blocks * BLOCK;
}

static uint64_t info(unsigned mask, unsigned device, unsigned cluster)
{
	return (uint64_t)mask << 48 | (uint64_t)device << 32 | cluster;
}

/* The last cluster first, as vzdump does not order them. */
static void whole(struct archive *a)
{
	const uint64_t first[] = {info(0x1f, 1, 2)}, others[] = {info(0, 1, 0), info(0x8005, 1, 1)};

	begin(a);
	extent(a, 1, first, 5);
	extent(a, 2, others, 3);
}

/* ---- read ---- */

struct reading {
	const uint8_t *p;
	size_t n, at;
	uint8_t disk[DISK_BYTES];
};

static int read_it(void *ctx, void *to, size_t n, struct err *e)
{
	struct reading *r = ctx;
	size_t left = r->n - r->at;

	if (!left)
		return 1;
	if (n > left)
		return err_set(e, EINVAL, "cut off");
	memcpy(to, r->p + r->at, n);
	r->at += n;
	return 0;
}

static int write_it(void *ctx, unsigned device, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct reading *r = ctx;

	(void)e;
	assert_int_equal(device, 1);
	assert_true(at <= DISK_BYTES && n <= DISK_BYTES - at);
	memcpy(r->disk + at, p, n);
	return 0;
}

static int read_all(const uint8_t *p, size_t n, struct reading *r, struct err *e)
{
	struct guarded g = guarded_copy(p, n);
	struct vma v;
	int result;

	memset(r, 0, sizeof(*r));
	r->p = g.p;
	r->n = n;
	result = vma_read_header(&v, read_it, r, e);
	if (!result) {
		assert_string_equal(v.config, CONFIG);
		assert_string_equal(v.devices[1].name, "drive-scsi0");
		assert_int_equal(v.devices[1].bytes, DISK_BYTES);
		result = vma_read_extents(&v, read_it, write_it, r, e);
	}
	vma_fini(&v);
	guarded_free(&g);
	return result;
}

static void a_disk_is_what_its_extents_say(void **state)
{
	static struct archive a;
	static struct reading r;
	struct err e;
	size_t i;

	(void)state;
	whole(&a);
	assert_int_equal(read_all(a.bytes, a.n, &r, &e), 0);
	for (i = 0; i < DISK_BYTES; i += 512) {
		size_t block = i / BLOCK;
		int want = block >= 32 ? (int)('a' + block - 32) : block == 16 ? 'a' : block == 18 ? 'b' : block == 31 ? 'c' : 0;

		assert_int_equal(r.disk[i], want);
		assert_int_equal(r.disk[i + 511], want);
	}
}

/* Wherever it ends: within a header, within data, and between two extents. */
static void an_archive_that_is_cut_off_is_refused(void **state)
{
	static struct archive a;
	static struct reading r;
	struct err e;
	size_t n;

	(void)state;
	whole(&a);
	for (n = 0; n < a.n; n += n + 509 < a.extent || n >= a.extent ? 509 : a.extent - n) {
		assert_int_equal(read_all(a.bytes, n, &r, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "cut off"));
	}
}

static void refused(struct archive *a, const char *why)
{
	static struct reading r;
	struct err e;

	assert_int_equal(read_all(a->bytes, a->n, &r, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not why: %s", why, e.msg);
}

static void a_damaged_archive_is_refused(void **state)
{
	static struct archive a;
	size_t i;
	static const struct {
		size_t at;
		const char *why;
	} places[] = {{0, "not an archive"}, {7, "version 258"},	  {20, "digest is another"},
		      {56, "no length"},     {5000, "digest is another"}, {HEADER + 30, "digest is another"}};

	(void)state;
	for (i = 0; i < ARRAY_LEN(places); i++) {
		whole(&a);
		a.bytes[places[i].at] = a.bytes[places[i].at] == 1 ? 2 : (uint8_t)(a.bytes[places[i].at] ^ 0xff);
		if (places[i].at == 7)
			put32(a.bytes + 4, 258);
		refused(&a, places[i].why);
	}
	whole(&a);
	a.bytes[a.extent + 47] ^= 1;
	refused(&a, "header of a part");
	whole(&a);
	a.bytes[a.extent + 8] ^= 1; /* an extent of another archive */
	digest(a.bytes + a.extent, EXTENT, 24);
	refused(&a, "header of a part");
}

static void extents_that_cannot_be_are_refused(void **state)
{
	static const struct {
		uint64_t infos[2];
		size_t blocks;
		const char *why;
	} cases[] = {
		{{(uint64_t)1 << 48 | 1ull << 32, 1ull << 32}, 1, "twice"}, {{1ull << 32 | 3, 0}, 0, "behind the end"},
		{{1ull << 32 | 0xffffffff, 0}, 0, "behind the end"},	    {{2ull << 32, 0}, 0, "does not have"},
		{{(uint64_t)3 << 48 | 1ull << 32, 0}, 1, "less data"},	    {{(uint64_t)1 << 48 | 1ull << 32, 0}, 2, "more data"},
	};
	static struct archive a;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		begin(&a);
		extent(&a, 2, cases[i].infos, cases[i].blocks);
		refused(&a, cases[i].why);
	}
	begin(&a);
	extent(&a, 0, NULL, 0);
	put16(a.bytes + a.extent + 6, 945); /* one block more than the maximum of 944 */
	digest(a.bytes + a.extent, EXTENT, 24);
	refused(&a, "longer than can be");
}

/* A disk is found by its name, and each has something. */
static void disks_that_cannot_be_are_refused(void **state)
{
	static struct archive a;

	(void)state;
	begin_with(&a, CONFIG, "drive-scsi0", DISK_BYTES);
	refused(&a, "two disks are called drive-scsi0");
	begin_with(&a, CONFIG, "drive-scsi1", 0);
	refused(&a, "drive-scsi1 has no bytes");
	begin_with(&a, CONFIG, "drive-scsi1", VMA_DEVICE_MAX + 1);
	refused(&a, "more than 64 TiB");
}

static void an_archive_does_not_go_on_for_ever(void **state)
{
	static const uint64_t memory[] = {2ull << 32, 2ull << 32};
	static struct archive a;
	static struct reading r;
	struct err e;

	(void)state;
	whole(&a);
	extent(&a, 0, NULL, 0);
	assert_int_equal(read_all(a.bytes, a.n, &r, &e), 0);
	extent(&a, 0, NULL, 0);
	refused(&a, "nothing in it");
	begin_with(&a, CONFIG, "vmstate", VMA_CLUSTER);
	extent(&a, 2, memory, 0);
	refused(&a, "behind the end of vmstate");
}

/* ---- in its process ---- */

static int file_with(const void *p, size_t n)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* Whether it may write so much; its answer goes to our standard output. */
static bool fits_into(unsigned long long room, const char *word, int in)
{
	AUTO_CLOSE int out = memfd_create("out", MFD_CLOEXEC), said = memfd_create("said", MFD_CLOEXEC);
	AUTO_FREE char *from = xasprintf("%d", in), *bound = xasprintf("room=%llu", room), *to = xasprintf("1=%d=%u", out, DISK_BYTES);
	char *argv[] = {(char *)UNPACK_WORD, (char *)word, from, bound, to}, text[200] = "";
	int kept = dup(1);
	struct stat st;

	fflush(stdout);
	dup2(said, 1);
	assert_int_equal(unpack_child(ARRAY_LEN(argv), argv), 0);
	dup2(kept, 1);
	close(kept);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	assert_true(pread(said, text, sizeof(text) - 1, 0) > 0 && !fstat(out, &st));
	if (strstr(text, "ok\n"))
		return true;
	assert_non_null(strstr(text, "no room"));
	assert_true((unsigned long long)st.st_blocks * 512 <= room + 65536);
	return false;
}

static void no_more_is_written_than_there_is_room_for(void **state)
{
	static struct archive a;
	AUTO_FREE char *text = xmalloc(3u << 20);
	AUTO_CLOSE int vma = -1, plain = -1, zeros = -1;

	(void)state;
	whole(&a);
	vma = file_with(a.bytes, a.n);
	assert_true(fits_into(8 * BLOCK, "vma", vma));
	assert_false(fits_into(7 * BLOCK, "vma", vma));
	memset(text, 'x', 3u << 20);
	plain = file_with(text, 3u << 20);
	assert_true(fits_into(3u << 20, "plain", plain));
	assert_false(fits_into((3u << 20) - 1, "plain", plain));
	memset(text, 0, 3u << 20); /* zeros, which take no space */
	zeros = file_with(text, 3u << 20);
	assert_true(fits_into(3u << 20, "plain", zeros));
	assert_false(fits_into((3u << 20) - 1, "plain", zeros));
}

/* A configuration may say whatever the process says itself. */
static void a_configuration_is_what_it_was(void **state)
{
	static const char config[] = "name: a\ntaken 5\nconfig 3\nerror no\nok\n";
	static struct archive a;
	char path[] = "/tmp/test-import-vma-XXXXXX";
	AUTO_CLOSE int fd = mkstemp(path);
	struct packed_content c;
	struct err e;
	int r;

	(void)state;
	begin_with(&a, config, NULL, 0);
	assert_int_equal(write(fd, a.bytes, a.n), a.n);
	r = unpack_look(&c, path, &e);
	unlink(path);
	if (r)
		fail_msg("%s", e.msg);
	assert_int_equal(c.config_bytes, strlen(config));
	assert_string_equal(c.config, config);
	packed_content_fini(&c);
}

/* ---- compressed ---- */

#define TEXT_BYTES (3u << 20)

static uint8_t *some_text(void)
{
	uint8_t *p = xmalloc(TEXT_BYTES);
	size_t i;

	for (i = 0; i < TEXT_BYTES; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

static size_t gzip(const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
	z_stream z = {.next_in = (uint8_t *)p, .avail_in = (uInt)n, .next_out = to, .avail_out = (uInt)room};

	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t zstd(const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
	size_t r = ZSTD_compress(to, room, p, n, 1);

	assert_false(ZSTD_isError(r));
	return r;
}

static size_t xz(const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
	size_t at = 0;

	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, NULL, p, n, to, &at, room), LZMA_OK);
	return at;
}

static size_t bzip2(const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
	unsigned got = (unsigned)room;

	assert_int_equal(BZ2_bzBuffToBuffCompress((char *)to, &got, (char *)p, (unsigned)n, 1, 0, 0), BZ_OK);
	return got;
}

static size_t not_at_all(const uint8_t *p, size_t n, uint8_t *to, size_t room)
{
	assert_true(n <= room);
	memcpy(to, p, n);
	return n;
}

static int unpacked(const uint8_t *p, size_t n, uint8_t *out, size_t room, size_t *got, struct err *e)
{
	AUTO_CLOSE int fd = memfd_create("packed", MFD_CLOEXEC);
	struct packed *in;
	int r;

	assert_int_equal(write(fd, p, n), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	r = packed_open(&in, fd, e);
	if (r)
		return r;
	r = packed_read(in, out, room, got, e);
	assert_true(packed_taken(in) <= n);
	packed_close(in);
	return r;
}

static void what_is_compressed_is_read_as_it_was(void **state)
{
	static size_t (*const ways[])(const uint8_t *p, size_t n, uint8_t *to, size_t room) = {not_at_all, gzip, zstd, xz, bzip2};
	AUTO_FREE uint8_t *text = some_text(), *packed = xmalloc(2 * TEXT_BYTES), *out = xmalloc(TEXT_BYTES + 1);
	struct err e;
	size_t i, n, got;

	(void)state;
	for (i = 0; i < ARRAY_LEN(ways); i++) {
		/* two files one after the other are one, as the programs have it */
		n = ways[i](text, TEXT_BYTES / 2, packed, TEXT_BYTES);
		n += ways[i](text + TEXT_BYTES / 2, TEXT_BYTES / 2, packed + n, TEXT_BYTES);
		assert_int_equal(unpacked(packed, n, out, TEXT_BYTES + 1, &got, &e), 0);
		assert_int_equal(got, TEXT_BYTES);
		assert_memory_equal(out, text, TEXT_BYTES);
		if (!i)
			continue;
		assert_int_equal(unpacked(packed, n - 1, out, TEXT_BYTES + 1, &got, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "cut off"));
		packed[n / 4] ^= 0x55;
		if (i != 2) /* zstd has no digest of it here */
			assert_int_equal(unpacked(packed, n, out, TEXT_BYTES + 1, &got, &e), -EINVAL);
	}
}

/* A text that happens to begin like a compressed file is not taken for one. */
static void what_is_compressed_is_known_by_its_beginning(void **state)
{
	static const char bz[] = "BZh91AY&SY", xz_text[] = "\xfd\x37zXZ";

	(void)state;
	assert_true(packed_is(bz, 10) && packed_is("BZh11AY&SY", 10) && packed_is("\x1f\x8b", 2) && packed_is(xz_text, sizeof(xz_text)));
	assert_false(packed_is(bz, 9) || packed_is("BZh01AY&SY", 10) || packed_is("BZh:1AY&SY", 10) || packed_is("BZh9 guests", 11));
	assert_false(packed_is("\x1f", 1) || packed_is("", 0) || packed_is("\x28\xb5\x2f", 3));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_what_its_extents_say),	cmocka_unit_test(an_archive_that_is_cut_off_is_refused),
		cmocka_unit_test(a_damaged_archive_is_refused),		cmocka_unit_test(extents_that_cannot_be_are_refused),
		cmocka_unit_test(what_is_compressed_is_read_as_it_was), cmocka_unit_test(disks_that_cannot_be_are_refused),
		cmocka_unit_test(an_archive_does_not_go_on_for_ever),	cmocka_unit_test(no_more_is_written_than_there_is_room_for),
		cmocka_unit_test(a_configuration_is_what_it_was),	cmocka_unit_test(what_is_compressed_is_known_by_its_beginning),
	};

	if (argc > 1 && !strcmp(argv[1], UNPACK_WORD)) /* the test runs itself as the unpacker */
		return unpack_child(argc - 1, argv + 1);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
