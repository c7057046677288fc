/*
 * send-item.h: what producers (memory, disks, the conductor) put into a data channel's queue: parts of the buffers that they have in
 * common with other channels, and marks between them.
 */
#ifndef VMFERRY_SEND_ITEM_H
#define VMFERRY_SEND_ITEM_H

#include "encode.h"
#include "queue.h"
#include "seeds.h"

/* A buffer of a producer's pool, pointed into by items on several channels. */
struct shared_buf {
	int refs;			       /* atomic */
	int stays;			       /* frames in flight with contents in it (staying.h); atomic */
	void (*release)(struct shared_buf *b); /* function called when refs reaches 0, in any thread */
};
void shared_buf_ref(struct shared_buf *b);
void shared_buf_unref(struct shared_buf *b);

struct send_item {
	struct qnode node;
	enum send_kind kind;
	uint32_t object;
	struct shared_buf *buf; /* referenced; NULL for zero, hole and marks */
	/* SEND_MARK: encodes messages; RAM rounds need the sender's own sums */
	enum { MARK_MESSAGE, MARK_RECHECK, MARK_RAM_ROUND_END, MARK_DISK_ROUND_END, MARK_END } mark;
	uint16_t message;
	uint32_t number;
	struct seed *seeds; /* seeds of the one part; malloc'ed */
	unsigned seed_count;
	unsigned n; /* parts, or bytes of the message */
	union {
		struct send_part part[1];
		uint8_t bytes[1];
	} u;
};

/* Allocates an item with room for n parts, or for n message bytes. */
struct send_item *send_item_new(enum send_kind kind, uint32_t object, unsigned parts);
struct send_item *send_mark_new(uint16_t message, const void *payload, size_t n);
/* Bytes of content. */
size_t send_item_bytes(const struct send_item *it);
/* Drops its reference and its seeds, too. */
void send_item_free(struct send_item *it);

#endif
