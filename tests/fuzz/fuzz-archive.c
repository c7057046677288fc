/*
 * fuzz-archive.c: libFuzzer on archives that a guest is imported from (agent-src/import), and on what the process says that reads them for us, which a bug in
 * zlib may have made another's.
 *
 * The first byte chooses. Sums of a tar's headers, which nobody guesses, are made right before it is read.
 */
#include "../../agent-src/import/unpack.c"

#include "ova.h"
#include "packed.h"
#include "seed.h"
#include "tarred-disk.h"
#include "xva.h"

#include <bzlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

enum selector { TAR, XVA, PACKED, SAID, TARRED_DISK_IN, SELECTORS };
enum { BLOCK = 512, AT_CHECKSUM = 148, AT_MAGIC = 257 };
#define PACKED_MAX (4u << 20) /* bytes of the unpacked stream that are looked at, at most */

static void sum_header(uint8_t *h)
{
	char text[16];
	unsigned sum = 0, i;

	memset(h + AT_CHECKSUM, ' ', 8);
	for (i = 0; i < BLOCK; i++)
		sum += h[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(h + AT_CHECKSUM, text, 7);
}

static void make_right(uint8_t *p, size_t n)
{
	size_t at;

	for (at = 0; n - at >= BLOCK; at += BLOCK)
		if (!memcmp(p + at + AT_MAGIC, "ustar", 5))
			sum_header(p + at);
}

static int file_of(const uint8_t *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, p, n) == (ssize_t)n && !lseek(fd, 0, SEEK_SET));
	return fd;
}

static void try_tar(const uint8_t *p, size_t n)
{
	AUTO_CLOSE int fd = file_of(p, n);
	struct ova o;
	struct err e;
	size_t i;

	if (!ova_read(&o, fd, &e))
		for (i = 0; i < o.n; i++) {
			require(o.members[i].offset <= n && o.members[i].size <= n - o.members[i].offset);
			require(plain_file_name(o.members[i].name) && ova_find(&o, o.members[i].name) == &o.members[i]);
		}
	ova_fini(&o);
}

/* ---- an archive of XenServer's ---- */

struct stream {
	const uint8_t *p;
	size_t n;
};

static int read_stream(void *ctx, void *to, size_t n, struct err *e)
{
	struct stream *s = ctx;

	if (!s->n)
		return 1;
	if (n > s->n)
		return err_set(e, EINVAL, "it ends early");
	memcpy(to, s->p, n);
	s->p += n;
	s->n -= n;
	return 0;
}

static int write_block(void *ctx, unsigned disk, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	static const uint64_t bytes[] = {0, 1 << 20, 1 << 16};

	(void)ctx, (void)p, (void)e;
	require((disk == 1 || disk == 2) && n && at <= bytes[disk] && n <= bytes[disk] - at);
	return 0;
}

static void try_xva(const uint8_t *p, size_t n)
{
	struct stream s = {p, n};
	struct xva x = {.disks = {{.number = 1, .bytes = 1 << 20}, {.number = 2, .bytes = 1 << 16}}, .disk_count = 2};
	AUTO_FREE char *config = NULL;
	struct err e;
	size_t length;

	if (!xva_read_config(&config, &length, read_stream, &s, &e))
		require(strnlen(config, length + 1) <= length);
	s = (struct stream){p, n};
	xva_read_disks(&x, read_stream, write_block, &s, &e);
	xva_fini(&x);
}

/* ---- a disk in a tar ---- */

struct tarred {
	struct stream in;
	uint64_t bytes;
};

static int read_tarred(void *ctx, void *to, size_t n, struct err *e)
{
	return read_stream(&((struct tarred *)ctx)->in, to, n, e);
}

static int write_tarred(void *ctx, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	const struct tarred *t = ctx;

	(void)p, (void)e;
	require(n && at <= t->bytes && n <= t->bytes - at);
	return 0;
}

static void try_tarred_disk(const uint8_t *p, size_t n)
{
	struct tarred t = {.in = {p, n}};
	struct err e;

	if (tarred_disk_is(p, n, &t.bytes))
		tarred_disk_read(t.bytes, read_tarred, write_tarred, &t, &e);
}

/* ---- what is compressed ---- */

/* Read in pieces of any size it is the same. */
static void try_packed(const uint8_t *p, size_t n)
{
	static uint8_t whole[PACKED_MAX], part[PACKED_MAX];
	AUTO_CLOSE int fd = file_of(p, n);
	struct packed *in;
	size_t got = 0, at = 0, more, each = 1 + (n ? p[n - 1] * 37u : 0);
	struct err e;
	int r = packed_open(&in, fd, &e), again = r;

	if (!r)
		r = packed_read(in, whole, sizeof(whole), &got, &e);
	require(r || packed_taken(in) <= n);
	packed_close(again ? NULL : in);
	if (r)
		return;
	require(!lseek(fd, 0, SEEK_SET) && !packed_open(&in, fd, &e));
	do {
		require(!packed_read(in, part + at, MIN(each, got - at), &more, &e));
		at += more;
	} while (more && at < got);
	packed_close(in);
	require(at == got && !memcmp(whole, part, got));
}

/* ---- what the process says ---- */

static void try_said(const char *p, size_t n)
{
	static char text[SAID_MAX + 1], bytes[SAID_MAX + 1];
	struct heard h = {.text = text}, b = {.text = bytes};
	struct packed_content c = {.kind = PACKED_OTHER};
	struct err e;
	size_t i;

	*text = *bytes = '\0';
	hear(&h, p, n);
	for (i = 0; i < n; i++)
		hear(&b, p + i, 1);
	require(h.n == b.n && h.n <= n && !memcmp(text, bytes, h.n));
	judge(&h, "x", &e);
	take_content(&c, &h);
	require(c.disk_count <= UNPACK_DISKS_MAX && (c.config ? c.config_bytes <= n && !c.config[c.config_bytes] : !c.config_bytes));
	for (i = 0; i < c.disk_count; i++)
		require(*c.disks[i].name);
	packed_content_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE uint8_t *copy = NULL;

	if (!n--)
		return 0;
	copy = xmalloc(n + 1);
	memcpy(copy, p + 1, n);
	make_right(copy, n);
	switch ((enum selector)(*p % SELECTORS)) {
	case TAR:
		try_tar(copy, n);
		break;
	case XVA:
		try_xva(copy, n);
		break;
	case PACKED:
		try_packed(p + 1, n);
		break;
	case SAID:
		try_said((const char *)p + 1, n);
		break;
	case TARRED_DISK_IN:
		try_tarred_disk(copy, n);
		break;
	case SELECTORS:
		break;
	}
	return 0;
}

/* ---- seeds ---- */

static void seed(enum selector which, const char *name, const void *p, size_t n)
{
	char text[16384];

	require(n < sizeof(text));
	text[0] = (char)which;
	memcpy(text + 1, p, n);
	seed_write(name, text, n + 1);
}

/* Returns the byte behind it. */
static size_t add_member_to(uint8_t *p, const char *name, char type, const char *content)
{
	size_t n = strlen(content);

	memcpy(p, name, strlen(name));
	snprintf((char *)p + 124, 12, "%011o", (unsigned)n & 07777);
	p[156] = (uint8_t)type;
	memcpy(p + AT_MAGIC, "ustar\00000", 8);
	memcpy(p + BLOCK, content, n);
	return BLOCK + (n + BLOCK - 1) / BLOCK * BLOCK;
}

static void write_tars(void)
{
	static uint8_t tar[12 * BLOCK], xva[14 * BLOCK];
	size_t n = add_member_to(tar, "./", '5', "");

	n += add_member_to(tar + n, "x", 'x', "18 path=long.vmdk\n10 size=3\n");
	n += add_member_to(tar + n, "y", '0', "abc");
	n += add_member_to(tar + n, "./a.ovf", '0', "<Envelope/>");
	seed(TAR, "tar", tar, n + 2 * BLOCK);
	n = add_member_to(xva, XVA_CONFIG, '0', "<value/>");
	n += add_member_to(xva + n, "Ref:1/00000000", '0', "a");
	n += add_member_to(xva + n, "Ref:1/00000000.checksum", '0', "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
	n += add_member_to(xva + n, "Ref:2/00000000", '0', "a");
	n += add_member_to(xva + n, "Ref:2/00000000.xxhash", '0', "d24ec4f1a98c6e5b");
	seed(XVA, "xva", xva, n + 2 * BLOCK);
}

/* A disk of four blocks, of which two are there. */
static void write_tarred_disks(void)
{
	static const char map[] = "00000000000\00000000001000\00000000002000\00000000001000";
	static uint8_t tar[8 * BLOCK];
	size_t n = add_member_to(tar, TARRED_DISK, '0', "abc");

	seed(TARRED_DISK_IN, "tarred-disk", tar, n + 2 * BLOCK);
	n = add_member_to(tar, TARRED_DISK, 'S', "abc") + BLOCK;
	memcpy(tar + 124, "00000002000", 12);
	memcpy(tar + 386, map, sizeof(map));
	memcpy(tar + 483, "00000004000", 12);
	seed(TARRED_DISK_IN, "sparse-disk", tar, n + 2 * BLOCK);
}

static void write_seeds(void)
{
	static const char said[] = "vma\ndisk 1 1048576 drive-scsi0\ntaken 4096\nconfig 4\na: b\nok\n";
	static const char text[] = "what is in it, what is in it, what is in it";
	uint8_t out[512];
	unsigned n = sizeof(out);
	z_stream z = {.next_in = (uint8_t *)text, .avail_in = sizeof(text), .next_out = out, .avail_out = sizeof(out)};

	write_tars();
	write_tarred_disks();
	seed(SAID, "said", said, strlen(said));
	seed(SAID, "said-error", "error it is damaged\n", 20);
	require(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END);
	seed(PACKED, "gzip", out, z.total_out);
	deflateEnd(&z);
	seed(PACKED, "zstd", out, ZSTD_compress(out, sizeof(out), text, sizeof(text), 3));
	require(BZ2_bzBuffToBuffCompress((char *)out, &n, (char *)text, sizeof(text), 1, 0, 0) == BZ_OK);
	seed(PACKED, "bzip2", out, n);
	seed(PACKED, "plain", text, sizeof(text));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
