/* data-receive.c: see data-receive.h. Frames; what is in them is for ram-receive.c, disk-receive.c and stream-receive.c. */
#include "data-receive-private.h"
#include "alike-fill.h"
#include "conn-link.h"
#include "log.h"
#include "resume.h"
#include "urgent.h"
#include "util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- to the main thread ---- */

struct receive_event *receive_event_new(struct receiver *r, enum receive_kind kind, const void *data, size_t n)
{
	struct receive_event *ev = xcalloc(1, sizeof(*ev) + n);

	ev->kind = kind;
	ev->channel = r->number;
	ev->n = n;
	if (n)
		memcpy(ev->data, data, n);
	return ev;
}

void receive_tell(struct receiver *r, struct receive_event *ev)
{
	queue_put(r->shared->events, &ev->node);
}

void receive_tell_round(struct receiver *r, enum receive_kind kind, uint32_t group, uint32_t number)
{
	struct receive_event *ev = receive_event_new(r, kind, NULL, 0);

	ev->group = group;
	ev->number = number;
	receive_tell(r, ev);
}

void receive_lost(struct receiver *r, const struct err *why)
{
	struct receive_event *ev;

	if (r->failed)
		return;
	r->failed = true;
	ev = receive_event_new(r, RECEIVE_LOST, NULL, 0);
	ev->err = *why;
	receive_tell(r, ev);
}

void receive_count(uint64_t *counter, uint64_t v)
{
	__atomic_store_n(counter, *counter + v, __ATOMIC_RELAXED);
}

/* Takes frames again, unless something else still holds them back or the channel is on its way out. */
void receive_go_on(struct receiver *r)
{
	if (!r->failed && !r->end_waits && !r->feeding && !r->held.bytes && r->writes.free && r->writes.zeros < ZEROS_MAX)
		channel_resume(r->ch);
}

/* ---- what is wrong, and with what ---- */

/* An object as its name is known here; malloc'ed. */
static char *object_words(const struct receiver *r, uint32_t object)
{
	if (object_is_disk(object) && r->shared->disk[object].name)
		return xasprintf("disk %.300s", r->shared->disk[object].name);
	if (object_is_ram(object) && object - OBJECT_RAM_BASE < r->ram.count)
		return xasprintf("RAM block %s", r->ram.blocks[object - OBJECT_RAM_BASE].target->name);
	if (object_is_stream(object))
		return xasprintf("stream %u", object - OBJECT_STREAM_BASE);
	return xasprintf("object %u", object);
}

int receive_refuse(const struct receiver *r, const char *message, uint32_t object, struct err *e, const char *fmt, ...)
{
	AUTO_FREE char *words = object_words(r, object);
	char why[ERR_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return err_set(e, EPROTO, "%s of %s: %s", message, words, why);
}

static int malformed(uint16_t type, size_t n, struct err *e)
{
	return err_set(e, EPROTO, "malformed %s (%zu bytes)", msg_name(type), n);
}

/* ---- objects ---- */

static int on_object(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_object m;
	char name[512];

	if (msg_object_decode(&m, p, n))
		return malformed(MSG_OBJECT, n, e);
	if (m.name.n >= sizeof(name) || memchr(m.name.p, 0, m.name.n))
		return receive_refuse(r, "OBJECT", m.id, e, "its name is of %zu bytes, or has a NUL in it; %zu are allowed", m.name.n,
				      sizeof(name) - 1);
	snprintf(name, sizeof(name), "%.*s", (int)m.name.n, (const char *)m.name.p);
	if (r->complete && !object_is_stream(m.id))
		return receive_refuse(r, "OBJECT", m.id, e, "channel %u was said to be complete", r->number);
	if (object_is_ram(m.id) && m.kind == OBJECT_RAM)
		return receive_block_open(r, &m, name, e);
	if (object_is_disk(m.id) && m.kind == OBJECT_DISK)
		return receive_disk_open(r, &m, e);
	if (object_is_stream(m.id) && m.kind == OBJECT_STREAM && !r->stream[m.id - OBJECT_STREAM_BASE].open &&
	    (r->shared->incoming || m.id == OBJECT_STREAM_BASE)) /* RAM is not opaque: this OBJECT_STREAM is the thin one */
		return receive_stream_open(r, &m);
	return err_set(e, EPROTO, "OBJECT %u of kind %u is not understood, or was announced before", m.id, m.kind);
}

/* ---- DATA: common checks ---- */

/* Order per place is order per channel, and the tables have no locks: each place that an extent touches must come on its own
 * channel. */
static bool on_its_channel(const struct receiver *r, uint32_t object, uint64_t offset, uint64_t bytes)
{
	unsigned first = r->shared->streams + 1, n = r->shared->channels - r->shared->streams;

	if (object_is_stream(object))
		return true;
	for (uint64_t place = offset >> PLACE_SHIFT; place <= (offset + bytes - 1) >> PLACE_SHIFT; place++)
		if (r->number < first || place_channel(object, place << PLACE_SHIFT, n) != r->number - first)
			return false;
	return true;
}

int receive_decode(struct receiver *r, struct data *d, uint64_t object_bytes, unsigned shift, struct err *e)
{
	struct reader rd;
	uint64_t sum = 0;

	if (d->m.extents > DATA_EXTENTS_MAX || !d->m.extents || d->m.raw_bytes > DATA_RAW_MAX || d->m.base || d->m.codec >= CODEC_COUNT)
		return receive_refuse(
			r, "DATA", d->m.object, e,
			"impossible: %u extents (1 to %d are allowed), %u bytes of contents (at most %d), base %u (at most 0), "
			"codec %u (at most %d)",
			d->m.extents, DATA_EXTENTS_MAX, d->m.raw_bytes, DATA_RAW_MAX, d->m.base, d->m.codec, CODEC_COUNT - 1);
	rd = reader_of(d->m.body.p, d->m.body.n);
	for (unsigned i = 0; i < d->m.extents; i++) {
		struct data_extent *x = &d->x[i];
		uint64_t bytes;

		x->offset = read_u64(&rd);
		x->units = read_u32(&rd);
		bytes = (uint64_t)x->units << shift;
		if (rd.bad)
			return receive_refuse(r, "DATA", d->m.object, e, "%zu bytes for %u extents", d->m.body.n, d->m.extents);
		if (!x->units || x->offset & ((1ULL << shift) - 1) || x->offset > object_bytes || bytes > object_bytes - x->offset)
			return receive_refuse(
				r, "DATA", d->m.object, e,
				"extent %u (from byte %llu, %u units of %u bytes) is empty, not aligned, or outside its object "
				"(%llu bytes)",
				i, (unsigned long long)x->offset, x->units, 1U << shift, (unsigned long long)object_bytes);
		if (!on_its_channel(r, d->m.object, x->offset, bytes))
			return receive_refuse(r, "DATA", d->m.object, e,
					      "extent %u (from byte %llu, %llu bytes) is of a place that belongs to another channel", i,
					      (unsigned long long)x->offset, (unsigned long long)bytes);
		sum += bytes;
	}
	d->payload = read_bytes(&rd, reader_left(&rd));
	if (d->m.codec == CODEC_ZERO || d->m.codec == CODEC_HOLE ? d->m.raw_bytes || d->payload.n : sum != d->m.raw_bytes)
		return receive_refuse(r, "DATA", d->m.object, e,
				      "extents (%llu bytes) and contents (%u, codec %u, packed into %zu) do not agree",
				      (unsigned long long)sum, d->m.raw_bytes, d->m.codec, d->payload.n);
	return 0;
}

/* The raw contents: the payload itself, or unpacked into buf. */
const uint8_t *receive_contents(struct receiver *r, const struct data *d, uint8_t *buf, struct err *e)
{
	AUTO_FREE char *words = NULL;

	if (d->m.codec == CODEC_RAW) {
		if (d->payload.n == d->m.raw_bytes)
			return d->payload.p;
		receive_refuse(r, "DATA", d->m.object, e, "raw contents of the wrong length: %zu bytes, announced were %u", d->payload.n,
			       d->m.raw_bytes);
		return NULL;
	}
	cpu_stage_enter_for(CPU_DECOMPRESS, d->m.raw_bytes);
	if (!codec_decompress(r->codec, d->m.codec, d->payload, buf, d->m.raw_bytes, e))
		return buf;
	words = object_words(r, d->m.object);
	err_prefix(e, "DATA of %s, %zu bytes of codec %u", words, d->payload.n, d->m.codec);
	return NULL;
}

/* ---- END ---- */

int receive_ended_before(const struct receiver *r, uint32_t object, struct err *e)
{
	return receive_refuse(r, "END", object, e, "it has ended before, or a round of it has not");
}

int receive_digest_equal(const struct msg_end *m, uint64_t units, struct hash128 h, const char *what, struct err *e)
{
	uint8_t mine[16];

	hash_bytes(h, mine);
	if (m->units != units || memcmp(mine, m->digest, 16))
		return err_set(e, EBADMSG,
			       "the digest of %s does not match: what arrived is not what the source sent (%llu units there, %llu here)",
			       what, (unsigned long long)m->units, (unsigned long long)units);
	return 0;
}

/* ---- frames ---- */

static int data_of(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct data *d = &r->data;

	if (msg_data_decode(&d->m, p, n))
		return malformed(MSG_DATA, n, e);
	if (object_is_ram(d->m.object))
		return receive_ram_data(r, d, e);
	if (object_is_disk(d->m.object))
		return receive_disk_data(r, d, e);
	if (object_is_stream(d->m.object))
		return receive_stream_data(r, d, e);
	return err_set(e, EPROTO, "DATA for an unknown object (%u)", d->m.object);
}

static int on_data(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	r->data.seeds = 0;
	return data_of(r, p, n, e);
}

/* DATA with other places of its contents before it. */
static int on_data_also(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct slice data;
	int k = receive_seeds_decode(r, p, n, &data, e);

	if (k)
		return k;
	k = data_of(r, data.p, data.n, e);
	if (!k && (!object_is_disk(r->data.m.object) || !r->data.m.raw_bytes))
		return receive_refuse(r, "DATA_ALSO", r->data.m.object, e, "places are for contents of disks");
	return k;
}

static int on_round_begin(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_round_begin m;

	if (msg_round_begin_decode(&m, p, n))
		return malformed(MSG_ROUND_BEGIN, n, e);
	if (m.group == GROUP_RAM)
		return receive_ram_round_begin(r, &m, e);
	if (!object_is_disk(m.group) || !r->disk[m.group].open)
		return receive_refuse(r, "ROUND_BEGIN", m.group, e, "it is neither RAM nor a disk that was announced");
	return receive_disk_round_begin(r, &m, e);
}

static int on_delta(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_delta m;

	if (msg_delta_decode(&m, p, n))
		return malformed(MSG_DELTA, n, e);
	if (object_is_ram(m.object) && m.object - OBJECT_RAM_BASE < r->ram.count)
		return receive_ram_delta(r, &m, e);
	if (object_is_disk(m.object) && r->disk[m.object].open)
		return receive_disk_delta(r, &m, e);
	return err_set(e, EPROTO, "DELTA for an unknown object (%u)", m.object);
}

static int on_bitmap(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_bitmap m;

	if (msg_bitmap_decode(&m, p, n))
		return malformed(MSG_BITMAP, n, e);
	if (r->complete || !object_is_disk(m.object) || m.index >= r->shared->disk[m.object].bitmaps || m.what > BITMAP_DROPPED)
		return receive_refuse(r, "BITMAP", m.object, e, "bitmap %u was not described, or it comes after the end", m.index);
	return receive_disk_bitmap(r, &m, e);
}

static int on_want(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_want m;

	if (msg_want_decode(&m, p, n))
		return malformed(MSG_WANT, n, e);
	if (!r->shared->alike || !object_is_disk(m.object))
		return receive_refuse(r, "WANT", m.object, e, "nothing is looked for in other images in this move");
	return alike_fill_want(r->shared->alike, &m, e);
}

static int on_round_end(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_round_end m;

	if (msg_round_end_decode(&m, p, n))
		return malformed(MSG_ROUND_END, n, e);
	if (m.group != GROUP_RAM && !object_is_disk(m.group))
		return receive_refuse(r, "ROUND_END", m.group, e, "it is neither RAM nor a disk");
	return m.group == GROUP_RAM ? receive_ram_round_end(r, &m, e) : receive_disk_round_end(r, &m, e);
}

static int complete(struct receiver *r, struct err *e)
{
	if (r->complete)
		return err_set(e, EPROTO, "channel %u is said to be complete twice", r->number);
	r->complete = true;
	for (unsigned i = 0; i < r->ram.count; i++)
		if (!r->ram.blocks[i].ended)
			return err_set(e, EBADMSG, "no digest came for RAM block %s", r->ram.blocks[i].target->name);
	for (unsigned i = OBJECT_DISK_BASE; r->number > r->shared->streams && i <= OBJECT_DISK_MAX; i++)
		if (r->shared->disk[i].name && !r->disk[i].ended)
			return err_set(e, EBADMSG, "no digest came for disk %s", r->shared->disk[i].name);
	receive_tell(r, receive_event_new(r, RECEIVE_COMPLETE, NULL, 0));
	return 0;
}

static int on_end(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_end m;

	if (msg_end_decode(&m, p, n))
		return malformed(MSG_END, n, e);
	if (!object_is_disk(m.object)) /* the guest stands, from here until it is started */
		urgent_begin();
	if (receive_disks_ending(r)) { /* END's claims are about writes that have completed */
		r->end_waits = true;
		channel_pause(r->ch);
		return CHANNEL_LATER;
	}
	if (object_is_ram(m.object) && m.object - OBJECT_RAM_BASE < r->ram.count)
		return receive_block_end(r, &m, e);
	if (object_is_disk(m.object) && r->disk[m.object].open)
		return receive_disk_end(r, &m, e);
	if (object_is_stream(m.object) && r->stream[m.object - OBJECT_STREAM_BASE].open)
		return receive_stream_end(r, &m, e);
	if (m.object == GROUP_RAM && m.last)
		return complete(r, e);
	return err_set(e, EPROTO, "END for an unknown object (%u)", m.object);
}

static int on_stream_mark(struct receiver *r, const uint8_t *p, size_t n, struct err *e)
{
	struct msg_stream_mark m;

	if (msg_stream_mark_decode(&m, p, n))
		return malformed(MSG_STREAM_MARK, n, e);
	return receive_stream_mark(r, &m, e);
}

static int on_frame(void *ctx, struct channel *c, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	struct receiver *r = ctx;

	(void)c;
	if (r->failed)
		return err_set(e, ECANCELED, "the move is being rolled back");
	switch (type) {
	case MSG_OBJECT:
		return on_object(r, p, n, e);
	case MSG_DATA:
		return on_data(r, p, n, e);
	case MSG_DATA_ALSO:
		return on_data_also(r, p, n, e);
	case MSG_ROUND_BEGIN:
		return on_round_begin(r, p, n, e);
	case MSG_DELTA:
		return on_delta(r, p, n, e);
	case MSG_BITMAP:
		return on_bitmap(r, p, n, e);
	case MSG_WANT:
		return on_want(r, p, n, e);
	case MSG_ROUND_END:
		return on_round_end(r, p, n, e);
	case MSG_END:
		return on_end(r, p, n, e);
	case MSG_STREAM_MARK:
		return on_stream_mark(r, p, n, e);
	}
	return err_set(e, EPROTO, "unexpected %s on a data channel", msg_name(type));
}

static void on_closed(void *ctx, struct channel *c, const struct err *why)
{
	(void)c;
	receive_lost(ctx, why);
}

/* ---- another connection ---- */

static void tell_of_connection(struct receiver *r, enum receive_kind kind, const struct err *why)
{
	struct receive_event *ev = receive_event_new(r, kind, NULL, 0);

	if (why)
		ev->err = *why;
	receive_tell(r, ev);
}

static void on_cut(void *ctx, struct channel *c, const struct err *why)
{
	(void)c;
	tell_of_connection(ctx, RECEIVE_CUT, why);
}

static void on_links(struct queue *q)
{
	struct receiver *r = container_of(q, struct receiver, links);
	struct next_link *next;
	struct qnode *n;
	struct err e;

	while ((n = queue_take(q))) {
		next = container_of(n, struct next_link, node);
		if (resume_answer(r->loop, r->ch, next->link, &next->said, &e))
			log_info("data channel %u: %s", r->number, e.msg);
		else
			tell_of_connection(r, RECEIVE_BACK, NULL);
		free(next);
	}
}

void receiver_resume(struct receiver *r, struct link link, const struct hello *theirs)
{
	next_link_put(&r->links, link, theirs);
}

static void on_let_go(struct task *t)
{
	channel_outlive(container_of(t, struct receiver, let_go)->ch, false);
}

void receiver_let_go(struct receiver *r)
{
	loop_post(r->loop, &r->let_go);
}

/* ---- life ---- */

static void on_stop(struct task *t)
{
	loop_stop(container_of(t, struct receiver, stop)->loop);
}

static void settle_writes(struct receiver *r)
{
	struct err e;

	for (unsigned i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++) {
		while (r->disk[i].in_flight || r->disk[i].syncing)
			if (loop_step(r->loop, 1000, &e))
				break;
		disk_io_close(r->disk[i].old);
		disk_io_close(r->disk[i].io);
	}
}

static void *run(void *arg)
{
	struct receiver *r = arg;
	struct err e;

	cpu_thread_begin(r->shared->cpu, CPU_RECEIVE);
	if (loop_run(r->loop, &e))
		receive_lost(r, &e);
	r->failed = true;
	channel_free(r->ch);
	for (unsigned i = 0; i < OBJECT_STREAM_MAX; i++)
		feed_close(r->stream[i].feed);
	settle_writes(r);
	cpu_thread_end();
	return NULL;
}

int receiver_start(struct receiver **out, struct link link, unsigned number, struct receive_shared *shared, struct err *e)
{
	struct channel_config cfg = {.number = number, .window_bytes = MIB, .on = {.frame = on_frame, .closed = on_closed, .lost = on_cut}};
	struct receiver *r = xcalloc(1, sizeof(*r));
	static const uint8_t zeros[PAGE_BYTES];
	unsigned i, bufs = MAX(WRITE_BUFS_MIN, WRITE_BUFS_ALL / shared->channels / 2);
	int k = loop_new(&r->loop, 128, e);

	if (k) {
		link_close(&link);
		free(r);
		return k;
	}
	r->shared = shared;
	r->number = number;
	r->ram.zero_page = hash_content(&shared->key, zeros, PAGE_BYTES);
	r->codec = codec_new();
	r->scratch = xmalloc(DATA_RAW_MAX);
	r->stop.run = on_stop;
	r->retry.run = receive_stream_retry;
	r->let_go.run = on_let_go;
	queue_init(&r->links, r->loop, on_links);
	r->writes.all = xcalloc(bufs, sizeof(*r->writes.all));
	r->writes.count = r->writes.free_count = bufs;
	for (i = 0; i < bufs; i++) {
		r->writes.all[i].buf = aligned_alloc(DISK_ALIGN, DATA_RAW_MAX);
		if (!r->writes.all[i].buf)
			abort();
		r->writes.all[i].next = r->writes.free;
		r->writes.free = &r->writes.all[i];
	}
	cfg.ctx = r;
	r->ch = channel_over(r->loop, link, &cfg);
	channel_outlive(r->ch, shared->resumes);
	__atomic_store_n(&shared->receivers[number - 1], r, __ATOMIC_RELEASE);
	k = pthread_create(&r->thread, NULL, run, r);
	if (k)
		abort(); /* no thread for the one thing we are for */
	*out = r;
	return 0;
}

void receiver_end(struct receiver *r)
{
	if (!r || r->ended)
		return;
	loop_post(r->loop, &r->stop);
	pthread_join(r->thread, NULL);
	r->ended = true;
}

void receiver_stop(struct receiver *r)
{
	struct write_batch *b;

	if (!r)
		return;
	receiver_end(r);
	next_link_drop_all(&r->links);
	queue_fini(&r->links);
	for (unsigned i = 0; i < r->ram.count; i++)
		unit_set_fini(&r->ram.blocks[i].round);
	for (unsigned i = 0; i < OBJECT_STREAM_MAX; i++)
		XXH3_freeState(r->stream[i].state);
	for (b = r->writes.free; b; b = b->next)
		free(b->buf);
	FREE_ALL(r->writes.all, r->ram.blocks, r->scratch, r->held.bytes);
	codec_free(r->codec);
	loop_free(r->loop);
	free(r);
}

void receiver_stats(const struct receiver *r, struct receive_stats *sum)
{
	sum->pages += __atomic_load_n(&r->stats.pages, __ATOMIC_RELAXED);
	sum->zero_pages += __atomic_load_n(&r->stats.zero_pages, __ATOMIC_RELAXED);
	sum->disk_bytes += __atomic_load_n(&r->stats.disk_bytes, __ATOMIC_RELAXED);
}
