/*
 * nbd.c: see nbd.h. Formats and numbers are those of the NBD protocol, doc/proto.md.
 *
 * Theory of operation. After a blocking handshake a connection has at most two operations in the ring: one
 * sendmsg and one recvmsg.
 *
 *   sending    Requests wait in a queue; the sendmsg covers header and payload of as many as fit its iovec, and
 *              its result says how many bytes of the queue have gone.
 *   receiving  Headers go through a small stage; data of a read is received into the reader's own buffer by the
 *              same recvmsg that also fetches the next header.
 *   a request  is in a slot (the low half of its cookie) until its reply is complete, and in the send queue until
 *              it is sent; when both are over it is on the `finished` list, from which done() is called. The
 *              parser itself never calls done(), so done() may do what it likes, nbd_close() included.
 *   the end    nbd_lose() notes the reason once and stops both operations; only when neither is in the kernel any
 *              more, so that no buffer is still written to, do the requests complete.
 */
#include "nbd.h"
#include "be.h"
#include "nbd-handshake.h"
#include "log.h"
#include "peer-error.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_MAGIC  0x67446698u
#define NBD_CHUNK_MAGIC	  0x668e33efu

enum {
	NBD_CMD_READ = 0,
	NBD_CMD_WRITE = 1,
	NBD_CMD_DISC = 2,
	NBD_CMD_FLUSH = 3,
	NBD_CMD_WRITE_ZEROES = 6,
	NBD_CMD_BLOCK_STATUS = 7,
};
enum { NBD_CHUNK_NONE = 0, NBD_CHUNK_DATA = 1, NBD_CHUNK_HOLE = 2, NBD_CHUNK_STATUS = 5 };
#define NBD_CHUNK_ERROR 0x8000u /* bit set in every error's type */
#define NBD_CHUNK_DONE	1u

#define REQUEST_SIZE	 28		       /* bytes of a request's header */
#define SIMPLE_SIZE	 16		       /* of a simple reply's */
#define CHUNK_SIZE	 20		       /* of a structured reply chunk's */
#define DATA_HEADER	 (CHUNK_SIZE + 8)      /* with the offset of a data chunk */
#define ERROR_CHUNK_MAX	 (6 + 4096 + 8)	       /* payload of an error chunk: code, length, text, offset */
#define STATUS_CHUNK_MAX (4 + 8 * 1024 * 1024) /* payload of a block status chunk: 1 Mi extents */
#define STAGE_SIZE	 (8 * 1024)	       /* holds any header, and any error chunk whole */
#define TX_IOV		 256

struct slot {
	struct nbd_req *req; /* NULL: free */
	uint32_t generation, next_free;
};

/* Requests that wait for their reply. */
struct slots {
	struct slot *at;
	uint32_t count, free;
	uint32_t in_flight, reads_in_flight;
};

struct sending {
	struct nbd_req *first, **tail, *unmapped; /* the queue, and its first entry not in iov */
	size_t gone;				  /* bytes of the first one sent */
	struct op op;
	bool busy;
	struct msghdr msg;
	struct iovec iov[TX_IOV];
};

enum rx_state {
	RX_HEADER,  /* a reply's header is next, in the stage */
	RX_DATA,    /* `left` bytes of req's data, to ptr */
	RX_EXTENTS, /* `left` bytes of extents for req, through the stage */
};

/* The reply that is being read. */
struct receiving {
	struct op op;
	bool busy;
	struct msghdr msg;
	struct iovec iov[2];
	enum rx_state state;
	struct nbd_req *req;
	unsigned char *ptr;
	uint32_t left;
	bool last; /* the chunk being received is its reply's last */
	unsigned ctx;
	uint64_t offset; /* of the next extent */
	size_t want;	 /* bytes the parser needs in the stage to go on */
	size_t pos, end; /* of what is unread in the stage */
	unsigned char stage[STAGE_SIZE];
};

struct nbd {
	struct loop *loop;
	struct nbd_session session;
	struct err err; /* code != 0: connection lost */
	bool closed;
	unsigned draining; /* calls of drain() on the stack */
	struct nbd_req *finished, **finished_tail;
	struct timer late; /* calls drain() for what finished outside of an op */
	struct slots slots;
	struct sending tx;
	struct receiving rx;
};

/* ---- requests: slots, completion, loss of the connection ---- */

static void push_finished(struct nbd *n, struct nbd_req *r)
{
	r->next = NULL;
	*n->finished_tail = r;
	n->finished_tail = &r->next;
}

/* Calls done() of what is finished. n may be gone afterwards: always the last thing a caller does. */
static void drain(struct nbd *n)
{
	struct nbd_req *r;

	n->draining++;
	while ((r = n->finished)) {
		n->finished = r->next;
		if (!n->finished)
			n->finished_tail = &n->finished;
		r->done(r, r->res);
	}
	if (!--n->draining && n->closed)
		free(n);
}

static void late_fire(struct timer *t)
{
	drain(container_of(t, struct nbd, late));
}

/* Finishes r from outside of an op: done() comes from the loop, not from inside the caller's call. */
static void finish_late(struct nbd *n, struct nbd_req *r, int res)
{
	r->res = res;
	push_finished(n, r);
	if (!n->late.at_ns)
		loop_timer_set(n->loop, &n->late, 0);
}

static void slot_take(struct nbd *n, struct nbd_req *r)
{
	struct slot *s;

	if (n->slots.free == n->slots.count) {
		uint32_t i, more = n->slots.count ? n->slots.count * 2 : 64;

		n->slots.at = xrealloc(n->slots.at, more * sizeof(*n->slots.at));
		for (i = n->slots.count; i < more; i++)
			n->slots.at[i] = (struct slot){.next_free = i + 1};
		n->slots.count = more;
	}
	s = &n->slots.at[n->slots.free];
	r->cookie = (uint64_t)++s->generation << 32 | n->slots.free;
	s->req = r;
	n->slots.free = s->next_free;
	n->slots.in_flight++;
	n->slots.reads_in_flight += r->type == NBD_CMD_READ;
}

static void slot_free(struct nbd *n, struct nbd_req *r)
{
	uint32_t i = (uint32_t)r->cookie;

	n->slots.at[i].req = NULL;
	n->slots.at[i].next_free = n->slots.free;
	n->slots.free = i;
	n->slots.in_flight--;
	n->slots.reads_in_flight -= r->type == NBD_CMD_READ;
}

static struct nbd_req *nbd_find(const struct nbd *n, uint64_t cookie)
{
	uint32_t i = (uint32_t)cookie;

	if (i >= n->slots.count || !n->slots.at[i].req || n->slots.at[i].req->cookie != cookie)
		return NULL;
	return n->slots.at[i].req;
}

/* The reply to r is complete. Its memory is ours until it has also left the send queue. */
static void nbd_replied(struct nbd *n, struct nbd_req *r, int res)
{
	slot_free(n, r);
	r->replied = true;
	r->res = res;
	if (r->sent)
		push_finished(n, r);
}

/* Notes why the connection is lost, and stops its operations; settle() does the rest when they have stopped. */
__attribute__((format(printf, 3, 4))) static int nbd_lose(struct nbd *n, int code, const char *fmt, ...)
{
	va_list ap;

	if (n->err.code)
		return -n->err.code;
	va_start(ap, fmt);
	vsnprintf(n->err.msg, sizeof(n->err.msg), fmt, ap);
	va_end(ap);
	n->err.code = code;
	log_debug("nbd: %s", n->err.msg);
	shutdown(n->session.fd, SHUT_RDWR);
	if (n->tx.busy)
		loop_cancel(n->loop, &n->tx.op);
	if (n->rx.busy)
		loop_cancel(n->loop, &n->rx.op);
	return -code;
}

/* Every request of a lost connection is finished: those sent or unsent without a reply, and those with one that
 * are still in the send queue. */
static void abandon(struct nbd *n)
{
	struct nbd_req *r, *next;
	uint32_t i;

	for (r = n->tx.first; r; r = next) {
		next = r->next;
		if (r->replied)
			push_finished(n, r);
	}
	n->tx.first = n->tx.unmapped = NULL;
	n->tx.tail = &n->tx.first;
	for (i = 0; i < n->slots.count; i++) {
		r = n->slots.at[i].req;
		if (!r)
			continue;
		slot_free(n, r);
		r->res = -n->err.code;
		push_finished(n, r);
	}
}

static void settle(struct nbd *n)
{
	if (n->err.code && !n->tx.busy && !n->rx.busy)
		abandon(n);
	drain(n);
}

/* ---- sending ---- */

static uint32_t payload_len(const struct nbd_req *r)
{
	return r->type == NBD_CMD_WRITE ? r->len : 0;
}

/* Maps queued requests into the iovec while there is room. This may be done while a sendmsg is under way: entries
 * are only ever added behind those it knows, so its result counts bytes of the queue whether it saw them or not. */
static void tx_map(struct nbd *n)
{
	struct nbd_req *r;

	for (r = n->tx.unmapped; r && n->tx.msg.msg_iovlen + 2 <= TX_IOV; r = r->next) {
		struct iovec *v = &n->tx.iov[n->tx.msg.msg_iovlen];
		size_t skip = r == n->tx.first ? n->tx.gone : 0;

		if (skip < REQUEST_SIZE) {
			*v++ = (struct iovec){r->header + skip, REQUEST_SIZE - skip};
			skip = REQUEST_SIZE;
		}
		if (payload_len(r))
			*v++ = (struct iovec){(char *)r->buf + (skip - REQUEST_SIZE), payload_len(r) - (skip - REQUEST_SIZE)};
		n->tx.msg.msg_iovlen = (size_t)(v - n->tx.iov);
	}
	n->tx.unmapped = r;
}

static void tx_start(struct nbd *n)
{
	struct io_uring_sqe *sqe;

	n->tx.msg = (struct msghdr){.msg_iov = n->tx.iov};
	n->tx.unmapped = n->tx.first;
	tx_map(n);
	sqe = loop_sqe(n->loop);
	io_uring_prep_sendmsg(sqe, n->session.fd, &n->tx.msg, MSG_NOSIGNAL);
	loop_bind(sqe, &n->tx.op);
	n->tx.busy = true;
}

/* Takes what `bytes` more of the queue cover off it. */
static void tx_advance(struct nbd *n, size_t bytes)
{
	n->tx.gone += bytes;
	while (n->tx.first && n->tx.gone >= REQUEST_SIZE + payload_len(n->tx.first)) {
		struct nbd_req *r = n->tx.first;

		n->tx.gone -= REQUEST_SIZE + payload_len(r);
		n->tx.first = r->next;
		r->sent = true;
		if (r->replied)
			push_finished(n, r);
	}
	if (!n->tx.first)
		n->tx.tail = &n->tx.first;
}

static void tx_done(struct op *op, int res, uint32_t cqe_flags)
{
	struct nbd *n = container_of(op, struct nbd, tx.op);

	(void)cqe_flags;
	n->tx.busy = false;
	if (res >= 0)
		tx_advance(n, (size_t)res);
	else if (res == -EPIPE || res == -ECONNRESET)
		nbd_lose(n, ECONNRESET, "the NBD server closed the connection");
	else if (res != -EINTR && res != -EAGAIN)
		nbd_lose(n, -res, "cannot write to the NBD server: %s", strerror(-res));
	if (n->tx.first && !n->err.code)
		tx_start(n);
	settle(n);
}

/* ---- replies ---- */

/* The protocol's error numbers, which happen to be Linux's; what it does not list means EINVAL. */
static int errno_of(uint32_t error)
{
	static const int known[] = {EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, EOPNOTSUPP, ESHUTDOWN};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (error == (uint32_t)known[i])
			return known[i];
	return EINVAL;
}

/* Notes that [start, end) of r has arrived. False: some of it already had, or it came in too many pieces. */
static bool piece_add(struct nbd_req *r, uint32_t start, uint32_t end)
{
	unsigned i = 0, k;
	bool left, right;

	while (i < r->npieces && r->piece[i].end < start)
		i++;
	left = i < r->npieces && r->piece[i].end == start;
	k = left ? i + 1 : i;
	if (k < r->npieces && r->piece[k].start < end)
		return false;
	right = k < r->npieces && r->piece[k].start == end;
	if (left && right) {
		r->piece[i].end = r->piece[k].end;
		memmove(&r->piece[k], &r->piece[k + 1], (--r->npieces - k) * sizeof(r->piece[0]));
	} else if (left) {
		r->piece[i].end = end;
	} else if (right) {
		r->piece[k].start = start;
	} else {
		if (r->npieces == NBD_MAX_PIECES)
			return false;
		memmove(&r->piece[i + 1], &r->piece[i], (r->npieces++ - i) * sizeof(r->piece[0]));
		r->piece[i].start = start;
		r->piece[i].end = end;
	}
	return true;
}

static size_t unread(const struct nbd *n)
{
	return n->rx.end - n->rx.pos;
}

/* The parser below works in steps: 1: made progress; 0: needs rx.want bytes in the stage; <0: connection lost. */

static int want(struct nbd *n, size_t bytes)
{
	n->rx.want = bytes;
	return 0;
}

/* r's last chunk is complete. A success must have brought all that was asked for. */
static int end_of_reply(struct nbd *n, struct nbd_req *r)
{
	bool whole = true;

	if (r->type == NBD_CMD_READ)
		whole = r->npieces == 1 && r->piece[0].start == 0 && r->piece[0].end == r->len;
	else if (r->type == NBD_CMD_BLOCK_STATUS)
		whole = r->ctx_seen == (1u << n->session.info.contexts) - 1;
	if (!r->res && !whole)
		return nbd_lose(n, EPROTO, "the NBD server's reply ends before all of it came");
	nbd_replied(n, r, r->res);
	return 1;
}

static int end_of_chunk(struct nbd *n, struct nbd_req *r)
{
	n->rx.state = RX_HEADER;
	n->rx.req = NULL;
	return n->rx.last ? end_of_reply(n, r) : 1;
}

static int begin_data(struct nbd *n, struct nbd_req *r, uint32_t start, uint32_t len)
{
	if (!piece_add(r, start, start + len))
		return nbd_lose(n, EPROTO, "the NBD server sent a part of a read twice, or in too many pieces");
	n->rx.state = RX_DATA;
	n->rx.req = r;
	n->rx.ptr = (unsigned char *)r->buf + start;
	n->rx.left = len;
	return 1;
}

static int parse_simple(struct nbd *n, const unsigned char *p)
{
	uint32_t error = be32(p + 4);
	struct nbd_req *r = nbd_find(n, be64(p + 8));

	if (!r)
		return nbd_lose(n, EPROTO, "the NBD server replied to a request that does not exist");
	n->rx.pos += SIMPLE_SIZE;
	n->rx.last = true;
	if (error) {
		nbd_replied(n, r, -errno_of(error));
		return 1;
	}
	if (r->type == NBD_CMD_BLOCK_STATUS || (r->type == NBD_CMD_READ && n->session.structured))
		return nbd_lose(n, EPROTO, "the NBD server sent a simple reply where a structured one is due");
	return r->type == NBD_CMD_READ ? begin_data(n, r, 0, r->len) : end_of_reply(n, r);
}

/* Where in r a chunk's [offset, offset + len) lies; false: not within it. */
static bool within(const struct nbd_req *r, uint64_t offset, uint64_t len, uint32_t *start)
{
	if (!len || offset < r->offset || offset - r->offset > r->len || len > r->len - (offset - r->offset))
		return false;
	*start = (uint32_t)(offset - r->offset);
	return true;
}

static int parse_data(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t start;

	if (r->type != NBD_CMD_READ || len <= 8)
		return nbd_lose(n, EPROTO, "the NBD server sent a data chunk of %u bytes where none is due", len);
	if (unread(n) < DATA_HEADER)
		return want(n, DATA_HEADER);
	if (!within(r, be64(p + CHUNK_SIZE), len - 8, &start))
		return nbd_lose(n, EPROTO, "the NBD server sent data outside of the request");
	n->rx.pos += DATA_HEADER;
	return begin_data(n, r, start, len - 8);
}

static int parse_hole(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t start, size;

	if (r->type != NBD_CMD_READ || len != 12)
		return nbd_lose(n, EPROTO, "the NBD server sent a hole chunk of %u bytes where none is due", len);
	if (unread(n) < CHUNK_SIZE + 12)
		return want(n, CHUNK_SIZE + 12);
	size = be32(p + CHUNK_SIZE + 8);
	if (!within(r, be64(p + CHUNK_SIZE), size, &start))
		return nbd_lose(n, EPROTO, "the NBD server sent a hole outside of the request");
	if (!piece_add(r, start, start + size))
		return nbd_lose(n, EPROTO, "the NBD server sent a part of a read twice, or in too many pieces");
	memset((char *)r->buf + start, 0, size);
	n->rx.pos += CHUNK_SIZE + 12;
	return end_of_chunk(n, r);
}

static int parse_status(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	unsigned ctx;

	if (r->type != NBD_CMD_BLOCK_STATUS || len < 12 || len > STATUS_CHUNK_MAX || (len - 4) % 8)
		return nbd_lose(n, EPROTO, "the NBD server sent a block status chunk of %u bytes where none is due", len);
	if (unread(n) < CHUNK_SIZE + 4)
		return want(n, CHUNK_SIZE + 4);
	for (ctx = 0; ctx < n->session.info.contexts && n->session.context_id[ctx] != be32(p + CHUNK_SIZE); ctx++)
		;
	if (ctx == n->session.info.contexts || (r->ctx_seen & 1u << ctx))
		return nbd_lose(n, EPROTO, "the NBD server sent block status of a context not asked for, or twice");
	r->ctx_seen |= (uint16_t)(1u << ctx);
	n->rx.pos += CHUNK_SIZE + 4;
	n->rx.state = RX_EXTENTS;
	n->rx.req = r;
	n->rx.ctx = ctx;
	n->rx.offset = r->offset;
	n->rx.left = len - 4;
	return 1;
}

static int parse_error(struct nbd *n, struct nbd_req *r, const unsigned char *p, uint32_t len)
{
	uint32_t text_len;
	char text[200];

	if (len < 6 || len > ERROR_CHUNK_MAX)
		return nbd_lose(n, EPROTO, "the NBD server sent an error chunk of %u bytes", len);
	if (unread(n) < CHUNK_SIZE + len)
		return want(n, CHUNK_SIZE + len);
	p += CHUNK_SIZE;
	text_len = be16(p + 4);
	if (!be32(p) || text_len > len - 6)
		return nbd_lose(n, EPROTO, "the NBD server sent a malformed error chunk");
	peer_words(text, sizeof(text), (struct slice){p + 6, text_len});
	log_debug("nbd: request type %u at %llu failed at the server: error %u %s", r->type, (unsigned long long)r->offset, be32(p), text);
	if (!r->res)
		r->res = -errno_of(be32(p));
	n->rx.pos += CHUNK_SIZE + len;
	return end_of_chunk(n, r);
}

static int parse_chunk(struct nbd *n, const unsigned char *p)
{
	struct nbd_req *r;
	unsigned type;
	uint32_t len;

	if (unread(n) < CHUNK_SIZE)
		return want(n, CHUNK_SIZE);
	type = be16(p + 6);
	len = be32(p + 16);
	n->rx.last = be16(p + 4) & NBD_CHUNK_DONE;
	r = nbd_find(n, be64(p + 8));
	if (!r)
		return nbd_lose(n, EPROTO, "the NBD server replied to a request that does not exist");
	if (type & NBD_CHUNK_ERROR)
		return parse_error(n, r, p, len);
	if (type == NBD_CHUNK_DATA)
		return parse_data(n, r, p, len);
	if (type == NBD_CHUNK_HOLE)
		return parse_hole(n, r, p, len);
	if (type == NBD_CHUNK_STATUS)
		return parse_status(n, r, p, len);
	if (type != NBD_CHUNK_NONE || len || !n->rx.last)
		return nbd_lose(n, EPROTO, "the NBD server sent a chunk of unknown type %u and %u bytes", type, len);
	n->rx.pos += CHUNK_SIZE;
	return end_of_chunk(n, r);
}

static int step_header(struct nbd *n)
{
	const unsigned char *p = n->rx.stage + n->rx.pos;

	if (unread(n) < SIMPLE_SIZE)
		return want(n, SIMPLE_SIZE);
	if (be32(p) == NBD_SIMPLE_MAGIC)
		return parse_simple(n, p);
	if (be32(p) == NBD_CHUNK_MAGIC && n->session.structured)
		return parse_chunk(n, p);
	return nbd_lose(n, EPROTO, "the NBD server's reply does not start like one (%#x)", be32(p));
}

/* Takes data that came through the stage with a header; the rest is received in place. */
static int step_data(struct nbd *n)
{
	size_t have = MIN(unread(n), (size_t)n->rx.left);

	memcpy(n->rx.ptr, n->rx.stage + n->rx.pos, have);
	n->rx.pos += have;
	n->rx.ptr += have;
	n->rx.left -= (uint32_t)have;
	return n->rx.left ? want(n, 0) : end_of_chunk(n, n->rx.req);
}

static int step_extent(struct nbd *n)
{
	struct nbd_req *r = n->rx.req;
	uint64_t left = r->offset + r->len - n->rx.offset;
	const unsigned char *p = n->rx.stage + n->rx.pos;
	uint64_t len;

	if (!n->rx.left)
		return end_of_chunk(n, r);
	if (unread(n) < 8)
		return want(n, 8);
	len = be32(p);
	if (!len || !left)
		return nbd_lose(n, EPROTO, "the NBD server sent an empty extent, or one outside of the request");
	len = MIN(len, left); /* the last extent may go on behind the request */
	r->extent(r->extent_arg, n->rx.ctx, n->rx.offset, len, be32(p + 4));
	n->rx.offset += len;
	n->rx.left -= 8;
	n->rx.pos += 8;
	return 1;
}

static int step(struct nbd *n)
{
	switch (n->rx.state) {
	case RX_HEADER:
		return step_header(n);
	case RX_DATA:
		return step_data(n);
	case RX_EXTENTS:
		return step_extent(n);
	}
	return 0;
}

/* Where the next bytes go: into the reader's buffer if data is due, and behind it into the stage, no more than one data
 * chunk's header there if another read's data may follow. */
static void nbd_reply_room(struct nbd *n)
{
	size_t room;

	memmove(n->rx.stage, n->rx.stage + n->rx.pos, unread(n));
	n->rx.end -= n->rx.pos;
	n->rx.pos = 0;
	room = STAGE_SIZE - n->rx.end;
	if (n->slots.reads_in_flight)
		room = MIN(room, n->rx.want > n->rx.end ? n->rx.want - n->rx.end : (size_t)DATA_HEADER);
	n->rx.iov[0] = (struct iovec){n->rx.ptr, n->rx.state == RX_DATA ? n->rx.left : 0};
	n->rx.iov[1] = (struct iovec){n->rx.stage + n->rx.end, room};
}

static void nbd_reply_take(struct nbd *n, size_t bytes)
{
	size_t direct = MIN(bytes, n->rx.iov[0].iov_len);

	if (direct) {
		n->rx.ptr += direct;
		n->rx.left -= (uint32_t)direct;
	}
	n->rx.end += bytes - direct;
	while (step(n) > 0)
		;
}

/* ---- receiving ---- */

static void rx_start(struct nbd *n)
{
	struct io_uring_sqe *sqe = loop_sqe(n->loop);

	nbd_reply_room(n);
	n->rx.msg = (struct msghdr){.msg_iov = n->rx.iov, .msg_iovlen = 2};
	io_uring_prep_recvmsg(sqe, n->session.fd, &n->rx.msg, 0);
	loop_bind(sqe, &n->rx.op);
	n->rx.busy = true;
}

static void rx_done(struct op *op, int res, uint32_t cqe_flags)
{
	struct nbd *n = container_of(op, struct nbd, rx.op);

	(void)cqe_flags;
	n->rx.busy = false;
	if (n->err.code)
		; /* whatever came, it came too late */
	else if (res > 0)
		nbd_reply_take(n, (size_t)res);
	else if (res == 0 || res == -ECONNRESET)
		nbd_lose(n, ECONNRESET, "the NBD server closed the connection");
	else if (res != -EINTR && res != -EAGAIN)
		nbd_lose(n, -res, "cannot read from the NBD server: %s", strerror(-res));
	if (!n->err.code)
		rx_start(n);
	settle(n);
}

/* ---- the public face ---- */

int nbd_open(struct nbd **out, struct loop *l, const char *socket_path, const char *export_name, const char *const *contexts,
	     unsigned timeout_ms, struct err *e)
{
	struct nbd_session s;
	struct nbd *n;
	int r = nbd_handshake(&s, socket_path, export_name, contexts, timeout_ms, e);

	if (r)
		return r;
	n = xcalloc(1, sizeof(*n));
	n->loop = l;
	n->session = s;
	n->finished_tail = &n->finished;
	n->tx.tail = &n->tx.first;
	n->late.fire = late_fire;
	n->tx.op.done = tx_done;
	n->rx.op.done = rx_done;
	rx_start(n);
	*out = n;
	return 0;
}

const struct nbd_info *nbd_info(const struct nbd *n)
{
	return &n->session.info;
}

void nbd_set_read_only(struct nbd *n)
{
	n->session.info.read_only = true;
}

void nbd_drop(struct nbd *n)
{
	shutdown(n->session.fd, SHUT_RDWR);
}

const struct err *nbd_error(const struct nbd *n)
{
	return n->err.code ? &n->err : NULL;
}

static void put_request(unsigned char *p, const struct nbd_req *r)
{
	p = put16(put32(p, NBD_REQUEST_MAGIC), 0); /* no flags */
	put32(put64(put64(put16(p, r->type), r->cookie), r->offset), r->len);
}

void nbd_close(struct nbd *n)
{
	struct nbd_req disc = {.type = NBD_CMD_DISC};
	struct err e;

	if (!n)
		return;
	if (!n->err.code && !n->slots.in_flight && !n->tx.first) {
		put_request(disc.header, &disc);
		if (send(n->session.fd, disc.header, sizeof(disc.header), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_debug("nbd: goodbye not sent: %s", strerror(errno));
	}
	nbd_lose(n, ECANCELED, "the NBD connection was closed");
	while (n->tx.busy || n->rx.busy) {
		if (loop_step(n->loop, 1000, &e) < 0) {
			log_error("nbd: %s", e.msg);
			return; /* the kernel may still use our memory: better leaked than freed */
		}
	}
	close(n->session.fd);
	abandon(n);
	n->draining++; /* drain() below must not free what is used after it */
	drain(n);
	n->draining--;
	loop_timer_clear(n->loop, &n->late);
	free(n->slots.at);
	n->slots.at = NULL;
	n->slots.count = 0;
	n->closed = true;
	if (!n->draining)
		free(n);
}

static bool changes(uint16_t type)
{
	return type == NBD_CMD_WRITE || type == NBD_CMD_WRITE_ZEROES;
}

/* Whether r may be sent: 0 or -errno. */
static int check_request(const struct nbd *n, const struct nbd_req *r)
{
	bool data = r->type == NBD_CMD_READ || r->type == NBD_CMD_WRITE;

	if (n->err.code)
		return -n->err.code;
	if (changes(r->type) && n->session.info.read_only)
		return -EROFS;
	if ((r->type == NBD_CMD_WRITE_ZEROES && !n->session.info.can_zero) || (r->type == NBD_CMD_FLUSH && !n->session.info.can_flush) ||
	    (r->type == NBD_CMD_BLOCK_STATUS && !n->session.info.contexts))
		return -ENOTSUP;
	if (r->type == NBD_CMD_FLUSH)
		return 0;
	if (!r->len || r->len > (data ? n->session.info.max_block : NBD_MAX_SPAN) || r->offset > n->session.info.size ||
	    r->len > n->session.info.size - r->offset)
		return -EINVAL;
	return 0;
}

static void submit(struct nbd *n, struct nbd_req *r, uint16_t type, void *buf, uint32_t len, uint64_t offset)
{
	int res;

	r->next = NULL;
	r->offset = offset;
	r->buf = buf;
	r->len = len;
	r->type = type;
	r->sent = r->replied = false;
	r->npieces = 0;
	r->ctx_seen = 0;
	r->res = 0;
	res = check_request(n, r);
	if (res < 0) {
		finish_late(n, r, res);
		return;
	}
	slot_take(n, r);
	put_request(r->header, r);
	*n->tx.tail = r;
	n->tx.tail = &r->next;
	if (!n->tx.busy) {
		tx_start(n);
		return;
	}
	if (!n->tx.unmapped)
		n->tx.unmapped = r;
	if (n->tx.unmapped == r)
		tx_map(n);
}

void nbd_read(struct nbd *n, struct nbd_req *r, void *buf, uint32_t len, uint64_t offset)
{
	submit(n, r, NBD_CMD_READ, buf, len, offset);
}

void nbd_write(struct nbd *n, struct nbd_req *r, const void *buf, uint32_t len, uint64_t offset)
{
	submit(n, r, NBD_CMD_WRITE, (void *)(uintptr_t)buf, len, offset);
}

void nbd_zero(struct nbd *n, struct nbd_req *r, uint64_t offset, uint32_t len)
{
	submit(n, r, NBD_CMD_WRITE_ZEROES, NULL, len, offset);
}

void nbd_flush(struct nbd *n, struct nbd_req *r)
{
	submit(n, r, NBD_CMD_FLUSH, NULL, 0, 0);
}

void nbd_block_status(struct nbd *n, struct nbd_req *r, uint64_t offset, uint32_t len, nbd_extent_fn *extent, void *arg)
{
	r->extent = extent;
	r->extent_arg = arg;
	submit(n, r, NBD_CMD_BLOCK_STATUS, NULL, len, offset);
}
