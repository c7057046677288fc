/* ram-capture.c: see ram-capture.h. */
#include "ram-capture.h"
#include "log.h"
#include "qemu-rp.h"
#include "qemu-stream.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PACKET_BYTES  (MULTIFD_PAGES_MAX * PAGE_BYTES)
#define PACKETS	      16
#define MAIN_IN_BYTES (128 * 1024)
#define ZERO_PER_STAGE 2048
#define CONNS_MAX     (1 + CHANNELS_MAX)

/* A buffer of the pool; pages in it are pointed to by items on several channels. */
struct packet {
	struct shared_buf shared;
	struct qnode node;
	struct capture *cap;
	struct conn *holder; /* opaque: whose bytes it has */
	uint8_t *data;
};

enum conn_state {
	CONN_FIRST,   /* its first four bytes are read: which kind is it? */
	CONN_MAIN,    /* walked as it comes */
	CONN_INIT,    /* multifd: init packet */
	CONN_HEADER,  /* multifd: packet header */
	CONN_PAYLOAD, /* multifd: pages */
	CONN_OPAQUE,  /* carried as it is */
	CONN_CLOSED,
};

struct conn {
	struct capture *cap;
	struct op op;
	int fd;
	enum conn_state state;
	bool reading, at_sync;
	unsigned stream; /* opaque: number of its stream */
	unsigned held;	 /* opaque: buffers of the pool with its bytes */
	uint8_t first[4];
	uint8_t head[MULTIFD_PACKET_BYTES];
	size_t have, want;
	struct multifd_packet mp;
	unsigned block;
	struct packet *packet; /* being filled */
	/* main */
	uint8_t *in;
	size_t in_at, in_n;
};

struct capture {
	struct capture_config cfg;
	struct loop *loop;
	pthread_t thread;
	int listen_fd;
	struct op accept_op;
	bool accepting;
	struct conn conn[CONNS_MAX];
	unsigned conns;
	struct conn *main;
	struct packet packets[PACKETS];
	struct queue returned;
	struct packet *free_packet[PACKETS];
	unsigned free_count;
	struct qemu_stream *walker;
	const struct ram_block *blocks;
	size_t block_count;
	struct page_table *tables;
	/* items under construction, one per sender: data and zero pages of the packet at hand */
	struct send_item *open[CHANNELS_MAX];
	struct packet *stage; /* of the main channel */
	unsigned stage_pages, stage_zero;
	struct task task_unstall, task_stop, task_end;
	bool stopping, joined;
	bool failed, walking, ram_done, ram_told, opened_thin;
	/* shared with the conductor's thread: atomic, and away from the rest */
	int stall, cut;
	int main_fd; /* -1: not connected yet */
	unsigned round;
	uint64_t bytes;
};

static void arm(struct conn *k);
static void arm_all(struct capture *c);

static void main_is(struct capture *c, struct conn *k)
{
	c->main = k;
	__atomic_store_n(&c->main_fd, k->fd, __ATOMIC_RELEASE);
}

static void tell(struct capture *c, enum capture_event ev, const struct err *e)
{
	c->cfg.event(c->cfg.ctx, ev, e);
}

static void give_up(struct capture *c, const struct err *e)
{
	if (c->failed)
		return;
	c->failed = true;
	tell(c, CAPTURE_FAILED, e);
}

/* ---- the pool ---- */

static void packet_release(struct shared_buf *b)
{
	struct packet *p = container_of(b, struct packet, shared);

	queue_put(&p->cap->returned, &p->node);
}

static void on_returned(struct queue *q)
{
	struct capture *c = container_of(q, struct capture, returned);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct packet *p = container_of(n, struct packet, node);

		if (p->holder)
			p->holder->held--;
		p->holder = NULL;
		c->free_packet[c->free_count++] = p;
	}
	arm_all(c);
}

static struct packet *packet_get(struct capture *c)
{
	struct packet *p;

	if (!c->free_count)
		return NULL;
	p = c->free_packet[--c->free_count];
	p->shared.refs = 1;
	return p;
}

/* Each channel has its share: QEMU at the destination may stop reading one of them until it has read from another. */
static struct packet *packet_get_share(struct conn *k)
{
	struct packet *p = k->held < PACKETS / (1 + k->cap->cfg.multifd) ? packet_get(k->cap) : NULL;

	if (p) {
		p->holder = k;
		k->held++;
	}
	return p;
}

/* ---- routing ---- */

static void put_open(struct capture *c, unsigned ch)
{
	if (c->open[ch]) {
		sender_put(c->cfg.senders[ch], c->open[ch]);
		c->open[ch] = NULL;
	}
}

static void put_all_open(struct capture *c)
{
	unsigned i;

	for (i = 0; i < c->cfg.sender_count; i++)
		put_open(c, i);
}

static void route(struct capture *c, struct packet *pk, unsigned block, uint64_t offset, const uint8_t *data)
{
	uint32_t object = OBJECT_RAM_BASE + block;
	unsigned ch = place_channel(object, offset, c->cfg.sender_count);
	enum send_kind kind = data ? SEND_DATA : SEND_ZERO;
	struct send_item *it = c->open[ch];

	if (it && (it->object != object || it->kind != kind || it->buf != &pk->shared || it->n == MULTIFD_PAGES_MAX)) {
		put_open(c, ch);
		it = NULL;
	}
	if (!it) {
		it = c->open[ch] = send_item_new(kind, object, MULTIFD_PAGES_MAX);
		it->buf = &pk->shared;
		shared_buf_ref(it->buf);
	}
	it->u.part[it->n++] = (struct send_part){offset, data, PAGE_BYTES};
}

static void broadcast(struct capture *c, uint16_t type, const struct writer *w)
{
	unsigned i;

	for (i = 0; i < c->cfg.sender_count; i++)
		sender_put(c->cfg.senders[i], send_mark_new(type, w->start, writer_len(w)));
}

static void broadcast_round_begin(struct capture *c)
{
	uint8_t buf[16];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_round_begin m = {.group = GROUP_RAM, .number = c->round};

	msg_round_begin_encode(&w, &m);
	broadcast(c, MSG_ROUND_BEGIN, &w);
}

static void broadcast_round_end(struct capture *c)
{
	unsigned i;

	for (i = 0; i < c->cfg.sender_count; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_RAM_ROUND_END;
		it->object = GROUP_RAM;
		it->number = c->round;
		sender_put(c->cfg.senders[i], it);
	}
}

static void flush_stage(struct capture *c)
{
	put_all_open(c);
	if (c->stage) {
		shared_buf_unref(&c->stage->shared);
		c->stage = NULL;
	}
	c->stage_pages = c->stage_zero = 0;
}

/* ---- sync points ---- */

static void cut_round_if_asked(struct capture *c)
{
	if (!__atomic_exchange_n(&c->cut, 0, __ATOMIC_RELAXED))
		return;
	put_all_open(c); /* the stage stays: the walker may be in the middle of it */
	broadcast_round_end(c);
	__atomic_store_n(&c->round, c->round + 1, __ATOMIC_RELAXED);
	broadcast_round_begin(c);
}

/* Releases everyone when the main channel and all multifd channels have arrived. */
static void meet(struct capture *c)
{
	unsigned i, there = 0;

	for (i = 0; i < c->conns; i++)
		there += c->conn[i].at_sync;
	if (there < 1 + c->cfg.multifd)
		return;
	for (i = 0; i < c->conns; i++)
		c->conn[i].at_sync = false;
	cut_round_if_asked(c);
	arm_all(c);
}

/* ---- the walker's handlers (main channel, mode pages) ---- */

static void send_stream(struct capture *c, unsigned stream, struct shared_buf *b, const uint8_t *p, size_t n)
{
	struct send_item *it = send_item_new(SEND_DATA, OBJECT_STREAM_BASE + stream, 1);

	it->buf = b;
	it->n = 1;
	it->u.part[0] = (struct send_part){0, p, (uint32_t)n};
	sender_put(c->cfg.senders[stream % c->cfg.sender_count], it);
}

static void open_stream(struct capture *c, unsigned stream, const char *name)
{
	uint8_t buf[128];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_object m = {.id = OBJECT_STREAM_BASE + stream,
			       .kind = OBJECT_STREAM,
			       .unit_shift = STREAM_SHIFT,
			       .name = slice_of(name)};

	msg_object_encode(&w, &m);
	sender_put(c->cfg.senders[stream % c->cfg.sender_count], send_mark_new(MSG_OBJECT, buf, writer_len(&w)));
}

struct thin_buf {
	struct shared_buf shared;
	uint8_t data[];
};

static void thin_release(struct shared_buf *b)
{
	free(container_of(b, struct thin_buf, shared));
}

static int on_thin(void *ctx, const uint8_t *p, size_t n)
{
	struct capture *c = ctx;

	if (!c->opened_thin) {
		c->opened_thin = true;
		open_stream(c, 0, "thin");
	}
	while (n) {
		size_t k = MIN(n, (size_t)DATA_RAW_MAX);
		struct thin_buf *t = xmalloc(sizeof(*t) + k);

		t->shared = (struct shared_buf){.refs = 1, .release = thin_release};
		memcpy(t->data, p, k);
		send_stream(c, 0, &t->shared, t->data, k);
		p += k;
		n -= k;
	}
	return 0;
}

static int on_blocks(void *ctx, const struct ram_block *blocks, size_t count)
{
	struct capture *c = ctx;
	size_t i;

	c->blocks = blocks;
	c->block_count = count;
	c->tables = xcalloc(count, sizeof(*c->tables));
	for (i = 0; i < count; i++) {
		uint8_t buf[512];
		struct writer w = writer_of(buf, sizeof(buf));
		struct msg_object m = {.id = OBJECT_RAM_BASE + (uint32_t)i,
				       .kind = OBJECT_RAM,
				       .unit_shift = PAGE_SHIFT,
				       .size = blocks[i].used_bytes,
				       .name = slice_of(blocks[i].name)};

		c->tables[i].pages = blocks[i].used_bytes >> PAGE_SHIFT;
		c->tables[i].hash = xcalloc(c->tables[i].pages, sizeof(struct hash128));
		msg_object_encode(&w, &m);
		broadcast(c, MSG_OBJECT, &w);
	}
	c->cfg.shared->ram = c->tables;
	c->cfg.shared->ram_blocks = (unsigned)count;
	c->round = 1;
	broadcast_round_begin(c);
	arm_all(c); /* multifd packets may have come first, and waited for the list */
	tell(c, CAPTURE_BLOCKS, NULL);
	return 0;
}

static int on_page(void *ctx, unsigned block, uint64_t offset, const uint8_t *data)
{
	struct capture *c = ctx;
	uint8_t *to = c->stage->data + (size_t)c->stage_pages++ * PAGE_BYTES;

	memcpy(to, data, PAGE_BYTES);
	route(c, c->stage, block, offset, to);
	return 0;
}

static int on_zero(void *ctx, unsigned block, uint64_t offset)
{
	struct capture *c = ctx;

	c->stage_zero++;
	route(c, c->stage, block, offset, NULL);
	return 0;
}

static int main_at_sync(struct capture *c)
{
	put_all_open(c);
	c->main->at_sync = true;
	meet(c);
	return c->main->at_sync; /* 1: pause until the others have come */
}

static int on_flush(void *ctx)
{
	struct capture *c = ctx;

	return c->cfg.multifd ? main_at_sync(c) : 0;
}

static int on_section_end(void *ctx, enum ram_section which)
{
	struct capture *c = ctx;
	int pause = 0;

	if (c->cfg.multifd && !qemu_stream_has_flush(c->walker))
		pause = main_at_sync(c);
	else if (!c->cfg.multifd)
		cut_round_if_asked(c);
	if (which == RAM_COMPLETE)
		c->ram_done = true; /* told once the sync point is passed: main_run() */
	return pause;
}

static int on_ping(void *ctx, uint32_t value)
{
	struct capture *c = ctx;
	uint8_t pong[8];

	capture_return_path(c, pong, rp_encode_pong(pong, value)); /* a dead channel is noticed by its reader */
	return 0;
}

static int on_open_return_path(void *ctx)
{
	(void)ctx;
	return 0;
}

static int on_records_mark(void *ctx)
{
	struct capture *c = ctx;
	uint8_t buf[16];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_stream_mark m = {.object = OBJECT_STREAM_BASE, .offset = qemu_stream_thin_bytes(c->walker)};

	msg_stream_mark_encode(&w, &m);
	sender_put(c->cfg.senders[0], send_mark_new(MSG_STREAM_MARK, buf, writer_len(&w)));
	return 0;
}

static void ram_finished(struct capture *c)
{
	c->ram_told = true;
	flush_stage(c);
	broadcast_round_end(c);
	tell(c, CAPTURE_RAM_DONE, NULL);
}

/* Pushes what is buffered of the main channel; false when it must wait for the others or for a packet. */
static bool main_run(struct capture *c)
{
	struct conn *k = c->main;
	struct err e;
	size_t used;
	int r;

	while (k->in_n) {
		if (k->at_sync)
			return false;
		/* room for every page and a bounded number of zero pages that the input can hold */
		if (c->stage && (c->stage_pages > MULTIFD_PAGES_MAX - MAIN_IN_BYTES / PAGE_BYTES - 1 ||
				 c->stage_zero > ZERO_PER_STAGE))
			flush_stage(c);
		if (!c->stage && !(c->stage = packet_get(c)))
			return false;
		c->walking = true;
		r = qemu_stream_push(c->walker, k->in + k->in_at, k->in_n, &used, &e);
		c->walking = false;
		k->in_at += used;
		k->in_n -= used;
		if (r < 0) {
			give_up(c, &e);
			return false;
		}
	}
	if (k->at_sync)
		return false;
	if (c->ram_done && !c->ram_told)
		ram_finished(c);
	put_all_open(c);
	k->in_at = 0;
	return true;
}

/* ---- multifd channels ---- */

static bool multifd_pages(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;
	unsigned i;

	for (i = 0; i < k->mp.normal_count + k->mp.zero_count; i++) {
		if (ram_block_check(c->blocks, c->block_count, k->block, k->mp.offsets[i])) {
			err_set(&e, EPROTO, "QEMU's multifd stream names a page outside RAM block %s", k->mp.block);
			give_up(c, &e);
			return false;
		}
		route(c, k->packet, k->block, k->mp.offsets[i],
		      i < k->mp.normal_count ? k->packet->data + (size_t)i * PAGE_BYTES : NULL);
	}
	return true;
}

static void multifd_packet_end(struct conn *k)
{
	struct capture *c = k->cap;

	if (k->packet) {
		if (!multifd_pages(k))
			return;
		put_all_open(c);
		shared_buf_unref(&k->packet->shared);
		k->packet = NULL;
	}
	k->state = CONN_HEADER;
	k->have = 0;
	k->want = MULTIFD_PACKET_BYTES;
	if (k->mp.sync) {
		k->at_sync = true;
		meet(c);
	}
}

/* A whole header is there. False: not now (no block list yet, no packet free). */
static bool multifd_header(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;
	int b;

	if (multifd_packet_decode(k->head, &k->mp, &e)) {
		give_up(c, &e);
		return false;
	}
	if (!k->mp.normal_count && !k->mp.zero_count) {
		multifd_packet_end(k);
		return true;
	}
	if (!c->blocks)
		return false;
	b = ram_block_find(c->blocks, c->block_count, k->mp.block);
	if (b < 0) {
		err_set(&e, EPROTO, "QEMU's multifd stream names a RAM block (%s) that its main stream did not list",
			k->mp.block);
		give_up(c, &e);
		return false;
	}
	k->block = (unsigned)b;
	if (!(k->packet = packet_get(c)))
		return false;
	k->state = CONN_PAYLOAD;
	k->have = 0;
	k->want = k->mp.payload_bytes;
	if (!k->want)
		multifd_packet_end(k);
	return true;
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
	tell(k->cap, CAPTURE_CLOSED, &e);
}

static void first_bytes(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;

	switch (qemu_channel_kind(k->first)) {
	case QEMU_CHANNEL_MAIN:
		if (c->main)
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
	give_up(c, &e);
}

static void opaque_bytes(struct conn *k, size_t n)
{
	struct packet *p = k->packet;

	k->packet = NULL;
	send_stream(k->cap, k->stream, &p->shared, p->data, n);
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
		main_run(k->cap);
		break;
	case CONN_INIT:
		k->have += n;
		if (k->have == k->want) {
			struct multifd_init init;

			if (multifd_init_decode(k->head, &init, &e)) {
				give_up(k->cap, &e);
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
			multifd_packet_end(k);
		break;
	case CONN_OPAQUE:
		opaque_bytes(k, n);
		break;
	case CONN_CLOSED:
		break;
	}
}

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
	if (res > 0) {
		__atomic_fetch_add(&k->cap->bytes, (uint64_t)res, __ATOMIC_RELAXED);
		got(k, (size_t)res);
	}
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
		if (c->walking || !main_run(c))
			return false;
		*p = k->in;
		*n = MAIN_IN_BYTES;
		return true;
	case CONN_HEADER:
		while (k->state == CONN_HEADER && k->have == k->want)
			if (k->at_sync || !multifd_header(k))
				return false;
		if (k->at_sync)
			return false;
		break;
	case CONN_INIT:
	case CONN_PAYLOAD:
		break;
	case CONN_OPAQUE:
		if (!k->packet && !(k->packet = packet_get_share(k)))
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

	if (k->reading || c->failed || c->stopping || __atomic_load_n(&c->stall, __ATOMIC_RELAXED))
		return;
	if (!next_buffer(k, &p, &n) || k->reading)
		return;
	sqe = loop_sqe(c->loop);
	io_uring_prep_recv(sqe, k->fd, p, n, 0);
	loop_bind(sqe, &k->op);
	k->reading = true;
}

static void arm_all(struct capture *c)
{
	unsigned i;

	for (i = 0; i < c->conns; i++)
		arm(&c->conn[i]);
}

/* ---- connections ---- */

static void accept_more(struct capture *c)
{
	struct io_uring_sqe *sqe;

	if (c->conns == 1 + c->cfg.multifd || c->stopping)
		return;
	sqe = loop_sqe(c->loop);
	io_uring_prep_accept(sqe, c->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	loop_bind(sqe, &c->accept_op);
	c->accepting = true;
}

static void accepted(struct op *op, int res, uint32_t flags)
{
	struct capture *c = container_of(op, struct capture, accept_op);
	struct conn *k;

	(void)flags;
	c->accepting = false;
	if (res < 0) {
		if (res != -ECANCELED)
			accept_more(c);
		return;
	}
	k = &c->conn[c->conns];
	k->cap = c;
	k->fd = res;
	k->op.done = read_done;
	k->stream = c->conns++;
	if (c->cfg.mode == RAM_MODE_OPAQUE) {
		char name[32];

		k->state = CONN_OPAQUE;
		snprintf(name, sizeof(name), "channel-%u", k->stream);
		open_stream(c, k->stream, name);
		if (!c->main)
			main_is(c, k); /* QEMU connects its main channel first */
	} else {
		k->state = CONN_FIRST;
	}
	arm(k);
	accept_more(c);
}

static int listen_unix(const char *path, struct err *e)
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
	if (r < 0) {
		close(fd);
		return err_sys(e, -r, "cannot listen on %s", path);
	}
	return r;
}

/* ---- from the conductor ---- */

static void on_unstall(struct task *t)
{
	arm_all(container_of(t, struct capture, task_unstall));
}

static void on_end(struct task *t)
{
	struct capture *c = container_of(t, struct capture, task_end);
	unsigned i, streams = c->cfg.mode == RAM_MODE_OPAQUE ? c->conns : 1;

	for (i = 0; i < streams; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_END;
		it->object = OBJECT_STREAM_BASE + i;
		sender_put(c->cfg.senders[i % c->cfg.sender_count], it);
	}
}

static void on_stop(struct task *t)
{
	struct capture *c = container_of(t, struct capture, task_stop);

	c->stopping = true;
	loop_stop(c->loop);
}

void capture_stall(struct capture *c, bool stall)
{
	if (!c)
		return;
	__atomic_store_n(&c->stall, stall, __ATOMIC_RELAXED);
	if (!stall)
		loop_post(c->loop, &c->task_unstall);
}

void capture_cut_round(struct capture *c)
{
	__atomic_store_n(&c->cut, 1, __ATOMIC_RELAXED);
}

void capture_end_streams(struct capture *c)
{
	loop_post(c->loop, &c->task_end);
}

int capture_return_path(struct capture *c, const void *p, size_t n)
{
	int fd = c ? __atomic_load_n(&c->main_fd, __ATOMIC_ACQUIRE) : -1;

	if (fd < 0 || send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
		return -EPIPE;
	return 0;
}

unsigned capture_rounds(const struct capture *c)
{
	return __atomic_load_n(&c->round, __ATOMIC_RELAXED);
}

uint64_t capture_bytes(const struct capture *c)
{
	return __atomic_load_n(&c->bytes, __ATOMIC_RELAXED);
}

static void *run(void *arg)
{
	struct capture *c = arg;
	struct err e;
	unsigned i;

	if (loop_run(c->loop, &e))
		give_up(c, &e);
	c->stopping = true;
	for (i = 0; i < c->conns; i++)
		shutdown(c->conn[i].fd, SHUT_RDWR);
	if (c->accepting)
		loop_cancel(c->loop, &c->accept_op);
	for (i = 0; i < c->conns; i++)
		if (c->conn[i].reading)
			loop_cancel(c->loop, &c->conn[i].op);
	for (i = 0; i < c->conns;)
		if (c->conn[i].reading || c->accepting)
			loop_step(c->loop, 1000, &e);
		else
			i++;
	return NULL;
}

int capture_start(struct capture **out, const struct capture_config *cfg, struct err *e)
{
	struct capture *c = xcalloc(1, sizeof(*c));
	static const struct qemu_stream_handlers handlers = {
		on_thin, on_blocks, on_page, on_zero, on_flush, on_section_end, on_ping, on_open_return_path,
		on_records_mark,
	};
	unsigned i;
	int r;

	c->cfg = *cfg;
	c->main_fd = -1;
	c->listen_fd = listen_unix(cfg->socket_path, e);
	if (c->listen_fd < 0) {
		r = c->listen_fd;
		free(c);
		return r;
	}
	r = loop_new(&c->loop, 64, e);
	if (r) {
		close(c->listen_fd);
		free(c);
		return r;
	}
	queue_init(&c->returned, c->loop, on_returned);
	for (i = 0; i < PACKETS; i++) {
		c->packets[i].cap = c;
		c->packets[i].shared.release = packet_release;
		c->packets[i].data = xmalloc(PACKET_BYTES);
		c->free_packet[c->free_count++] = &c->packets[i];
	}
	c->walker = qemu_stream_new(&handlers, c);
	c->accept_op.done = accepted;
	c->task_unstall.run = on_unstall;
	c->task_stop.run = on_stop;
	c->task_end.run = on_end;
	accept_more(c);
	r = pthread_create(&c->thread, NULL, run, c);
	if (r)
		abort(); /* no thread for the one thing we are for */
	*out = c;
	return 0;
}

void capture_stop(struct capture *c)
{
	unsigned i;

	if (!c || c->joined)
		return;
	c->joined = true;
	loop_post(c->loop, &c->task_stop);
	pthread_join(c->thread, NULL);
	c->main_fd = -1;
	for (i = 0; i < c->conns; i++) {
		close(c->conn[i].fd);
		free(c->conn[i].in);
	}
	close(c->listen_fd);
	unlink(c->cfg.socket_path);
}

void capture_free(struct capture *c)
{
	unsigned i;

	if (!c)
		return;
	for (i = 0; i < PACKETS; i++)
		free(c->packets[i].data);
	for (i = 0; i < CHANNELS_MAX; i++)
		free(c->open[i]);
	for (i = 0; c->tables && i < c->block_count; i++)
		free(c->tables[i].hash);
	free(c->tables);
	qemu_stream_free(c->walker);
	queue_fini(&c->returned);
	loop_free(c->loop);
	free(c);
}
