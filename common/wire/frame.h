/*
 * frame.h: frames as a channel keeps them until they are acknowledged: their memory, lists of them, and the pieces that are sent. Pure;
 * only channel.c calls this.
 */
#ifndef VMFERRY_FRAME_H
#define VMFERRY_FRAME_H

#include "channel.h" /* struct frame_tail */

/* Frames of this payload capacity are pooled; smaller and larger ones come and go. */
#define FRAME_POOL_CAP (DATA_RAW_MAX + 64 * 1024)

struct frame {
	struct frame *next;
	uint64_t sequence;
	size_t cap;		 /* payload bytes that fit */
	size_t bytes;		 /* header and payload */
	struct frame_tail *tail; /* the last of these; NULL: all are in buf */
	uint8_t buf[];
};

/* The memory of all frames in use, and the pool of free ones. */
struct frame_memory {
	struct frame *pool;
	size_t held_bytes; /* bytes of frames in use, with their tails, which lie elsewhere */
};

struct frame *frame_get(struct frame_memory *m, size_t cap);
void frame_release(struct frame_memory *m, struct frame *f);
/* Keeps len bytes of the payload and, in place of its room for more, the tail. Returns the frame that is to be used instead. */
struct frame *frame_with_tail(struct frame_memory *m, struct frame *f, size_t len, struct frame_tail *tail);
size_t frame_tail_bytes(const struct frame *f);
/* Fills iov with the frame's pieces without its first `skip` bytes; returns how many fit. */
unsigned frame_pieces(struct frame *f, size_t skip, struct iovec *iov, unsigned max);

struct frame_list {
	struct frame *head, **tail;
};

void frame_list_init(struct frame_list *l);
void frame_list_add(struct frame_list *l, struct frame *f);
/* NULL: it is empty. */
struct frame *frame_list_take(struct frame_list *l);
/* Puts all of `first` in front, and empties it. */
void frame_list_join(struct frame_list *l, struct frame_list *first);
/* Frees all frames from f on, whose memory is not counted any more. NULL ok. */
void frame_free_all(struct frame *f);

#endif
