/* ram-capture.c: see ram-capture.h. QEMU's connections; what becomes of their contents is ram-route.c. */
#include "ram-capture-private.h"
#include "keep.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static void main_is(struct capture *c, struct conn *k)
{
	c->qemu.main = k;
	__atomic_store_n(&c->seen.main_fd, k->fd, __ATOMIC_RELEASE);
}

void capture_tell(struct capture *c, enum capture_event ev, const struct err *e)
{
	c->cfg.event(c->cfg.ctx, ev, e);
}

void capture_give_up(struct capture *c, const struct err *e)
{
	if (c->failed)
		return;
	c->failed = true;
	capture_tell(c, CAPTURE_FAILED, e);
}

/* ---- reading ---- */

static void closed(struct conn *k, int res)
{
	struct err e;

	k->state = CONN_CLOSED;
	if (res)
		err_sys(&e, -res, "QEMU's migration channel broke");
	else
		err_set(&e, EPIPE, "QEMU closed its migration channel");
	capture_tell(k->cap, CAPTURE_CLOSED, &e);
}

static void first_bytes(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;

	switch (qemu_channel_kind(k->first)) {
	case QEMU_CHANNEL_MAIN:
		if (c->qemu.main)
			break;
		main_is(c, k);
		k->state = CONN_MAIN;
		k->in = xmalloc(MAIN_IN_BYTES);
		memcpy(k->in, k->first, 4);
		k->in_n = 4;
		return;
	case QEMU_CHANNEL_MULTIFD:
		k->state = CONN_INIT;
		memcpy(k->head, k->first, 4);
		k->have = 4;
		k->want = MULTIFD_INIT_BYTES;
		return;
	case QEMU_CHANNEL_UNKNOWN:
		break;
	}
	err_set(&e, ENOTSUP, "QEMU opened a migration channel that starts with unknown bytes %02x%02x%02x%02x; use --ram-mode opaque",
		k->first[0], k->first[1], k->first[2], k->first[3]);
	capture_give_up(c, &e);
}

static void opaque_bytes(struct conn *k, size_t n)
{
	struct packet *p = k->packet;

	k->packet = NULL;
	route_stream(k->cap, k->stream, &p->shared, p->data, n);
}

static void got(struct conn *k, size_t n)
{
	struct err e;

	switch (k->state) {
	case CONN_FIRST:
		k->have += n;
		if (k->have == 4)
			first_bytes(k);
		break;
	case CONN_MAIN:
		k->in_n = n;
		route_main(k->cap);
		break;
	case CONN_INIT:
		k->have += n;
		if (k->have == k->want) {
			struct multifd_init init;

			if (multifd_init_decode(k->head, &init, &e)) {
				capture_give_up(k->cap, &e);
				return;
			}
			k->state = CONN_HEADER;
			k->have = 0;
			k->want = MULTIFD_PACKET_BYTES;
		}
		break;
	case CONN_HEADER:
		k->have += n;
		break; /* arm() takes it on when it is whole */
	case CONN_PAYLOAD:
		k->have += n;
		if (k->have == k->want)
			route_multifd_end(k);
		break;
	case CONN_OPAQUE:
		opaque_bytes(k, n);
		break;
	case CONN_CLOSED:
		break;
	}
}

/* Starts reading from the connection again, unless it waits for something. */
static void arm(struct conn *k);

static void read_done(struct op *op, int res, uint32_t flags)
{
	struct conn *k = container_of(op, struct conn, op);

	(void)flags;
	k->reading = false;
	if (k->cap->stopping)
		return;
	if (res <= 0 && res != -EINTR && res != -EAGAIN) {
		closed(k, res);
		return;
	}
	if (res > 0)
		got(k, (size_t)res);
	arm(k);
}

static bool next_buffer(struct conn *k, uint8_t **p, size_t *n)
{
	struct capture *c = k->cap;

	switch (k->state) {
	case CONN_FIRST:
		*p = k->first + k->have;
		*n = 4 - k->have;
		return true;
	case CONN_MAIN:
		if (c->walking || !route_main(c))
			return false;
		*p = k->in;
		*n = MAIN_IN_BYTES;
		return true;
	case CONN_HEADER:
		while (k->state == CONN_HEADER && k->have == k->want)
			if (k->at_sync || !route_multifd_header(k))
				return false;
		if (k->at_sync)
			return false;
		break;
	case CONN_INIT:
	case CONN_PAYLOAD:
		break;
	case CONN_OPAQUE:
		if (!k->packet && !(k->packet = route_packet_share(k)))
			return false;
		*p = k->packet->data;
		*n = DATA_RAW_MAX;
		return true;
	case CONN_CLOSED:
		return false;
	}
	if (k->state == CONN_PAYLOAD)
		*p = k->packet->data + k->have;
	else
		*p = k->head + k->have;
	*n = k->want - k->have;
	return true;
}

static void arm(struct conn *k)
{
	struct capture *c = k->cap;
	struct io_uring_sqe *sqe;
	uint8_t *p;
	size_t n;

	if (k->reading || c->failed || c->stopping || __atomic_load_n(&c->asked.stall, __ATOMIC_RELAXED))
		return;
	if (!next_buffer(k, &p, &n) || k->reading)
		return;
	sqe = loop_sqe(c->loop);
	io_uring_prep_recv(sqe, k->fd, p, n, 0);
	loop_bind(sqe, &k->op);
	k->reading = true;
}

void capture_arm_all(struct capture *c)
{
	for (unsigned i = 0; i < c->qemu.count; i++)
		arm(&c->qemu.conn[i]);
}

/* ---- connections ---- */

static void accept_more(struct capture *c)
{
	struct io_uring_sqe *sqe;

	if (c->qemu.count == 1 + c->cfg.multifd || c->stopping)
		return;
	sqe = loop_sqe(c->loop);
	io_uring_prep_accept(sqe, c->qemu.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	loop_bind(sqe, &c->qemu.accept_op);
	c->qemu.accepting = true;
}

/* Tried again only where that may help: without a descriptor for it (EMFILE) QEMU would wait in vain, and we with it. */
static void not_accepted(struct capture *c, int code)
{
	struct err e;

	if (code == EAGAIN || code == EINTR || code == ECONNABORTED) {
		accept_more(c);
	} else if (code != ECANCELED && !c->stopping) {
		err_sys(&e, code, "cannot accept a connection of the source QEMU's");
		capture_give_up(c, &e);
	}
}

static void accepted(struct op *op, int res, uint32_t flags)
{
	struct capture *c = container_of(op, struct capture, qemu.accept_op);
	struct conn *k;

	(void)flags;
	c->qemu.accepting = false;
	if (res < 0) {
		not_accepted(c, -res);
		return;
	}
	keep_tell(c->cfg.keeper, KEEP_CONNECTION, res);
	k = &c->qemu.conn[c->qemu.count];
	k->cap = c;
	k->fd = res;
	k->op.done = read_done;
	k->stream = c->qemu.count++;
	if (c->cfg.mode == RAM_MODE_OPAQUE) {
		char name[32];

		k->state = CONN_OPAQUE;
		snprintf(name, sizeof(name), "channel-%u", k->stream);
		route_open_stream(c, k->stream, name);
		if (!c->qemu.main)
			main_is(c, k); /* QEMU connects its main channel first */
	} else {
		k->state = CONN_FIRST;
	}
	arm(k);
	accept_more(c);
}

static int listen_unix(const char *path, uid_t user, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ENAMETOOLONG, "%s is too long for a socket", path);
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "socket");
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, CONNS_MAX) ? -errno : fd;
	umask(old);
	if (r >= 0 && user && chown(path, user, (gid_t)-1))
		r = -errno;
	if (r < 0) {
		close(fd);
		return err_sys(e, -r, "cannot listen on %s", path);
	}
	return r;
}

/* ---- from the conductor ---- */

static uint64_t unread(const struct capture *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->qemu.count; i++) {
		int n;

		if (c->qemu.conn[i].state != CONN_CLOSED && !ioctl(c->qemu.conn[i].fd, FIONREAD, &n))
			sum += (uint64_t)MAX(n, 0);
	}
	return sum;
}

static void on_stall(struct task *t)
{
	struct capture *c = container_of(t, struct capture, asked.to_stall);
	bool stalled = __atomic_load_n(&c->asked.stall, __ATOMIC_RELAXED);

	__atomic_store_n(&c->seen.unread, stalled ? unread(c) : 0, __ATOMIC_RELAXED);
	capture_arm_all(c);
}

static void on_end(struct task *t)
{
	struct capture *c = container_of(t, struct capture, asked.to_end);
	unsigned i, streams = c->cfg.mode == RAM_MODE_OPAQUE ? c->qemu.count : 1;

	for (i = 0; i < streams; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_END;
		it->object = OBJECT_STREAM_BASE + i;
		sender_put(c->cfg.senders[i % c->cfg.sender_count], it);
	}
}

static void on_stop(struct task *t)
{
	struct capture *c = container_of(t, struct capture, asked.to_stop);

	c->stopping = true;
	loop_stop(c->loop);
}

void capture_stall(struct capture *c, bool stall)
{
	if (!c)
		return;
	__atomic_store_n(&c->asked.stall, stall, __ATOMIC_RELAXED);
	loop_post(c->loop, &c->asked.to_stall);
}

void capture_cut_round(struct capture *c)
{
	__atomic_store_n(&c->asked.cut, 1, __ATOMIC_RELAXED);
}

void capture_end_streams(struct capture *c)
{
	loop_post(c->loop, &c->asked.to_end);
}

int capture_return_path(struct capture *c, const void *p, size_t n)
{
	int fd = c ? __atomic_load_n(&c->seen.main_fd, __ATOMIC_ACQUIRE) : -1;

	if (fd < 0 || send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
		return -EPIPE;
	return 0;
}

uint64_t capture_unread(const struct capture *c)
{
	return __atomic_load_n(&c->seen.unread, __ATOMIC_RELAXED);
}

unsigned capture_rounds(const struct capture *c)
{
	return __atomic_load_n(&c->seen.round, __ATOMIC_RELAXED);
}

enum qemu_runstate capture_runstate(const struct capture *c)
{
	return __atomic_load_n(&c->seen.runstate, __ATOMIC_RELAXED);
}

/* Reads and drops what QEMU still sends, also on connections that it makes just now, until it is told to end. If a connection is closed
 * under a multifd thread QEMU's migration may wait for that thread for ever. */
static void drain(struct capture *c)
{
	struct drain d = {.listen_fd = c->qemu.listen_fd, .keeper = c->cfg.keeper, .n = c->qemu.count};

	for (unsigned i = 0; i < c->qemu.count; i++) {
		d.fd[i] = c->qemu.conn[i].fd;
		d.ended[i] = c->qemu.conn[i].state == CONN_CLOSED;
	}
	drain_run(&d, &c->asked.drain);
	for (; c->qemu.count < d.n; c->qemu.count++)
		c->qemu.conn[c->qemu.count] = (struct conn){.cap = c, .fd = d.fd[c->qemu.count], .state = CONN_OPAQUE};
}

static void stop_reading(struct capture *c)
{
	struct err e;

	if (c->qemu.accepting)
		loop_cancel(c->loop, &c->qemu.accept_op);
	for (unsigned i = 0; i < c->qemu.count; i++)
		if (c->qemu.conn[i].reading)
			loop_cancel(c->loop, &c->qemu.conn[i].op);
	for (unsigned i = 0; i < c->qemu.count;)
		if (c->qemu.conn[i].reading || c->qemu.accepting)
			loop_step(c->loop, 1000, &e);
		else
			i++;
}

static void *run(void *arg)
{
	struct capture *c = arg;
	struct err e;

	cpu_thread_begin(c->cfg.shared->cpu, CPU_PARSE);
	if (loop_run(c->loop, &e))
		capture_give_up(c, &e);
	c->stopping = true;
	stop_reading(c);
	drain(c);
	for (unsigned i = 0; i < c->qemu.count; i++)
		shutdown(c->qemu.conn[i].fd, SHUT_RDWR);
	cpu_thread_end();
	return NULL;
}

int capture_start(struct capture **out, const struct capture_config *cfg, struct err *e)
{
	struct capture *c = xcalloc(1, sizeof(*c));
	int r;

	c->cfg = *cfg;
	c->seen.main_fd = -1;
	c->qemu.listen_fd = listen_unix(cfg->socket_path, cfg->user, e);
	if (c->qemu.listen_fd < 0) {
		r = c->qemu.listen_fd;
		free(c);
		return r;
	}
	r = loop_new(&c->loop, 64, e);
	if (r) {
		close(c->qemu.listen_fd);
		free(c);
		return r;
	}
	queue_init(&c->pool.returned, c->loop, route_returned);
	for (unsigned i = 0; i < PACKETS; i++) {
		c->pool.packets[i].cap = c;
		c->pool.packets[i].shared.release = route_packet_release;
		c->pool.packets[i].data = xmalloc(PACKET_BYTES);
		c->pool.free[c->pool.free_count++] = &c->pool.packets[i];
	}
	c->walker = qemu_stream_new(&route_handlers, c);
	c->qemu.accept_op.done = accepted;
	c->asked.to_stall.run = on_stall;
	c->asked.to_stop.run = on_stop;
	c->asked.to_end.run = on_end;
	keep_tell(c->cfg.keeper, KEEP_LISTENER, c->qemu.listen_fd);
	accept_more(c);
	r = pthread_create(&c->thread, NULL, run, c);
	if (r)
		abort(); /* no thread for the one thing we are for */
	*out = c;
	return 0;
}

void capture_drain(struct capture *c)
{
	if (!c || c->joined || c->asked.drain)
		return;
	__atomic_store_n(&c->asked.drain, 1, __ATOMIC_RELEASE);
	loop_post(c->loop, &c->asked.to_stop);
}

/* Connections that still wait are closed here; copies of the socket would keep them waiting. */
static void stop_listening(struct capture *c)
{
	int fd;

	unlink(c->cfg.socket_path);
	shutdown(c->qemu.listen_fd, SHUT_RDWR);
	while ((fd = accept4(c->qemu.listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
	close(c->qemu.listen_fd);
}

void capture_stop(struct capture *c)
{
	if (!c || c->joined)
		return;
	c->joined = true;
	if (!c->asked.drain)
		loop_post(c->loop, &c->asked.to_stop);
	__atomic_store_n(&c->asked.drain, 2, __ATOMIC_RELEASE);
	pthread_join(c->thread, NULL);
	c->seen.main_fd = -1;
	for (unsigned i = 0; i < c->qemu.count; i++) {
		close(c->qemu.conn[i].fd);
		free(c->qemu.conn[i].in);
	}
	stop_listening(c);
	keep_tell(c->cfg.keeper, KEEP_NOTHING, -1);
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < PACKETS; i++)
		free(c->pool.packets[i].data);
	for (unsigned i = 0; i < CHANNELS_MAX; i++)
		free(c->open[i]);
	for (unsigned i = c->ram.seeded; c->ram.tables && i < c->ram.block_count; i++)
		free(c->ram.tables[i].hash);
	free(c->ram.tables);
	free(c->ram.object);
	qemu_stream_free(c->walker);
	queue_fini(&c->pool.returned);
	loop_free(c->loop);
	free(c);
}
