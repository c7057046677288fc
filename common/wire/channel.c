/* channel.c: see channel.h. */
#include "channel.h"
#include "conn.h"
#include "cpu-stage.h"
#include "frame.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* Bytes handed out at once while paced, not counting the rest of a frame: less than PACER_BATCH_MAX. */
#define PACE_BATCH FRAME_POOL_CAP

/* Bytes read beyond the end of a frame. */
#define READ_AHEAD    (16 * 1024)
#define RECEIVE_BYTES (FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX + READ_AHEAD)

/* Our outgoing frames that are not acknowledged, and how far each has got. */
struct outgoing {
	struct frame_list ready, sent; /* not yet taken by the connection; taken */
	struct frame *begun;
	size_t taken_of_head, ready_bytes;    /* bytes of ready.head; of all of ready */
	uint64_t next_sequence, given, acked; /* the last frame: numbered, given to any connection, acknowledged */
};

/* The window: the memory for unacknowledged frames, and whether a sender waits for it. */
struct window {
	struct frame_memory memory; /* memory of unacknowledged frames */
	bool starved;
	size_t wanted; /* the room that was missing */
};

/* The acknowledgements that we owe: the last frame received, and the last one acknowledged. */
struct acknowledging {
	uint64_t received, sent;
	uint8_t buf[FRAME_HEADER_BYTES + 8];
	size_t left; /* bytes of buf that the connection has yet to take */
};

/* Incoming bytes of this connection that are not delivered yet. */
struct incoming {
	uint64_t due; /* the frame that comes next on it; 0: the first, which may be one that we have */
	uint8_t *buf;
	size_t start, end;
	bool paused, delivering;
};

/* Totals that any thread may read: atomic. */
struct channel_bytes {
	uint64_t sent, received, unacked, acked, again;
};

/* A channel belongs to its loop's thread, except `bytes`. `out` and `ack` outlive a connection. */
struct channel {
	struct channel_config cfg;
	struct conn *conn; /* NULL: detached */
	uint32_t generation;
	bool open, reported; /* reported: on.closed was told why */
	bool outlives;	     /* the channel outlives its connections */
	bool adrift;	     /* a connection was lost, and another has not come yet */
	struct err why;	     /* reason why the channel is closed, or adrift */
	struct outgoing out;
	struct window window;
	struct acknowledging ack;
	struct incoming in;
	struct channel_bytes bytes;
};

static void fail(struct channel *c, const struct err *e)
{
	if (!c->open)
		return;
	c->open = false;
	c->why = *e;
	if (c->conn)
		c->conn->ops->shut(c->conn);
	if (!c->reported) {
		c->reported = true;
		c->cfg.on.closed(c->cfg.ctx, c, &c->why);
	}
}

void channel_lost(struct channel *c, const struct err *why)
{
	if (!c->open || !c->outlives) {
		fail(c, why);
		return;
	}
	c->adrift = true;
	c->why = *why;
	c->cfg.on.lost(c->cfg.ctx, c, why);
}

void channel_outlive(struct channel *c, bool yes)
{
	struct err why = c->why;

	c->outlives = yes && c->cfg.on.lost;
	if (c->adrift && !c->outlives)
		fail(c, &why);
}

/* ---- sending ---- */

static void send_more(struct channel *c)
{
	if (c->conn)
		c->conn->ops->send(c->conn);
}

static void frame_queue(struct channel *c, struct frame *f, uint16_t type, size_t len, size_t summed)
{
	struct frame_header h = {.type = type, .summed = (uint16_t)summed, .channel = c->cfg.number};

	f->bytes = FRAME_HEADER_BYTES + len + frame_tail_bytes(f);
	h.length = (uint32_t)(f->bytes - FRAME_HEADER_BYTES);
	h.sequence = f->sequence = type == MSG_ERROR ? 0 : ++c->out.next_sequence;
	frame_seal(f->buf, &h);
	__atomic_fetch_add(&c->bytes.unacked, f->bytes, __ATOMIC_RELAXED);
	c->out.ready_bytes += f->bytes;
	frame_list_add(&c->out.ready, f);
	send_more(c);
}

/* A frame larger than the window may go alone. */
static bool has_room(const struct channel *c, size_t cap)
{
	return !c->window.memory.held_bytes || c->window.memory.held_bytes + cap <= c->cfg.window_bytes;
}

uint8_t *channel_begin(struct channel *c, size_t cap)
{
	if (!has_room(c, cap)) {
		c->window.starved = true;
		c->window.wanted = cap;
		return NULL;
	}
	c->out.begun = frame_get(&c->window.memory, cap);
	return c->out.begun->buf + FRAME_HEADER_BYTES;
}

void channel_commit_data(struct channel *c, uint16_t type, size_t len, size_t summed, struct frame_tail *tail)
{
	struct frame *f = c->out.begun;

	c->out.begun = NULL;
	if (tail)
		f = frame_with_tail(&c->window.memory, f, len, tail);
	if (!c->open) {
		frame_release(&c->window.memory, f);
		return;
	}
	frame_queue(c, f, type, len, summed);
}

void channel_commit(struct channel *c, uint16_t type, size_t len)
{
	channel_commit_data(c, type, len, 0, NULL);
}

void channel_post(struct channel *c, uint16_t type, const void *payload, size_t len)
{
	struct frame *f;

	if (!c->open)
		return;
	f = frame_get(&c->window.memory, len);
	if (len)
		memcpy(f->buf + FRAME_HEADER_BYTES, payload, len);
	frame_queue(c, f, type, len, 0);
}

static void release_acked(struct channel *c)
{
	while (c->out.sent.head && c->out.sent.head->sequence <= c->out.acked) {
		__atomic_fetch_sub(&c->bytes.unacked, c->out.sent.head->bytes, __ATOMIC_RELAXED);
		__atomic_fetch_add(&c->bytes.acked, c->out.sent.head->bytes, __ATOMIC_RELAXED);
		frame_release(&c->window.memory, frame_list_take(&c->out.sent));
	}
	if (c->window.starved && c->open && has_room(c, c->window.wanted)) {
		c->window.starved = false;
		if (c->cfg.on.writable)
			c->cfg.on.writable(c->cfg.ctx, c);
	}
}

/* Puts the acknowledgement that we owe into ack_buf. */
static void seal_ack(struct channel *c)
{
	struct frame_header h = {.type = MSG_ACK, .channel = c->cfg.number, .length = 8};
	struct writer w = writer_of(c->ack.buf + FRAME_HEADER_BYTES, 8);

	write_u64(&w, c->ack.received);
	frame_seal(c->ack.buf, &h);
	c->ack.sent = c->ack.received;
}

unsigned channel_out(struct channel *c, struct iovec *iov, unsigned max, size_t *bytes)
{
	struct frame *f = c->out.ready.head;
	size_t skip = c->out.taken_of_head;
	unsigned n = 0, end;

	*bytes = 0;
	/* a frame that has begun must end before an acknowledgement may go in between */
	if (!skip && c->ack.left == 0 && c->ack.received != c->ack.sent) {
		seal_ack(c);
		c->ack.left = sizeof(c->ack.buf);
	}
	if (c->ack.left) {
		iov[n].iov_base = c->ack.buf + sizeof(c->ack.buf) - c->ack.left;
		iov[n].iov_len = c->ack.left;
		*bytes += iov[n++].iov_len;
	}
	for (; f && n < max; f = f->next, skip = 0) {
		for (end = n + frame_pieces(f, skip, iov + n, max - n); n < end; n++)
			*bytes += iov[n].iov_len;
		c->out.given = MAX(c->out.given, f->sequence);
		if (c->cfg.pacer && *bytes >= PACE_BATCH)
			break;
	}
	return n;
}

void channel_taken(struct channel *c, size_t n)
{
	size_t part = MIN(n, c->ack.left);

	c->ack.left -= part;
	n -= part;
	while (n && c->out.ready.head) {
		part = c->out.ready.head->bytes - c->out.taken_of_head;
		if (n < part) {
			c->out.taken_of_head += n;
			break;
		}
		n -= part;
		c->out.taken_of_head = 0;
		c->out.ready_bytes -= c->out.ready.head->bytes;
		frame_list_add(&c->out.sent, frame_list_take(&c->out.ready));
	}
}

void channel_sent(struct channel *c, size_t n)
{
	__atomic_fetch_add(&c->bytes.sent, n, __ATOMIC_RELAXED);
	release_acked(c);
}

struct pacer *channel_pacer(const struct channel *c)
{
	return c->cfg.pacer;
}

const unsigned *channel_silence_ms(const struct channel *c)
{
	return c->cfg.silence_ms;
}

/* ---- receiving ---- */

static int on_ack(struct channel *c, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_ack m;

	if (msg_ack_decode(&m, p, n) || m.received < c->out.acked || m.received > c->out.given)
		return err_set(e, EPROTO, "the peer acknowledged what was never sent");
	c->out.acked = m.received;
	release_acked(c);
	return 0;
}

static int deliver_one(struct channel *c, const struct frame_header *h, uint8_t *buf, struct err *e)
{
	const uint8_t *payload = buf + FRAME_HEADER_BYTES;

	if (!frame_intact(buf, h))
		return err_set(e, EBADMSG, "a frame from the peer arrived damaged (checksum mismatch after frame %llu on channel %u)",
			       (unsigned long long)c->ack.received, c->cfg.number);
	if (h->channel != c->cfg.number)
		return err_set(e, EPROTO, "a frame for channel %u arrived on channel %u", h->channel, c->cfg.number);
	if (h->type == MSG_ACK)
		return on_ack(c, payload, h->length, e);
	if (h->type == MSG_ERROR)
		return peer_error(payload, h->length, e);
	if (!c->in.due)
		c->in.due = h->sequence && h->sequence <= c->ack.received ? h->sequence : c->ack.received + 1;
	if (h->sequence != c->in.due)
		return err_set(e, EPROTO, "frame %llu arrived on channel %u where %llu was due", (unsigned long long)h->sequence,
			       c->cfg.number, (unsigned long long)c->in.due);
	c->in.due++;
	if (h->sequence <= c->ack.received) /* over an earlier connection, too */
		return 0;
	c->ack.received = h->sequence;
	if (!msg_name(h->type)) {
		if (h->type & MSG_CRITICAL)
			return err_set(e, EPROTO, "the peer sent message %#x, which this version does not know", h->type);
		return 0;
	}
	return c->cfg.on.frame(c->cfg.ctx, c, h->type, payload, h->length, e);
}

/* Ends the channel because of the peer's message, and tells it why unless one of our frames is half sent. */
static void refuse(struct channel *c, const struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + 2048];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_error m = {.code = (uint32_t)e->code, .doing = slice_of("the peer"), .text = slice_of(e->msg)};
	struct frame_header h = {.type = MSG_ERROR, .channel = c->cfg.number};

	msg_error_encode(&w, &m);
	h.length = (uint32_t)writer_len(&w);
	frame_seal(buf, &h);
	if (c->open && c->conn && !c->out.taken_of_head && !c->ack.left)
		c->conn->ops->last_words(c->conn, buf, FRAME_HEADER_BYTES + h.length);
	fail(c, e);
}

static void deliver(struct channel *c)
{
	enum cpu_stage before = cpu_stage_now();
	struct frame_header h;
	struct err e;
	int r;

	c->in.delivering = true;
	while (c->open && !c->in.paused && c->in.end - c->in.start >= FRAME_HEADER_BYTES) {
		uint8_t *buf = c->in.buf + c->in.start;

		if (frame_header_decode(&h, buf)) {
			err_set(&e, EPROTO,
				"the peer announced a frame of %u bytes, more than the largest allowed (%d); "
				"it is not a vmferry peer or the stream is damaged",
				h.length, FRAME_PAYLOAD_MAX);
			refuse(c, &e);
			break;
		}
		if (c->in.end - c->in.start < FRAME_HEADER_BYTES + (size_t)h.length)
			break;
		c->in.start += FRAME_HEADER_BYTES + (size_t)h.length;
		cpu_stage_enter_for(CPU_HASH, h.length);
		r = deliver_one(c, &h, buf, &e);
		if (r == CHANNEL_LATER) {
			c->in.start -= FRAME_HEADER_BYTES + (size_t)h.length;
			c->ack.received--;
			c->in.due--;
		} else if (r < 0) {
			if (h.type == MSG_ERROR)
				fail(c, &e);
			else
				refuse(c, &e);
		}
	}
	cpu_stage_enter(before);
	c->in.delivering = false;
	if (c->in.start == c->in.end)
		c->in.start = c->in.end = 0;
	send_more(c); /* the acknowledgement */
}

bool channel_takes(const struct channel *c)
{
	return c->open && !c->in.paused;
}

bool channel_delivering(const struct channel *c)
{
	return c->in.delivering;
}

/* The number of bytes missing from the frame at the front, or from its header if that is incomplete. */
static size_t lacking(const struct channel *c)
{
	size_t have = c->in.end - c->in.start;
	struct frame_header h;

	if (have < FRAME_HEADER_BYTES)
		return FRAME_HEADER_BYTES - have;
	if (frame_header_decode(&h, c->in.buf + c->in.start))
		return 0; /* the header is bad, and will be refused */
	return FRAME_HEADER_BYTES + (size_t)h.length - MIN(have, FRAME_HEADER_BYTES + (size_t)h.length);
}

/* Room for the rest of the frame that has begun and a little of the next: few bytes need moving, and arrived bytes are still in the
 * processor's cache when they are processed. */
uint8_t *channel_room(struct channel *c, size_t *cap)
{
	if (c->in.start) {
		memmove(c->in.buf, c->in.buf + c->in.start, c->in.end - c->in.start);
		c->in.end -= c->in.start;
		c->in.start = 0;
	}
	*cap = MIN(lacking(c) + READ_AHEAD, RECEIVE_BYTES - c->in.end);
	return c->in.buf + c->in.end;
}

void channel_put(struct channel *c, size_t n)
{
	c->in.end += n;
	deliver(c);
}

void channel_heard(struct channel *c, size_t n)
{
	__atomic_fetch_add(&c->bytes.received, n, __ATOMIC_RELAXED);
}

void channel_pause(struct channel *c)
{
	c->in.paused = true;
}

void channel_resume(struct channel *c)
{
	if (!c->in.paused)
		return;
	c->in.paused = false;
	if (c->in.delivering)
		return;
	deliver(c);
	if (c->conn)
		c->conn->ops->receive(c->conn);
}

/* ---- life ---- */

struct channel *channel_new(const struct channel_config *cfg)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	c->cfg = *cfg;
	c->open = true;
	frame_list_init(&c->out.ready);
	frame_list_init(&c->out.sent);
	c->in.buf = xmalloc(RECEIVE_BYTES);
	return c;
}

static void drop_conn(struct channel *c)
{
	if (c->conn)
		c->conn->ops->free(c->conn);
	c->conn = NULL;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	c->open = false;
	c->reported = true;
	drop_conn(c);
	frame_free_all(c->out.ready.head);
	frame_free_all(c->out.sent.head);
	frame_free_all(c->window.memory.pool);
	FREE_ALL(c->out.begun, c->in.buf, c);
}

int channel_detach(struct channel *c, uint32_t generation, uint64_t *received, struct err *e)
{
	if (!c->open) {
		*e = c->why;
		return -e->code;
	}
	if (generation <= c->generation)
		return err_set(e, ESTALE, "connection %u of channel %u is older than connection %u, which there was already", generation,
			       c->cfg.number, c->generation);
	drop_conn(c);
	c->generation = generation;
	__atomic_fetch_add(&c->bytes.again, c->out.taken_of_head, __ATOMIC_RELAXED);
	c->out.taken_of_head = c->ack.left = 0;
	c->in.start = c->in.end = 0;
	*received = c->ack.received;
	return 0;
}

static int may_attach(const struct channel *c, uint32_t generation, uint64_t peer_received, struct err *e)
{
	if (!c->open) {
		*e = c->why;
		return -e->code;
	}
	if (c->conn || generation != c->generation)
		return err_set(e, ESTALE, "connection %u of channel %u comes too late", generation, c->cfg.number);
	if (peer_received > c->out.given)
		return err_set(e, EPROTO, "the peer says that it has received what was never sent");
	if (peer_received < c->out.acked)
		return err_set(e, EPROTO, "the peer no longer has what it acknowledged");
	return 0;
}

int channel_attach(struct channel *c, struct conn *conn, uint32_t generation, uint64_t peer_received, struct err *e)
{
	int r = may_attach(c, generation, peer_received, e);

	if (r) {
		conn->ops->free(conn);
		return r;
	}
	c->adrift = false;
	c->out.acked = peer_received;
	release_acked(c);
	__atomic_fetch_add(&c->bytes.again, c->bytes.unacked - c->out.ready_bytes, __ATOMIC_RELAXED);
	frame_list_join(&c->out.ready, &c->out.sent);
	c->out.ready_bytes = c->bytes.unacked;
	c->in.due = generation ? 0 : 1;
	c->ack.sent = 0; /* the connection begins with an acknowledgement of all */
	c->conn = conn;
	conn->ch = c;
	conn->ops->start(conn);
	return 0;
}

uint32_t channel_generation(const struct channel *c)
{
	return c->generation;
}

bool channel_open(const struct channel *c)
{
	return c->open;
}

bool channel_idle(const struct channel *c)
{
	return !c->out.ready.head && !c->out.sent.head;
}

uint64_t channel_bytes_sent(const struct channel *c)
{
	return __atomic_load_n(&c->bytes.sent, __ATOMIC_RELAXED);
}

struct channel_backlog channel_backlog(struct channel *c)
{
	struct channel_backlog b = {.bytes = c->out.ready_bytes - c->out.taken_of_head};

	if (c->conn)
		c->conn->ops->backlog(c->conn, &b);
	return b;
}

uint64_t channel_bytes_acked(const struct channel *c)
{
	return __atomic_load_n(&c->bytes.acked, __ATOMIC_RELAXED);
}

uint64_t channel_bytes_again(const struct channel *c)
{
	return __atomic_load_n(&c->bytes.again, __ATOMIC_RELAXED);
}

uint64_t channel_bytes_unacked(const struct channel *c)
{
	return __atomic_load_n(&c->bytes.unacked, __ATOMIC_RELAXED);
}

uint64_t channel_bytes_received(const struct channel *c)
{
	return __atomic_load_n(&c->bytes.received, __ATOMIC_RELAXED);
}
