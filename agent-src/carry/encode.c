/* encode.c: see encode.h. */
#include "encode.h"
#include "cpu-stage.h"
#include "util.h"

#include <string.h>

#define HEAD_BYTES   12 /* DATA before its extents */
#define EXTENT_BYTES 12
#define HASH_BYTES   16
#define TRY_BYTES    512 /* less is not worth a try */
#define BARREN_GAIN  16	 /* less than a 16th saved is nothing */
#define BARREN_MAX   5	 /* number of batches of which one is tried, while nothing compresses */

#define NEXT SIZE_MAX /* result of an encoder that does not take the batch */

struct encode {
	struct codec *codec;
	uint8_t *scratch;
	enum codec_effort now;
	bool sparing;	       /* batches are not always tried when their like did not compress */
	unsigned barren, skip; /* batches in a row that did not compress; that are not even tried */
	/* pieces of the batch, once they were looked for; how many may stay where they are, and whether they do */
	struct iovec piece[BATCH_PARTS];
	unsigned pieces, stay_pieces;
	bool stays;
};

struct encoder {
	enum data_codec codec; /* codec that DATA names */
	bool (*takes)(enum send_kind kind, bool as_it_was);
	/* Writes what is behind the extents, at most b->bytes; returns its length, or NEXT. NULL: nothing is sent at all. */
	size_t (*write)(struct encode *en, enum data_codec codec, const struct batch *b, uint8_t *out);
};

/* The stretches of memory that have the contents. */
static void find_pieces(struct encode *en, const struct batch *b)
{
	unsigned n = 0, i;

	for (i = 0; i < b->n; i++) {
		const struct send_part *part = &b->part[i];

		if (i && part->data == b->part[i - 1].data + b->part[i - 1].bytes)
			en->piece[n - 1].iov_len += part->bytes;
		else
			en->piece[n++] = (struct iovec){(void *)(uintptr_t)part->data, part->bytes};
	}
	en->pieces = n;
}

static void gather(const struct encode *en, uint8_t *out)
{
	for (unsigned i = 0; i < en->pieces; i++) {
		memcpy(out, en->piece[i].iov_base, en->piece[i].iov_len);
		out += en->piece[i].iov_len;
	}
}

/* The contents in one piece. */
static const uint8_t *in_one_piece(struct encode *en, const struct batch *b)
{
	find_pieces(en, b);
	if (en->pieces == 1)
		return en->piece[0].iov_base;
	gather(en, en->scratch);
	return en->scratch;
}

/* ---- each encoder ---- */

static bool takes_what_is_as_it_was(enum send_kind kind, bool as_it_was)
{
	(void)kind;
	return as_it_was;
}

static bool takes_zeros(enum send_kind kind, bool as_it_was)
{
	(void)as_it_was;
	return kind == SEND_ZERO;
}

static bool takes_holes(enum send_kind kind, bool as_it_was)
{
	(void)as_it_was;
	return kind == SEND_HOLE;
}

static bool takes_kept(enum send_kind kind, bool as_it_was)
{
	(void)as_it_was;
	return kind == SEND_KEPT || kind == SEND_ALIKE;
}

static bool takes_contents(enum send_kind kind, bool as_it_was)
{
	(void)as_it_was;
	return kind == SEND_DATA;
}

static size_t write_nothing(struct encode *en, enum data_codec codec, const struct batch *b, uint8_t *out)
{
	(void)en, (void)codec, (void)b, (void)out;
	return 0;
}

static size_t write_hashes(struct encode *en, enum data_codec codec, const struct batch *b, uint8_t *out)
{
	(void)en, (void)codec;
	for (unsigned i = 0; i < b->n; i++)
		hash_bytes(b->content[i], out + (size_t)i * HASH_BYTES);
	return (size_t)b->n * HASH_BYTES;
}

/* Content that does not compress comes in stretches: then only every so manieth batch is tried. */
static bool is_barren(struct encode *en)
{
	if (!en->sparing || !en->skip)
		return false;
	en->skip--;
	return true;
}

static void count_barren(struct encode *en, bool gained)
{
	en->barren = gained ? 0 : MIN(en->barren + 1, BARREN_MAX);
	en->skip = en->barren ? (1u << en->barren) - 1 : 0;
}

static size_t write_compressed(struct encode *en, enum data_codec codec, const struct batch *b, uint8_t *out)
{
	size_t n;

	if (codec_of_effort(en->now) != codec || b->bytes < TRY_BYTES || is_barren(en))
		return NEXT;
	cpu_stage_enter_for(CPU_COMPRESS, b->bytes);
	n = codec_compress(en->codec, codec, in_one_piece(en, b), b->bytes, out, b->bytes);
	count_barren(en, n && n < b->bytes - b->bytes / BARREN_GAIN);
	return n ? n : NEXT;
}

static size_t write_raw(struct encode *en, enum data_codec codec, const struct batch *b, uint8_t *out)
{
	(void)codec;
	cpu_stage_enter_for(CPU_SEND, b->bytes);
	find_pieces(en, b);
	en->stays = en->pieces <= en->stay_pieces;
	if (!en->stays)
		gather(en, out);
	return b->bytes;
}

/* clang-format off */
static const struct encoder encoders[] = {
	{CODEC_RAW, takes_what_is_as_it_was, NULL},
	{CODEC_ZERO, takes_zeros, write_nothing},
	{CODEC_HOLE, takes_holes, write_nothing},
	{CODEC_KEPT, takes_kept, write_hashes},
	{CODEC_LZ4, takes_contents, write_compressed},
	{CODEC_ZSTD, takes_contents, write_compressed},
	{CODEC_RAW, takes_contents, write_raw}, /* fallback: uncompressed */
};
/* clang-format on */

static const struct encoder *first_that_takes(const struct encoder *x, enum send_kind kind, bool as_it_was)
{
	while (!x->takes(kind, as_it_was))
		x++;
	return x;
}

bool encode_sends(enum send_kind kind, bool as_it_was)
{
	return first_that_takes(encoders, kind, as_it_was)->write;
}

/* ---- batches ---- */

/* A destination reads all from the first extent to the last at once. */
static bool is_near(const struct batch *b, const struct send_part *part)
{
	return part->offset > b->part[0].offset && part->offset + part->bytes - b->part[0].offset <= DATA_RAW_MAX;
}

bool batch_fits(const struct batch *b, enum send_kind kind, uint32_t object, const struct send_part *part)
{
	if (!b->n)
		return true;
	return b->object == object && b->kind == kind && kind != SEND_KEPT && b->n < BATCH_PARTS &&
	       (kind != SEND_ALIKE || is_near(b, part)) && (kind != SEND_DATA || b->bytes + part->bytes <= DATA_RAW_MAX);
}

static bool has_bytes(enum send_kind kind)
{
	return kind == SEND_DATA || kind == SEND_KEPT || kind == SEND_ALIKE;
}

void batch_add(struct batch *b, enum send_kind kind, uint32_t object, const struct send_part *part)
{
	b->object = object;
	b->kind = kind;
	b->part[b->n++] = *part;
	b->bytes += has_bytes(kind) ? part->bytes : 0;
}

void batch_clear(struct batch *b)
{
	b->n = 0;
	b->bytes = 0;
}

size_t batch_room(const struct batch *b)
{
	return HEAD_BYTES + b->n * EXTENT_BYTES + (b->kind == SEND_KEPT || b->kind == SEND_ALIKE ? b->n * HASH_BYTES : b->bytes);
}

static unsigned shift_of(uint32_t object)
{
	return object_is_ram(object) ? PAGE_SHIFT : object_is_disk(object) ? DISK_SHIFT : STREAM_SHIFT;
}

/* Returns the number of extents written. Neighbouring pages are joined; a write to a disk stays one extent, as its
 * hash is counted so. */
static unsigned put_extents(struct writer *w, const struct batch *b)
{
	unsigned shift = shift_of(b->object), n = 0, i, j;
	bool join = object_is_ram(b->object);

	for (i = 0; i < b->n; i = j, n++) {
		uint64_t bytes = b->part[i].bytes;

		for (j = i + 1; join && j < b->n && b->part[j].offset == b->part[i].offset + bytes &&
				bytes + b->part[j].bytes <= (uint64_t)UINT32_MAX << shift;
		     j++)
			bytes += b->part[j].bytes;
		write_u64(w, b->part[i].offset);
		write_u32(w, (uint32_t)(bytes >> shift));
	}
	return n;
}

struct encoded batch_encode(struct encode *en, const struct batch *b, unsigned stay_pieces, uint8_t *out)
{
	struct writer head = writer_of(out, HEAD_BYTES), extents = writer_of(out + HEAD_BYTES, b->n * EXTENT_BYTES);
	const struct encoder *x = first_that_takes(encoders, b->kind, false);
	unsigned count = put_extents(&extents, b);
	size_t n;

	en->stay_pieces = stay_pieces;
	en->stays = false;
	while ((n = x->write(en, x->codec, b, extents.p)) == NEXT)
		x = first_that_takes(x + 1, b->kind, false);
	write_u32(&head, b->object);
	write_u8(&head, x->codec);
	write_u8(&head, 0);
	write_u16(&head, (uint16_t)count);
	write_u32(&head, (uint32_t)b->bytes);
	return (struct encoded){.head = HEAD_BYTES + writer_len(&extents),
				.body = n,
				.piece = en->piece,
				.pieces = en->stays ? en->pieces : 0};
}

/* ---- life ---- */

struct encode *encode_new(enum codec_mode mode)
{
	struct encode *en = xcalloc(1, sizeof(*en));

	en->now = codec_first_effort(mode);
	en->sparing = mode == CODEC_MODE_AUTO;
	en->codec = codec_new();
	en->scratch = xmalloc(DATA_RAW_MAX);
	return en;
}

void encode_free(struct encode *en)
{
	if (!en)
		return;
	codec_free(en->codec);
	free(en->scratch);
	free(en);
}

void encode_use(struct encode *en, enum codec_effort effort)
{
	en->now = effort;
	codec_set_effort(en->codec, effort);
}

enum codec_effort encode_uses(const struct encode *en)
{
	return en->now;
}
