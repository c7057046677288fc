/* codec.c: see codec.h. A codec is a row of `codecs`, and each degree of its compression a row of `efforts`. */
#include "codec.h"
#include "util.h"

#include <errno.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

struct codec {
	ZSTD_CCtx *zc;
	ZSTD_DCtx *zd;
	int level;
};

const char *const codec_words[] =
	{[CODEC_MODE_AUTO] = "auto", [CODEC_MODE_NONE] = "none", [CODEC_MODE_LZ4] = "lz4", [CODEC_MODE_ZSTD] = "zstd", NULL};

static const struct {
	enum data_codec codec;
	int level;
} efforts[CODEC_EFFORTS] = {
	[EFFORT_NONE] = {CODEC_RAW, 0},
	[EFFORT_LZ4] = {CODEC_LZ4, 0},
	[EFFORT_ZSTD] = {CODEC_ZSTD, 1},
	[EFFORT_ZSTD_HARD] = {CODEC_ZSTD, 3},
};

struct codec *codec_new(void)
{
	struct codec *c = xcalloc(1, sizeof(*c));

	codec_set_effort(c, EFFORT_ZSTD);
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
	return efforts[effort].codec;
}

enum codec_effort codec_first_effort(enum codec_mode mode)
{
	static const enum codec_effort first[] = {[CODEC_MODE_AUTO] = EFFORT_LZ4,
						  [CODEC_MODE_NONE] = EFFORT_NONE,
						  [CODEC_MODE_LZ4] = EFFORT_LZ4,
						  [CODEC_MODE_ZSTD] = EFFORT_ZSTD};

	return first[mode];
}

void codec_set_effort(struct codec *c, enum codec_effort effort)
{
	c->level = efforts[effort].level;
}

/* ---- the codecs ---- */

static size_t pack_lz4(struct codec *c, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	int r = LZ4_compress_default((const char *)in, (char *)out, (int)n, (int)cap);

	(void)c;
	return r > 0 ? (size_t)r : 0;
}

static bool unpack_lz4(struct codec *c, struct slice in, uint8_t *out, size_t n)
{
	(void)c;
	return LZ4_decompress_safe((const char *)in.p, (char *)out, (int)in.n, (int)n) == (int)n;
}

static size_t pack_zstd(struct codec *c, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	size_t r;

	if (!c->zc && !(c->zc = ZSTD_createCCtx()))
		return 0;
	r = ZSTD_compressCCtx(c->zc, out, cap, in, n, c->level);
	return ZSTD_isError(r) ? 0 : r;
}

static bool unpack_zstd(struct codec *c, struct slice in, uint8_t *out, size_t n)
{
	if (!c->zd && !(c->zd = ZSTD_createDCtx()))
		abort(); /* no memory: as xmalloc does */
	return ZSTD_decompressDCtx(c->zd, out, n, in.p, in.n) == n;
}

static bool unpack_raw(struct codec *c, struct slice in, uint8_t *out, size_t n)
{
	(void)c;
	if (in.n != n)
		return false;
	memcpy(out, in.p, n);
	return true;
}

static const struct {
	const char *name;
	size_t (*pack)(struct codec *c, const uint8_t *in, size_t n, uint8_t *out, size_t cap); /* 0: it does not fit */
	bool (*unpack)(struct codec *c, struct slice in, uint8_t *out, size_t n);
} codecs[CODEC_COUNT] = {
	[CODEC_RAW] = {"none", NULL, unpack_raw},
	[CODEC_LZ4] = {"lz4", pack_lz4, unpack_lz4},
	[CODEC_ZSTD] = {"zstd", pack_zstd, unpack_zstd},
};

const char *codec_name(enum data_codec codec)
{
	return codecs[codec].name;
}

size_t codec_compress(struct codec *c, enum data_codec which, const uint8_t *in, size_t n, uint8_t *out, size_t cap)
{
	/* compression pays only if at least one part in sixteen is saved */
	return codecs[which].pack ? codecs[which].pack(c, in, n, out, MIN(cap, n - n / 16)) : 0;
}

int codec_decompress(struct codec *c, enum data_codec which, struct slice in, uint8_t *out, size_t n, struct err *e)
{
	if (which < ARRAY_LEN(codecs) && codecs[which].unpack && codecs[which].unpack(c, in, out, n))
		return 0;
	return err_set(e, EPROTO, "compressed data from the peer does not unpack to the %zu bytes it announced", n);
}
