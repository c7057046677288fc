/*
 * channel.h: one ordered, checksummed, acknowledged stream of frames, which may outlive the connection that carries it. No
 * I/O here: conn.h has what a channel and its connection say to each other, conn-link.h the connection over a link, and
 * channel_over(), which makes both.
 *
 * A channel is used in one thread, its connection's. Frames that carry content have sequence numbers; what is sent is
 * kept until the peer has acknowledged it, which bounds memory (the window), and is what is sent again over the next connection.
 *
 *   attached: frames go and come. When the connection is lost, on.lost() is told; if the channel is not to outlive it, it is the end, on.closed().
 *   detached: frames are taken, up to the window, and wait. So is a new channel. Attached with the next generation.
 *   closed:   the peer broke the protocol or said ERROR, a handler refused, or the connection was lost for good. No way back.
 */
#ifndef VMFERRY_CHANNEL_H
#define VMFERRY_CHANNEL_H

#include "err.h"
#include "messages.h"
#include "pacer.h"

#include <sys/uio.h> /* struct iovec */

struct channel;
struct conn;

enum { CHANNEL_LATER = 1 };

struct channel_handlers {
	/* A frame, checked and in order; payload is borrowed. A negative result ends the channel with *e. CHANNEL_LATER, after
	 * channel_pause() and before anything was sent: not now, it comes again when the channel is resumed, as if it had not
	 * arrived yet. It may change the thread's stage (cpu-stage.h), which is put back. */
	int (*frame)(void *ctx, struct channel *c, uint16_t type, const uint8_t *payload, size_t n, struct err *e);
	/* There is room in the window again after channel_begin() gave NULL. May be NULL. */
	void (*writable)(void *ctx, struct channel *c);
	/* Once, when the peer is gone or broke the protocol. channel_free() may be called after it, not within. */
	void (*closed)(void *ctx, struct channel *c, const struct err *why);
	/* Once a connection, when it is no more: the channel waits for another. channel_detach() may be called after it, not
	 * within. Where channel_outlive() says so. */
	void (*lost)(void *ctx, struct channel *c, const struct err *why);
};

struct channel_config {
	uint32_t number;
	size_t window_bytes; /* memory for frames on their way */
	struct pacer *pacer; /* NULL: none */
	/* ms; atomic: when TCP has heard nothing for so long that should have been answered, the connection is lost. NULL, or 0: it is left
	 * to the kernel, who has much patience */
	const unsigned *silence_ms;
	struct channel_handlers on;
	void *ctx;
};

/* Detached, and waits for generation 0. */
struct channel *channel_new(const struct channel_config *cfg);
/* Closes the connection, waits (pumping the loop) for pending operations, frees. NULL ok. */
void channel_free(struct channel *c);

/*
 * The connection there is, if any, is closed as by channel_free(), to make room for that of this generation. *received: the last
 * frame that was taken from the peer, which it is to be told; what arrived behind it and was not delivered is forgotten.
 *
 * -ESTALE: the generation is not higher than any before, so that what announced it is older than the connection there is;
 * why a closed channel is closed. Then nothing has changed.
 */
int channel_detach(struct channel *c, uint32_t generation, uint64_t *received, struct err *e);
/*
 * conn, the channel's from here on whatever happens, is the one of this generation. peer_received: what channel_detach() gave the peer
 * (0 for generation 0); all behind that is sent again. Tells the peer what was received here.
 *
 * Refused: -ESTALE, when there is a connection already or another generation is waited for; -EPROTO, when the peer cannot have
 * received so much, or no longer has what it acknowledged; why a closed channel is closed. Then only conn is gone.
 */
int channel_attach(struct channel *c, struct conn *conn, uint32_t generation, uint64_t peer_received, struct err *e);
/* Does it outlive its connections? Not at first, and never without on.lost(). One that waits for another is closed when it no longer does. */
void channel_outlive(struct channel *c, bool yes);
/* The generation of the connection there is, or is waited for. */
uint32_t channel_generation(const struct channel *c);

/* Room for a payload of up to cap bytes (≤ FRAME_PAYLOAD_MAX), or NULL while the window is full (then writable()
 * is called). Must be followed by channel_commit() before the next begin. */
uint8_t *channel_begin(struct channel *c, size_t cap);
void channel_commit(struct channel *c, uint16_t type, size_t len);
/* The end of a payload that stays where it is: it is not touched until release() is called, once, from the channel's thread: when the
 * peer has acknowledged the frame, or the channel is freed. */
struct frame_tail {
	void (*release)(struct frame_tail *t);
	size_t bytes; /* of all pieces */
	unsigned n;
	struct iovec piece[];
};
/* The same of DATA or DATA_ALSO of whose payload len bytes stand in what channel_begin() gave, and the others in tail (NULL: there are
 * none). The checksum covers the first `summed` bytes, ≤ len and ≤ UINT16_MAX; 0: everything, and there is no tail. */
void channel_commit_data(struct channel *c, uint16_t type, size_t len, size_t summed, struct frame_tail *tail);
/* Sends a small message whatever the window says: for control and marks. */
void channel_post(struct channel *c, uint16_t type, const void *payload, size_t len);
/* The same from a message struct, in a buffer on the stack of MSG_SMALL_MAX bytes. */
#define MSG_SMALL_MAX 8192
#define channel_send(c, NAME, name, ...)                                                                                                   \
	do {                                                                                                                               \
		uint8_t buf_[MSG_SMALL_MAX];                                                                                               \
		struct writer w_ = writer_of(buf_, sizeof(buf_));                                                                          \
		struct msg_##name m_ = {__VA_ARGS__};                                                                                      \
		msg_##name##_encode(&w_, &m_);                                                                                             \
		channel_post((c), MSG_##NAME, buf_, writer_len(&w_));                                                                      \
	} while (0)

/* Stops and restarts the delivery of frames (back-pressure on the peer). */
void channel_pause(struct channel *c);
void channel_resume(struct channel *c);
/* Not closed. */
bool channel_open(const struct channel *c);
/* Has everything been sent and acknowledged? */
bool channel_idle(const struct channel *c);

/* Totals on the wire, of all its connections, headers included; readable from any thread. */
uint64_t channel_bytes_sent(const struct channel *c);
uint64_t channel_bytes_received(const struct channel *c);
/* Of frames that the peer has acknowledged; readable from any thread. */
uint64_t channel_bytes_acked(const struct channel *c);
/* Of frames that were given to one connection, and are to be sent again over the next; readable from any thread. */
uint64_t channel_bytes_again(const struct channel *c);
/* What keeps frames from leaving: bytes that wait for the network, up to half a MiB more of them; and whether it is the peer that
 * takes less than the network carries, lately, as far as the connection knows. In the channel's thread. */
struct channel_backlog {
	uint64_t bytes;
	bool peer_is_slow;
	bool network_is_idle; /* it has taken all that it was given, and nothing waits for the pacer */
};
struct channel_backlog channel_backlog(struct channel *c);
/* Of frames that the peer has not acknowledged, whether they have left or not; readable from any thread. */
uint64_t channel_bytes_unacked(const struct channel *c);

#endif
