/* codec.c: see codec.h. */
#include "codec.h"
#include "util.h"

#include <errno.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#define ZSTD_LEVEL	1
#define ZSTD_LEVEL_HARD 3

struct codec {
	ZSTD_CCtx *zc;
	ZSTD_DCtx *zd;
	int level;
};

struct codec *codec_new(void)
{
	struct codec *c = xcalloc(1, sizeof(*c));

	c->level = ZSTD_LEVEL;
	return c;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->zc);
	ZSTD_freeDCtx(c->zd);
	free(c);
}

enum data_codec codec_of_effort(enum codec_effort effort)
{
	static const enum data_codec codecs[] = {CODEC_RAW, CODEC_LZ4, CODEC_ZSTD, CODEC_ZSTD};

	return codecs[effort];
}

void codec_set_effort(struct codec *c, enum codec_effort effort)
{
	c->level = effort == EFFORT_ZSTD_HARD ? ZSTD_LEVEL_HARD : ZSTD_LEVEL;
}

size_t codec_compress(struct codec *c, enum data_codec which, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	/* it pays only if at least one part in sixteen is saved */
	size_t limit = MIN(cap, n - n / 16);

	if (which == CODEC_LZ4) {
		int r = LZ4_compress_default((const char *)in, (char *)out, (int)n, (int)limit);

		return r > 0 ? (size_t)r : 0;
	}
	if (which == CODEC_ZSTD) {
		size_t r;

		if (!c->zc && !(c->zc = ZSTD_createCCtx()))
			return 0;
		r = ZSTD_compressCCtx(c->zc, out, limit, in, n, c->level);
		return ZSTD_isError(r) ? 0 : r;
	}
	return 0;
}

int codec_decompress(struct codec *c, enum data_codec which, struct slice in, uint8_t *out, size_t n, struct err *e)
{
	if (which == CODEC_LZ4) {
		int r = LZ4_decompress_safe((const char *)in.p, (char *)out, (int)in.n, (int)n);

		if (r == (int)n)
			return 0;
	} else if (which == CODEC_ZSTD) {
		if (!c->zd && !(c->zd = ZSTD_createDCtx()))
			return err_set(e, ENOMEM, "no memory for zstd");
		if (ZSTD_decompressDCtx(c->zd, out, n, in.p, in.n) == n)
			return 0;
	} else if (which == CODEC_RAW && in.n == n) {
		memcpy(out, in.p, n);
		return 0;
	}
	return err_set(e, EPROTO, "compressed data from the peer does not unpack to the %zu bytes it announced", n);
}

bool bytes_are_zero(const uint8_t *p, size_t n)
{
	const uint64_t *w = (const uint64_t *)(const void *)p;
	size_t i, words = n / 8;

	for (i = 0; i + 8 <= words; i += 8)
		if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] | w[i + 7])
			return false;
	for (; i < words; i++)
		if (w[i])
			return false;
	return true;
}
