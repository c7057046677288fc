/* ram-feed.c: see ram-feed.h. */
#include "ram-feed.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct feed {
	struct loop *loop;
	struct feed_handlers on;
	void *ctx;
	int fd;
	struct op send_op, recv_op;
	bool sending, receiving, closed, closing;
	struct bytes {
		uint8_t *p;
		size_t n, cap;
	} out, next; /* out is being sent from at on; next is being written */
	size_t at;
	struct rp_decoder rp;
	uint8_t in[1024];
};

static void send_more(struct feed *f);
static void recv_more(struct feed *f);

static void lost(struct feed *f, int res, const char *doing)
{
	struct err e;

	if (f->closed || f->closing)
		return;
	f->closed = true;
	if (res)
		err_sys(&e, -res, "%s", doing);
	else
		err_set(&e, EPIPE, "%s: QEMU closed the connection", doing);
	f->on.closed(f->ctx, &e);
}

static void send_done(struct op *op, int res, uint32_t flags)
{
	struct feed *f = container_of(op, struct feed, send_op);

	(void)flags;
	f->sending = false;
	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		lost(f, res, "feeding the destination QEMU");
		return;
	}
	f->at += res > 0 ? (size_t)res : 0;
	send_more(f);
	if (!f->sending && !f->closing && !f->closed)
		f->on.drained(f->ctx);
}

static void send_more(struct feed *f)
{
	struct io_uring_sqe *sqe;

	if (f->sending || f->closed || f->closing)
		return;
	if (f->at == f->out.n) {
		struct bytes empty = f->out;

		if (!f->next.n)
			return;
		f->out = f->next;
		f->next = empty;
		f->next.n = f->at = 0;
	}
	sqe = loop_sqe(f->loop);
	io_uring_prep_send(sqe, f->fd, f->out.p + f->at, f->out.n - f->at, MSG_NOSIGNAL);
	loop_bind(sqe, &f->send_op);
	f->sending = true;
}

void feed_write(struct feed *f, const void *p, size_t n)
{
	if (f->next.n + n > f->next.cap) {
		f->next.cap = MAX(f->next.n + n, f->next.cap * 2);
		f->next.p = xrealloc(f->next.p, f->next.cap);
	}
	memcpy(f->next.p + f->next.n, p, n);
	f->next.n += n;
	send_more(f);
}

static void recv_done(struct op *op, int res, uint32_t flags)
{
	struct feed *f = container_of(op, struct feed, recv_op);
	const uint8_t *p = f->in;
	struct rp_message m;
	struct err e;
	size_t n, used;
	int r;

	(void)flags;
	f->receiving = false;
	if (res <= 0 && res != -EINTR && res != -EAGAIN) {
		lost(f, res, "waiting for the destination QEMU's answer");
		return;
	}
	for (n = res > 0 ? (size_t)res : 0; n && !f->closing; p += used, n -= used) {
		r = rp_push(&f->rp, p, n, &used, &m, &e);
		if (r < 0) {
			f->closed = true;
			shutdown(f->fd, SHUT_RDWR); /* QEMU would wait for the rest otherwise, and nobody would be told why none comes */
			f->on.closed(f->ctx, &e);
			return;
		}
		if (r)
			f->on.message(f->ctx, &m);
	}
	recv_more(f);
}

static void recv_more(struct feed *f)
{
	struct io_uring_sqe *sqe;

	if (f->receiving || f->closed || f->closing)
		return;
	sqe = loop_sqe(f->loop);
	io_uring_prep_recv(sqe, f->fd, f->in, sizeof(f->in), 0);
	loop_bind(sqe, &f->recv_op);
	f->receiving = true;
}

int feed_open(struct feed **out, struct loop *l, const char *socket_path, const struct feed_handlers *h, void *ctx, struct err *e)
{
	struct feed *f;
	int fd = unix_connect(socket_path, 0);

	if (fd < 0)
		return err_sys(e, -fd, "cannot connect to the destination QEMU at %s", socket_path);
	f = xcalloc(1, sizeof(*f));
	f->loop = l;
	f->on = *h;
	f->ctx = ctx;
	f->fd = fd;
	f->send_op.done = send_done;
	f->recv_op.done = recv_done;
	recv_more(f);
	*out = f;
	return 0;
}

void feed_close(struct feed *f)
{
	struct err e;

	if (!f)
		return;
	f->closing = true;
	shutdown(f->fd, SHUT_RDWR);
	if (f->sending)
		loop_cancel(f->loop, &f->send_op);
	if (f->receiving)
		loop_cancel(f->loop, &f->recv_op);
	while (f->sending || f->receiving)
		if (loop_step(f->loop, 1000, &e))
			break;
	close(f->fd);
	FREE_ALL(f->out.p, f->next.p, f);
}
