/* packed.c: see packed.h. RFC 1952 (several members one after the other are one file), RFC 8878 (likewise with frames), the .xz file format (with
 * streams). */
#include "packed.h"
#include "util.h"

#include <errno.h>
#include <lzma.h>
#include <string.h>
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
	size_t at, n;	/* of in: used, and there */
	uint64_t taken; /* read of the file */
	bool at_end;	/* of the file */
	bool is_within; /* a member or frame has begun, and not ended */
	z_stream z;
	ZSTD_DStream *zstd;
	lzma_stream xz;
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
		return err_set(e, EINVAL, "it is damaged: what gzip has made of it cannot be unpacked");
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
	return ZSTD_isError(r) ? err_set(e, EINVAL, "it is damaged: %s", ZSTD_getErrorName(r)) : 0;
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
		return err_set(e, ENOMEM, "it takes too much memory to unpack it: xz has it packed with an unusual dictionary");
	return r == LZMA_OK || r == LZMA_STREAM_END || r == LZMA_BUF_ERROR
		       ? 0
		       : err_set(e, EINVAL, "it is damaged: what xz has made of it cannot be unpacked");
}

static int choose(struct packed *p, struct err *e)
{
	static const uint8_t xz_magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	const uint8_t *head = p->in;

	if (p->n >= 2 && !memcmp(head, "\x1f\x8b", 2)) {
		p->more = gunzip;
		return inflateInit2(&p->z, GZIP_WINDOW) == Z_OK ? 0 : err_set(e, ENOMEM, "cannot unpack it");
	}
	if (p->n >= 4 && !memcmp(head, "\x28\xb5\x2f\xfd", 4)) {
		p->more = unzstd;
		p->zstd = ZSTD_createDStream();
		return p->zstd ? 0 : err_set(e, ENOMEM, "cannot unpack it");
	}
	if (p->n >= sizeof(xz_magic) && !memcmp(head, xz_magic, sizeof(xz_magic))) {
		p->more = unxz;
		p->is_within = true;
		return lzma_stream_decoder(&p->xz, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK ? 0 : err_set(e, ENOMEM, "cannot unpack it");
	}
	p->more = plain;
	return 0;
}

int packed_open(struct packed **out, int fd, struct err *e)
{
	struct packed *p = xcalloc(1, sizeof(*p));
	int r;

	p->fd = fd;
	r = fill(p, e);
	if (!r)
		r = choose(p, e);
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
		if (!r)
			r = p->more(p, (uint8_t *)to + *got, n - *got, &more, e);
		if (r)
			return r;
		*got += more;
		if (!more && p->at == p->n && p->at_end && p->is_within)
			return err_set(e, EINVAL, "it is cut off");
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
	lzma_end(&p->xz);
	ZSTD_freeDStream(p->zstd);
	free(p);
}
