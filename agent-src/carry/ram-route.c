/* ram-route.c: where captured pages and streams go: which channel, in which order. See ram-capture.h. */
#include "ram-capture-private.h"
#include "qemu-rp.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* ---- the pool ---- */

void route_packet_release(struct shared_buf *b)
{
	struct packet *p = container_of(b, struct packet, shared);

	queue_put(&p->cap->pool.returned, &p->node);
}

void route_returned(struct queue *q)
{
	struct capture *c = container_of(q, struct capture, pool.returned);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct packet *p = container_of(n, struct packet, node);

		if (p->holder)
			p->holder->held--;
		p->holder = NULL;
		c->pool.free[c->pool.free_count++] = p;
	}
	capture_arm_all(c);
}

/* Takes a packet from the pool; NULL: none, and capture_arm_all() follows when one comes back. */
static struct packet *take_packet(struct capture *c)
{
	struct packet *p;

	if (!c->pool.free_count)
		return NULL;
	p = c->pool.free[--c->pool.free_count];
	p->shared.refs = 1;
	return p;
}

/* A packet of the channel's own share: QEMU at the destination may stop reading one channel until it has read from another. */
struct packet *route_packet_share(struct conn *k)
{
	struct packet *p = k->held < PACKETS / (1 + k->cap->cfg.multifd) ? take_packet(k->cap) : NULL;

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
	for (unsigned i = 0; i < c->cfg.sender_count; i++)
		put_open(c, i);
}

static void route(struct capture *c, struct packet *pk, unsigned block, uint64_t offset, const uint8_t *data)
{
	uint32_t object = c->ram.object[block];
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
	for (unsigned i = 0; i < c->cfg.sender_count; i++)
		sender_put(c->cfg.senders[i], send_mark_new(type, w->start, writer_len(w)));
}

static void broadcast_round_begin(struct capture *c)
{
	uint8_t buf[16];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_round_begin m = {.group = GROUP_RAM, .number = c->seen.round};

	msg_round_begin_encode(&w, &m);
	broadcast(c, MSG_ROUND_BEGIN, &w);
}

static void broadcast_recheck(struct capture *c)
{
	for (unsigned i = 0; i < c->cfg.sender_count; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_RECHECK;
		sender_put(c->cfg.senders[i], it);
	}
}

static void broadcast_round_end(struct capture *c)
{
	for (unsigned i = 0; i < c->cfg.sender_count; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_RAM_ROUND_END;
		it->object = GROUP_RAM;
		it->number = c->seen.round;
		sender_put(c->cfg.senders[i], it);
	}
}

static void flush_stage(struct capture *c)
{
	put_all_open(c);
	if (c->stage.packet) {
		shared_buf_unref(&c->stage.packet->shared);
		c->stage.packet = NULL;
	}
	c->stage.pages = c->stage.zero_pages = 0;
}

/* ---- sync points ---- */

static void cut_round_if_asked(struct capture *c)
{
	if (!__atomic_exchange_n(&c->asked.cut, 0, __ATOMIC_RELAXED))
		return;
	put_all_open(c); /* the stage stays: the walker may be in the middle of it */
	broadcast_round_end(c);
	__atomic_store_n(&c->seen.round, c->seen.round + 1, __ATOMIC_RELAXED);
	broadcast_round_begin(c);
}

/* Releases everyone when the main channel and all multifd channels have arrived. */
static void meet(struct capture *c)
{
	unsigned i, there = 0;

	for (i = 0; i < c->qemu.count; i++)
		there += c->qemu.conn[i].at_sync;
	if (there < 1 + c->cfg.multifd)
		return;
	for (i = 0; i < c->qemu.count; i++)
		c->qemu.conn[i].at_sync = false;
	cut_round_if_asked(c);
	capture_arm_all(c);
}

/* ---- the walker's handlers (main channel, mode pages) ---- */

void route_stream(struct capture *c, unsigned stream, struct shared_buf *b, const uint8_t *p, size_t n)
{
	struct send_item *it = send_item_new(SEND_DATA, OBJECT_STREAM_BASE + stream, 1);

	if (!stream) { /* QEMU's main channel, or what is left of it: before it goes on its way */
		runstate_scan(&c->thin.scan, p, n);
		__atomic_store_n(&c->seen.runstate, runstate_found(&c->thin.scan), __ATOMIC_RELAXED);
	}
	it->buf = b;
	it->n = 1;
	it->u.part[0] = (struct send_part){0, p, (uint32_t)n};
	sender_put(c->cfg.senders[stream % c->cfg.sender_count], it);
}

void route_open_stream(struct capture *c, unsigned stream, const char *name)
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

	if (!c->thin.opened) {
		c->thin.opened = true;
		route_open_stream(c, 0, "thin");
	}
	while (n) {
		size_t k = MIN(n, (size_t)DATA_RAW_MAX);
		struct thin_buf *t = xmalloc(sizeof(*t) + k);

		t->shared = (struct shared_buf){.refs = 1, .release = thin_release};
		memcpy(t->data, p, k);
		route_stream(c, 0, &t->shared, t->data, k);
		p += k;
		n -= k;
	}
	return 0;
}

static void announce_block(struct capture *c, const struct ram_block *b, uint32_t object)
{
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_object m = {.id = object,
			       .kind = OBJECT_RAM,
			       .unit_shift = PAGE_SHIFT,
			       .size = b->used_bytes,
			       .name = slice_of(b->name)};

	msg_object_encode(&w, &m);
	broadcast(c, MSG_OBJECT, &w);
}

/* Blocks that have been announced with the seeds keep their numbers and their tables; *missing: one that QEMU does not list. */
static void take_seeded(struct captured_ram *ram, struct seeds *seeds, const char **missing)
{
	const struct seed_block *seeded = seeds_blocks(seeds, &ram->seeded);
	unsigned i, j;

	*missing = NULL;
	for (i = 0; i < ram->seeded; i++) {
		for (j = 0; j < ram->block_count &&
			    (ram->object[j] || strcmp(ram->blocks[j].name, seeded[i].name) || ram->blocks[j].used_bytes != seeded[i].bytes);
		     j++)
			;
		if (j == ram->block_count) {
			*missing = seeded[i].name;
			ram->seeded = i;
			return;
		}
		ram->object[j] = OBJECT_RAM_BASE + i;
		ram->tables[i] = seeds_tables(seeds)[i];
	}
}

static int take_others(struct capture *c, struct err *e)
{
	struct captured_ram *ram = &c->ram;
	unsigned i, next = ram->seeded;

	for (i = 0; i < ram->block_count; i++) {
		if (ram->object[i])
			continue;
		ram->tables[next].pages = ram->blocks[i].used_bytes >> PAGE_SHIFT;
		/* the size is QEMU's word, so this may fail */
		ram->tables[next].hash = calloc(ram->tables[next].pages + 1, sizeof(struct hash128));
		if (!ram->tables[next].hash)
			return err_set(e, ENOMEM, "no memory to check QEMU's RAM block %s of %llu bytes", ram->blocks[i].name,
				       (unsigned long long)ram->blocks[i].used_bytes);
		ram->object[i] = OBJECT_RAM_BASE + next++;
		announce_block(c, &ram->blocks[i], ram->object[i]);
	}
	return 0;
}

static int on_blocks(void *ctx, const struct ram_block *blocks, size_t count)
{
	struct seeds *seeds;
	struct capture *c = ctx;
	const char *missing = NULL;
	struct err e;

	c->ram.blocks = blocks;
	c->ram.block_count = count;
	c->ram.tables = xcalloc(count, sizeof(*c->ram.tables));
	c->ram.object = xcalloc(count, sizeof(*c->ram.object));
	seeds = c->cfg.shared->seeds;
	if (seeds_ready(seeds))
		take_seeded(&c->ram, seeds, &missing);
	if (missing) {
		err_set(&e, EPROTO, "QEMU does not migrate the RAM block %s as it was found in its memory (--dedup off does without)",
			missing);
		c->ram.blocks = NULL;
		c->ram.block_count = 0;
		capture_give_up(c, &e);
		return -EPROTO;
	}
	if (take_others(c, &e)) {
		c->ram.blocks = NULL; /* the tables that exist go with their count */
		capture_give_up(c, &e);
		return -e.code;
	}
	for (size_t i = 0; c->cfg.shared->recheck && i < count; i++)
		recheck_object(c->cfg.shared->recheck, c->ram.object[i], blocks[i].name, blocks[i].used_bytes);
	c->cfg.shared->ram = c->ram.tables;
	__atomic_store_n(&c->cfg.shared->ram_blocks, (unsigned)count, __ATOMIC_RELEASE);
	__atomic_store_n(&c->seen.round, 1, __ATOMIC_RELAXED);
	broadcast_round_begin(c);
	capture_arm_all(c); /* multifd packets may have come first, and waited for the list */
	capture_tell(c, CAPTURE_BLOCKS, NULL);
	return 0;
}

static int on_page(void *ctx, unsigned block, uint64_t offset, const uint8_t *data)
{
	struct capture *c = ctx;
	uint8_t *to = c->stage.packet->data + (size_t)c->stage.pages++ * PAGE_BYTES;

	memcpy(to, data, PAGE_BYTES);
	route(c, c->stage.packet, block, offset, to);
	return 0;
}

static int on_zero(void *ctx, unsigned block, uint64_t offset)
{
	struct capture *c = ctx;

	c->stage.zero_pages++;
	route(c, c->stage.packet, block, offset, NULL);
	return 0;
}

static int main_at_sync(struct capture *c)
{
	put_all_open(c);
	c->qemu.main->at_sync = true;
	meet(c);
	return c->qemu.main->at_sync; /* 1: pause until the others have come */
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
		c->ram.done = true; /* told once the sync point is passed: route_main() */
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
	c->ram.told = true;
	flush_stage(c);
	if (c->cfg.shared->recheck)
		broadcast_recheck(c);
	broadcast_round_end(c);
	capture_tell(c, CAPTURE_RAM_DONE, NULL);
}

/* Pushes what is buffered of the main channel; false when it must wait for the others or for a packet. */
bool route_main(struct capture *c)
{
	struct conn *k = c->qemu.main;
	struct err e = {.code = 0}; /* a handler that fails has told it already */
	size_t used;
	int r;

	while (k->in_n && !c->failed) {
		if (k->at_sync)
			return false;
		/* room for every page and a bounded number of zero pages that the input can hold */
		if (c->stage.packet &&
		    (c->stage.pages > MULTIFD_PAGES_MAX - MAIN_IN_BYTES / PAGE_BYTES - 1 || c->stage.zero_pages > ZERO_PER_STAGE))
			flush_stage(c);
		if (!c->stage.packet && !(c->stage.packet = take_packet(c)))
			return false;
		c->walking = true;
		r = qemu_stream_push(c->walker, k->in + k->in_at, k->in_n, &used, &e);
		c->walking = false;
		if (r < 0) {
			capture_give_up(c, &e);
			return false;
		}
		k->in_at += used;
		k->in_n -= used;
	}
	if (k->at_sync)
		return false;
	if (c->ram.done && !c->ram.told)
		ram_finished(c);
	put_all_open(c);
	k->in_at = 0;
	return true;
}

const struct qemu_stream_handlers route_handlers = {
	on_thin, on_blocks, on_page, on_zero, on_flush, on_section_end, on_ping, on_open_return_path, on_records_mark,
};

/* ---- multifd channels ---- */

static bool multifd_pages(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;

	for (unsigned i = 0; i < k->mp.normal_count + k->mp.zero_count; i++) {
		if (ram_block_check(c->ram.blocks, c->ram.block_count, k->block, k->mp.offsets[i])) {
			err_set(&e, EPROTO, "QEMU's multifd stream names a page outside RAM block %s", k->mp.block);
			capture_give_up(c, &e);
			return false;
		}
		route(c, k->packet, k->block, k->mp.offsets[i], i < k->mp.normal_count ? k->packet->data + (size_t)i * PAGE_BYTES : NULL);
	}
	return true;
}

void route_multifd_end(struct conn *k)
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
bool route_multifd_header(struct conn *k)
{
	struct capture *c = k->cap;
	struct err e;
	int b;

	if (multifd_packet_decode(k->head, &k->mp, &e)) {
		capture_give_up(c, &e);
		return false;
	}
	if (!k->mp.normal_count && !k->mp.zero_count) {
		route_multifd_end(k);
		return true;
	}
	if (!c->ram.blocks)
		return false;
	b = ram_block_find(c->ram.blocks, c->ram.block_count, k->mp.block);
	if (b < 0) {
		err_set(&e, EPROTO, "QEMU's multifd stream names a RAM block (%s) that its main stream did not list", k->mp.block);
		capture_give_up(c, &e);
		return false;
	}
	k->block = (unsigned)b;
	if (!(k->packet = take_packet(c)))
		return false;
	k->state = CONN_PAYLOAD;
	k->have = 0;
	k->want = k->mp.payload_bytes;
	if (!k->want)
		route_multifd_end(k);
	return true;
}
