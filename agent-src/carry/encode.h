/*
 * encode.h: how content is carried: which pages and blocks go into one DATA message, and what its body is. Pure; each data
 * channel has its own.
 *
 * Parts of one object and one kind that come one after another travel together, as a batch. The encoders stand in one table and
 * are asked in its order: of those that take such parts the first that does not leave it to the next writes the batch. So what
 * does not compress goes as it is. The mirror at the destination is data-receive.c's receive_decode() and receive_contents().
 */
#ifndef VMFERRY_ENCODE_H
#define VMFERRY_ENCODE_H

#include "codec.h"
#include "object.h"

#include <sys/uio.h> /* struct iovec */

#define BATCH_PARTS 512 /* parts of a batch; if it has contents, DATA_RAW_MAX ends it earlier */

enum send_kind {
	SEND_DATA,
	SEND_ZERO,
	SEND_HOLE,
	SEND_KEPT,  /* an older copy at the destination has the same content there */
	SEND_ALIKE, /* a disk filled from other images there has the same content there: small pieces, many in one message */
	SEND_MARK
};

struct send_part {
	uint64_t offset;
	const uint8_t *data; /* NULL for zero and hole */
	uint32_t bytes;	     /* ≤ DATA_RAW_MAX when there is data */
};

struct batch {
	uint32_t object;
	enum send_kind kind;
	unsigned n;
	size_t bytes;			     /* bytes of contents */
	struct hash128 content[BATCH_PARTS]; /* hashes of a disk's parts, sent in place of contents that are kept */
	struct send_part part[BATCH_PARTS];
};

struct encode;
struct encode *encode_new(enum codec_mode mode);
void encode_free(struct encode *en);
/* Sets the effort for contents from now on. It starts as the mode says; CODEC_MODE_AUTO: with LZ4. */
void encode_use(struct encode *en, enum codec_effort effort);
enum codec_effort encode_uses(const struct encode *en);

/* True if such a part is sent at all. as_it_was: its content is what was sent last for its place. kind: not SEND_MARK. */
bool encode_sends(enum send_kind kind, bool as_it_was);

/* True if the batch has room for the part. An empty one has room for any. */
bool batch_fits(const struct batch *b, enum send_kind kind, uint32_t object, const struct send_part *part);
void batch_add(struct batch *b, enum send_kind kind, uint32_t object, const struct send_part *part);
void batch_clear(struct batch *b);
/* Maximum size of its DATA message. */
size_t batch_room(const struct batch *b);
/* A DATA message: bytes before its contents, and bytes of the encoded contents. */
struct encoded {
	size_t head, body;
	/* contents that stay in place instead of being written; valid until the encode's next batch. 0: all were written */
	const struct iovec *piece;
	unsigned pieces;
};
/* Writes the DATA message of a non-empty batch to out (batch_room() bytes). Uncompressed contents in up to stay_pieces stretches of
 * memory stay in place. Leaves the thread in the cpu stage (cpu-stage.h) of that work. */
struct encoded batch_encode(struct encode *en, const struct batch *b, unsigned stay_pieces, uint8_t *out);

#endif
