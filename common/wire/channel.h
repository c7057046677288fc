/*
 * channel.h: one ordered, checksummed, acknowledged stream of frames, which may outlive the connection that carries it. No
 * I/O here: conn.h has the interface between a channel and its connection, conn-link.h the connection over a link, and
 * channel_over(), which makes both.
 *
 * A channel is used in one thread, its connection's. Frames that carry content have sequence numbers; sent frames are kept
 * until the peer has acknowledged them, which bounds memory (the window), and are sent again over the next connection.
 *
 *   attached: frames are sent and received. A lost connection is reported by on.lost(), or ends the channel by on.closed().
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
	/* Reports room in the window after channel_begin() returned NULL. May be NULL. */
	void (*writable)(void *ctx, struct channel *c);
	/* Called once, when the peer has gone or broke the protocol. channel_free() may be called after it, not within. */
	void (*closed)(void *ctx, struct channel *c, const struct err *why);
	/* Called once when a connection is lost and the channel, by channel_outlive(), waits for another. channel_detach() may be
	 * called after it, not within. */
	void (*lost)(void *ctx, struct channel *c, const struct err *why);
};

struct channel_config {
	uint32_t number;
	size_t window_bytes; /* memory for frames on their way */
	struct pacer *pacer; /* NULL: none */
	/* ms; atomic: the connection counts as lost when TCP has had no answer for so long. NULL, or 0: the kernel decides, after a long
	 * time */
	const unsigned *silence_ms;
	struct channel_handlers on;
	void *ctx;
};

/* Detached, and waits for generation 0. */
struct channel *channel_new(const struct channel_config *cfg);
/* Closes the connection, waits (pumping the loop) for pending operations, frees. NULL ok. */
void channel_free(struct channel *c);

/*
 * Closes the present connection, if any, as channel_free() does, to make room for that of this generation. *received: the last
 * frame taken from the peer, which the caller tells the peer; bytes that arrived after it and were not delivered are dropped.
 *
 * -ESTALE: the generation is not higher than any before, so the announcement is older than the present connection; or the reason
 * why the channel is closed. Nothing has changed then.
 */
int channel_detach(struct channel *c, uint32_t generation, uint64_t *received, struct err *e);
/*
 * Attaches conn as the connection of this generation; the channel owns it from here on, also after an error. peer_received: the result
 * of the peer's channel_detach() (0 for generation 0); all later frames are sent again. Tells the peer the last frame received here.
 *
 * Errors: -ESTALE: there is a connection already, or another generation is expected; -EPROTO: the peer cannot have received so
 * much, or no longer has what it acknowledged; or the reason why the channel is closed. Only conn is gone then.
 */
int channel_attach(struct channel *c, struct conn *conn, uint32_t generation, uint64_t peer_received, struct err *e);
/* Sets whether the channel outlives its connections: false at first, and always without on.lost(). Setting it to false closes a channel
 * that waits for another connection. */
void channel_outlive(struct channel *c, bool yes);
/* The generation of the present connection, or of the expected one. */
uint32_t channel_generation(const struct channel *c);

/* Room for a payload of up to cap bytes (≤ FRAME_PAYLOAD_MAX), or NULL while the window is full (then writable()
 * is called). Must be followed by channel_commit() before the next begin. */
uint8_t *channel_begin(struct channel *c, size_t cap);
void channel_commit(struct channel *c, uint16_t type, size_t len);
/* The tail of a payload, sent from where it lies. It must not change until release() is called, once, from the channel's thread: when the
 * peer has acknowledged the frame, or the channel is freed. */
struct frame_tail {
	void (*release)(struct frame_tail *t);
	size_t bytes; /* bytes of all pieces */
	unsigned n;
	struct iovec piece[];
};
/* Sends DATA or DATA_ALSO: len bytes of the payload are in the buffer from channel_begin(), the rest in tail (NULL: none). The checksum
 * covers the first `summed` bytes, ≤ len and ≤ UINT16_MAX; 0: everything, and there is no tail. */
void channel_commit_data(struct channel *c, uint16_t type, size_t len, size_t summed, struct frame_tail *tail);
/* Sends a small message whatever the window says: for control and marks. */
void channel_post(struct channel *c, uint16_t type, const void *payload, size_t len);
/* Sends a message struct, by way of a buffer on the stack of MSG_SMALL_MAX bytes. */
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
/* True unless the channel is closed. */
bool channel_open(const struct channel *c);
/* True if everything has been sent and acknowledged. */
bool channel_idle(const struct channel *c);

/* Totals on the wire, of all its connections, headers included; readable from any thread. */
uint64_t channel_bytes_sent(const struct channel *c);
uint64_t channel_bytes_received(const struct channel *c);
/* Bytes of frames that the peer has acknowledged; readable from any thread. */
uint64_t channel_bytes_acked(const struct channel *c);
/* Bytes of frames that were given to one connection and must be sent again over the next; readable from any thread. */
uint64_t channel_bytes_again(const struct channel *c);
/* The backlog of outgoing frames: bytes that wait for the network, with an error of up to half a MiB; and whether the peer lately takes
 * less than the network carries, as far as the connection knows. In the channel's thread. */
struct channel_backlog {
	uint64_t bytes;
	bool peer_is_slow;
	bool network_is_idle; /* the network has taken all that it was given, and nothing waits for the pacer */
};
struct channel_backlog channel_backlog(struct channel *c);
/* Bytes of frames that the peer has not acknowledged, whether they have left or not; readable from any thread. */
uint64_t channel_bytes_unacked(const struct channel *c);

#endif
