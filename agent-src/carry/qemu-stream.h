/*
 * qemu-stream.h: pure walker of the streams a source QEMU writes when it migrates. No I/O.
 *
 * Main channel: `struct qemu_stream` takes bytes in any pieces and tells what they are through
 * handlers. It takes the RAM records out and hands on what is left, the *thin stream*: header,
 * CONFIGURATION, COMMANDs, RAM SECTION_START with its block list, the emptied SECTION_END, device
 * state, EOF, VMDESC. Multifd channels: qemu-multifd.h. The section of the dirty bitmap that holds QEMU (ram-hold.h) is
 * dropped: the destination QEMU has no such node.
 *
 * Layouts: QEMU 7.2, 10.0 and 11.1, every machine type, single stream and multifd, x86 (4 KiB target
 * pages). Anything else is -ENOTSUP with a sentence naming what was seen and at which offset;
 * lengths and values that contradict each other are -EPROTO.
 */
#ifndef VMFERRY_QEMU_STREAM_H
#define VMFERRY_QEMU_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define QEMU_PAGE_BYTES 4096
#define HOLD_PREFIX	"vmferry-"   /* prefix of the node whose dirty bitmap holds QEMU; any other bitmap is refused */
#define QEMU_BLOCKS_MAX 4096	     /* RAM blocks in one guest */
#define QEMU_RAM_MAX	(1ULL << 46) /* bytes of all of them: 46 bits of physical addresses */

/* --- RAM blocks --- */

struct ram_block {
	char name[256];	     /* never empty */
	uint64_t used_bytes; /* multiple of QEMU_PAGE_BYTES */
};

/* Index of the block called `name`, or -ENOENT. */
int ram_block_find(const struct ram_block *blocks, size_t count, const char *name);
/* 0 if a whole page lies at `offset` of block `index`, otherwise -EPROTO (also if it is not
 * page-aligned). */
int ram_block_check(const struct ram_block *blocks, size_t count, unsigned index, uint64_t offset);

/* --- which channel is this? --- */

enum qemu_channel { QEMU_CHANNEL_UNKNOWN, QEMU_CHANNEL_MAIN, QEMU_CHANNEL_MULTIFD };

/* Tells from the first four bytes of a connection: QEMU's accept order tells nothing. */
enum qemu_channel qemu_channel_kind(const uint8_t first[4]);

/* --- main channel --- */

enum ram_section {
	RAM_SETUP,    /* SECTION_START: the block list */
	RAM_PART,     /* SECTION_PART: a slice of about 50 ms, not a round */
	RAM_COMPLETE, /* SECTION_END: the last one; the guest is stopped */
};

/* The handlers for what the walker sees, in stream order. All must be set. A handler returns 0: go on; 1: pause, so that qemu_stream_push()
 * returns after the item at hand, before anything later is reported; <0: an error, which push returns as it is, and the handler has filled
 * the caller's `struct err`. */
struct qemu_stream_handlers {
	/* The next bytes of the thin stream. */
	int (*thin)(void *ctx, const uint8_t *p, size_t n);
	/* The block list, once, before any page. Lives as long as the walker. */
	int (*blocks)(void *ctx, const struct ram_block *blocks, size_t count);
	/* PAGE record: QEMU_PAGE_BYTES bytes, valid during the call only. Block and offset are
	 * checked. */
	int (*page)(void *ctx, unsigned block, uint64_t offset, const uint8_t *data);
	/* ZERO record: the page is all zero. */
	int (*zero)(void *ctx, unsigned block, uint64_t offset);
	/* MULTIFD_FLUSH: what was sent before, on all channels, is to be in place before what
	 * follows. */
	int (*flush)(void *ctx);
	/* Called after the EOS of a RAM section, before its footer. Without flush marks this is the sync point. */
	int (*section_end)(void *ctx, enum ram_section which);
	/* COMMAND PING; it also stays in the thin stream (told after its bytes). */
	int (*ping)(void *ctx, uint32_t value);
	/* COMMAND OPEN_RETURN_PATH; also stays in the thin stream (told after its bytes). */
	int (*open_return_path)(void *ctx);
	/* The place in the thin stream where SECTION_END's RAM records stood (after its header,
	 * before its EOS): whoever feeds a QEMU may insert PAGE records here.
	 * qemu_stream_thin_bytes() is its offset. */
	int (*records_mark)(void *ctx);
};

struct qemu_stream;

/* The handlers are copied. Never fails; free with qemu_stream_free() (NULL is fine). */
struct qemu_stream *qemu_stream_new(const struct qemu_stream_handlers *handlers, void *ctx);
void qemu_stream_free(struct qemu_stream *s);

/*
 * Takes the next `n` bytes of the main channel. Returns
 *   0             all taken, *used == n;
 *   1             a handler asked to pause; *used bytes were taken, push the rest later;
 *  -ENOTSUP       a layout this walker does not know;
 *  -EPROTO        malformed;
 *  <0             a handler's own error.
 *
 * How the input is cut has no influence on what the handlers are told, except on how thin bytes are
 * cut. After an error the walker is of no more use: each further push returns that error again.
 */
int qemu_stream_push(struct qemu_stream *s, const uint8_t *p, size_t n, size_t *used, struct err *e);

/* Thin bytes handed out. */
uint64_t qemu_stream_thin_bytes(const struct qemu_stream *s);
/* Valid from section_end(RAM_SETUP) on. True: multifd SYNC packets pair with flush() (machine types
 * >= 8.1). False: with every section_end(), of all three kinds (older machine types), or there is
 * no multifd. */
bool qemu_stream_has_flush(const struct qemu_stream *s);

#endif
