/* xva.c: see xva.h. */
#include "xva.h"
#include "bundle-tar.h"
#include "hex.h"
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define DIGEST_MAX 128u /* bytes of a member with one */
#define SHA1_BYTES 20

/* ---- tar ---- */

bool xva_is(const uint8_t head[XVA_HEAD])
{
	return !memcmp(head + TAR_MAGIC_AT, "ustar", 5) && !memcmp(head, XVA_CONFIG, sizeof(XVA_CONFIG));
}

/* 1: the end of the archive, which must say so. */
static int next_member(struct tar_member *m, xva_read_fn read, void *ctx, struct err *e)
{
	uint8_t h[XVA_HEAD];
	int r = read(ctx, h, sizeof(h), e);

	if (r)
		return r == 1 ? err_set(e, EINVAL, "cut off: the archive has no end") : r;
	r = tar_header_read(h, m);
	if (r < 0 || (r && m->size > INT64_MAX))
		return err_set(e, EINVAL, "damaged: invalid tar header");
	return !r;
}

static uint64_t padding(uint64_t size)
{
	return (XVA_HEAD - size % XVA_HEAD) % XVA_HEAD;
}

static int read_all(xva_read_fn read, void *ctx, void *to, size_t n, struct err *e)
{
	int r = n ? read(ctx, to, n, e) : 0;

	return r == 1 ? err_set(e, EINVAL, "cut off") : r;
}

static int skip(uint64_t n, xva_read_fn read, void *ctx, struct err *e)
{
	uint8_t buf[16384];
	int r = 0;

	for (; !r && n; n -= MIN(n, sizeof(buf)))
		r = read_all(read, ctx, buf, (size_t)MIN(n, sizeof(buf)), e);
	return r;
}

static bool is_file(const struct tar_member *m)
{
	return m->type == '0' || !m->type;
}

/* ---- the description ---- */

int xva_read_config(char **config, size_t *n, xva_read_fn read, void *ctx, struct err *e)
{
	struct tar_member m;
	int r = next_member(&m, read, ctx, e);

	*config = NULL;
	if (r)
		return r == 1 ? err_set(e, EINVAL, "empty") : r;
	if (strcmp(m.name, XVA_CONFIG) != 0 || !is_file(&m) || !m.size || m.size > XVA_CONFIG_MAX)
		return err_set(e, EINVAL, "the archive does not begin with an %s of at most %u MiB", XVA_CONFIG, XVA_CONFIG_MAX >> 20);
	*n = (size_t)m.size;
	*config = xcalloc(1, *n + 1);
	r = read_all(read, ctx, *config, *n, e);
	if (r) {
		free(*config);
		*config = NULL;
	}
	return r;
}

/* ---- blocks ---- */

/* "Ref:4/00000012.checksum": the disk's number, the block's, and what is behind. NULL: it is no such name. */
static const char *parse_name(const char *name, unsigned *disk, uint64_t *block)
{
	unsigned long long n;
	unsigned number;
	int used = 0;

	if (strncmp(name, "Ref:", 4) || !isdigit((unsigned char)name[4]) || sscanf(name + 4, "%9u/%12llu%n", &number, &n, &used) != 2 ||
	    !used || !strchr(name, '/') || !isdigit((unsigned char)strchr(name, '/')[1]))
		return NULL;
	*disk = number;
	*block = n;
	return name + 4 + used;
}

static struct xva_disk *wanted(struct xva *x, unsigned number)
{
	for (size_t i = 0; i < x->disk_count; i++)
		if (x->disks[i].number == number)
			return &x->disks[i];
	return NULL;
}

static int check_place(struct xva_disk *d, uint64_t block, uint64_t size, struct err *e)
{
	if (!size || size > XVA_BLOCK_MAX || (d->block && size > d->block))
		return err_set(e, EINVAL, "damaged: a block of Ref:%u has %llu bytes", d->number, (unsigned long long)size);
	if (!d->block && block && size != MIB) /* the first one says how long they are */
		return err_set(e, EINVAL, "damaged: the first block of Ref:%u is missing", d->number);
	if (!d->block)
		d->block = size;
	if (block < d->next)
		return err_set(e, EINVAL, "damaged: block %llu of Ref:%u is not in its order", (unsigned long long)block, d->number);
	if (block > d->bytes / d->block || block * d->block > d->bytes || size > d->bytes - block * d->block)
		return err_set(e, EINVAL, "damaged: block %llu of Ref:%u lies behind the end of the disk, which has %llu bytes",
			       (unsigned long long)block, d->number, (unsigned long long)d->bytes);
	d->next = size < d->block ? UINT64_MAX : block + 1; /* a short one is the last */
	d->is_ended = block * d->block + size == d->bytes;
	return 0;
}

static int last_has_digest(const struct xva *x, struct err *e)
{
	return !x->has_last ? 0
			    : err_set(e, EINVAL, "damaged: there is no digest of block %llu of Ref:%u", (unsigned long long)x->last_number,
				      x->disks[x->last_disk].number);
}

static int take_block(struct xva *x, struct xva_disk *d, uint64_t block, uint64_t size, xva_read_fn read, xva_write_fn write, void *ctx,
		      struct err *e)
{
	int r = last_has_digest(x, e) ?: check_place(d, block, size, e);

	if (r)
		return r;
	x->last = xrealloc(x->last, (size_t)size);
	x->last_bytes = (size_t)size;
	x->last_disk = (size_t)(d - x->disks);
	x->last_number = block;
	r = read_all(read, ctx, x->last, x->last_bytes, e);
	if (r)
		return r;
	x->has_last = true;
	return bytes_are_zero(x->last, x->last_bytes) ? 0 : write(ctx, d->number, block * d->block, x->last, x->last_bytes, e);
}

static bool is_sha1(const struct xva *x, const char *hex)
{
	uint8_t want[SHA1_BYTES], is[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	return strlen(hex) == 2 * SHA1_BYTES && hex_parse(hex, want, sizeof(want)) &&
	       EVP_Digest(x->last, x->last_bytes, is, &n, EVP_sha1(), NULL) && n == SHA1_BYTES && !memcmp(is, want, n);
}

/* Whichever way round the number was written. */
static bool is_xxhash(const struct xva *x, const char *hex)
{
	uint64_t is = XXH64(x->last, x->last_bytes, 0);
	char *end;
	uint64_t want = strtoull(hex, &end, 16);

	return isxdigit((unsigned char)*hex) && !*end && (want == is || want == __builtin_bswap64(is));
}

static int check_digest(struct xva *x, const struct xva_disk *d, uint64_t block, const char *kind, uint64_t size, xva_read_fn read,
			void *ctx, struct err *e)
{
	char hex[DIGEST_MAX + 1] = "";
	int r;

	if (size > DIGEST_MAX)
		return err_set(e, EINVAL, "damaged: a digest of Ref:%u is longer than any", d->number);
	r = read_all(read, ctx, hex, (size_t)size, e);
	if (r)
		return r;
	hex[strcspn(hex, " \r\n")] = '\0';
	if (!x->has_last || x->last_disk != (size_t)(d - x->disks) || x->last_number != block)
		return err_set(e, EINVAL, "damaged: a digest of Ref:%u is not behind its block", d->number);
	x->has_last = false;
	if (strcmp(kind, ".checksum") ? is_xxhash(x, hex) : is_sha1(x, hex))
		return 0;
	return err_set(e, EINVAL, "damaged: block %llu of Ref:%u is not what its digest (%s) says", (unsigned long long)block, d->number,
		       kind);
}

/* A block whose name is another would be a hole. */
static bool is_below_wanted(struct xva *x, const struct tar_member *m)
{
	unsigned number;

	return m->type != '5' && sscanf(m->name, "Ref:%9u", &number) == 1 && wanted(x, number);
}

/* Sets *left to what of the member is not read yet. */
static int take_member(struct xva *x, const struct tar_member *m, uint64_t *left, xva_read_fn read, xva_write_fn write, void *ctx,
		       struct err *e)
{
	struct xva_disk *d;
	uint64_t block;
	unsigned number;
	const char *kind = is_file(m) ? parse_name(m->name, &number, &block) : NULL;

	*left = m->size;
	if (!kind || (*kind && strcmp(kind, ".checksum") && strcmp(kind, ".xxhash") != 0))
		return is_below_wanted(x, m) ? err_set(e, EINVAL, "damaged: unexpected member '%.100s'", m->name) : 0;
	d = wanted(x, number);
	if (!d)
		return 0;
	*left = 0;
	return *kind ? check_digest(x, d, block, kind, m->size, read, ctx, e) : take_block(x, d, block, m->size, read, write, ctx, e);
}

int xva_read_disks(struct xva *x, xva_read_fn read, xva_write_fn write, void *ctx, struct err *e)
{
	struct tar_member m;
	uint64_t left;
	int r;

	while (!(r = next_member(&m, read, ctx, e))) {
		r = take_member(x, &m, &left, read, write, ctx, e) ?: skip(left + padding(m.size), read, ctx, e);
		if (r)
			return r;
	}
	if (r != 1)
		return r;
	for (size_t i = 0; i < x->disk_count; i++) {
		if (!x->disks[i].block)
			return err_set(e, EINVAL, "the archive has no block of the disk Ref:%u", x->disks[i].number);
		if (!x->disks[i].is_ended) /* the last block is there whatever is in it */
			return err_set(e, EINVAL, "cut off: the last block of the disk Ref:%u is missing", x->disks[i].number);
	}
	return last_has_digest(x, e);
}

void xva_fini(struct xva *x)
{
	free(x->last);
	x->last = NULL;
}
