/* qemu-stream-private.h: what qemu-stream.c (the walker) shares with qemu-stream-bitmap.c (the section of the dirty bitmap). Nobody else's. */
#ifndef VMFERRY_QEMU_STREAM_PRIVATE_H
#define VMFERRY_QEMU_STREAM_PRIVATE_H

#include "qemu-stream.h"

typedef int step_fn(struct qemu_stream *s, const uint8_t *p, struct err *e);

/* RAM blocks, as the first section names them. */
struct block_list {
	struct ram_block *at;
	size_t count;
	uint64_t left; /* bytes of RAM that it has not named yet */
	bool whole;
};

/* The record being read: which page, and what follows of it. */
struct record {
	bool has_block; /* carried from section to section, as the block */
	unsigned block;
	uint64_t offset;
	unsigned kind; /* RAM_PAGE or RAM_ZERO */
};

/* The section of the dirty bitmap that holds QEMU (ram-hold.h). Nothing of it is part of the thin stream. */
struct hold_section {
	bool begun, ended, reading; /* reading: the section at hand is this one */
	uint32_t id;
	unsigned flags; /* flags of the chunk being read */
};

struct qemu_stream {
	struct qemu_stream_handlers on;
	void *ctx;

	step_fn *step; /* parser of the item being read; NULL: device state, bytes only */
	size_t need;   /* length of the item, at least 1 and at most sizeof(hold) */
	size_t held;   /* bytes of it in hold */
	bool paused;
	struct err failed; /* code != 0: the walker has stopped for good */

	uint64_t item_offset; /* offset of the item's first byte */
	uint64_t thin_bytes;

	bool configured;
	bool in_configuration; /* subsections of CONFIGURATION may follow */
	uint16_t command;
	enum ram_section section;
	uint8_t section_head[6]; /* kept back until the section is known: type, id, length of the name */
	bool has_ram, ram_ended; /* SECTION_START, SECTION_END were seen */
	uint32_t ram_id;
	struct hold_section bitmap;
	bool has_flush;
	struct block_list list;
	struct record record;

	uint8_t hold[QEMU_PAGE_BYTES];
};

/* ---- qemu-stream.c ---- */

/* The next item has so many bytes, and that step. */
int stream_expect(struct qemu_stream *s, size_t need, step_fn *step);
int stream_refuse(const struct qemu_stream *s, struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
step_fn stream_footer;

/* ---- qemu-stream-bitmap.c ---- */

/* The walk begins behind the head of the bitmap's first section. */
int stream_bitmap_begin(struct qemu_stream *s, uint32_t version, struct err *e);
/* A later one does. */
int stream_bitmap_section(struct qemu_stream *s);

#endif
