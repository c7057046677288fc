/*
 * conn.h: between a channel and the connection that carries its bytes: conn-link.h has the one over a link. No I/O here.
 *
 * The connection takes what is to leave and puts down what arrived, in the channel's own buffers; the channel says when there
 * may be more of either. A connection that was lost stays attached, and does nothing, until channel_detach().
 */
#ifndef VMFERRY_CONN_H
#define VMFERRY_CONN_H

#include "channel.h"

struct conn_ops {
	/* The channel is set: bytes may be moved. Delivers nothing before the loop runs. */
	void (*start)(struct conn *k);
	/* channel_out() may have something. */
	void (*send)(struct conn *k);
	/* channel_takes() again, after a pause. */
	void (*receive)(struct conn *k);
	/* Adds the connection's backlog to that of the channel. */
	void (*backlog)(struct conn *k, struct channel_backlog *b);
	/* A frame that leaves now or never. */
	void (*last_words)(struct conn *k, const uint8_t *p, size_t n);
	/* The channel is closed: the connection moves and reports nothing any more. */
	void (*shut)(struct conn *k);
	/* Says goodbye, waits for what is under way, frees. The channel's buffers are not touched afterwards. */
	void (*free)(struct conn *k);
};

/* The beginning of each kind's own struct. */
struct conn {
	const struct conn_ops *ops;
	struct channel *ch; /* set by channel_attach() */
};

/* The next bytes to send, in up to max pieces (at least two) and *bytes in all; 0: none. A piece is a frame, or a part of
 * one. Pieces stay where they are until they are taken, whatever else is called. */
unsigned channel_out(struct channel *c, struct iovec *iov, unsigned max, size_t *bytes);
/* Takes the first n of these bytes: they are not given again on this connection. */
void channel_taken(struct channel *c, size_t n);
/* n bytes have left, as they are on the wire. */
void channel_sent(struct channel *c, size_t n);

/* True if the channel takes bytes now: it is neither paused nor closed. */
bool channel_takes(const struct channel *c);
/* True while a handler works on a frame: no bytes may be put down then. */
bool channel_delivering(const struct channel *c);
/* The buffer for the next bytes: *cap > 0 of them, while the channel takes any. Moves bytes that are not yet delivered. */
uint8_t *channel_room(struct channel *c, size_t *cap);
/* n bytes are in the buffer: delivers them. */
void channel_put(struct channel *c, size_t n);
/* n bytes have arrived, as they are on the wire. */
void channel_heard(struct channel *c, size_t n);

/* Reports, once, that the connection is lost. */
void channel_lost(struct channel *c, const struct err *why);
/* NULL: none. */
struct pacer *channel_pacer(const struct channel *c);
/* The member of channel_config. */
const unsigned *channel_silence_ms(const struct channel *c);

#endif
