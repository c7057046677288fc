/*
 * channel.h: one ordered, checksummed, acknowledged stream of frames over a connected socket, plain or with TLS in it.
 *
 * A channel lives in one loop and is used only in that loop's thread. Frames that carry content have sequence
 * numbers; what is sent is kept until the peer has acknowledged it, which bounds memory (the window) and is what
 * a later reconnection resends from. The link is owned by the channel from channel_new() on.
 */
#ifndef VMFERRY_CHANNEL_H
#define VMFERRY_CHANNEL_H

#include "err.h"
#include "link.h"
#include "loop.h"
#include "messages.h"
#include "pacer.h"

struct channel;

enum { CHANNEL_LATER = 1 };

struct channel_handlers {
	/* A frame, checked and in order; payload is borrowed. A negative result ends the channel with *e. CHANNEL_LATER, after
	 * channel_pause(): not now, it comes again when the channel is resumed, as if it had not arrived yet. It may change the
	 * thread's stage (cpu-stage.h), which is put back. */
	int (*frame)(void *ctx, struct channel *c, uint16_t type, const uint8_t *payload, size_t n, struct err *e);
	/* There is room in the window again after channel_begin() gave NULL. May be NULL. */
	void (*writable)(void *ctx, struct channel *c);
	/* Once, when the peer is gone or broke the protocol. channel_free() may be called after it, not within. */
	void (*closed)(void *ctx, struct channel *c, const struct err *why);
};

struct channel_config {
	uint32_t number;
	size_t window_bytes;	  /* memory for frames on their way */
	size_t receive_bytes;	  /* receive buffer: at least one largest frame */
	struct pacer *pacer;	  /* NULL: none */
	struct channel_handlers on;
	void *ctx;
};

struct channel *channel_new(struct loop *l, struct link link, const struct channel_config *cfg);
/* Closes the socket, waits (pumping the loop) for pending operations, frees. NULL ok. */
void channel_free(struct channel *c);

/* Room for a payload of up to cap bytes (≤ FRAME_PAYLOAD_MAX), or NULL while the window is full (then writable()
 * is called). Must be followed by channel_commit() before the next begin. */
uint8_t *channel_begin(struct channel *c, size_t cap);
void channel_commit(struct channel *c, uint16_t type, size_t len);
/* Sends a small message whatever the window says: for control and marks. */
void channel_post(struct channel *c, uint16_t type, const void *payload, size_t len);
/* The same from a message struct, in a buffer on the stack of MSG_SMALL_MAX bytes. */
#define MSG_SMALL_MAX 8192
#define channel_send(c, NAME, name, ...)                                                           \
	do {                                                                                       \
		uint8_t buf_[MSG_SMALL_MAX];                                                       \
		struct writer w_ = writer_of(buf_, sizeof(buf_));                                  \
		struct msg_##name m_ = {__VA_ARGS__};                                              \
		msg_##name##_encode(&w_, &m_);                                                     \
		channel_post((c), MSG_##NAME, buf_, writer_len(&w_));                              \
	} while (0)

/* Stops and restarts the delivery of frames (back-pressure on the peer). */
void channel_pause(struct channel *c);
void channel_resume(struct channel *c);
bool channel_open(const struct channel *c);
/* Has everything been sent and acknowledged? */
bool channel_idle(const struct channel *c);

/* Totals on the wire, headers included; readable from any thread. */
uint64_t channel_bytes_sent(const struct channel *c);
uint64_t channel_bytes_received(const struct channel *c);
/* Of frames that the peer has not acknowledged, whether they have left or not; readable from any thread. */
uint64_t channel_bytes_unacked(const struct channel *c);

#endif
