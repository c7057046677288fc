/* packed.c: see packed.h. RFC 1952 (several members one after the other are one file), RFC 8878 (likewise with frames), the .xz file format (with
 * streams); bzip2's (with streams) is what its library reads. */
#include "packed.h"
#include "util.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define IN_BYTES (256u << 10)

enum { GZIP_WINDOW = 15 + 16 /* zlib's way to ask for gzip */ };

#define XZ_MEMORY (128u << 20) /* xz -9 takes half of it */

struct packed {
	int fd;
	int (*more)(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e);
	uint8_t in[IN_BYTES];
	size_t at, n;	/* bytes of `in` that are used, and that are there */
	uint64_t taken; /* read of the file */
	bool at_end;	/* the file has ended */
	bool is_within; /* a member or frame has begun, and not ended */
	z_stream z;
	ZSTD_DStream *zstd;
	lzma_stream xz;
	bz_stream bz;
};

static int fill(struct packed *p, struct err *e)
{
	while (p->at == p->n && !p->at_end) {
		ssize_t r = read(p->fd, p->in, IN_BYTES);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, errno, "cannot read it");
		p->at = 0;
		p->n = (size_t)r;
		p->taken += (uint64_t)r;
		p->at_end = !r;
	}
	return 0;
}

static int plain(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e)
{
	(void)e;
	*got = MIN(n, p->n - p->at);
	memcpy(to, p->in + p->at, *got);
	p->at += *got;
	return 0;
}

static int gunzip(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e)
{
	int r;

	p->z.next_in = p->in + p->at;
	p->z.avail_in = (uInt)(p->n - p->at);
	p->z.next_out = to;
	p->z.avail_out = (uInt)MIN(n, 1u << 30);
	r = inflate(&p->z, Z_NO_FLUSH);
	*got = MIN(n, 1u << 30) - p->z.avail_out;
	p->at = p->n - p->z.avail_in;
	if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
		return err_set(e, EINVAL, "damaged: the data of gzip cannot be unpacked");
	p->is_within = r != Z_STREAM_END;
	if (r == Z_STREAM_END && inflateReset(&p->z) != Z_OK)
		return err_set(e, ENOMEM, "cannot unpack it");
	return 0;
}

static int unzstd(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e)
{
	ZSTD_inBuffer in = {p->in, p->n, p->at};
	ZSTD_outBuffer out = {to, n, 0};
	size_t r = ZSTD_decompressStream(p->zstd, &out, &in);

	*got = out.pos;
	p->at = in.pos;
	p->is_within = r != 0;
	return ZSTD_isError(r) ? err_set(e, EINVAL, "damaged: %s", ZSTD_getErrorName(r)) : 0;
}

static int unxz(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e)
{
	lzma_ret r;

	p->xz.next_in = p->in + p->at;
	p->xz.avail_in = p->n - p->at;
	p->xz.next_out = to;
	p->xz.avail_out = n;
	r = lzma_code(&p->xz, p->at_end ? LZMA_FINISH : LZMA_RUN);
	*got = n - p->xz.avail_out;
	p->at = p->n - p->xz.avail_in;
	p->is_within = r != LZMA_STREAM_END;
	if (r == LZMA_MEMLIMIT_ERROR)
		return err_set(e, ENOMEM, "unpacking takes too much memory: xz has packed it with an unusual dictionary");
	return r == LZMA_OK || r == LZMA_STREAM_END || r == LZMA_BUF_ERROR
		       ? 0
		       : err_set(e, EINVAL, "damaged: the data of xz cannot be unpacked");
}

/* A stream's end is not the file's: parallel bzip2 makes many, and the library reads one. */
static int bunzip2(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e)
{
	unsigned room = (unsigned)MIN(n, 1u << 30);
	int r;

	p->bz.next_in = (char *)p->in + p->at;
	p->bz.avail_in = (unsigned)(p->n - p->at);
	p->bz.next_out = (char *)to;
	p->bz.avail_out = room;
	r = BZ2_bzDecompress(&p->bz);
	*got = room - p->bz.avail_out;
	p->at = p->n - p->bz.avail_in;
	if (r != BZ_OK && r != BZ_STREAM_END)
		return r == BZ_MEM_ERROR ? err_set(e, ENOMEM, "cannot unpack it")
					 : err_set(e, EINVAL, "damaged: the data of bzip2 cannot be unpacked");
	p->is_within = r == BZ_OK;
	if (p->is_within)
		return 0;
	BZ2_bzDecompressEnd(&p->bz);
	return BZ2_bzDecompressInit(&p->bz, 0, 0) == BZ_OK ? 0 : err_set(e, ENOMEM, "cannot unpack it");
}

static bool begin_gzip(struct packed *p)
{
	return inflateInit2(&p->z, GZIP_WINDOW) == Z_OK;
}

static bool begin_zstd(struct packed *p)
{
	p->zstd = ZSTD_createDStream();
	return p->zstd;
}

static bool begin_xz(struct packed *p)
{
	p->is_within = true;
	return lzma_stream_decoder(&p->xz, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK;
}

static bool begin_bzip2(struct packed *p)
{
	return BZ2_bzDecompressInit(&p->bz, 0, 0) == BZ_OK;
}

/* A '?' of bzip2's is how large its blocks are: 1 to 9. Its name alone begins texts, too, so the first block's mark is looked at. */
static const struct way {
	const char *magic;
	size_t n;
	bool (*begin)(struct packed *p);
	int (*more)(struct packed *p, uint8_t *to, size_t n, size_t *got, struct err *e);
} ways[] = {
	{"\x1f\x8b", 2, begin_gzip, gunzip},
	{"\x28\xb5\x2f\xfd", 4, begin_zstd, unzstd},
	{"\xfd\x37zXZ", 6, begin_xz, unxz},
	{"BZh?\x31\x41\x59\x26\x53\x59", PACKED_HEAD, begin_bzip2, bunzip2},
};

static bool begins_as(const struct way *w, const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < w->n; i++)
		if (i >= n || (w->magic[i] == '?' ? head[i] < '1' || head[i] > '9' : head[i] != (uint8_t)w->magic[i]))
			return false;
	return true;
}

static const struct way *way_of(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (begins_as(&ways[i], head, n))
			return &ways[i];
	return NULL;
}

bool packed_is(const void *head, size_t n)
{
	return way_of(head, n);
}

bool packed_is_called_so(const char *path)
{
	static const char *const endings[] = {".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip"};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(endings); i++)
		if (!strcasecmp(dot, endings[i]))
			return true;
	return false;
}

static int choose(struct packed *p, struct err *e)
{
	const struct way *w = way_of(p->in, p->n);

	p->more = w ? w->more : plain;
	return !w || w->begin(p) ? 0 : err_set(e, ENOMEM, "cannot unpack it");
}

int packed_open(struct packed **out, int fd, struct err *e)
{
	struct packed *p = xcalloc(1, sizeof(*p));
	int r;

	p->fd = fd;
	r = fill(p, e) ?: choose(p, e);
	*out = r ? NULL : p;
	if (r)
		packed_close(p);
	return r;
}

int packed_read(struct packed *p, void *to, size_t n, size_t *got, struct err *e)
{
	*got = 0;
	while (*got < n) {
		size_t more = 0;
		int r = fill(p, e);

		if (!r && p->at == p->n && p->at_end && !p->is_within)
			return 0;
		r = r ?: p->more(p, (uint8_t *)to + *got, n - *got, &more, e);
		if (r)
			return r;
		*got += more;
		if (!more && p->at == p->n && p->at_end && p->is_within)
			return err_set(e, EINVAL, "cut off");
	}
	return 0;
}

uint64_t packed_taken(const struct packed *p)
{
	return p->taken;
}

void packed_close(struct packed *p)
{
	if (!p)
		return;
	if (p->more == gunzip)
		inflateEnd(&p->z);
	if (p->more == bunzip2)
		BZ2_bzDecompressEnd(&p->bz);
	lzma_end(&p->xz);
	ZSTD_freeDStream(p->zstd);
	free(p);
}
