/* disk-read.c: see disk-read.h. */
#include "disk-read.h"
#include "disk-plan.h"
#include "fault.h"
#include "kept-ahead.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CHUNK_BYTES  DATA_RAW_MAX
#define CHUNKS	     32
#define PER_DISK_MAX 16
#define PATIENCE_MS  100 /* time, with an old copy, before content is sent that may be in it */
#define BACK_CHUNKS  (CHUNKS / 2)
#define LOOK_MS	     5 /* time until it is asked again whether the network, or the destination, has come on */

struct chunk {
	struct shared_buf shared;
	struct qnode node;
	struct disk_req req;
	struct disk_reader *reader;
	struct disk_round *round;
	uint64_t offset;
	uint32_t bytes;
	bool back;		 /* the old copy exists, but this piece, read from the end on, is not compared with it */
	uint32_t before, behind; /* bytes that are read besides, to compare whole blocks with the old copy */
	uint8_t *buffer, *data;	 /* data: content at offset, in the buffer */
};

struct disk_reader {
	struct loop *loop;
	pthread_t thread;
	struct round_senders to;
	struct send_shared *shared;
	struct queue *results;
	struct queue rounds_in, returned;
	struct task task_stop, task_go_on;
	struct timer look;
	struct disk_round *rounds; /* under way */
	struct chunk chunk[CHUNKS];
	struct chunk *free_chunk[CHUNKS];
	unsigned free_count;
	unsigned back_chunks; /* chunks that are not free */
	struct seed found[SEEDS_PER_PART_MAX];
	bool scanned, stopping;
	uint64_t done[OBJECT_DISK_MAX + 1], left[OBJECT_DISK_MAX + 1]; /* atomic */
};

static void pump_all(struct disk_reader *r);

/* ---- planning a round ---- */

/* Moves on to the next extent that is read, from d->extent on. */
static void seek_data(struct disk_round *d)
{
	while (d->work.extent < d->work.map.count && !disk_plan_reads(d, &d->work.map.extent[d->work.extent]))
		d->work.extent++;
	d->work.offset = 0;
}

/* Finds the last extent to read: extents before d->back are left, and d->back_bytes of the last of them. */
static void seek_data_back(struct disk_round *d)
{
	while (d->work.back > d->work.extent && !disk_plan_reads(d, &d->work.map.extent[d->work.back - 1]))
		d->work.back--;
	d->work.back_bytes = d->work.back ? d->work.map.extent[d->work.back - 1].length : 0;
}

/* True once every part of the round is read or being read. */
static bool is_all_begun(const struct disk_round *d)
{
	return d->work.extent >= d->work.back || (d->work.extent + 1 == d->work.back && d->work.offset >= d->work.back_bytes);
}

static void plan_round(struct disk_round *d)
{
	uint64_t left = disk_plan_tell(d, &d->work.reader->to);

	__atomic_fetch_add(&d->work.reader->left[d->object], left, __ATOMIC_RELAXED);
	seek_data(d);
	d->work.back = d->work.map.count;
	seek_data_back(d);
	d->work.began_ns = now_ns();
	if (d->have)
		loop_timer_set(d->work.reader->loop, &d->work.reader->look, LOOK_MS);
}

static int begin_round(struct disk_round *d, struct err *e)
{
	int r = disk_io_open(&d->work.io, d->work.reader->loop, &d->at, e);

	if (r)
		return r;
	if (d->work.io->caps.size != d->size)
		return err_set(e, ESTALE, "the disk's size changed from %llu to %llu bytes during the move", (unsigned long long)d->size,
			       (unsigned long long)d->work.io->caps.size);
	r = disk_io_map(d->work.io, &d->work.map, e);
	if (r)
		return r;
	disk_plan_cut(d);
	disk_plan_announce(d, &d->work.reader->to);
	plan_round(d);
	return 0;
}

/* ---- reading ---- */

/* Leaves the result. */
static void round_close(struct disk_round *d)
{
	disk_io_close(d->work.io);
	d->work.io = NULL;
	disk_map_free(&d->work.map);
	free((char *)(uintptr_t)d->at.path);
	free((char *)(uintptr_t)d->at.export_name);
	free((char *)(uintptr_t)d->at.select);
	free((char *)(uintptr_t)d->name);
	d->at = (struct disk_at){.path = NULL};
	d->name = NULL;
}

static void round_end(struct disk_round *d)
{
	struct disk_reader *r = d->work.reader;
	struct disk_round **p;

	for (p = &r->rounds; *p != d; p = &(*p)->work.next)
		;
	*p = d->work.next;
	__atomic_store_n(&r->left[d->object], 0, __ATOMIC_RELAXED);
	/* the round is closed before anyone hears of it: QEMU's exports and bitmaps change then, beside which no client may come or go */
	round_close(d);
	if (!d->err.code)
		disk_plan_end(d, &r->to);
	/* the result comes first: the code below may pump the loop while the destination answers the round's end */
	queue_put(r->results, &d->node);
}

static void round_fail(struct disk_round *d, const struct err *e)
{
	if (!d->err.code)
		d->err = *e;
}

static void chunk_release(struct shared_buf *b)
{
	struct chunk *c = container_of(b, struct chunk, shared);

	queue_put(&c->reader->returned, &c->node);
}

/* Finds pages of memory that have the same content as this part of the disk. */
static void look_up(struct disk_reader *r, struct send_item *it)
{
	const struct send_part *part = &it->u.part[0];
	enum cpu_stage before;
	unsigned n;

	if (!seeds_ready(r->shared->seeds))
		return;
	before = cpu_stage_enter_for(CPU_HASH, part->bytes);
	n = seeds_find(r->shared->seeds, part->offset, part->data, part->bytes, r->found);
	cpu_stage_enter(before);
	if (!n)
		return;
	it->seeds = xmalloc(n * sizeof(*it->seeds));
	memcpy(it->seeds, r->found, n * sizeof(*it->seeds));
	it->seed_count = n;
}

static void part_send(struct chunk *c, enum send_kind kind, uint32_t at, uint32_t bytes)
{
	struct disk_round *d = c->round;
	unsigned ch = place_channel(d->object, c->offset, d->work.reader->to.count);
	struct send_item *it = send_item_new(kind, d->object, 1);

	it->number = d->number;
	it->n = 1;
	it->u.part[0] = (struct send_part){c->offset + at, kind == SEND_ZERO ? NULL : c->data + at, bytes};
	it->buf = &c->shared;
	shared_buf_ref(&c->shared);
	if (kind != SEND_ZERO && !d->number)
		look_up(d->work.reader, it);
	sender_put(d->work.reader->to.senders[ch], it);
}

static uint32_t run_of(const struct chunk *c, uint32_t at, bool *has)
{
	const struct disk_round *d = c->round;
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, c->bytes - at);
	struct have_range rest = {c->offset + at, c->data + at, c->bytes - at, c->before + at, c->behind};
	uint32_t n = have_run(d->have, &d->work.reader->shared->key, &rest, has);

	cpu_stage_enter(before);
	return n;
}

/* Sends separately what the destination's older copy has and what it lacks. */
static void compare_and_send(struct chunk *c)
{
	uint32_t at, n;
	bool has;

	for (at = 0; at < c->bytes; at += n) {
		n = run_of(c, at, &has);
		part_send(c, has ? SEND_KEPT : SEND_DATA, at, n);
	}
}

#define RUNS_MAX (CHUNK_BYTES / DISK_SECTOR)

/* Sends what other images lack before what they have, in pieces that may be small, so that contents go in one message and are compressed
 * together. */
static void part_alike_and_send(struct chunk *c)
{
	struct {
		uint32_t at, bytes;
	} kept[RUNS_MAX];
	unsigned count = 0, i;
	uint32_t at, n;
	bool has;

	for (at = 0; at < c->bytes; at += n) {
		n = run_of(c, at, &has);
		if (!has) {
			part_send(c, SEND_DATA, at, n);
			continue;
		}
		kept[count].at = at;
		kept[count++].bytes = n;
	}
	for (i = 0; i < count; i++)
		part_send(c, SEND_ALIKE, kept[i].at, kept[i].bytes);
}

static void note(const struct chunk *c)
{
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, c->bytes);

	have_note(c->round->notes, &c->reader->shared->key, c->offset, c->data, c->bytes);
	cpu_stage_enter(before);
}

static void chunk_send(struct chunk *c)
{
	const struct disk_round *d = c->round;

	if (d->notes)
		note(c);
	if (d->detect_zeros && bytes_are_zero(c->data, c->bytes))
		part_send(c, SEND_ZERO, 0, c->bytes);
	else if (d->have && d->alike)
		part_alike_and_send(c);
	else if (d->have && !c->back)
		compare_and_send(c);
	else
		part_send(c, SEND_DATA, 0, c->bytes);
}

static void read_done(struct disk_req *req, int res)
{
	struct chunk *c = container_of(req, struct chunk, req);
	struct disk_round *d = c->round;
	struct err e;

	d->work.in_flight--;
	d->work.back_in_flight -= c->back;
	if (res) {
		if (disk_io_error(d->work.io))
			e = *disk_io_error(d->work.io), err_prefix(&e, "reading the disk %s from its QEMU", d->name);
		else
			err_sys(&e, -res, "cannot read the source disk %s at byte %llu", d->name, (unsigned long long)c->offset);
		round_fail(d, &e);
	} else {
		chunk_send(c);
		d->read_bytes += c->bytes;
		__atomic_fetch_add(&d->work.reader->done[d->object], c->bytes, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&d->work.reader->left[d->object], c->bytes, __ATOMIC_RELAXED);
	}
	shared_buf_unref(&c->shared);
	pump_all(d->work.reader);
}

static struct chunk *take_chunk(struct disk_round *d, bool back, uint64_t at, uint64_t bytes)
{
	struct chunk *c = d->work.reader->free_chunk[--d->work.reader->free_count];

	c->shared.refs = 1;
	c->round = d;
	c->offset = at;
	c->bytes = (uint32_t)bytes;
	c->back = back;
	d->work.in_flight++;
	d->work.back_in_flight += back;
	d->work.reader->back_chunks += back;
	return c;
}

/* A block of the old copy may have holes here. Chunks end where some block does, so that the buffer has room for what is around them. */
static void read_chunk(struct chunk *c)
{
	struct have_range range = {.offset = c->offset, .bytes = c->bytes};

	if (c->round->have && !c->round->alike && !c->back)
		have_widen(&range, c->round->have);
	c->before = range.before;
	c->behind = range.behind;
	c->data = c->buffer + c->before;
	disk_io_read(c->round->work.io, &c->req, c->buffer, c->before + c->bytes + c->behind, c->offset - c->before);
}

static bool read_front(struct disk_round *d)
{
	const struct disk_extent *x = &d->work.map.extent[d->work.extent];
	uint64_t end = d->work.extent + 1 == d->work.back ? d->work.back_bytes : x->length, at = x->offset + d->work.offset;
	uint64_t bytes = MIN(end - d->work.offset, CHUNK_BYTES - at % CHUNK_BYTES);
	struct chunk *c;

	if (d->work.in_flight - d->work.back_in_flight == PER_DISK_MAX)
		return false;
	if (d->have && (!have_covers(d->have, at + bytes) || !kept_may(&d->work.reader->shared->kept_ahead)))
		return false;
	c = take_chunk(d, false, at, bytes);
	d->work.offset += bytes;
	if (d->work.offset == x->length) {
		d->work.extent++;
		seek_data(d);
	}
	read_chunk(c);
	return true;
}

/* A channel has room while less than half of its window is under way: contents leave at once then, and so do the few bytes that name kept blocks. */
static bool has_room(const struct disk_reader *r, unsigned channel)
{
	const struct sender *s = r->to.senders[channel];

	return sender_queued_bytes(s) + sender_unacked_bytes(s) < r->shared->window_bytes / 2;
}

/* The end of the disk is sent while its beginning is compared, as far as the network has nothing else to do: so an old copy that is read, or written, more
 * slowly than the network carries costs no time. */
static bool may_read_back(const struct disk_round *d, uint64_t at)
{
	const struct disk_reader *r = d->work.reader;

	return d->have && !d->knows && !d->compares && !d->alike && r->back_chunks < BACK_CHUNKS && d->work.back_in_flight < PER_DISK_MAX &&
	       has_room(r, place_channel(d->object, at, r->to.count)) && now_ns() - d->work.began_ns >= PATIENCE_MS * 1000000ULL &&
	       !fault_point("src-compares-all");
}

static bool read_back(struct disk_round *d)
{
	const struct disk_extent *x = &d->work.map.extent[d->work.back - 1];
	uint64_t end = x->offset + d->work.back_bytes;
	uint64_t at = MAX(x->offset, (end - 1) / CHUNK_BYTES * CHUNK_BYTES); /* reads from the front end at this offset, too */
	struct chunk *c;

	if (!may_read_back(d, at))
		return false;
	c = take_chunk(d, true, at, end - at);
	d->work.back_bytes -= c->bytes;
	if (!d->work.back_bytes) {
		d->work.back--;
		seek_data_back(d);
	}
	read_chunk(c);
	return true;
}

static bool may_read(const struct disk_round *d)
{
	return !d->err.code && !is_all_begun(d) && d->work.reader->free_count;
}

/* Starts a read of the round at either end; false when it has none left to start or none may be started now. */
static bool start_reads(struct disk_round *d)
{
	bool front = may_read(d) && read_front(d);

	return (may_read(d) && read_back(d)) || front;
}

static void pump_all(struct disk_reader *r)
{
	struct disk_round *d, *next;
	bool more = true;

	if (r->stopping)
		return;
	while (more)
		for (more = false, d = r->rounds; d; d = d->work.next)
			more |= start_reads(d);
	for (d = r->rounds; d; d = next) {
		next = d->work.next;
		if (!d->work.in_flight && (d->err.code || is_all_begun(d))) {
			round_end(d);
			next = r->rounds;
		}
	}
}

static void announce_block(struct disk_reader *r, const struct seed_block *b, uint32_t object)
{
	uint8_t buf[512];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_object m = {.id = object, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = b->bytes, .name = slice_of(b->name)};

	msg_object_encode(&w, &m);
	disk_plan_broadcast(&r->to, MSG_OBJECT, &w);
}

/* Scans the disks before the first one is read. Without this, content that is in memory as well is carried twice. */
static int scan(struct disk_reader *r)
{
	struct seeds *s = r->shared->seeds;
	const struct seed_block *blocks;
	uint64_t from = now_ns();
	unsigned i, count;
	struct err e;
	int code;

	r->scanned = true;
	if (!s)
		return 0;
	code = seeds_scan(s, &e);
	if (code) {
		log_info("no content is looked for in memory: %s", e.msg);
		return code;
	}
	log_info("memory: %llu pages with contents, read in %llu ms", (unsigned long long)seeds_indexed(s),
		 (unsigned long long)(now_ns() - from) / 1000000);
	blocks = seeds_blocks(s, &count);
	for (i = 0; i < count; i++)
		announce_block(r, &blocks[i], OBJECT_RAM_BASE + i);
	return 0;
}

static void on_rounds(struct queue *q)
{
	struct disk_reader *r = container_of(q, struct disk_reader, rounds_in);
	struct qnode *n;
	struct err e;

	if (!r->scanned && scan(r) == -ECANCELED)
		return; /* the end is on its way */
	while ((n = queue_take(q))) {
		struct disk_round *d = container_of(n, struct disk_round, node);

		if (begin_round(d, &e)) {
			err_prefix(&e, "reading the source disk %s", d->name);
			round_fail(d, &e);
		}
		d->work.next = r->rounds;
		r->rounds = d;
	}
	pump_all(r);
}

static void on_returned(struct queue *q)
{
	struct disk_reader *r = container_of(q, struct disk_reader, returned);
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct chunk *c = container_of(n, struct chunk, node);

		r->back_chunks -= c->back;
		r->free_chunk[r->free_count++] = c;
	}
	pump_all(r);
}

static void on_go_on(struct task *t)
{
	pump_all(container_of(t, struct disk_reader, task_go_on));
}

static void on_look(struct timer *t)
{
	struct disk_reader *r = container_of(t, struct disk_reader, look);
	const struct disk_round *d;

	pump_all(r);
	for (d = r->rounds; d && !d->have; d = d->work.next)
		;
	if (d)
		loop_timer_set(r->loop, &r->look, LOOK_MS);
}

static void on_stop(struct task *t)
{
	struct disk_reader *r = container_of(t, struct disk_reader, task_stop);

	r->stopping = true;
	loop_stop(r->loop);
}

static void *run(void *arg)
{
	struct disk_reader *r = arg;
	struct disk_round *d;
	struct err e;

	cpu_thread_begin(r->shared->cpu, CPU_DISK);
	if (loop_run(r->loop, &e))
		log_error("disk reader: %s", e.msg);
	r->stopping = true;
	while ((d = r->rounds)) {
		round_close(d); /* completes what is in flight */
		r->rounds = d->work.next;
		free(d);
	}
	cpu_thread_end();
	return NULL;
}

int disk_reader_start(struct disk_reader **out, struct sender **senders, unsigned sender_count, struct send_shared *shared,
		      struct queue *results, struct err *e)
{
	struct disk_reader *r = xcalloc(1, sizeof(*r));
	int k = loop_new(&r->loop, 128, e);

	if (k) {
		free(r);
		return k;
	}
	r->to = (struct round_senders){senders, sender_count};
	r->shared = shared;
	r->results = results;
	queue_init(&r->rounds_in, r->loop, on_rounds);
	queue_init(&r->returned, r->loop, on_returned);
	r->task_stop.run = on_stop;
	r->look.fire = on_look;
	r->task_go_on.run = on_go_on;
	for (unsigned i = 0; i < CHUNKS; i++) {
		r->chunk[i].reader = r;
		r->chunk[i].shared.release = chunk_release;
		r->chunk[i].req.done = read_done;
		r->chunk[i].buffer = aligned_alloc(DISK_ALIGN, CHUNK_BYTES);
		if (!r->chunk[i].buffer)
			abort();
		r->free_chunk[r->free_count++] = &r->chunk[i];
	}
	k = pthread_create(&r->thread, NULL, run, r);
	if (k) {
		loop_free(r->loop);
		free(r);
		return err_sys(e, k, "cannot start the disk reader's thread");
	}
	*out = r;
	return 0;
}

void disk_reader_round(struct disk_reader *r, const struct disk_round *round)
{
	struct disk_round *d = xcalloc(1, sizeof(*d));

	*d = *round;
	d->work.reader = r;
	d->at.path = xstrdup(round->at.path);
	d->at.export_name = xstrdup(round->at.export_name);
	d->at.select = xstrdup(round->at.select);
	d->name = xstrdup(round->name);
	queue_put(&r->rounds_in, &d->node);
}

void disk_reader_go_on(struct disk_reader *r)
{
	loop_post(r->loop, &r->task_go_on);
}

void disk_reader_progress(const struct disk_reader *r, uint32_t object, uint64_t *done, uint64_t *left)
{
	*done = __atomic_load_n(&r->done[object], __ATOMIC_RELAXED);
	*left = __atomic_load_n(&r->left[object], __ATOMIC_RELAXED);
}

void disk_reader_stop(struct disk_reader *r)
{
	if (!r)
		return;
	if (r->shared->seeds)
		seeds_stop(r->shared->seeds);
	loop_post(r->loop, &r->task_stop);
	pthread_join(r->thread, NULL);
}

void disk_reader_free(struct disk_reader *r)
{
	struct disk_round *d;
	struct qnode *n;

	if (!r)
		return;
	while ((n = queue_take(&r->rounds_in))) {
		d = container_of(n, struct disk_round, node);
		round_close(d);
		free(d);
	}
	for (unsigned i = 0; i < CHUNKS; i++)
		free(r->chunk[i].buffer);
	queue_fini(&r->rounds_in);
	queue_fini(&r->returned);
	loop_free(r->loop);
	free(r);
}
