/* channel.c: see channel.h. */
#include "channel.h"
#include "cpu-stage.h"
#include "log.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SEND_BATCH 16
/* So soon a limit that was lifted is noticed. */
#define PACE_MS_MAX 100
/* So much is sent at once while paced, and the rest of a frame: at most PACER_BATCH_MAX. */
#define PACE_BATCH POOL_CAP
/* Buffers of this payload capacity are pooled; smaller and larger ones come and go with their frame. */
#define POOL_CAP (DATA_RAW_MAX + 64 * 1024)
#define POOL_MIN (16 * 1024)
/* So much is encrypted ahead of sending. */
#define CIPHER_AHEAD (512 * 1024)
/* What a frame takes besides its payload: so many small ones may not outgrow the window. */
#define FRAME_OVERHEAD (sizeof(struct frame) + FRAME_HEADER_BYTES + 16)

struct frame {
	struct frame *next;
	uint64_t sequence;
	size_t cap;   /* payload bytes that fit */
	size_t bytes; /* header and payload */
	uint8_t buf[];
};

struct frame_list {
	struct frame *head, **tail;
};

struct channel {
	struct loop *loop;
	struct channel_config cfg;
	struct link link;
	bool open, paused, delivering, reported;
	struct err why;
	/* sending */
	struct frame_list ready, sent;
	struct frame *pool, *begun;
	size_t held_bytes; /* memory of all frames not yet acknowledged */
	bool starved;
	size_t wanted; /* the room that there was not */
	uint64_t next_sequence, acked;
	struct op send_op;
	bool sending;
	int send_error; /* sending failed; what the peer said before is still to be read */
	struct iovec iov[SEND_BATCH + 1];
	struct msghdr msg;
	size_t sent_of_head; /* plain: bytes of ready.head that left already */
	struct timer pace;
	/* acknowledgements we owe */
	uint64_t received, ack_sent;
	uint8_t ack_buf[FRAME_HEADER_BYTES + 8];
	size_t ack_left;
	/* receiving */
	struct op recv_op;
	bool receiving;
	uint8_t *in;
	size_t in_start, in_end;
	uint64_t bytes_sent, bytes_received, bytes_unacked;
};

static void send_more(struct channel *c);
static void recv_more(struct channel *c);
static void take_more(struct channel *c);

static void list_init(struct frame_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_add(struct frame_list *l, struct frame *f)
{
	f->next = NULL;
	*l->tail = f;
	l->tail = &f->next;
}

static struct frame *list_take(struct frame_list *l)
{
	struct frame *f = l->head;

	if (f && !(l->head = f->next))
		l->tail = &l->head;
	return f;
}

static void fail(struct channel *c, const struct err *e)
{
	if (!c->open)
		return;
	c->open = false;
	c->why = *e;
	shutdown(c->link.fd, SHUT_RDWR);
	loop_timer_clear(c->loop, &c->pace);
	if (!c->reported) {
		c->reported = true;
		c->cfg.on.closed(c->cfg.ctx, c, &c->why);
	}
}

/* ---- sending ---- */

static void frame_release(struct channel *c, struct frame *f)
{
	c->held_bytes -= f->cap + FRAME_OVERHEAD;
	if (f->cap == POOL_CAP) {
		f->next = c->pool;
		c->pool = f;
	} else {
		free(f);
	}
}

static struct frame *frame_get(struct channel *c, size_t cap)
{
	struct frame *f;

	if (cap > POOL_MIN && cap <= POOL_CAP) {
		cap = POOL_CAP;
		f = c->pool;
		if (f) {
			c->pool = f->next;
			c->held_bytes += cap + FRAME_OVERHEAD;
			return f;
		}
	}
	f = xmalloc(sizeof(*f) + FRAME_HEADER_BYTES + cap);
	f->cap = cap;
	c->held_bytes += cap + FRAME_OVERHEAD;
	return f;
}

static void frame_queue(struct channel *c, struct frame *f, uint16_t type, size_t len)
{
	struct frame_header h = {.type = type, .channel = c->cfg.number, .length = (uint32_t)len};

	h.sequence = f->sequence = type == MSG_ERROR ? 0 : ++c->next_sequence;
	f->bytes = FRAME_HEADER_BYTES + len;
	frame_seal(f->buf, &h);
	__atomic_fetch_add(&c->bytes_unacked, f->bytes, __ATOMIC_RELAXED);
	list_add(&c->ready, f);
	send_more(c);
}

/* A frame larger than the window may go alone. */
static bool has_room(const struct channel *c, size_t cap)
{
	return !c->held_bytes || c->held_bytes + cap <= c->cfg.window_bytes;
}

uint8_t *channel_begin(struct channel *c, size_t cap)
{
	if (!has_room(c, cap)) {
		c->starved = true;
		c->wanted = cap;
		return NULL;
	}
	c->begun = frame_get(c, cap);
	return c->begun->buf + FRAME_HEADER_BYTES;
}

void channel_commit(struct channel *c, uint16_t type, size_t len)
{
	struct frame *f = c->begun;

	c->begun = NULL;
	if (!c->open) {
		frame_release(c, f);
		return;
	}
	frame_queue(c, f, type, len);
}

void channel_post(struct channel *c, uint16_t type, const void *payload, size_t len)
{
	struct frame *f;

	if (!c->open)
		return;
	f = frame_get(c, len);
	if (len)
		memcpy(f->buf + FRAME_HEADER_BYTES, payload, len);
	frame_queue(c, f, type, len);
}

static void release_acked(struct channel *c)
{
	while (c->sent.head && c->sent.head->sequence <= c->acked) {
		__atomic_fetch_sub(&c->bytes_unacked, c->sent.head->bytes, __ATOMIC_RELAXED);
		frame_release(c, list_take(&c->sent));
	}
	if (c->starved && c->open && has_room(c, c->wanted)) {
		c->starved = false;
		if (c->cfg.on.writable)
			c->cfg.on.writable(c->cfg.ctx, c);
	}
}

static void pace_fire(struct timer *t)
{
	send_more(container_of(t, struct channel, pace));
}

/* Puts the acknowledgement that we owe into ack_buf. */
static void seal_ack(struct channel *c)
{
	struct frame_header h = {.type = MSG_ACK, .channel = c->cfg.number, .length = 8};
	struct writer w = writer_of(c->ack_buf + FRAME_HEADER_BYTES, 8);

	write_u64(&w, c->received);
	frame_seal(c->ack_buf, &h);
	c->ack_sent = c->received;
}

static unsigned gather(struct channel *c, size_t *bytes)
{
	struct frame *f = c->ready.head;
	unsigned n = 0;
	size_t skip = c->sent_of_head;

	*bytes = 0;
	/* a frame that has begun must end before an acknowledgement may go in between */
	if (!skip && c->ack_left == 0 && c->received != c->ack_sent) {
		seal_ack(c);
		c->ack_left = sizeof(c->ack_buf);
	}
	if (c->ack_left) {
		c->iov[n].iov_base = c->ack_buf + sizeof(c->ack_buf) - c->ack_left;
		c->iov[n].iov_len = c->ack_left;
		*bytes += c->iov[n++].iov_len;
	}
	for (; f && n <= SEND_BATCH; f = f->next, skip = 0) {
		c->iov[n].iov_base = f->buf + skip;
		c->iov[n].iov_len = f->bytes - skip;
		*bytes += c->iov[n++].iov_len;
		if (c->cfg.pacer && *bytes >= PACE_BATCH)
			break;
	}
	return n;
}

/* The same through TLS: frames are encrypted whole, one after the other, as soon as what was before has left. */
static int gather_encrypted(struct channel *c, unsigned *n, size_t *bytes, struct err *e)
{
	struct tls *t = c->link.tls;
	struct frame *f;
	int r = 0;

	if (!tls_conn_output_bytes(t)) {
		enum cpu_stage before = cpu_stage_enter_for(CPU_ENCRYPT, c->ready.head ? c->ready.head->bytes : 0);

		if (c->received != c->ack_sent) {
			seal_ack(c);
			r = tls_conn_encrypt(t, c->ack_buf, sizeof(c->ack_buf), e);
		}
		while (!r && tls_conn_output_bytes(t) < CIPHER_AHEAD && (f = list_take(&c->ready))) {
			list_add(&c->sent, f);
			r = tls_conn_encrypt(t, f->buf, f->bytes, e);
		}
		cpu_stage_enter(before);
	}
	c->iov[0].iov_base = (void *)tls_conn_output(t, bytes);
	c->iov[0].iov_len = *bytes;
	*n = *bytes > 0;
	return r;
}

/* The peer's last words (an ERROR) may lie in the socket still: the end of receiving is the end of the channel. */
static void send_failed(struct channel *c, int code)
{
	struct err e;

	c->send_error = code;
	shutdown(c->link.fd, SHUT_RDWR);
	if (c->receiving || c->delivering)
		return;
	err_sys(&e, code, "connection to the peer broke while sending");
	fail(c, &e);
}

/* n more bytes of the acknowledgement and the frames have left. */
static void frames_left(struct channel *c, size_t n)
{
	size_t left = MIN(n, c->ack_left);

	c->ack_left -= left;
	n -= left;
	while (n && c->ready.head) {
		left = c->ready.head->bytes - c->sent_of_head;
		if (n < left) {
			c->sent_of_head += n;
			break;
		}
		n -= left;
		c->sent_of_head = 0;
		list_add(&c->sent, list_take(&c->ready));
	}
}

static void send_done(struct op *op, int res, uint32_t flags)
{
	struct channel *c = container_of(op, struct channel, send_op);
	size_t n;

	(void)flags;
	c->sending = false;
	if (res == -EINTR || res == -EAGAIN)
		res = 0;
	if (res < 0) {
		send_failed(c, -res);
		return;
	}
	n = (size_t)res;
	__atomic_fetch_add(&c->bytes_sent, n, __ATOMIC_RELAXED);
	if (c->link.tls)
		tls_conn_output_sent(c->link.tls, n);
	else
		frames_left(c, n);
	release_acked(c);
	send_more(c);
}

static void send_more(struct channel *c)
{
	struct io_uring_sqe *sqe;
	struct err e;
	size_t bytes;
	uint64_t wait;
	unsigned n;

	if (c->sending || !c->open || c->send_error || c->pace.at_ns)
		return;
	if (!c->link.tls) {
		n = gather(c, &bytes);
	} else if (gather_encrypted(c, &n, &bytes, &e)) {
		fail(c, &e);
		return;
	}
	if (!n)
		return;
	if (c->cfg.pacer && (wait = pacer_reserve(c->cfg.pacer, bytes, now_ns()))) {
		loop_timer_set(c->loop, &c->pace, MIN(wait, PACE_MS_MAX));
		return;
	}
	c->msg = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = n};
	sqe = loop_sqe(c->loop);
	io_uring_prep_sendmsg(sqe, c->link.fd, &c->msg, MSG_NOSIGNAL | MSG_WAITALL);
	loop_bind(sqe, &c->send_op);
	c->sending = true;
}

/* ---- receiving ---- */

static int on_ack(struct channel *c, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_ack m;

	if (msg_ack_decode(&m, p, n) || m.received < c->acked || m.received > c->next_sequence)
		return err_set(e, EPROTO, "the peer acknowledged what was never sent");
	c->acked = m.received;
	release_acked(c);
	return 0;
}

static int deliver_one(struct channel *c, const struct frame_header *h, uint8_t *buf, struct err *e)
{
	const uint8_t *payload = buf + FRAME_HEADER_BYTES;

	if (!frame_intact(buf, h))
		return err_set(e, EBADMSG,
			       "a frame from the peer arrived damaged (checksum mismatch after frame %llu on channel %u)",
			       (unsigned long long)c->received, c->cfg.number);
	if (h->channel != c->cfg.number)
		return err_set(e, EPROTO, "a frame for channel %u arrived on channel %u", h->channel,
			       c->cfg.number);
	if (h->type == MSG_ACK)
		return on_ack(c, payload, h->length, e);
	if (h->type == MSG_ERROR)
		return peer_error(payload, h->length, e);
	if (h->sequence != c->received + 1)
		return err_set(e, EPROTO, "frame %llu arrived on channel %u where %llu was due",
			       (unsigned long long)h->sequence, c->cfg.number,
			       (unsigned long long)c->received + 1);
	c->received = h->sequence;
	if (!msg_name(h->type)) {
		if (h->type & MSG_CRITICAL)
			return err_set(e, EPROTO, "the peer sent message %#x, which this version does not know",
				       h->type);
		return 0;
	}
	return c->cfg.on.frame(c->cfg.ctx, c, h->type, payload, h->length, e);
}

/* If it can leave at once. */
static void say_last(struct channel *c, const uint8_t *p, size_t n)
{
	struct err e;

	if (c->link.tls) {
		if (tls_conn_output_bytes(c->link.tls) || tls_conn_encrypt(c->link.tls, p, n, &e))
			return;
		p = tls_conn_output(c->link.tls, &n);
	}
	if (send(c->link.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_info("could not tell the peer why: %s", strerror(errno));
}

/* Ends the channel over what the peer sent, and tells it why if nothing of ours is half on its way. */
static void refuse(struct channel *c, const struct err *e)
{
	uint8_t buf[FRAME_HEADER_BYTES + 2048];
	struct writer w = writer_of(buf + FRAME_HEADER_BYTES, sizeof(buf) - FRAME_HEADER_BYTES);
	struct msg_error m = {.code = (uint32_t)e->code, .doing = slice_of("the peer"), .text = slice_of(e->msg)};
	struct frame_header h = {.type = MSG_ERROR, .channel = c->cfg.number};

	msg_error_encode(&w, &m);
	h.length = (uint32_t)writer_len(&w);
	frame_seal(buf, &h);
	if (c->open && !c->sending && !c->sent_of_head && !c->ack_left)
		say_last(c, buf, FRAME_HEADER_BYTES + h.length);
	fail(c, e);
}

static void deliver(struct channel *c)
{
	enum cpu_stage before = cpu_stage_now();
	struct frame_header h;
	struct err e;
	int r;

	c->delivering = true;
	while (c->open && !c->paused && c->in_end - c->in_start >= FRAME_HEADER_BYTES) {
		uint8_t *buf = c->in + c->in_start;

		if (frame_header_decode(&h, buf)) {
			err_set(&e, EPROTO, "the peer announced a frame of %u bytes, more than the largest allowed (%d); "
				"it is not a vmferry peer or the stream is damaged", h.length, FRAME_PAYLOAD_MAX);
			refuse(c, &e);
			break;
		}
		if (c->in_end - c->in_start < FRAME_HEADER_BYTES + (size_t)h.length)
			break;
		c->in_start += FRAME_HEADER_BYTES + (size_t)h.length;
		cpu_stage_enter_for(CPU_HASH, h.length);
		r = deliver_one(c, &h, buf, &e);
		if (r == CHANNEL_LATER) {
			c->in_start -= FRAME_HEADER_BYTES + (size_t)h.length;
			c->received--;
		} else if (r < 0) {
			if (h.type == MSG_ERROR)
				fail(c, &e);
			else
				refuse(c, &e);
		}
	}
	cpu_stage_enter(before);
	c->delivering = false;
	if (c->in_start == c->in_end)
		c->in_start = c->in_end = 0;
	send_more(c); /* the acknowledgement */
}

static void recv_done(struct op *op, int res, uint32_t flags)
{
	struct channel *c = container_of(op, struct channel, recv_op);
	struct err e;

	(void)flags;
	c->receiving = false;
	if (res == -EINTR || res == -EAGAIN) {
		recv_more(c);
		return;
	}
	if (res <= 0) {
		if (c->send_error && c->send_error != EPIPE)
			err_sys(&e, c->send_error, "connection to the peer broke while sending");
		else if (res)
			err_sys(&e, -res, "connection to the peer broke");
		else
			err_set(&e, EPIPE, c->link.tls ? "the connection to the peer was cut" : "the peer closed the connection");
		fail(c, &e);
		return;
	}
	__atomic_fetch_add(&c->bytes_received, (uint64_t)res, __ATOMIC_RELAXED);
	if (c->link.tls) {
		tls_conn_input_add(c->link.tls, (size_t)res);
	} else {
		c->in_end += (size_t)res;
	}
	take_more(c);
	recv_more(c);
}

/* Makes room behind what is not yet delivered. */
static size_t room(struct channel *c)
{
	if (c->in_start && c->cfg.receive_bytes - c->in_end < c->cfg.receive_bytes / 2) {
		memmove(c->in, c->in + c->in_start, c->in_end - c->in_start);
		c->in_end -= c->in_start;
		c->in_start = 0;
	}
	return c->cfg.receive_bytes - c->in_end;
}

/* Delivers what is in, and with TLS what can be decrypted from what came. */
static void take_more(struct channel *c)
{
	enum cpu_stage before;
	struct err e;
	ssize_t n;

	deliver(c);
	while (c->link.tls && c->open && !c->paused) {
		before = cpu_stage_enter_for(CPU_DECRYPT, tls_conn_input_bytes(c->link.tls));
		n = tls_conn_decrypt(c->link.tls, c->in + c->in_end, room(c), &e);
		cpu_stage_enter(before);
		if (n < 0)
			fail(c, &e);
		if (n <= 0)
			return;
		c->in_end += (size_t)n;
		deliver(c);
	}
}

static void recv_more(struct channel *c)
{
	struct io_uring_sqe *sqe;
	uint8_t *to;
	size_t cap;

	if (c->receiving || !c->open || c->paused)
		return;
	cap = room(c);
	to = c->in + c->in_end;
	if (c->link.tls)
		to = tls_conn_input(c->link.tls, &cap);
	sqe = loop_sqe(c->loop);
	io_uring_prep_recv(sqe, c->link.fd, to, cap, 0);
	loop_bind(sqe, &c->recv_op);
	c->receiving = true;
}

void channel_pause(struct channel *c)
{
	c->paused = true;
}

void channel_resume(struct channel *c)
{
	if (!c->paused)
		return;
	c->paused = false;
	if (c->delivering)
		return;
	take_more(c);
	recv_more(c);
}

/* ---- life ---- */

struct channel *channel_new(struct loop *l, struct link link, const struct channel_config *cfg)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	c->loop = l;
	c->cfg = *cfg;
	c->cfg.receive_bytes = MAX(cfg->receive_bytes, 2 * (FRAME_HEADER_BYTES + (size_t)FRAME_PAYLOAD_MAX));
	c->link = link;
	c->open = true;
	list_init(&c->ready);
	list_init(&c->sent);
	c->send_op.done = send_done;
	c->recv_op.done = recv_done;
	c->pace.fire = pace_fire;
	c->in = xmalloc(c->cfg.receive_bytes);
	recv_more(c);
	return c;
}

static void free_list(struct frame *f)
{
	struct frame *next;

	for (; f; f = next) {
		next = f->next;
		free(f);
	}
}

void channel_free(struct channel *c)
{
	const uint8_t *p;
	struct err e;
	size_t n;

	if (!c)
		return;
	c->reported = true;
	if (c->link.tls && c->open && !c->sending) {
		tls_conn_end(c->link.tls);
		p = tls_conn_output(c->link.tls, &n);
		if (send(c->link.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_info("could not end the connection in order: %s", strerror(errno));
	}
	err_set(&e, ECANCELED, "closed");
	fail(c, &e);
	shutdown(c->link.fd, SHUT_RDWR);
	if (c->sending)
		loop_cancel(c->loop, &c->send_op);
	if (c->receiving)
		loop_cancel(c->loop, &c->recv_op);
	while (c->sending || c->receiving)
		if (loop_step(c->loop, 1000, &e))
			break;
	link_close(&c->link);
	free_list(c->ready.head);
	free_list(c->sent.head);
	free_list(c->pool);
	free(c->begun);
	free(c->in);
	free(c);
}

bool channel_open(const struct channel *c)
{
	return c->open;
}

bool channel_idle(const struct channel *c)
{
	return !c->ready.head && !c->sent.head;
}

uint64_t channel_bytes_sent(const struct channel *c)
{
	return __atomic_load_n(&c->bytes_sent, __ATOMIC_RELAXED);
}

uint64_t channel_bytes_unacked(const struct channel *c)
{
	return __atomic_load_n(&c->bytes_unacked, __ATOMIC_RELAXED);
}

uint64_t channel_bytes_received(const struct channel *c)
{
	return __atomic_load_n(&c->bytes_received, __ATOMIC_RELAXED);
}
