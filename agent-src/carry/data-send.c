/* data-send.c: see data-send.h. */
#include "data-send.h"
#include "conn-link.h"
#include "kept-ahead.h"
#include "log.h"
#include "resume.h"
#include "staying.h"
#include "sums.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define RECHECK_PAGES 2048 /* some 2 ms: then the loop has its turn */

/* Tasks of the sender's thread, posted by itself and by other threads. */
struct sender_tasks {
	struct task stop, outlive, cut, again;
};

/* Reasons why the sender waits. */
struct sender_wait {
	bool blocked; /* the window is full */
	uint64_t since_ns;
	bool later;    /* the sender goes on by itself: `again` */
	bool was_full; /* the window, since the last choice of a codec */
};

struct sender {
	struct send_shared *shared;
	unsigned number;
	struct loop *loop;
	struct channel *ch;
	pthread_t thread;
	struct queue in;
	struct queue links; /* struct next_link */
	struct sender_tasks task;
	struct sender_wait wait;
	bool outlives; /* atomic */
	struct err why_cut;
	struct encode *encode;
	struct batch batch;
	struct shared_buf *buf[BATCH_PARTS]; /* buffers of the batch's parts, one reference each */
	struct seed *seeds;		     /* seeds of the batch, which then has one part */
	unsigned seed_count;
	uint64_t queued_bytes; /* bytes of contents in the items that are not done; atomic */
	struct send_item *cur; /* taken, not yet wholly encoded */
	unsigned cur_at;
	struct sums sums;
	struct recheck_at rechecked;
	uint64_t given_bytes; /* bytes of content given to the channel */
	struct send_stats stats;
};

static void pump(struct sender *s);

static void add(uint64_t *counter, uint64_t v)
{
	__atomic_store_n(counter, *counter + v, __ATOMIC_RELAXED);
}

/* ---- which codec ---- */

static void use_effort(struct sender *s, enum codec_effort effort)
{
	encode_use(s->encode, effort);
	__atomic_store_n(&s->shared->codec_now, (int)codec_of_effort(effort), __ATOMIC_RELAXED);
}

/* Chooses the effort for the next batch. */
static void choose_effort(struct sender *s)
{
	struct channel_backlog b;
	struct codec_sample sample;
	enum codec_effort before = encode_uses(s->encode), now;

	if (s->shared->codec != CODEC_MODE_AUTO)
		return;
	b = channel_backlog(s->ch);
	pthread_mutex_lock(&s->shared->choosing); /* the clock is read under the lock: it must not go back between two samples */
	sample = (struct codec_sample){.channel = s->number - 1,
				       .now_ns = now_ns(),
				       .given_bytes = s->given_bytes,
				       .backlog_bytes = b.bytes,
				       .window_bytes = s->shared->window_bytes,
				       .window_was_full = s->wait.was_full,
				       .peer_is_slow = b.peer_is_slow,
				       .network_is_idle = b.network_is_idle,
				       .limit_bps = __atomic_load_n(&s->shared->pacer.bytes_per_s, __ATOMIC_RELAXED)};
	now = codec_choice_step(&s->shared->choice, &sample);
	pthread_mutex_unlock(&s->shared->choosing);
	s->wait.was_full = false;
	if (now != before)
		use_effort(s, now);
}

void send_shared_init(struct send_shared *s)
{
	pthread_mutex_init(&s->choosing, NULL);
	codec_choice_init(&s->choice, now_ns());
}

/* ---- batches ---- */

static void count_wire(struct sender *s, uint32_t object, size_t n)
{
	n += FRAME_HEADER_BYTES;
	if (object_is_disk(object)) {
		add(&s->stats.disk_wire, n);
		add(&s->stats.disk_bytes[object], n);
	} else {
		add(&s->stats.ram_wire, n);
	}
}

static size_t seeds_room(const struct sender *s)
{
	return s->seed_count ? 2 + s->seed_count * SEED_BYTES : 0;
}

/* True if both seeds are one run. */
static bool follows(const struct seed *a, const struct seed *b)
{
	return b->object == a->object && b->unit == a->unit + 1 && b->page == a->page + 1;
}

/* Blocks that QEMU lists after seeds have gone are listed when all that went before has arrived. */
static void begin_ram(struct sender *s)
{
	unsigned blocks = __atomic_load_n(&s->shared->ram_blocks, __ATOMIC_ACQUIRE);

	sums_begin_ram(&s->sums, s->shared->ram, blocks);
}

/* Writes the seeds' message, which precedes the DATA with their content, and accounts for them; returns its length. */
static size_t put_seeds(struct sender *s, uint8_t *out)
{
	struct writer w = writer_of(out, seeds_room(s)), count = w;
	unsigned i, run, n = 0;

	if (!s->seed_count)
		return 0;
	begin_ram(s);
	write_u16(&w, 0);
	for (i = 0; i < s->seed_count; i += run, n++) {
		const struct seed *x = &s->seeds[i];

		for (run = 1; i + run < s->seed_count && follows(&x[run - 1], &x[run]); run++)
			;
		write_u16(&w, (uint16_t)x->unit);
		write_u16(&w, (uint16_t)run);
		write_u32(&w, x->object);
		write_u32(&w, (uint32_t)x->page);
	}
	write_u16(&count, (uint16_t)n);
	for (i = 0; i < s->seed_count; i++)
		sums_add_seed(&s->sums, &s->seeds[i]);
	add(&s->stats.seed_pages, s->seed_count);
	return writer_len(&w);
}

static void drop_seeds(struct sender *s)
{
	free(s->seeds);
	s->seeds = NULL;
	s->seed_count = 0;
}

/* Contents have digests, by which the destination goes before it promises anything. A stream it has to read before. */
static bool sums_head(const struct sender *s)
{
	return s->shared->sums_heads && !object_is_stream(s->batch.object);
}

static bool may_stay(const struct sender *s)
{
	return sums_head(s) && s->batch.kind == SEND_DATA && s->batch.bytes >= STAY_BYTES_MIN &&
	       staying_may(s->buf, s->batch.n, &s->shared->staying);
}

static bool is_kept(enum send_kind kind)
{
	return kind == SEND_KEPT || kind == SEND_ALIKE;
}

/* The part of a frame that lies behind the encoded contents. */
static struct frame_tail *tail_of(struct sender *s, const struct encoded *x)
{
	if (x->pieces)
		return staying_new(s->buf, s->batch.n, x->piece, x->pieces, &s->shared->staying);
	return is_kept(s->batch.kind) ? kept_named(&s->shared->kept_ahead, (uint32_t)s->batch.bytes) : NULL;
}

/* Sends the batch; false when the window is full. Called in CPU_HASH, and leaves the thread in it. */
static bool flush_batch(struct sender *s)
{
	struct batch *b = &s->batch;
	struct encoded x;
	uint8_t *p;
	size_t n, seeds;

	if (!b->n)
		return true;
	p = channel_begin(s->ch, seeds_room(s) + batch_room(b));
	if (!p)
		return false;
	seeds = put_seeds(s, p);
	if (b->kind == SEND_DATA)
		choose_effort(s);
	x = batch_encode(s->encode, b, may_stay(s) ? STAY_PIECES : 0, p + seeds);
	x.head += seeds;
	n = x.head + x.body;
	s->given_bytes += n;
	if (is_kept(b->kind))
		add(&s->stats.kept_bytes[b->object], b->bytes);
	else
		add(&s->stats.raw_bytes, b->bytes);
	count_wire(s, b->object, n);
	cpu_stage_enter(CPU_HASH); /* the frame's checksum; and the next batch's pages */
	channel_commit_data(s->ch, seeds ? MSG_DATA_ALSO : MSG_DATA, x.pieces ? x.head : n, sums_head(s) ? x.head : 0, tail_of(s, &x));
	drop_seeds(s);
	for (unsigned i = 0; i < b->n; i++)
		shared_buf_unref(s->buf[i]);
	batch_clear(b);
	return true;
}

/* Counts the part, and says whether its content is as it was. */
static bool account(struct sender *s, const struct send_item *it, struct send_part *part)
{
	if (object_is_ram(it->object)) {
		begin_ram(s);
		if (!sums_add_page(&s->sums, it->object, part)) {
			add(&s->stats.same_pages, 1);
			return true;
		}
		add(part->data ? &s->stats.pages : &s->stats.zero_pages, 1);
	} else if (object_is_disk(it->object)) {
		s->batch.content[s->batch.n] = sums_add_disk(&s->sums, it->object, it->number, part);
	} else {
		sums_add_stream(&s->sums, it->object, part);
	}
	return false;
}

static void take_part(struct sender *s, struct send_item *it, struct send_part *part)
{
	if (!encode_sends(it->kind, account(s, it, part)))
		return;
	s->buf[s->batch.n] = it->buf;
	if (it->buf)
		shared_buf_ref(it->buf);
	batch_add(&s->batch, it->kind, it->object, part);
	s->seeds = it->seeds;
	s->seed_count = it->seed_count;
	it->seeds = NULL;
	it->seed_count = 0;
}

/* ---- what QEMU left out ---- */

/* Into the batch, which is empty. */
static void take_found(struct sender *s, const struct recheck_found *f)
{
	for (unsigned i = 0; i < f->n; i++) {
		s->buf[s->batch.n] = NULL;
		batch_add(&s->batch, SEND_DATA, f->object, &f->part[i]);
	}
	add(&s->stats.pages, f->n);
	__atomic_store_n(&s->stats.rechecked_pages, s->rechecked.read, __ATOMIC_RELAXED);
	__atomic_store_n(&s->stats.missed_pages, s->rechecked.missed, __ATOMIC_RELAXED);
}

static void begin_recheck(struct sender *s)
{
	if (s->rechecked.buf)
		return;
	begin_ram(s);
	s->rechecked = (struct recheck_at){.channel = s->number - 1,
					   .channels = s->shared->channels,
					   .buf = xmalloc((size_t)MEMORY_PIECE_PAGES * PAGE_BYTES)};
}

/* True when it is done; false when the window is full, or others are to have their turn: then it goes on where it was. The batch was
 * flushed before. */
static bool recheck(struct sender *s)
{
	struct recheck_found found;
	struct err e;
	int r;

	begin_recheck(s);
	for (unsigned pages = 0; pages < RECHECK_PAGES; pages += found.pages) {
		r = recheck_step(s->shared->recheck, &s->rechecked, &s->sums, &found, &e);
		if (r < 0)
			s->shared->lost(s->shared->ctx, s->number, &e);
		if (r <= 0) {
			__atomic_store_n(&s->shared->rechecked_ns, now_ns(), __ATOMIC_RELAXED);
			return true;
		}
		take_found(s, &found);
		if (!flush_batch(s))
			return false;
	}
	s->wait.later = true;
	loop_post(s->loop, &s->task.again);
	return false;
}

/* ---- marks ---- */

static void send_delta(struct sender *s, unsigned block, uint32_t number)
{
	struct unit_set *round = &s->sums.block[block].round;
	uint8_t runs[MSG_SMALL_MAX - 64];
	uint64_t from = 0;
	bool done = false;

	while (!done) {
		struct writer w = writer_of(runs, sizeof(runs));

		done = unit_set_encode(round, &w, &from);
		if (writer_len(&w))
			channel_send(s->ch, DELTA, delta, .object = OBJECT_RAM_BASE + block, .number = number, .final = done,
				     .runs = {runs, writer_len(&w)});
	}
	unit_set_clear(round);
}

static void mark_ram_round_end(struct sender *s, uint32_t number)
{
	uint64_t units = 0;

	for (unsigned i = 0; i < s->sums.blocks; i++) {
		units += s->sums.block[i].round.count;
		send_delta(s, i, number);
	}
	channel_send(s->ch, ROUND_END, round_end, .group = GROUP_RAM, .number = number, .units = units);
}

static void mark_disk_round_end(struct sender *s, uint32_t object, uint32_t number)
{
	channel_send(s->ch, ROUND_END, round_end, .group = object, .number = number, .units = s->sums.disk[object].round_units);
	s->sums.disk[object].round_units = 0;
}

static void send_end(struct sender *s, const struct msg_end *m)
{
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	msg_end_encode(&w, m);
	channel_post(s->ch, MSG_END, buf, writer_len(&w));
}

static void end_object(struct sender *s, uint32_t object)
{
	struct msg_end m = {.object = object};

	sums_end(&s->sums, object, &m);
	send_end(s, &m);
}

/* object: a disk or stream; GROUP_RAM for all RAM blocks, which closes the channel's content (streams aside). */
static void mark_end(struct sender *s, uint32_t object)
{
	if (object != GROUP_RAM) {
		end_object(s, object);
		return;
	}
	begin_ram(s);
	for (unsigned i = 0; i < s->sums.blocks; i++)
		end_object(s, OBJECT_RAM_BASE + i);
	send_end(s, &(struct msg_end){.object = GROUP_RAM, .last = true});
}

static void do_mark(struct sender *s, const struct send_item *it)
{
	switch (it->mark) {
	case MARK_MESSAGE:
		channel_post(s->ch, it->message, it->u.bytes, it->n);
		break;
	case MARK_RECHECK: /* take_item() does the recheck, which takes its time */
		break;
	case MARK_RAM_ROUND_END:
		mark_ram_round_end(s, it->number);
		break;
	case MARK_DISK_ROUND_END:
		mark_disk_round_end(s, it->object, it->number);
		break;
	case MARK_END:
		mark_end(s, it->object);
		break;
	}
}

/* ---- the pump ---- */

/* Takes one item as far as the window allows; true when it is done. */
static bool take_item(struct sender *s, struct send_item *it)
{
	if (it->kind == SEND_MARK) {
		if (!flush_batch(s) || (it->mark == MARK_RECHECK && !recheck(s)))
			return false;
		do_mark(s, it);
		return true;
	}
	for (; s->cur_at < it->n; s->cur_at++) {
		struct send_part *part = &it->u.part[s->cur_at];

		if ((it->seed_count || s->seed_count || !batch_fits(&s->batch, it->kind, it->object, part)) && !flush_batch(s))
			return false;
		take_part(s, it, part);
	}
	return true;
}

/* Takes everything that is queued; false when the window is full. */
static bool take_all(struct sender *s)
{
	for (;;) {
		if (!s->cur) {
			s->cur = (struct send_item *)queue_take(&s->in);
			s->cur_at = 0;
		}
		if (!s->cur)
			return flush_batch(s);
		if (!take_item(s, s->cur))
			return false;
		__atomic_sub_fetch(&s->queued_bytes, send_item_bytes(s->cur), __ATOMIC_RELAXED);
		send_item_free(s->cur);
		s->cur = NULL;
	}
}

static void pump(struct sender *s)
{
	enum cpu_stage before;

	if (s->wait.blocked || !channel_open(s->ch))
		return;
	before = cpu_stage_enter(CPU_HASH);
	s->wait.later = false;
	if (!take_all(s) && !s->wait.later) {
		s->wait.blocked = true;
		s->wait.since_ns = now_ns();
	}
	cpu_stage_enter(before);
}

static void on_ready(struct queue *q)
{
	pump(container_of(q, struct sender, in));
}

static void on_again(struct task *t)
{
	pump(container_of(t, struct sender, task.again));
}

static void on_writable(void *ctx, struct channel *c)
{
	struct sender *s = ctx;
	uint64_t ns = now_ns() - s->wait.since_ns;

	(void)c;
	if (!s->wait.blocked)
		return;
	s->wait.blocked = false;
	s->wait.was_full = true;
	add(&s->stats.waited_ns, ns);
	pump(s);
}

static int on_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *payload, size_t n, struct err *e)
{
	(void)ctx, (void)c, (void)payload, (void)n;
	return err_set(e, EPROTO, "unexpected %s on a data channel", msg_name(type));
}

static void on_closed(void *ctx, struct channel *c, const struct err *why)
{
	struct sender *s = ctx;

	(void)c;
	s->shared->lost(s->shared->ctx, s->number, why);
}

/* ---- another connection ---- */

/* The channel is let go of its connection in a moment of its own: not while that tells. */
static void on_lost(void *ctx, struct channel *c, const struct err *why)
{
	struct sender *s = ctx;

	(void)c;
	s->why_cut = *why;
	loop_post(s->loop, &s->task.cut);
}

static void on_cut(struct task *t)
{
	struct sender *s = container_of(t, struct sender, task.cut);
	uint64_t received;
	struct err e;

	if (!channel_detach(s->ch, channel_generation(s->ch) + 1, &received, &e))
		s->shared->cut(s->shared->ctx, s->number, channel_generation(s->ch), received, &s->why_cut);
}

static void on_links(struct queue *q)
{
	struct sender *s = container_of(q, struct sender, links);
	struct next_link *next;
	struct qnode *n;
	struct err e;

	while ((n = queue_take(q))) {
		next = container_of(n, struct next_link, node);
		if (resume_attach(s->loop, s->ch, next->link, next->said.generation, next->said.received, &e))
			log_info("data channel %u: %s", s->number, e.msg);
		else
			s->shared->back(s->shared->ctx, s->number);
		free(next);
	}
}

void sender_resume(struct sender *s, struct link link, uint32_t generation, uint64_t peer_received)
{
	next_link_put(&s->links, link, &(struct hello){.generation = generation, .received = peer_received});
}

static void on_outlive(struct task *t)
{
	struct sender *s = container_of(t, struct sender, task.outlive);

	channel_outlive(s->ch, __atomic_load_n(&s->outlives, __ATOMIC_RELAXED));
}

void sender_outlive(struct sender *s, bool yes)
{
	__atomic_store_n(&s->outlives, yes, __ATOMIC_RELAXED);
	loop_post(s->loop, &s->task.outlive);
}

/* ---- life ---- */

static void on_stop(struct task *t)
{
	loop_stop(container_of(t, struct sender, task.stop)->loop);
}

static void *run(void *arg)
{
	struct sender *s = arg;
	struct err e;

	cpu_thread_begin(s->shared->cpu, CPU_SEND);
	if (loop_run(s->loop, &e)) {
		log_error("data channel %u: %s", s->number, e.msg);
		s->shared->lost(s->shared->ctx, s->number, &e);
	}
	channel_free(s->ch);
	cpu_thread_end();
	return NULL;
}

int sender_start(struct sender **out, struct link link, unsigned number, struct send_shared *shared, struct err *e)
{
	struct channel_config cfg = {.number = number,
				     .window_bytes = shared->window_bytes,
				     .pacer = &shared->pacer,
				     .silence_ms = &shared->silence_ms,
				     .on = {.frame = on_frame, .writable = on_writable, .closed = on_closed, .lost = on_lost}};
	struct sender *s = xcalloc(1, sizeof(*s));
	int r;

	r = loop_new(&s->loop, 64, e);
	if (r) {
		free(s);
		link_close(&link);
		return r;
	}
	s->shared = shared;
	s->number = number;
	cfg.ctx = s;
	s->encode = encode_new(shared->codec);
	use_effort(s, encode_uses(s->encode));
	sums_init(&s->sums, &shared->key);
	s->task.stop.run = on_stop;
	s->task.cut.run = on_cut;
	s->task.outlive.run = on_outlive;
	s->task.again.run = on_again;
	queue_init(&s->in, s->loop, on_ready);
	queue_init(&s->links, s->loop, on_links);
	s->ch = channel_over(s->loop, link, &cfg);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		channel_free(s->ch);
		encode_free(s->encode);
		loop_free(s->loop);
		free(s);
		return err_sys(e, r, "cannot start a data channel's thread");
	}
	*out = s;
	return 0;
}

void sender_put(struct sender *s, struct send_item *it)
{
	__atomic_add_fetch(&s->queued_bytes, send_item_bytes(it), __ATOMIC_RELAXED);
	queue_put(&s->in, &it->node);
}

void sender_stop(struct sender *s)
{
	struct qnode *n;

	if (!s)
		return;
	loop_post(s->loop, &s->task.stop);
	pthread_join(s->thread, NULL);
	for (unsigned i = 0; i < s->batch.n; i++)
		shared_buf_unref(s->buf[i]);
	if (s->cur)
		send_item_free(s->cur);
	while ((n = queue_take(&s->in)))
		send_item_free((struct send_item *)n);
	next_link_drop_all(&s->links);
	drop_seeds(s);
	free(s->rechecked.buf);
	sums_fini(&s->sums);
	encode_free(s->encode);
	queue_fini(&s->links);
	queue_fini(&s->in);
	loop_free(s->loop);
	free(s);
}

void sender_stats(const struct sender *s, struct send_stats *sum)
{
	const uint64_t *from = (const uint64_t *)&s->stats;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

uint64_t sender_contents(const struct sender *s)
{
	return __atomic_load_n(&s->stats.raw_bytes, __ATOMIC_RELAXED);
}

uint64_t sender_wire_bytes(const struct sender *s)
{
	return channel_bytes_sent(s->ch);
}

uint64_t sender_acked_bytes(const struct sender *s)
{
	return channel_bytes_acked(s->ch);
}

uint64_t sender_rechecked_pages(const struct sender *s)
{
	return __atomic_load_n(&s->stats.rechecked_pages, __ATOMIC_RELAXED);
}

uint64_t sender_bytes_again(const struct sender *s)
{
	return channel_bytes_again(s->ch);
}

uint64_t sender_queued_bytes(const struct sender *s)
{
	return __atomic_load_n(&s->queued_bytes, __ATOMIC_RELAXED);
}

uint64_t sender_unacked_bytes(const struct sender *s)
{
	return channel_bytes_unacked(s->ch);
}
