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
 *              parser (nbd-reply.c) never calls done(), so done() may do what it likes, nbd_close() included.
 *   the end    nbd_lose() notes the reason once and stops both operations; only when neither is in the kernel any
 *              more, so that no buffer is still written to, do the requests complete.
 */
#include "nbd-private.h"
#include "be.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define NBD_REQUEST_MAGIC 0x25609513u

#define REQUEST_SIZE 28 /* bytes of a request's header */

/* ---- requests: slots, completion, loss of the connection ---- */

static void push_finished(struct nbd *n, struct nbd_req *r)
{
	r->next = NULL;
	*n->finished_tail = r;
	n->finished_tail = &r->next;
}

/* Calls done() of finished requests. n may be gone afterwards, so callers do this last. */
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

struct nbd_req *nbd_find(const struct nbd *n, uint64_t cookie)
{
	uint32_t i = (uint32_t)cookie;

	if (i >= n->slots.count || !n->slots.at[i].req || n->slots.at[i].req->cookie != cookie)
		return NULL;
	return n->slots.at[i].req;
}

/* The request's memory is ours until it has also left the send queue. */
void nbd_replied(struct nbd *n, struct nbd_req *r, int res)
{
	slot_free(n, r);
	r->replied = true;
	r->res = res;
	if (r->sent)
		push_finished(n, r);
}

/* settle() does the rest when the operations have stopped. */
int nbd_lose(struct nbd *n, int code, const char *fmt, ...)
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

/* Finishes every request of a lost connection: those sent or unsent without a reply, and those with one that are still in the send
 * queue. */
static void abandon(struct nbd *n)
{
	struct nbd_req *r, *next;

	for (r = n->tx.first; r; r = next) {
		next = r->next;
		if (r->replied)
			push_finished(n, r);
	}
	n->tx.first = n->tx.unmapped = NULL;
	n->tx.tail = &n->tx.first;
	for (uint32_t i = 0; i < n->slots.count; i++) {
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
		; /* the bytes came too late */
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
	n->draining++; /* drain() below must not free n, which is used after it */
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

/* Checks that r may be sent: 0 or -errno. */
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
