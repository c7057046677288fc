/*
 * disk-receive.c: a disk's blocks as they arrive on one data channel: many writes in flight, a round at a time.
 */
#include "data-receive-private.h"
#include "alike-fill.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define SAVE_MS 3000

static void round_end_step(struct received_disk *d);

static uint32_t object_of(const struct received_disk *d)
{
	return (uint32_t)(d - d->receiver->disk);
}

int receive_disk_open(struct receiver *r, const struct msg_object *m, struct err *e)
{
	const struct disk_target *t = &r->shared->disk[m->id];
	struct received_disk *d = &r->disk[m->id];
	int k;

	if (!t->name)
		return receive_refuse(r, "OBJECT", m->id, e, "no such disk is part of this move");
	if (t->bytes != m->size || m->unit_shift != DISK_SHIFT)
		return receive_refuse(r, "OBJECT", m->id, e, "it has %llu bytes, in units of 2^%u, and in this move %llu, of 2^%d",
				      (unsigned long long)m->size, m->unit_shift, (unsigned long long)t->bytes, DISK_SHIFT);
	if (d->open)
		return receive_refuse(r, "OBJECT", m->id, e, "it was announced before");
	k = disk_io_open(&d->io, r->loop, &t->at, e);
	if (k)
		return err_prefix(e, "opening the destination disk %s", t->name);
	k = t->old.path && (!t->begun || t->old.stays) ? disk_io_open(&d->old, r->loop, &t->old, e) : 0;
	if (k)
		return err_prefix(e, "opening the old copy %s", t->old_name);
	d->receiver = r;
	d->open = true;
	return 0;
}

/* The reader of old copies is told how many buffers are free: it leaves the disks alone while most of a channel's are on their way to them. */
static void note_free(struct receiver *r, int change)
{
	bool busy;

	r->writes.free_count += (unsigned)change;
	busy = 2 * r->writes.free_count < r->writes.count;
	if (busy != r->writes.busy)
		__atomic_fetch_add(&r->shared->busy, busy ? 1U : -1U, __ATOMIC_RELAXED);
	r->writes.busy = busy;
}

static struct write_batch *batch_get(struct receiver *r)
{
	struct write_batch *b = r->writes.free;

	r->writes.free = b->next;
	b->refs = 1;
	note_free(r, -1);
	if (!r->writes.free)
		channel_pause(r->ch);
	return b;
}

static void batch_unref(struct receiver *r, struct write_batch *b)
{
	if (--b->refs)
		return;
	note_free(r, 1);
	b->next = r->writes.free;
	r->writes.free = b;
	receive_go_on(r);
}

static void saved(struct disk_req *req, int res)
{
	struct received_disk *d = container_of(req, struct received_disk, save_req);
	struct err e;

	d->saving = false;
	d->in_flight--;
	if (res) {
		err_sys(&e, -res, "cannot write the destination disk %s to stable storage", d->receiver->shared->disk[object_of(d)].name);
		receive_lost(d->receiver, &e);
	}
	round_end_step(d);
}

/* An image would lose most of what is in it with its QEMU, which has written where that lies to nothing but memory. */
static void save_now_and_then(struct received_disk *d)
{
	uint64_t now = d->receiver->shared->saves && !d->saving && !d->ending ? now_ns() : 0;

	if (!now || now - d->saved_ns < SAVE_MS * 1000000ULL)
		return;
	d->saving = true;
	d->saved_ns = now;
	d->in_flight++;
	d->save_req.done = saved;
	disk_io_sync(d->io, &d->save_req);
}

static void write_done(struct disk_req *req, int res)
{
	struct write_req *w = container_of(req, struct write_req, req);
	struct receiver *r = w->r;
	struct received_disk *d = &r->disk[w->object];
	struct err e;

	d->in_flight--;
	if (res) {
		err_sys(&e, -res,
			res == -ESTALE ? "another program cut or lengthened %s, which cannot be written at byte %llu"
				       : "cannot write the destination disk %s at byte %llu",
			r->shared->disk[w->object].name, (unsigned long long)req->offset);
		receive_lost(r, &e);
	} else {
		hash_add(&d->sum, w->hash);
		receive_count(&r->stats.disk_bytes, req->bytes);
		save_now_and_then(d);
	}
	if (w->batch)
		batch_unref(r, w->batch);
	else if (--r->writes.zeros == ZEROS_MAX - 1)
		receive_go_on(r);
	free(w);
	round_end_step(d);
}

static struct write_req *write_req_new(struct receiver *r, uint32_t object, const struct data_extent *x, struct hash128 content,
				       struct write_batch *batch)
{
	struct write_req *w = xcalloc(1, sizeof(*w));
	struct received_disk *d = &r->disk[object];

	w->req.done = write_done;
	w->r = r;
	w->object = object;
	w->batch = batch;
	w->hash = hash_place(&r->shared->key, content, object, d->round, x->offset, (uint64_t)x->units << DISK_SHIFT);
	if (batch)
		batch->refs++;
	d->in_flight++;
	d->units += x->units;
	d->round_units += x->units;
	return w;
}

/* ---- what an old copy has ---- */

/* Content that is read from the old copy, to be written once it is certain that it is what the source has; or, where the disk shares it
 * with the old copy, or was begun in it, read from the disk. */
struct kept {
	struct disk_req req;
	struct receiver *r;
	struct write_batch *batch; /* a reference of its own */
	uint32_t object;
	bool in_place;
	struct brought brought;
	struct seed_extent *seed;
	unsigned count;
	/* Extents of it that are named, with one reference to the batch each. */
	struct kept_part {
		struct write_req *w;
		struct hash128 content;
		uint32_t at, bytes; /* position in what is read */
	} part[];
};

static int check_kept(struct receiver *r, const struct kept *k, const uint8_t *raw, struct err *e)
{
	const struct disk_target *t = &r->shared->disk[k->object];

	cpu_stage_enter_for(CPU_HASH, k->req.bytes);
	for (unsigned i = 0; i < k->count; i++) {
		const struct kept_part *p = &k->part[i];
		uint64_t at = k->req.offset + p->at;

		if (hash_equal(hash_content(&r->shared->key, raw + p->at, p->bytes), p->content))
			continue;
		if (t->begun)
			return err_set(e, ESTALE,
				       "the kept part of disk %s has changed at byte %llu since it was compared: another process writes "
				       "to it",
				       t->name, (unsigned long long)at);
		return err_set(e, ESTALE,
			       "the old copy %s has changed at byte %llu since it was compared: another process writes to it. Move again "
			       "without --reuse, or after that process has ended",
			       t->old_name, (unsigned long long)at);
	}
	return 0;
}

static int take_kept(struct receiver *r, const struct kept *k, const uint8_t *raw, int res, struct err *e)
{
	if (res)
		return err_sys(e, -res, "cannot read the old copy %s at byte %llu", r->shared->disk[k->object].old_name,
			       (unsigned long long)k->req.offset);
	return check_kept(r, k, raw, e) ?: receive_seeds(r, &k->brought, raw, e);
}

static void drop_part(struct receiver *r, struct kept_part *p)
{
	r->disk[p->w->object].in_flight--;
	batch_unref(r, p->w->batch);
	free(p->w);
}

static void kept_read(struct disk_req *req, int res)
{
	struct kept *k = container_of(req, struct kept, req);
	struct receiver *r = k->r;
	struct err e;
	int bad = take_kept(r, k, k->batch->buf, res, &e);

	if (bad)
		receive_lost(r, &e);
	for (unsigned i = 0; i < k->count; i++) {
		struct kept_part *p = &k->part[i];

		if (bad)
			drop_part(r, p);
		else if (k->in_place)
			write_done(&p->w->req, 0);
		else
			disk_io_write(r->disk[k->object].io, &p->w->req, k->batch->buf + p->at, p->bytes, req->offset + p->at);
	}
	batch_unref(r, k->batch);
	free(k->seed);
	free(k);
	cpu_stage_enter(CPU_DISK);
}

/* Several extents are read at once: of a disk that was filled in small pieces, and close together. Returns the bytes from the first to the last; 0: they
 * cannot be. */
static uint32_t kept_span(const struct receiver *r, const struct data *d)
{
	uint64_t first = d->x[0].offset, end = first;

	if (d->m.extents != 1 && (!r->shared->disk[d->m.object].alike || d->seeds))
		return 0;
	for (unsigned i = 0; i < d->m.extents; i++) {
		if (d->x[i].offset < end)
			return 0;
		end = d->x[i].offset + ((uint64_t)d->x[i].units << DISK_SHIFT);
	}
	return end - first <= DATA_RAW_MAX ? (uint32_t)(end - first) : 0;
}

static struct kept *kept_new(struct receiver *r, const struct data *d)
{
	struct reader hash = reader_of(d->payload.p, d->payload.n);
	struct kept *k = xcalloc(1, sizeof(*k) + d->m.extents * sizeof(*k->part));

	k->r = r;
	k->object = d->m.object;
	k->count = d->m.extents;
	k->seed = xmalloc(d->seeds * sizeof(*k->seed) + 1);
	memcpy(k->seed, d->seed, d->seeds * sizeof(*k->seed));
	k->brought = (struct brought){d->m.object, d->m.raw_bytes, d->seeds, k->seed};
	k->req.done = kept_read;
	k->batch = batch_get(r);
	for (unsigned i = 0; i < k->count; i++) {
		struct kept_part *p = &k->part[i];

		p->content.lo = read_u64(&hash);
		p->content.hi = read_u64(&hash);
		p->at = (uint32_t)(d->x[i].offset - d->x[0].offset);
		p->bytes = d->x[i].units << DISK_SHIFT;
		p->w = write_req_new(r, d->m.object, &d->x[i], p->content, k->batch);
	}
	return k;
}

static int receive_kept(struct receiver *r, const struct data *d, struct err *e)
{
	const struct disk_target *t = &r->shared->disk[d->m.object];
	struct received_disk *disk = &r->disk[d->m.object];
	struct disk_io *old = disk->old ?: t->begun ? disk->io : NULL;
	uint32_t span = kept_span(r, d);
	uint64_t from = d->x[0].offset;
	struct kept *k;

	if (!old || disk->round || !span || d->payload.n != (size_t)d->m.extents * 16)
		return receive_refuse(r, "DATA", d->m.object, e,
				      "what an old copy has: %u extents and %zu bytes of hash, in round %u (1, 16 and 0 are allowed)%s",
				      d->m.extents, d->payload.n, disk->round, old ? "" : ", and there is no old copy");
	k = kept_new(r, d);
	k->in_place = t->begun || (t->replaces && !disk_io_share(disk->io, old, from, span));
	disk_io_read(k->in_place && !t->begun ? disk->io : old, &k->req, k->batch->buf, span, from);
	cpu_stage_enter(CPU_DISK);
	loop_submit(r->loop);
	return 0;
}

/* The last one is durable before, and its number is the next. */
int receive_disk_round_begin(struct receiver *r, const struct msg_round_begin *m, struct err *e)
{
	struct received_disk *d = &r->disk[m->group];

	if (d->in_round || d->ending || d->syncing || d->ended || d->in_flight)
		return receive_refuse(r, "ROUND_BEGIN", m->group, e, "round %u begins before round %u has ended, or after END", m->number,
				      d->round);
	if (r->shared->disk[m->group].alike && !alike_fill_is_over(r->shared->alike)) /* the fill would write over what comes */
		return receive_refuse(r, "ROUND_BEGIN", m->group, e, "it is still filled from other images");
	if (m->number != d->next)
		return receive_refuse(r, "ROUND_BEGIN", m->group, e, "round %u begins, where round %u is next", m->number, d->next);
	d->round = d->next++;
	d->in_round = true;
	return 0;
}

_Static_assert(1U << PLACE_SHIFT <= DISK_FILL_MAX, "one request fills as much");

int receive_disk_data(struct receiver *r, struct data *d, struct err *e)
{
	struct received_disk *k = &r->disk[d->m.object];
	bool fills = d->m.codec == CODEC_ZERO && r->shared->disk[d->m.object].fills;
	struct write_batch *batch;
	const uint8_t *raw;
	size_t at = 0;
	int err;

	if (!k->open || !k->in_round)
		return receive_refuse(r, "DATA", d->m.object, e, "it was not announced, or no round of it has begun");
	err = receive_decode(r, d, r->shared->disk[d->m.object].bytes, DISK_SHIFT, e);
	if (err)
		return err;
	if (d->m.codec == CODEC_ZERO || d->m.codec == CODEC_HOLE) {
		for (unsigned i = 0; i < d->m.extents; i++) {
			struct write_req *w;

			if (d->x[i].units > (1U << PLACE_SHIFT >> DISK_SHIFT))
				return receive_refuse(r, "DATA", d->m.object, e, "a hole of %u sectors, larger than a place (%u)",
						      d->x[i].units, 1U << PLACE_SHIFT >> DISK_SHIFT);
			w = write_req_new(r, d->m.object, &d->x[i], (struct hash128){0, 0}, NULL);
			if (++r->writes.zeros == ZEROS_MAX) /* the frames behind this one wait */
				channel_pause(r->ch);
			(fills ? disk_io_fill : disk_io_zero)(k->io, &w->req, d->x[i].offset, d->x[i].units << DISK_SHIFT);
		}
		return 0;
	}
	if (d->m.codec == CODEC_KEPT)
		return receive_kept(r, d, e);
	batch = batch_get(r);
	raw = receive_contents(r, d, batch->buf, e);
	if (!raw) {
		batch_unref(r, batch);
		return -e->code;
	}
	if (raw != batch->buf) {
		cpu_stage_enter_for(CPU_DISK, d->m.raw_bytes);
		memcpy(batch->buf, raw, d->m.raw_bytes);
	}
	err = receive_seeds(r, &(struct brought){d->m.object, d->m.raw_bytes, d->seeds, d->seed}, batch->buf, e);
	if (err) {
		batch_unref(r, batch);
		return err;
	}
	cpu_stage_enter_for(CPU_HASH, d->m.raw_bytes);
	for (unsigned i = 0; i < d->m.extents; i++) {
		uint32_t bytes = d->x[i].units << DISK_SHIFT;
		struct write_req *w = write_req_new(r, d->m.object, &d->x[i], hash_content(&r->shared->key, batch->buf + at, bytes), batch);

		disk_io_write(k->io, &w->req, batch->buf + at, bytes, d->x[i].offset);
		at += bytes;
	}
	batch_unref(r, batch);
	cpu_stage_enter(CPU_DISK);
	loop_submit(r->loop);
	return 0;
}

static void sync_done(struct disk_req *req, int res)
{
	struct received_disk *d = container_of(req, struct received_disk, sync_req);
	struct receiver *r = d->receiver;
	struct err e;

	d->syncing = false;
	if (res) {
		err_sys(&e, -res, "cannot write the destination disk %s to stable storage", r->shared->disk[object_of(d)].name);
		receive_lost(r, &e);
		return;
	}
	receive_tell_round(r, RECEIVE_DURABLE, object_of(d), d->round);
}

/* The round's writes are in: report, then sync. What else comes on this channel is taken meanwhile. */
static void round_end_step(struct received_disk *d)
{
	struct receiver *r = d->receiver;

	if (!d->ending || r->failed || d->in_flight)
		return;
	d->ending = false;
	d->syncing = true;
	receive_tell_round(r, RECEIVE_APPLIED, object_of(d), d->round);
	d->sync_req.done = sync_done;
	disk_io_sync(d->io, &d->sync_req);
	r->end_waits &= receive_disks_ending(r);
	receive_go_on(r);
}

bool receive_disks_ending(const struct receiver *r)
{
	for (unsigned i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++)
		if (r->disk[i].ending)
			return true;
	return false;
}

/* Sectors of a disk that travel on this channel. */
static uint64_t sectors_here(const struct receiver *r, uint32_t object)
{
	unsigned first = r->shared->streams + 1, n = r->shared->channels - r->shared->streams;
	uint64_t bytes = r->shared->disk[object].bytes, sum = 0, at;

	for (at = 0; at < bytes; at += 1ULL << PLACE_SHIFT)
		if (place_channel(object, at, n) == r->number - first)
			sum += MIN(1ULL << PLACE_SHIFT, bytes - at);
	return sum >> DISK_SHIFT;
}

/* 0, or -EPROTO: they are malformed, or not of the disk. *sum: so many sectors. */
static int check_runs(const struct receiver *r, const char *message, uint32_t object, struct slice runs, uint64_t *sum, struct err *e)
{
	uint64_t at = 0, units = r->shared->disk[object].bytes >> DISK_SHIFT, start, len;
	struct reader rd = reader_of(runs.p, runs.n);
	int k;

	for (*sum = 0; (k = runs_get(&rd, &at, units, &start, &len)) > 0; *sum += len)
		;
	return k ? receive_refuse(r, message, object, e, "malformed runs (%zu bytes), or not of its %llu sectors", runs.n,
				  (unsigned long long)units)
		 : 0;
}

static void tell_runs(struct receiver *r, enum receive_kind kind, uint32_t object, struct slice runs, uint32_t number, uint64_t what)
{
	struct receive_event *ev = receive_event_new(r, kind, runs.p, runs.n);

	ev->group = object;
	ev->number = number;
	ev->offset = what;
	receive_tell(r, ev);
}

int receive_disk_bitmap(struct receiver *r, const struct msg_bitmap *m, struct err *e)
{
	uint64_t sum;
	int k = check_runs(r, "BITMAP", m->object, m->runs, &sum, e);

	if (!k)
		tell_runs(r, RECEIVE_BITMAP, m->object, m->runs, m->index, m->what);
	return k;
}

int receive_disk_delta(struct receiver *r, const struct msg_delta *m, struct err *e)
{
	struct received_disk *d = &r->disk[m->object];
	uint64_t sum;
	int k;

	if (!d->in_round || m->number != d->round)
		return receive_refuse(r, "DELTA", m->object, e, "it is of round %u, and %u is the last that began", m->number, d->round);
	k = check_runs(r, "DELTA", m->object, m->runs, &sum, e);
	if (k)
		return k;
	d->delta_units += sum;
	if (d->round && r->shared->disk[m->object].bitmaps)
		tell_runs(r, RECEIVE_DELTA, m->object, m->runs, d->round, 0);
	return 0;
}

int receive_disk_round_end(struct receiver *r, const struct msg_round_end *m, struct err *e)
{
	struct received_disk *d = &r->disk[m->group];

	if (!d->open || !d->in_round || m->number != d->round)
		return receive_refuse(r, "ROUND_END", m->group, e, "round %u ends, and %u is the last that began", m->number, d->round);
	if (d->round_units != m->units || d->delta_units != m->units)
		return err_set(e, EBADMSG, "disk %s, round %u: the dirty delta names %llu sectors, %llu arrived",
			       r->shared->disk[m->group].name, m->number, (unsigned long long)d->delta_units,
			       (unsigned long long)d->round_units);
	if (!d->round && r->shared->disk[m->group].begun && m->units != sectors_here(r, m->group))
		return err_set(e, EBADMSG, "disk %s goes on from what was kept of it, and of %llu sectors the source has told of %llu",
			       r->shared->disk[m->group].name, (unsigned long long)sectors_here(r, m->group), (unsigned long long)m->units);
	d->round_units = d->delta_units = 0;
	d->in_round = false;
	d->ending = true;
	round_end_step(d);
	return 0;
}

int receive_disk_end(struct receiver *r, const struct msg_end *m, struct err *e)
{
	struct received_disk *d = &r->disk[m->object];

	if (d->ended || d->in_round)
		return receive_ended_before(r, m->object, e);
	d->ended = true;
	return receive_digest_equal(m, d->units, d->sum, r->shared->disk[m->object].name, e);
}
