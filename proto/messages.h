/*
 * messages.h: frames and messages of the vmferry protocol (PROTOCOL.md), from messages.def. Pure.
 */
#ifndef VMFERRY_MESSAGES_H
#define VMFERRY_MESSAGES_H

#include "cursor.h"

#define PROTO_VERSION	  1
#define PROTO_VERSION_MIN 1

#define FRAME_HEADER_BYTES 28
#define TPM_FILE	   UINT32_MAX /* number of the file in FILE_DATA and FILE_END that has the guest's TPM state */
#define TPM_FILE_MAX	   (256 * 1024)
#define FRAME_PAYLOAD_MAX  (1024 * 1024)
#define MSG_STR_MAX	   4096
#define MSG_CRITICAL	   0x8000

/* The largest number of raw bytes (before a codec) for which one DATA may stand, when it carries contents. */
#define DATA_RAW_MAX	 (256 * 1024)
#define DATA_EXTENTS_MAX 4096

/* An entry of DATA_ALSO: `run` pages of the contents, from `unit` on, are also these pages of a RAM block. */
struct seed_extent {
	uint16_t unit, run;
	uint32_t object, page;
};
#define SEED_BYTES 12
#define SEEDS_MAX  1024

/* Features of HELLO. None is defined yet; an unknown required bit is refused. */
#define FEATURES_KNOWN 0ULL

enum object_kind { OBJECT_RAM = 1, OBJECT_DISK = 2, OBJECT_FILE = 3, OBJECT_STREAM = 4 };
enum data_codec { CODEC_RAW = 0, CODEC_LZ4 = 1, CODEC_ZSTD = 2, CODEC_ZERO = 3, CODEC_HOLE = 4, CODEC_KEPT = 5, CODEC_COUNT };
enum bitmap_what { BITMAP_MORE = 0, BITMAP_LAST = 1, BITMAP_DROPPED = 2 }; /* DROPPED: it is another by now, and is not made */
#define BITMAPS_MAX 16							   /* bitmaps of one disk */
#define GROUP_RAM   0 /* the group of all RAM objects; a disk's group is its object id */

enum msg_type {
#define MESSAGE(NAME, name, number, fields) MSG_##NAME = number,
#include "messages.def"
#undef MESSAGE
};

struct frame_header {
	uint16_t type;
	uint16_t summed; /* DATA, DATA_ALSO: not 0: so much of the payload, from its beginning, the checksum covers; else all */
	uint32_t channel;
	uint64_t sequence; /* 0: not sequenced (HELLO, RESUME, ACK, ERROR) */
	uint32_t length;
	uint64_t checksum;
};

#define U8(f)	uint8_t f;
#define U16(f)	uint16_t f;
#define U32(f)	uint32_t f;
#define U64(f)	uint64_t f;
#define ID(f)	uint8_t f[16];
#define STR(f)	struct slice f;
#define REST(f) struct slice f;
#define MESSAGE(NAME, name, number, fields)                                                                                                \
	struct msg_##name {                                                                                                                \
		fields                                                                                                                     \
	};                                                                                                                                 \
	/* Encodes into w (sets w->bad when it does not fit). */                                                                           \
	void msg_##name##_encode(struct writer *w, const struct msg_##name *m);                                                            \
	/* 0, or -EPROTO if p is not exactly one such message. Slices are borrowed from p. */                                              \
	int msg_##name##_decode(struct msg_##name *m, const uint8_t *p, size_t n);
#include "messages.def"
#undef MESSAGE
#undef U8
#undef U16
#undef U32
#undef U64
#undef ID
#undef STR
#undef REST

/* "HELLO", or NULL for an unknown type. */
const char *msg_name(uint16_t type);
struct slice slice_of(const char *s);

/* Writes the header of a frame whose payload, or what is summed of it, already stands at buf + FRAME_HEADER_BYTES; fills in the
 * checksum. */
void frame_seal(uint8_t *buf, const struct frame_header *h);
/* Decodes a header: 0, or -EPROTO when the length is over FRAME_PAYLOAD_MAX. */
int frame_header_decode(struct frame_header *h, const uint8_t buf[FRAME_HEADER_BYTES]);
/* True if the checksum of this whole frame is right. Leaves buf as it was. */
bool frame_intact(uint8_t *buf, const struct frame_header *h);

/* An extent of a DATA body. */
struct data_extent {
	uint64_t offset; /* bytes */
	uint32_t units;
};

/* Run-length coding of a set of units as (gap, length) varint pairs. `at` carries the end of the previous run
 * between calls and starts at 0. Returns false when w has no room (nothing was written). */
bool runs_put(struct writer *w, uint64_t *at, uint64_t start, uint64_t length);
/* 1: a run was read; 0: the end; -EPROTO. Runs ascend, never overlap, end at or before limit. */
int runs_get(struct reader *r, uint64_t *at, uint64_t limit, uint64_t *start, uint64_t *length);

#endif
