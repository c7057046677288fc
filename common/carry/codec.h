/*
 * codec.h: compression of one DATA body, and the choice of codec. Each channel thread owns one.
 */
#ifndef VMFERRY_CODEC_H
#define VMFERRY_CODEC_H

#include "err.h"
#include "messages.h"

struct codec;

/* The compression that the user asks for at the source: AUTO decides from moment to moment. */
enum codec_mode { CODEC_MODE_AUTO, CODEC_MODE_NONE, CODEC_MODE_LZ4, CODEC_MODE_ZSTD };
extern const char *const codec_words[]; /* words of the command line for the modes; ends with NULL */

/* The work that contents are worth, in order of cost. */
enum codec_effort { EFFORT_NONE, EFFORT_LZ4, EFFORT_ZSTD, EFFORT_ZSTD_HARD };
#define CODEC_EFFORTS (EFFORT_ZSTD_HARD + 1)
enum data_codec codec_of_effort(enum codec_effort effort);
/* The effort that a mode begins with; all modes but AUTO stay at it. */
enum codec_effort codec_first_effort(enum codec_mode mode);
/* The name of a codec in the progress output. */
const char *codec_name(enum data_codec codec);

struct codec *codec_new(void);
void codec_free(struct codec *c);

/* Sets the effort from now on; it begins as EFFORT_ZSTD. */
void codec_set_effort(struct codec *c, enum codec_effort effort);
/* Compresses n bytes with `which` into out (cap bytes). Returns the size, or 0 when it did not pay (send raw). */
size_t codec_compress(struct codec *c, enum data_codec which, const uint8_t *in, size_t n, uint8_t *out, size_t cap);
/* Decompresses into exactly n bytes. 0 or -EPROTO. */
int codec_decompress(struct codec *c, enum data_codec which, struct slice in, uint8_t *out, size_t n, struct err *e);

#endif
