/*
 * qmp.c: see qmp.h; qmp-framer.c finds messages among the bytes.
 *
 * Theory of operation. One recv is always in flight: its bytes go to the framer and the next
 * recv is armed before any message is handed out, so that a callback may pump the loop and wait for
 * a further reply. Messages are framed by counting braces outside strings, since -qmp-pretty
 * spreads one over many lines. What is to be sent is `waiting` while one send, of what is in `flight`,
 * is under way. A request that was sent waits in a list with a deadline timer of its own; on a dead
 * connection that same timer, set to now, delivers the error, so that a reply function never runs
 * inside qmp_send().
 */
#include "qmp-private.h"
#include "log.h"
#include "qmp-connect.h"
#include "util.h"
#include "deadline.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PTY_LEAST_MS 2500U /* time for QEMU to see that its pseudo-terminal is open, and to greet */

static void recv_done(struct op *op, int res, uint32_t flags);
static void send_done(struct op *op, int res, uint32_t flags);

/* Requests */

static void request_unlink(struct request *r)
{
	struct request **p;

	for (p = &r->q->requests; *p; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			return;
		}
	}
}

/* Takes r out of the list and gives it its one answer. */
void qmp_request_finish(struct request *r, json_t *ret, const struct err *e)
{
	request_unlink(r);
	loop_timer_clear(r->q->loop, &r->timer);
	log_debug("QMP %s: %s: %.1f ms", r->q->path, r->command, (double)(now_ns() - r->asked_ns) / 1e6);
	if (r->fn)
		r->fn(r->arg, ret, e);
	free(r->command);
	free(r);
}

static void request_expired(struct timer *t)
{
	struct request *r = container_of(t, struct request, timer);
	struct err e;

	if (r->q->dead) {
		e = r->q->why;
	} else if (r->not_sent.code) {
		e = r->not_sent;
	} else {
		err_set(&e, ETIMEDOUT, "QEMU did not answer %s within %u ms", r->command, r->deadline_ms);
		log_info("QMP %s: %s", r->q->path, e.msg);
	}
	qmp_request_finish(r, NULL, &e);
}

struct request *qmp_request_find(struct qmp *q, json_int_t id)
{
	struct request *r = q->requests;

	while (r && r->id != id)
		r = r->next;
	return r;
}

/* Fails the requests that wait now; later ones, which their reply functions send, are not among them. */
static void fail_all(struct qmp *q, const struct err *e)
{
	struct request *r, *next, *all = q->requests;

	q->requests = NULL;
	for (r = all; r; r = r->next)
		loop_timer_clear(q->loop, &r->timer);
	for (r = all; r; r = next) {
		next = r->next;
		qmp_request_finish(r, NULL, e);
	}
}

/* The connection is of no use any more; the first reason stays. */
void qmp_lose(struct qmp *q, int code, const char *reason)
{
	if (q->dead)
		return;
	q->dead = true;
	if (q->fd >= 0)
		shutdown(q->fd, SHUT_RDWR);
	err_set(&q->why, code, "the QMP connection to %s is lost: %s", q->path, reason);
	if (q->closing)
		return;
	fail_all(q, &q->why);
	if (q->opened && q->handlers && q->handlers->closed)
		q->handlers->closed(q->ctx, &q->why);
}

/* Incoming messages */

static void on_greeting(struct qmp *q, json_t *msg)
{
	json_t *version = json_object_get(json_object_get(json_object_get(msg, "QMP"), "version"), "qemu");

	/* QEMU takes note of a new client in one thread while it tells the old one's events in another: some may come first */
	if (json_is_string(json_object_get(msg, "event"))) {
		log_debug("QMP %s: an event before the greeting", q->path);
		return;
	}
	if (!json_is_object(version)) {
		qmp_lose(q, EPROTO, "its first message is not a QMP greeting");
		return;
	}
	q->version[0] = (int)json_integer_value(json_object_get(version, "major"));
	q->version[1] = (int)json_integer_value(json_object_get(version, "minor"));
	q->version[2] = (int)json_integer_value(json_object_get(version, "micro"));
	q->greeted = true;
}

void qmp_take_reply(struct qmp *q, json_int_t id, json_t *msg)
{
	json_t *ret = json_object_get(msg, "return"), *error = json_object_get(msg, "error");
	struct request *r = qmp_request_find(q, id);
	const char *desc = json_string_value(json_object_get(error, "desc"));
	struct err e;

	if (!r) {
		log_debug("QMP %s: dropped a reply that no command waits for%s%s", q->path, desc ? ": " : "", desc ? desc : "");
		return;
	}
	if (ret) {
		qmp_request_finish(r, ret, NULL);
		return;
	}
	err_set(&e, EREMOTEIO, "QEMU refused %s: %s", r->command, desc ? desc : "(no reason given)");
	qmp_request_finish(r, NULL, &e);
}

static uint64_t event_time(const json_t *stamp)
{
	json_int_t s = json_integer_value(json_object_get(stamp, "seconds"));
	json_int_t us = json_integer_value(json_object_get(stamp, "microseconds"));

	return s > 0 && us >= 0 && us < 1000000 ? (uint64_t)s * 1000000000 + (uint64_t)us * 1000 : 0;
}

static void on_message(struct qmp *q, json_t *msg)
{
	const char *event = json_string_value(json_object_get(msg, "event"));

	if (!q->greeted) {
		on_greeting(q, msg);
	} else if (event) {
		log_debug("QMP %s: event %s", q->path, event);
		q->event_realtime_ns = event_time(json_object_get(msg, "timestamp"));
		if (q->handlers && q->handlers->event)
			q->handlers->event(q->ctx, event, json_object_get(msg, "data"), q->rx.at_ns);
	} else if (json_object_get(msg, "return") || json_object_get(msg, "error")) {
		qmp_take_reply(q, json_integer_value(json_object_get(msg, "id")), msg);
	} else {
		qmp_lose(q, EPROTO, "it sent a message that is neither event nor reply");
	}
}

/* NULL: there is none yet, or the connection is lost. */
static json_t *next_message(struct qmp *q)
{
	ssize_t len = framer_scan(&q->rx.framer);
	char reason[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t je;
	json_t *msg;

	if (len < 0)
		qmp_lose(q, EPROTO, "it sends something that is not QMP");
	if (len <= 0)
		return NULL;
	msg = framer_take(&q->rx.framer, (size_t)len, &je);
	if (!msg) {
		snprintf(reason, sizeof(reason), "it sent a message that is not JSON: %s", je.text);
		qmp_lose(q, EPROTO, reason);
	}
	return msg;
}

static void dispatch(struct qmp *q)
{
	json_t *msg;

	while (!q->dead && !q->closing && (msg = next_message(q))) {
		on_message(q, msg);
		json_decref(msg);
	}
	if (q->rx.framer.in.len > QMP_MESSAGE_MAX)
		qmp_lose(q, EMSGSIZE, "it sent a message of more than 16 MiB");
}

/* The socket */

static void arm_recv(struct qmp *q)
{
	struct io_uring_sqe *sqe = loop_sqe(q->loop);

	if (q->is_terminal)
		io_uring_prep_read(sqe, q->fd, q->rx.chunk, sizeof(q->rx.chunk), 0);
	else
		io_uring_prep_recv(sqe, q->fd, q->rx.chunk, sizeof(q->rx.chunk), 0);
	loop_bind(sqe, &q->rx.op);
	q->rx.busy = true;
}

/* Takes n bytes from rx_chunk. */
static void take_bytes(struct qmp *q, size_t n)
{
	q->rx.at_ns = now_ns();
	buffer_append(&q->rx.framer.in, q->rx.chunk, n);
	if (!q->rx.busy && !q->draining)
		arm_recv(q);
	dispatch(q);
}

static void recv_done(struct op *op, int res, uint32_t flags)
{
	struct qmp *q = container_of(op, struct qmp, rx.op);

	(void)flags;
	q->rx.busy = false;
	if (q->dead || q->closing)
		return;
	if (res == -EINTR || res == -EAGAIN || (res == -ECANCELED && q->draining)) {
		if (!q->draining)
			arm_recv(q);
		return;
	}
	if (res <= 0) {
		qmp_lose(q, EPIPE, res ? strerror(-res) : "QEMU closed it");
		return;
	}
	take_bytes(q, (size_t)res);
}

static void arm_send(struct qmp *q)
{
	struct io_uring_sqe *sqe = loop_sqe(q->loop);

	if (q->is_terminal)
		io_uring_prep_write(sqe, q->fd, q->tx.flight.data + q->tx.sent, (unsigned)(q->tx.flight.len - q->tx.sent), 0);
	else
		io_uring_prep_send(sqe, q->fd, q->tx.flight.data + q->tx.sent, q->tx.flight.len - q->tx.sent, MSG_NOSIGNAL);
	loop_bind(sqe, &q->tx.op);
	q->tx.busy = true;
}

static void flush_tx(struct qmp *q)
{
	struct buffer spare;

	if (q->tx.busy || q->dead || !q->tx.waiting.len)
		return;
	spare = q->tx.flight;
	q->tx.flight = q->tx.waiting;
	q->tx.waiting = spare;
	q->tx.waiting.len = 0;
	q->tx.sent = 0;
	arm_send(q);
}

static void send_done(struct op *op, int res, uint32_t flags)
{
	struct qmp *q = container_of(op, struct qmp, tx.op);

	(void)flags;
	q->tx.busy = false;
	if (q->dead || q->closing)
		return;
	if (res < 0 && res != -EINTR && res != -EAGAIN) {
		/* QEMU's last messages before it died are still to be read: the recv reports the end */
		log_debug("QMP %s: send: %s", q->path, strerror(-res));
		return;
	}
	q->tx.sent += res > 0 ? (size_t)res : 0;
	if (q->tx.sent < q->tx.flight.len)
		arm_send(q);
	else
		flush_tx(q);
}

/* The state of a call that waits. */
struct waiter {
	bool done;
	json_t *ret;
	struct err err;
};

static void wake(void *arg, json_t *ret, const struct err *e)
{
	struct waiter *w = arg;

	w->done = true;
	w->ret = json_incref(ret);
	if (e)
		w->err = *e;
}

static enum qmp_haste haste_of(const struct request *r)
{
	bool is_question = !strncmp(r->command, "query-", 6) || !strcmp(r->command, "qom-list");

	return r->fn == wake ? QMP_WAITED_FOR : is_question ? QMP_QUESTION : QMP_IN_TURN;
}

/* The request's own timer reports a refusal, since no callback may run inside qmp_send(). */
static void give_to_carrier(struct qmp *q, struct request *r, json_t *msg)
{
	AUTO_FREE char *text = NULL;

	json_object_del(msg, "id"); /* the carrier has its own */
	text = json_dumps(msg, JSON_COMPACT);
	if (q->carrier->send(q->carried_by, q, r->id, text, r->deadline_ms, haste_of(r), &r->not_sent))
		loop_timer_set(q->loop, &r->timer, 0);
	else
		r->not_sent.code = 0;
}

static void give_to_socket(struct qmp *q, const json_t *msg)
{
	AUTO_FREE char *text = json_dumps(msg, JSON_COMPACT);

	buffer_append(&q->tx.waiting, text, strlen(text));
	buffer_append(&q->tx.waiting, "\n", 1);
	flush_tx(q);
}

static struct request *request_new(struct qmp *q, const char *command, json_t *args, unsigned deadline_ms, qmp_reply_fn fn, void *arg)
{
	struct request *r = xcalloc(1, sizeof(*r));
	json_auto_t *msg = json_pack("{s:s, s:I}", "execute", command, "id", ++q->last_id);

	if (args)
		json_object_set_new(msg, "arguments", args);
	*r = (struct request){.next = q->requests,
			      .q = q,
			      .id = q->last_id,
			      .command = xstrdup(command),
			      .fn = fn,
			      .arg = arg,
			      .deadline_ms = deadline_ms,
			      .asked_ns = now_ns(),
			      .timer.fire = request_expired};
	q->requests = r;
	loop_timer_set(q->loop, &r->timer, q->dead ? 0 : deadline_ms);
	if (!q->dead && q->carrier)
		give_to_carrier(q, r, msg);
	else if (!q->dead)
		give_to_socket(q, msg);
	return r;
}

void qmp_send(struct qmp *q, const char *command, json_t *args, unsigned deadline_ms, qmp_reply_fn fn, void *arg)
{
	request_new(q, command, args, deadline_ms, fn, arg);
}

int qmp_call_ms(struct qmp *q, unsigned deadline_ms, const char *command, json_t *args, json_t **ret, struct err *e)
{
	struct waiter w = {.err.code = 0};
	struct request *r = request_new(q, command, args, deadline_ms, wake, &w);
	int rc;

	while (!w.done) {
		rc = loop_step(q->loop, 1000, e);
		if (rc < 0) {
			if (!w.done)
				r->fn = NULL;
			json_decref(w.ret);
			return rc;
		}
	}
	if (w.err.code) {
		*e = w.err;
		return -e->code;
	}
	if (ret)
		*ret = w.ret;
	else
		json_decref(w.ret);
	return 0;
}

int qmp_call(struct qmp *q, const char *command, json_t *args, json_t **ret, struct err *e)
{
	return qmp_call_ms(q, QMP_DEADLINE_MS, command, args, ret, e);
}

static ssize_t take_what_is_there(struct qmp *q)
{
	struct pollfd ready = {.fd = q->fd, .events = POLLIN};

	if (!q->is_terminal)
		return recv(q->fd, q->rx.chunk, sizeof(q->rx.chunk), MSG_DONTWAIT);
	return poll(&ready, 1, 0) > 0 ? read(q->fd, q->rx.chunk, sizeof(q->rx.chunk)) : -1;
}

/* The recv in flight completes first, whatever it has read; bytes still in the socket come after it. */
static int not_heard(const struct qmp *q, struct err *e)
{
	*e = q->why;
	return -e->code;
}

int qmp_drain(struct qmp *q, struct err *e)
{
	ssize_t n;

	if (q->dead)
		return not_heard(q, e);
	if (q->carrier)
		return q->carrier->drain(q->carried_by, e) ?: (q->dead ? not_heard(q, e) : 0);
	q->draining = true;
	if (q->rx.busy)
		loop_cancel(q->loop, &q->rx.op);
	while (q->rx.busy)
		if (loop_step(q->loop, 1000, e))
			break;
	while (!q->dead && !q->rx.busy && (n = take_what_is_there(q)) > 0)
		take_bytes(q, (size_t)n);
	q->draining = false;
	if (!q->dead && !q->rx.busy)
		arm_recv(q); /* the receive finds out if that was the end */
	return 0;
}

void qmp_stands(struct qmp *q)
{
	if (!q->dead && q->carrier)
		q->carrier->stands(q->carried_by);
}

int qmp_hmp(struct qmp *q, const char *line, char **text, struct err *e)
{
	json_auto_t *ret = NULL;
	int r = qmp_call(q, "human-monitor-command", json_pack("{s:s}", "command-line", line), &ret, e);

	if (r < 0)
		return r;
	if (json_is_string(ret))
		*text = xstrdup(json_string_value(ret));
	else
		r = err_set(e, EPROTO, "QEMU answered the monitor command \"%s\" with something that is not text", line);
	return r;
}

/* Opening and closing */

static int await_greeting(struct qmp *q, uint64_t until_ns, struct err *e)
{
	int r = 0;

	arm_recv(q);
	while (!q->greeted && !q->dead && ms_left(until_ns) && r == 0)
		r = loop_step(q->loop, (unsigned)ms_left(until_ns), e);
	if (r < 0)
		return r;
	if (q->dead) {
		*e = q->why;
		return -e->code;
	}
	return q->greeted ? 0 : qmp_is_busy(q->path, e);
}

struct qmp *qmp_new(struct loop *l, int fd, const char *name, const struct qmp_handlers *h, void *ctx)
{
	struct qmp *q = xcalloc(1, sizeof(*q));

	q->loop = l;
	q->path = xstrdup(name);
	q->fd = fd;
	q->handlers = h;
	q->ctx = ctx;
	q->rx.op.done = recv_done;
	q->tx.op.done = send_done;
	return q;
}

/* r: whether it is connected. */
static int meet(struct qmp **out, struct qmp *q, int r, uint64_t until_ns, struct err *e)
{
	if (r == 0)
		r = await_greeting(q, until_ns, e);
	if (r == 0)
		r = qmp_call_ms(q, (unsigned)MAX(ms_left(until_ns), 1), "qmp_capabilities", NULL, NULL, e);
	if (r == 0 && q->dead) {
		*e = q->why;
		r = -e->code;
	}
	if (r < 0) {
		qmp_close(q);
		return r;
	}
	q->opened = true;
	log_debug("QMP %s: QEMU %d.%d.%d, pid %d", q->path, q->version[0], q->version[1], q->version[2], (int)q->peer_pid);
	*out = q;
	return 0;
}

int qmp_open_of(struct qmp **out, struct loop *l, const char *path, pid_t pid, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		struct err *e)
{
	bool is_terminal = text_starts_with(path, QMP_PTY_PREFIX);
	uint64_t until_ns = now_ns() + (uint64_t)(is_terminal ? MAX(timeout_ms, PTY_LEAST_MS) : timeout_ms) * 1000000;
	struct qmp_connection c = {.loop = l, .path = path};
	int r = qmp_connect(&c, pid, until_ns, e);
	struct qmp *q = qmp_new(l, c.fd, path, h, ctx);

	q->is_terminal = c.is_terminal;
	q->peer_pid = c.peer_pid;
	return meet(out, q, r, until_ns, e);
}

int qmp_open(struct qmp **out, struct loop *l, const char *path, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
	     struct err *e)
{
	return qmp_open_of(out, l, path, 0, timeout_ms, h, ctx, e);
}

int qmp_open_fd(struct qmp **out, struct loop *l, int fd, const char *name, unsigned timeout_ms, const struct qmp_handlers *h, void *ctx,
		struct err *e)
{
	uint64_t until_ns = now_ns() + (uint64_t)timeout_ms * 1000000;

	return meet(out, qmp_new(l, fd, name, h, ctx), 0, until_ns, e);
}

void qmp_close(struct qmp *q)
{
	struct err canceled, e;

	if (!q)
		return;
	q->closing = true;
	if (q->carrier)
		q->carrier->close(q->carried_by);
	if (q->fd >= 0)
		shutdown(q->fd, SHUT_RDWR);
	if (q->rx.busy)
		loop_cancel(q->loop, &q->rx.op);
	if (q->tx.busy)
		loop_cancel(q->loop, &q->tx.op);
	err_set(&canceled, ECANCELED, "the QMP connection to %s was closed", q->path);
	if (!q->dead)
		q->why = canceled;
	q->dead = true;
	fail_all(q, &canceled);
	while (q->rx.busy || q->tx.busy) {
		if (loop_step(q->loop, 1000, &e) < 0) {
			log_error("cannot close the QMP connection to %s: %s", q->path, e.msg);
			return; /* the kernel may still write to q: leave it */
		}
	}
	while (q->requests) /* sent by those callbacks */
		fail_all(q, &canceled);
	if (q->fd >= 0)
		close(q->fd);
	FREE_ALL(q->rx.framer.in.data, q->tx.waiting.data, q->tx.flight.data, q->path, q);
}

pid_t qmp_peer_pid(const struct qmp *q)
{
	return q->peer_pid;
}

void qmp_version(const struct qmp *q, int *major, int *minor, int *micro)
{
	*major = q->version[0];
	*minor = q->version[1];
	*micro = q->version[2];
}

uint64_t qmp_event_realtime_ns(const struct qmp *q)
{
	return q->event_realtime_ns;
}

bool qmp_alive(const struct qmp *q)
{
	return !q->dead;
}
