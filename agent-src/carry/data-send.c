/* data-send.c: see data-send.h. */
#include "data-send.h"
#include "codec.h"
#include "codec-choice.h"
#include "conn-link.h"
#include "log.h"
#include "unit-set.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define BATCH_PARTS 512 /* with contents, DATA_RAW_MAX ends a batch earlier */
#define HEAD_BYTES  12		 /* DATA before its extents */
#define EXTENT_BYTES 12
#define BARREN_GAIN    16 /* less than a 16th saved is nothing */
#define BARREN_MAX     5  /* of 32 batches one is tried */

struct batch {
	uint32_t object;
	unsigned n;
	enum send_kind kind;
	size_t bytes;
	struct send_part part[BATCH_PARTS];
	struct shared_buf *buf[BATCH_PARTS]; /* one reference each */
};

struct disk_sum {
	struct hash128 digest;
	uint64_t units, round_units;
};

struct sender {
	struct send_shared *shared;
	unsigned number;
	struct loop *loop;
	struct channel *ch;
	pthread_t thread;
	struct queue in;
	struct task stop;
	struct codec *codec;
	uint8_t *scratch;
	struct batch batch;
	struct send_item *cur; /* taken, not yet wholly encoded */
	unsigned cur_at;
	bool blocked;
	uint64_t blocked_at;
	/* sums of this channel's partition */
	struct hash128 zero_content;
	struct hash128 *ram_sum;	/* per block */
	struct unit_set *ram_round;	/* per block: carried in this round */
	uint64_t *ram_units;		/* per block: carried in all */
	unsigned blocks;
	struct disk_sum disk[OBJECT_DISK_MAX + 1];
	struct {
		XXH3_state_t *state;
		uint64_t bytes;
	} stream[OBJECT_STREAM_MAX];
	struct send_stats stats;
	/* codec choice */
	struct codec_choice choice;
	unsigned barren, skip; /* batches in a row that did not compress; that are not even tried */
	enum data_codec now;
};

static void pump(struct sender *s);

void shared_buf_ref(struct shared_buf *b)
{
	__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
}

void shared_buf_unref(struct shared_buf *b)
{
	if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
		b->release(b);
}

struct send_item *send_item_new(enum send_kind kind, uint32_t object, unsigned parts)
{
	struct send_item *it = xmalloc(sizeof(*it) + parts * sizeof(struct send_part));

	memset(it, 0, sizeof(*it));
	it->kind = kind;
	it->object = object;
	return it;
}

struct send_item *send_mark_new(uint16_t message, const void *payload, size_t n)
{
	struct send_item *it = xmalloc(sizeof(*it) + n);

	memset(it, 0, sizeof(*it));
	it->kind = SEND_MARK;
	it->message = message;
	it->n = (unsigned)n;
	if (n)
		memcpy(it->u.bytes, payload, n);
	return it;
}

static void add(uint64_t *counter, uint64_t v)
{
	__atomic_store_n(counter, *counter + v, __ATOMIC_RELAXED);
}

/* ---- which codec ---- */

static void use_codec(struct sender *s, enum data_codec codec)
{
	s->now = codec;
	__atomic_store_n(&s->shared->codec_now, (int)codec, __ATOMIC_RELAXED);
}

static void choose_codec(struct sender *s)
{
	struct codec_sample sample = {.now_ns = now_ns(),
				      .wire_bytes = channel_bytes_sent(s->ch),
				      .raw_bytes = s->stats.raw_bytes,
				      .waited_ns = __atomic_load_n(&s->shared->waited_ns, __ATOMIC_RELAXED) / s->shared->channels};

	if (s->shared->codec == CODEC_MODE_AUTO && codec_choice_step(&s->choice, &sample))
		use_codec(s, s->choice.now);
}

/* Content that does not compress comes in stretches: then only every so manieth batch is tried. */
static bool is_barren(struct sender *s)
{
	if (s->shared->codec != CODEC_MODE_AUTO || !s->skip)
		return false;
	s->skip--;
	return true;
}

static void count_barren(struct sender *s, bool gained)
{
	s->barren = gained ? 0 : MIN(s->barren + 1, BARREN_MAX);
	s->skip = s->barren ? (1u << s->barren) - 1 : 0;
}

static enum data_codec fixed_codec(enum codec_mode m)
{
	switch (m) {
	case CODEC_MODE_AUTO:
	case CODEC_MODE_NONE:
		return CODEC_RAW;
	case CODEC_MODE_LZ4:
		return CODEC_LZ4;
	case CODEC_MODE_ZSTD:
		return CODEC_ZSTD;
	}
	return CODEC_RAW;
}

/* ---- frames ---- */

static unsigned shift_of(uint32_t object)
{
	return object_is_ram(object) ? PAGE_SHIFT : object_is_disk(object) ? DISK_SHIFT : STREAM_SHIFT;
}

/* Returns the number of extents written. Neighbouring pages are joined; a write to a disk stays one extent, as its
 * hash is counted so. */
static unsigned put_extents(struct writer *w, const struct batch *b)
{
	unsigned shift = shift_of(b->object), n = 0, i, j;
	bool join = object_is_ram(b->object);

	for (i = 0; i < b->n; i = j, n++) {
		uint64_t bytes = b->part[i].bytes;

		for (j = i + 1; join && j < b->n && b->part[j].offset == b->part[i].offset + bytes &&
				bytes + b->part[j].bytes <= (uint64_t)UINT32_MAX << shift;
		     j++)
			bytes += b->part[j].bytes;
		write_u64(w, b->part[i].offset);
		write_u32(w, (uint32_t)(bytes >> shift));
	}
	return n;
}

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

static void gather_batch(const struct batch *b, uint8_t *out)
{
	unsigned i;

	for (i = 0; i < b->n; i++) {
		memcpy(out, b->part[i].data, b->part[i].bytes);
		out += b->part[i].bytes;
	}
}

/* Sends the batch; false when the window is full. Called in CPU_HASH, and leaves the thread in it. */
static bool flush_batch(struct sender *s)
{
	struct batch *b = &s->batch;
	size_t payload = b->kind == SEND_DATA ? b->bytes : 0, n = 0;
	enum data_codec codec = CODEC_RAW;
	struct writer w;
	uint8_t *p, *count_at;
	unsigned i;

	if (!b->n)
		return true;
	p = channel_begin(s->ch, HEAD_BYTES + b->n * EXTENT_BYTES + payload);
	if (!p)
		return false;
	w = writer_of(p, HEAD_BYTES + b->n * EXTENT_BYTES + payload);
	write_u32(&w, b->object);
	write_u8(&w, 0); /* codec: known below */
	write_u8(&w, 0);
	count_at = w.p;
	write_u16(&w, 0);
	write_u32(&w, (uint32_t)payload);
	i = put_extents(&w, b);
	count_at[0] = (uint8_t)i;
	count_at[1] = (uint8_t)(i >> 8);
	if (b->kind != SEND_DATA) {
		codec = b->kind == SEND_ZERO ? CODEC_ZERO : CODEC_HOLE;
	} else if (s->now != CODEC_RAW && payload >= 512 && !is_barren(s)) {
		cpu_stage_enter_for(CPU_COMPRESS, payload);
		gather_batch(b, s->scratch);
		n = codec_compress(s->codec, s->now, s->scratch, payload, w.p, writer_left(&w));
		codec = n ? s->now : CODEC_RAW;
		count_barren(s, n && n < payload - payload / BARREN_GAIN);
	}
	if (payload && !n) {
		cpu_stage_enter_for(CPU_SEND, payload);
		gather_batch(b, w.p);
		n = payload;
	}
	p[4] = (uint8_t)codec;
	add(&s->stats.raw_bytes, payload);
	count_wire(s, b->object, writer_len(&w) + n);
	cpu_stage_enter(CPU_HASH); /* the frame's checksum; and the next batch's pages */
	channel_commit(s->ch, MSG_DATA, writer_len(&w) + n);
	for (i = 0; i < b->n; i++)
		shared_buf_unref(b->buf[i]);
	b->n = 0;
	b->bytes = 0;
	return true;
}

static bool batch_fits(const struct batch *b, const struct send_item *it, const struct send_part *part)
{
	if (!b->n)
		return true;
	return b->object == it->object && b->kind == it->kind && b->n < BATCH_PARTS &&
	       (it->kind != SEND_DATA || b->bytes + part->bytes <= DATA_RAW_MAX);
}

static void batch_add(struct sender *s, const struct send_item *it, const struct send_part *part)
{
	struct batch *b = &s->batch;

	b->object = it->object;
	b->kind = it->kind;
	b->part[b->n] = *part;
	b->buf[b->n] = it->buf;
	if (it->buf)
		shared_buf_ref(it->buf);
	b->n++;
	b->bytes += part->bytes;
}

/* ---- what each part adds to the sums; false: nothing to send ---- */

static void ram_setup(struct sender *s)
{
	unsigned i;

	if (s->ram_sum)
		return;
	s->blocks = s->shared->ram_blocks;
	s->ram_sum = xcalloc(s->blocks, sizeof(*s->ram_sum));
	s->ram_units = xcalloc(s->blocks, sizeof(*s->ram_units));
	s->ram_round = xcalloc(s->blocks, sizeof(*s->ram_round));
	for (i = 0; i < s->blocks; i++)
		unit_set_init(&s->ram_round[i], s->shared->ram[i].pages);
}

static bool account_page(struct sender *s, uint32_t object, const struct send_part *part)
{
	unsigned block = object - OBJECT_RAM_BASE;
	uint64_t page = part->offset >> PAGE_SHIFT;
	struct hash128 h;

	ram_setup(s);
	h = part->data ? hash_content(&s->shared->key, part->data, PAGE_BYTES) : s->zero_content;
	h = hash_place(&s->shared->key, h, object, 0, part->offset, PAGE_BYTES);
	if (!page_table_set(&s->shared->ram[block], &s->ram_sum[block], page, h)) {
		add(&s->stats.same_pages, 1);
		return false;
	}
	unit_set_add(&s->ram_round[block], page, 1);
	s->ram_units[block]++;
	add(part->data ? &s->stats.pages : &s->stats.zero_pages, 1);
	return true;
}

static bool account_disk(struct sender *s, const struct send_item *it, const struct send_part *part)
{
	struct disk_sum *d = &s->disk[it->object];
	struct hash128 h = {0, 0};

	if (part->data)
		h = hash_content(&s->shared->key, part->data, part->bytes);
	hash_add(&d->digest, hash_place(&s->shared->key, h, it->object, it->number, part->offset, part->bytes));
	d->units += part->bytes >> DISK_SHIFT;
	d->round_units += part->bytes >> DISK_SHIFT;
	return true;
}

static bool account_stream(struct sender *s, uint32_t object, struct send_part *part)
{
	unsigned k = object - OBJECT_STREAM_BASE;

	if (!s->stream[k].state) {
		s->stream[k].state = XXH3_createState();
		XXH3_128bits_reset_withSecret(s->stream[k].state, s->shared->key.secret, DIGEST_SECRET_BYTES);
	}
	XXH3_128bits_update(s->stream[k].state, part->data, part->bytes);
	part->offset = s->stream[k].bytes;
	s->stream[k].bytes += part->bytes;
	return true;
}

/* Also gives a stream's part its offset. */
static bool account(struct sender *s, const struct send_item *it, struct send_part *part)
{
	if (object_is_ram(it->object))
		return account_page(s, it->object, part);
	if (object_is_disk(it->object))
		return account_disk(s, it, part);
	return account_stream(s, it->object, part);
}

/* ---- marks ---- */

static void send_delta(struct sender *s, unsigned block, uint32_t number)
{
	uint8_t runs[MSG_SMALL_MAX - 64];
	uint64_t from = 0;
	bool done = false;

	while (!done) {
		struct writer w = writer_of(runs, sizeof(runs));

		done = unit_set_encode(&s->ram_round[block], &w, &from);
		if (writer_len(&w))
			channel_send(s->ch, DELTA, delta, .object = OBJECT_RAM_BASE + block, .number = number,
				     .final = done, .runs = {runs, writer_len(&w)});
	}
	unit_set_clear(&s->ram_round[block]);
}

static void mark_ram_round_end(struct sender *s, uint32_t number)
{
	uint64_t units = 0;
	unsigned i;

	for (i = 0; i < s->blocks; i++) {
		units += s->ram_round[i].count;
		send_delta(s, i, number);
	}
	channel_send(s->ch, ROUND_END, round_end, .group = GROUP_RAM, .number = number, .units = units);
}

static void mark_disk_round_end(struct sender *s, uint32_t object, uint32_t number)
{
	channel_send(s->ch, ROUND_END, round_end, .group = object, .number = number,
		     .units = s->disk[object].round_units);
	s->disk[object].round_units = 0;
}

static void send_end(struct sender *s, uint32_t object, uint64_t units, struct hash128 h, bool last)
{
	struct msg_end m = {.object = object, .units = units, .last = last};
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	hash_bytes(h, m.digest);
	msg_end_encode(&w, &m);
	channel_post(s->ch, MSG_END, buf, writer_len(&w));
}

/* object: a disk or stream; GROUP_RAM for all RAM blocks, which closes the channel's content (streams aside). */
static void mark_end(struct sender *s, uint32_t object)
{
	unsigned i;

	if (object == GROUP_RAM) {
		ram_setup(s);
		for (i = 0; i < s->blocks; i++)
			send_end(s, OBJECT_RAM_BASE + i, s->ram_units[i], s->ram_sum[i], false);
		send_end(s, GROUP_RAM, 0, (struct hash128){0, 0}, true);
	} else if (object_is_disk(object)) {
		send_end(s, object, s->disk[object].units, s->disk[object].digest, false);
	} else {
		unsigned k = object - OBJECT_STREAM_BASE;
		struct hash128 h = hash_content(&s->shared->key, "", 0);

		if (s->stream[k].state) {
			XXH128_hash_t x = XXH3_128bits_digest(s->stream[k].state);

			h = (struct hash128){x.low64, x.high64};
		}
		send_end(s, object, s->stream[k].bytes, h, false);
	}
}

static void do_mark(struct sender *s, const struct send_item *it)
{
	switch (it->mark) {
	case MARK_MESSAGE:
		channel_post(s->ch, it->message, it->u.bytes, it->n);
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

static void item_free(struct send_item *it)
{
	if (it->buf)
		shared_buf_unref(it->buf);
	free(it);
}

/* Encodes one item as far as the window allows; true when it is done. */
static bool encode(struct sender *s, struct send_item *it)
{
	if (it->kind == SEND_MARK) {
		if (!flush_batch(s))
			return false;
		do_mark(s, it);
		return true;
	}
	for (; s->cur_at < it->n; s->cur_at++) {
		struct send_part *part = &it->u.part[s->cur_at];

		if (!batch_fits(&s->batch, it, part) && !flush_batch(s))
			return false;
		if (account(s, it, part))
			batch_add(s, it, part);
	}
	return true;
}

/* Encodes what there is; false when the window is full. */
static bool encode_all(struct sender *s)
{
	for (;;) {
		if (!s->cur) {
			s->cur = (struct send_item *)queue_take(&s->in);
			s->cur_at = 0;
		}
		if (!s->cur)
			return flush_batch(s);
		if (!encode(s, s->cur))
			return false;
		item_free(s->cur);
		s->cur = NULL;
	}
}

static void pump(struct sender *s)
{
	enum cpu_stage before;

	if (s->blocked || !channel_open(s->ch))
		return;
	choose_codec(s);
	before = cpu_stage_enter(CPU_HASH);
	if (!encode_all(s)) {
		s->blocked = true;
		s->blocked_at = now_ns();
	}
	cpu_stage_enter(before);
}

static void on_ready(struct queue *q)
{
	pump(container_of(q, struct sender, in));
}

static void on_writable(void *ctx, struct channel *c)
{
	struct sender *s = ctx;
	uint64_t ns = now_ns() - s->blocked_at;

	(void)c;
	if (!s->blocked)
		return;
	s->blocked = false;
	add(&s->stats.waited_ns, ns);
	__atomic_fetch_add(&s->shared->waited_ns, ns, __ATOMIC_RELAXED);
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

static void on_stop(struct task *t)
{
	loop_stop(container_of(t, struct sender, stop)->loop);
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
				     .on = {.frame = on_frame, .writable = on_writable, .closed = on_closed}};
	struct sender *s = xcalloc(1, sizeof(*s));
	static const uint8_t zeros[PAGE_BYTES];
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
	use_codec(s, fixed_codec(shared->codec));
	codec_choice_init(&s->choice, now_ns());
	s->zero_content = hash_content(&shared->key, zeros, PAGE_BYTES);
	s->codec = codec_new();
	s->scratch = xmalloc(DATA_RAW_MAX);
	s->stop.run = on_stop;
	queue_init(&s->in, s->loop, on_ready);
	s->ch = channel_over(s->loop, link, &cfg);
	r = pthread_create(&s->thread, NULL, run, s);
	if (r) {
		channel_free(s->ch);
		loop_free(s->loop);
		free(s);
		return err_sys(e, r, "cannot start a data channel's thread");
	}
	*out = s;
	return 0;
}

void sender_put(struct sender *s, struct send_item *it)
{
	queue_put(&s->in, &it->node);
}

void sender_stop(struct sender *s)
{
	struct qnode *n;
	unsigned i;

	if (!s)
		return;
	loop_post(s->loop, &s->stop);
	pthread_join(s->thread, NULL);
	for (i = 0; i < s->batch.n; i++)
		shared_buf_unref(s->batch.buf[i]);
	if (s->cur)
		item_free(s->cur);
	while ((n = queue_take(&s->in)))
		item_free((struct send_item *)n);
	for (i = 0; i < s->blocks; i++)
		unit_set_fini(&s->ram_round[i]);
	for (i = 0; i < OBJECT_STREAM_MAX; i++)
		XXH3_freeState(s->stream[i].state);
	free(s->ram_round);
	free(s->ram_sum);
	free(s->ram_units);
	free(s->scratch);
	codec_free(s->codec);
	queue_fini(&s->in);
	loop_free(s->loop);
	free(s);
}

void sender_stats(const struct sender *s, struct send_stats *sum)
{
	const uint64_t *from = (const uint64_t *)&s->stats;
	uint64_t *to = (uint64_t *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

uint64_t sender_wire_bytes(const struct sender *s)
{
	return channel_bytes_sent(s->ch);
}

uint64_t sender_unacked_bytes(const struct sender *s)
{
	return channel_bytes_unacked(s->ch);
}
