/*
 * lv-frames.c: messages of libvirt's RPC on a non-blocking socket: with poll(2) while a caller waits for a reply, or on a loop.
 *
 * Theory of operation. A message is read from the socket completely before any callback runs, so that a callback may make a call of its
 * own and wait, which reads further messages. On a loop one poll is in flight, armed again before the socket is read. Bytes that the
 * socket does not take are kept, and sent again when it is writable, or every few milliseconds. A timer that expires at once reports the
 * end of a connection, so that no callback hears of it within a call.
 */
#include "be.h"
#include "lv-private.h"
#include "util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_SEND_MS 5

/* ---- calls under way ---- */

void lv_frames_forget(struct lv *v, struct lv_pending *p)
{
	struct lv_pending **at;

	for (at = &v->pending; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			return;
		}
	}
}

static void fail_pending(struct lv *v)
{
	struct lv_pending *p;

	while ((p = v->pending)) {
		v->pending = p->next;
		p->replied(p, NULL, NULL);
	}
}

int lv_frames_lose(struct lv *v, const struct err *e)
{
	if (v->dead)
		return -e->code;
	v->dead = true;
	v->why = *e;
	shutdown(v->fd, SHUT_RDWR);
	if (v->loop)
		loop_timer_set(v->loop, &v->told_lost, 0);
	return -e->code;
}

static void tell_lost(struct timer *t)
{
	struct lv *v = container_of(t, struct lv, told_lost);

	fail_pending(v);
	if (v->handlers && v->handlers->closed)
		v->handlers->closed(v->ctx, &v->why);
}

/* ---- sending ---- */

/* Drops the output if the connection has ended: the receiving side notices the end, too, after it has read the last messages. */
static void flush_out(struct lv *v)
{
	ssize_t sent;

	while (v->out_at < v->out.n) {
		sent = send(v->fd, v->out.data + v->out_at, v->out.n - v->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			if (v->loop)
				loop_timer_set(v->loop, &v->retry, RETRY_SEND_MS);
			return;
		}
		v->out_at = sent < 0 ? v->out.n : v->out_at + (size_t)sent;
	}
	v->out.n = v->out_at = 0;
}

static void retry_send(struct timer *t)
{
	struct lv *v = container_of(t, struct lv, retry);

	if (!v->dead)
		flush_out(v);
}

static void put_head(struct lv_writer *w, const struct lv_head *h)
{
	lv_write_u32(w, h->length);
	lv_write_u32(w, h->program);
	lv_write_u32(w, h->version);
	lv_write_u32(w, (uint32_t)h->procedure);
	lv_write_u32(w, h->type);
	lv_write_u32(w, h->serial);
	lv_write_u32(w, h->status);
}

static int send_message(struct lv *v, const struct lv_head *h, const struct lv_writer *body, struct err *e)
{
	size_t before = v->out.n;

	put_head(&v->out, h);
	if (body)
		lv_write_bytes(&v->out, body->data, body->n);
	if (v->out.bad) {
		v->out.bad = false;
		v->out.n = before;
		return err_set(e, ENOBUFS, "libvirt does not take what it is sent at %s", v->socket);
	}
	flush_out(v);
	return 0;
}

int lv_frames_send(struct lv *v, struct lv_pending *p, const struct lv_writer *args, struct err *e)
{
	struct lv_head h = {(uint32_t)(LV_HEAD_BYTES + args->n), p->program, LV_VERSION_ONE, p->procedure, LV_CALL, ++v->serial, LV_OK};

	if (send_message(v, &h, args, e) < 0)
		return -e->code;
	p->serial = h.serial;
	p->next = v->pending;
	v->pending = p;
	return 0;
}

/* ---- receiving ---- */

static int read_head(struct lv *v, struct err *e)
{
	const uint8_t *p = v->in.head;
	struct lv_head *h = &v->in.h;

	*h = (struct lv_head){be32(p), be32(p + 4), be32(p + 8), (int32_t)be32(p + 12), be32(p + 16), be32(p + 20), be32(p + 24)};
	if (h->length < LV_HEAD_BYTES || h->length > LV_MESSAGE_MAX)
		return err_set(e, EPROTO, "libvirt sent a message of %u bytes, which is not between %u and %u", h->length, LV_HEAD_BYTES,
			       LV_MESSAGE_MAX);
	if (h->version != LV_VERSION_ONE || h->type < LV_REPLY || h->type > LV_MESSAGE)
		return err_set(e, EPROTO, "libvirt sent a message of type %u, version %u, which vmferry did not ask for", h->type,
			       h->version);
	v->in.body = xmalloc(MAX(h->length - LV_HEAD_BYTES, 1U));
	return 0;
}

/* Reads on, up to the end of the head or the body; 1: something was read. */
static int read_some(struct lv *v, struct err *e)
{
	bool in_head = v->in.got < LV_HEAD_BYTES;
	size_t end = in_head ? LV_HEAD_BYTES : v->in.h.length;
	uint8_t *to = in_head ? v->in.head + v->in.got : v->in.body + (v->in.got - LV_HEAD_BYTES);
	ssize_t got = recv(v->fd, to, end - v->in.got, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (got < 0)
		return err_sys(e, errno, "cannot read from libvirt at %s", v->socket);
	if (!got)
		return err_set(e, ECONNRESET, "libvirt closed the connection at %s", v->socket);
	v->in.got += (size_t)got;
	if (in_head && v->in.got == LV_HEAD_BYTES && read_head(v, e) < 0)
		return -e->code;
	return 1;
}

/* 1: the next message, if it has arrived completely. The caller owns its body. */
static int next_message(struct lv *v, struct lv_head *h, uint8_t **body, struct err *e)
{
	int r = 1;

	while (r > 0 && (v->in.got < LV_HEAD_BYTES || v->in.got < v->in.h.length))
		r = read_some(v, e);
	if (r <= 0)
		return r;
	*h = v->in.h;
	*body = v->in.body;
	v->in.body = NULL;
	v->in.got = 0;
	return 1;
}

static int take_reply(struct lv *v, const struct lv_head *h, uint8_t *body, struct err *e)
{
	struct lv_pending *p = v->pending;

	while (p && p->serial != h->serial)
		p = p->next;
	if (!p || p->program != h->program || p->procedure != h->procedure || h->status > LV_ERROR) {
		free(body);
		return err_set(e, EPROTO, "libvirt replied to call %u (procedure %d of program %#x, status %u), which was not made",
			       h->serial, h->procedure, h->program, h->status);
	}
	lv_frames_forget(v, p);
	p->replied(p, h, body);
	return 0;
}

/* Handles a message; pings are answered, as libvirt ends connections that do not. */
static int take_message(struct lv *v, const struct lv_head *h, uint8_t *body, struct err *e)
{
	struct lv_head pong = {LV_HEAD_BYTES, LV_KEEPALIVE, LV_VERSION_ONE, LV_PONG, LV_MESSAGE, 0, LV_OK};
	int r;

	if (h->type == LV_REPLY)
		return take_reply(v, h, body, e);
	if (h->program == LV_KEEPALIVE && h->procedure == LV_PING)
		r = send_message(v, &pong, NULL, e);
	else
		r = lv_take_event(v, h, body, e);
	free(body);
	return r;
}

/* Takes all messages that have arrived. */
static int take_all(struct lv *v, struct err *e)
{
	struct lv_head h;
	uint8_t *body;
	int r;

	while (!v->dead && (r = next_message(v, &h, &body, e)) != 0) {
		if (r > 0)
			r = take_message(v, &h, body, e);
		if (r < 0)
			return lv_frames_lose(v, e);
	}
	return 0;
}

/* ---- waiting ---- */

static void arm(struct lv *v)
{
	struct io_uring_sqe *sqe = loop_sqe(v->loop);

	io_uring_prep_poll_add(sqe, v->fd, POLLIN);
	loop_bind(sqe, &v->readable);
	v->armed = true;
}

static void on_readable(struct op *op, int res, uint32_t flags)
{
	struct lv *v = container_of(op, struct lv, readable);
	struct err e;

	(void)res, (void)flags;
	v->armed = false;
	if (v->dead)
		return;
	arm(v);
	take_all(v, &e);
}

void lv_attach(struct lv *v, struct loop *l, const struct lv_handlers *h, void *ctx)
{
	v->loop = l;
	v->handlers = h;
	v->ctx = ctx;
	v->readable.done = on_readable;
	v->retry.fire = retry_send;
	v->told_lost.fire = tell_lost;
	if (!v->dead)
		arm(v);
}

static int wait_a_little(struct lv *v, uint64_t until_ns, struct err *e)
{
	struct pollfd p = {.fd = v->fd, .events = (short)(POLLIN | (v->out_at < v->out.n ? POLLOUT : 0))};
	uint64_t now = now_ns();
	unsigned ms;

	if (now >= until_ns)
		return err_set(e, ETIMEDOUT, "libvirt does not answer at %s", v->socket);
	ms = (unsigned)MIN((until_ns - now) / 1000000 + 1, (uint64_t)INT_MAX);
	if (v->loop)
		return loop_step(v->loop, ms, e);
	if (poll(&p, 1, (int)ms) < 0 && errno != EINTR)
		return err_sys(e, errno, "poll");
	flush_out(v);
	return 0;
}

int lv_frames_until(struct lv *v, const bool *done, uint64_t until_ns, struct err *e)
{
	int r = take_all(v, e);

	while (r >= 0 && !*done && !v->dead) {
		r = wait_a_little(v, until_ns, e);
		if (r >= 0)
			r = take_all(v, e);
	}
	if (*done)
		return 0;
	if (v->dead)
		*e = v->why;
	return lv_frames_lose(v, e);
}

void lv_frames_fini(struct lv *v)
{
	struct err e;

	if (!v->dead) {
		v->dead = true;
		err_set(&v->why, ECANCELED, "the connection to libvirt was closed");
	}
	if (v->loop) {
		loop_timer_clear(v->loop, &v->retry);
		loop_timer_clear(v->loop, &v->told_lost);
		if (v->armed)
			loop_cancel(v->loop, &v->readable);
		while (v->armed && loop_step(v->loop, 1000, &e) >= 0)
			;
	}
	fail_pending(v);
	close(v->fd);
	free(v->in.body);
	lv_writer_fini(&v->out);
}
