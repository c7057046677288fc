/* disk-read.c: see disk-read.h. */
#include "disk-read.h"
#include "codec.h"
#include "log.h"
#include "nbd.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define CHUNK_BYTES  DATA_RAW_MAX
#define CHUNKS	     32
#define PER_DISK_MAX 16
#define NBD_TIMEOUT_MS 10000

struct job;

struct chunk {
	struct shared_buf shared;
	struct qnode node;
	struct nbd_req req;
	struct disk_reader *reader;
	struct job *job;
	uint64_t offset;
	uint32_t bytes;
	uint8_t *data;
};

/* One round of one disk. */
struct job {
	struct qnode node;
	struct job *next;
	struct disk_reader *reader;
	struct disk_round round;
	char *socket, *export_name, *select, *name;
	struct nbd *nbd;
	struct nbd_extent *read; /* what is to be read, in order */
	size_t count, at;
	uint64_t offset; /* within read[at] */
	unsigned in_flight;
	bool failed, ended;
	struct disk_round_result *result;
};

struct disk_reader {
	struct loop *loop;
	pthread_t thread;
	struct sender **senders;
	unsigned sender_count;
	struct send_shared *shared;
	struct queue *results;
	struct queue jobs_in, returned;
	struct task task_stop;
	struct job *jobs; /* under way */
	struct chunk chunk[CHUNKS];
	struct chunk *free_chunk[CHUNKS];
	unsigned free_count;
	bool stopping;
	uint64_t done[OBJECT_DISK_MAX + 1], left[OBJECT_DISK_MAX + 1]; /* atomic */
};

static void pump_all(struct disk_reader *r);

/* ---- to the senders ---- */

static void broadcast(struct disk_reader *r, uint16_t type, const struct writer *w)
{
	unsigned i;

	for (i = 0; i < r->sender_count; i++)
		sender_put(r->senders[i], send_mark_new(type, w->start, writer_len(w)));
}

static void announce(struct job *j)
{
	uint8_t buf[MSG_STR_MAX + 64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_round_begin begin = {.group = j->round.object, .number = j->round.number};

	if (!j->round.number) {
		struct msg_object m = {.id = j->round.object,
				       .kind = OBJECT_DISK,
				       .unit_shift = DISK_SHIFT,
				       .size = j->round.size,
				       .name = slice_of(j->name)};

		msg_object_encode(&w, &m);
		broadcast(j->reader, MSG_OBJECT, &w);
		w = writer_of(buf, sizeof(buf));
	}
	msg_round_begin_encode(&w, &begin);
	broadcast(j->reader, MSG_ROUND_BEGIN, &w);
}

static void end_round(struct job *j)
{
	struct disk_reader *r = j->reader;
	unsigned i;

	for (i = 0; i < r->sender_count; i++) {
		struct send_item *it = send_mark_new(0, NULL, 0);

		it->mark = MARK_DISK_ROUND_END;
		it->object = j->round.object;
		it->number = j->round.number;
		sender_put(r->senders[i], it);
	}
}

/* The deltas of all channels, built side by side. */
struct delta {
	uint8_t runs[4096];
	struct writer w;
	uint64_t at;
	bool any;
};

static void delta_send(struct job *j, struct delta *d, unsigned ch, bool final)
{
	uint8_t buf[sizeof(d->runs) + 64];
	struct writer w = writer_of(buf, sizeof(buf));
	struct msg_delta m = {.object = j->round.object,
			      .number = j->round.number,
			      .final = final,
			      .runs = {d->runs, writer_len(&d->w)}};

	if (m.runs.n) {
		msg_delta_encode(&w, &m);
		sender_put(j->reader->senders[ch], send_mark_new(MSG_DELTA, buf, writer_len(&w)));
	}
	d->w = writer_of(d->runs, sizeof(d->runs));
	d->at = 0;
}

/* Calls fn for each piece of the extent that lies on one channel. */
static void split(const struct job *j, uint64_t offset, uint64_t length,
		  void (*fn)(void *arg, unsigned ch, uint64_t offset, uint64_t length), void *arg)
{
	while (length) {
		uint64_t k = MIN(length, (1ULL << PLACE_SHIFT) - (offset & ((1ULL << PLACE_SHIFT) - 1)));

		fn(arg, place_channel(j->round.object, offset, j->reader->sender_count), offset, k);
		offset += k;
		length -= k;
	}
}

struct delta_arg {
	struct job *j;
	struct delta *d;
};

static void delta_piece(void *arg, unsigned ch, uint64_t offset, uint64_t length)
{
	struct delta_arg *a = arg;
	struct delta *d = &a->d[ch];

	if (!runs_put(&d->w, &d->at, offset >> DISK_SHIFT, length >> DISK_SHIFT)) {
		delta_send(a->j, d, ch, false);
		runs_put(&d->w, &d->at, offset >> DISK_SHIFT, length >> DISK_SHIFT);
	}
}

static void send_deltas(struct job *j, const struct nbd_extent *dirty, size_t count)
{
	struct delta_arg a = {j, xcalloc(j->reader->sender_count, sizeof(struct delta))};
	unsigned ch;
	size_t i;

	for (ch = 0; ch < j->reader->sender_count; ch++)
		a.d[ch].w = writer_of(a.d[ch].runs, sizeof(a.d[ch].runs));
	for (i = 0; i < count; i++)
		split(j, dirty[i].offset, dirty[i].length, delta_piece, &a);
	for (ch = 0; ch < j->reader->sender_count; ch++)
		delta_send(j, &a.d[ch], ch, true);
	free(a.d);
}

static void hole_piece(void *arg, unsigned ch, uint64_t offset, uint64_t length)
{
	struct job *j = arg;
	struct send_item *it = send_item_new(SEND_HOLE, j->round.object, 1);

	it->number = j->round.number;
	it->n = 1;
	it->u.part[0] = (struct send_part){offset, NULL, (uint32_t)length};
	sender_put(j->reader->senders[ch], it);
}

/* ---- planning a round ---- */

static void extent_add(struct nbd_extent **list, size_t *count, uint64_t offset, uint64_t length)
{
	if ((*count & (*count - 1)) == 0)
		*list = xrealloc(*list, MAX(*count * 2, 16) * sizeof(**list));
	(*list)[(*count)++] = (struct nbd_extent){.offset = offset, .length = length};
}

/*
 * Crosses allocation with the dirty extents (NULL: everything). dirty gets all that the round covers, j->read what
 * is to be read of it, holes are queued at once. In the bulk round the destination's file is new: its holes need
 * no mention.
 */
static void plan_round(struct job *j, const struct nbd_extent *alloc, size_t na, const struct nbd_extent *bits,
		       size_t nb)
{
	struct nbd_extent *covered = NULL, *holes = NULL;
	size_t nc = 0, nh = 0, b = 0, i;

	for (i = 0; i < na; i++) {
		uint64_t at = alloc[i].offset, end = at + alloc[i].length;

		while (at < end) {
			uint64_t stop = end;
			bool dirty = true;

			if (bits) {
				while (b < nb && bits[b].offset + bits[b].length <= at)
					b++;
				if (b == nb)
					break;
				stop = MIN(end, bits[b].offset + bits[b].length);
				dirty = bits[b].flags == 1;
			}
			if (dirty && alloc[i].flags & NBD_STATE_ZERO) {
				if (bits) {
					extent_add(&covered, &nc, at, stop - at);
					extent_add(&holes, &nh, at, stop - at);
				}
			} else if (dirty) {
				extent_add(&covered, &nc, at, stop - at);
				extent_add(&j->read, &j->count, at, stop - at);
			}
			at = stop;
		}
	}
	for (i = 0; i < nc; i++)
		j->result->dirty_bytes += covered[i].length;
	send_deltas(j, covered, nc);
	for (i = 0; i < nh; i++)
		split(j, holes[i].offset, holes[i].length, hole_piece, j);
	free(covered);
	free(holes);
}

static int begin_round(struct job *j, struct err *e)
{
	const char *contexts[] = {"base:allocation", j->select, NULL};
	struct nbd_extent *alloc = NULL, *bits = NULL;
	size_t na = 0, nb = 0, i;
	int r;

	r = nbd_open(&j->nbd, j->reader->loop, j->socket, j->export_name, contexts, NBD_TIMEOUT_MS, e);
	if (r)
		return r;
	if (nbd_info(j->nbd)->size != j->round.size)
		return err_set(e, ESTALE, "the disk's size changed from %llu to %llu bytes during the move",
			       (unsigned long long)j->round.size, (unsigned long long)nbd_info(j->nbd)->size);
	r = nbd_map(j->nbd, j->reader->loop, 0, &alloc, &na, e);
	if (!r && j->select)
		r = nbd_map(j->nbd, j->reader->loop, 1, &bits, &nb, e);
	if (!r) {
		announce(j);
		plan_round(j, alloc, na, bits, nb);
		for (i = 0; i < j->count; i++)
			__atomic_fetch_add(&j->reader->left[j->round.object], j->read[i].length, __ATOMIC_RELAXED);
	}
	free(alloc);
	free(bits);
	return r;
}

/* ---- reading ---- */

static void job_free(struct job *j)
{
	nbd_close(j->nbd);
	free(j->read);
	free(j->socket);
	free(j->export_name);
	free(j->select);
	free(j->name);
	free(j->result);
	free(j);
}

static void job_end(struct job *j)
{
	struct disk_reader *r = j->reader;
	struct job **p;

	for (p = &r->jobs; *p != j; p = &(*p)->next)
		;
	*p = j->next;
	__atomic_store_n(&r->left[j->round.object], 0, __ATOMIC_RELAXED);
	/* before anyone hears of it: then QEMU's exports and bitmaps change, beside which no client may come or go */
	nbd_close(j->nbd);
	j->nbd = NULL;
	if (!j->failed)
		end_round(j);
	/* at once: what follows may pump the loop while the destination answers the round's end */
	queue_put(r->results, &j->result->node);
	j->result = NULL;
	job_free(j);
}

static void job_fail(struct job *j, const struct err *e)
{
	if (!j->failed) {
		j->failed = true;
		j->result->err = *e;
	}
}

static void chunk_release(struct shared_buf *b)
{
	struct chunk *c = container_of(b, struct chunk, shared);

	queue_put(&c->reader->returned, &c->node);
}

static void chunk_send(struct chunk *c)
{
	struct job *j = c->job;
	unsigned ch = place_channel(j->round.object, c->offset, j->reader->sender_count);
	bool zero = j->round.detect_zeros && bytes_are_zero(c->data, c->bytes);
	struct send_item *it = send_item_new(zero ? SEND_ZERO : SEND_DATA, j->round.object, 1);

	it->number = j->round.number;
	it->n = 1;
	it->u.part[0] = (struct send_part){c->offset, zero ? NULL : c->data, c->bytes};
	it->buf = &c->shared;
	shared_buf_ref(&c->shared);
	sender_put(j->reader->senders[ch], it);
}

static void read_done(struct nbd_req *req, int res)
{
	struct chunk *c = container_of(req, struct chunk, req);
	struct job *j = c->job;
	struct err e;

	j->in_flight--;
	if (res) {
		if (nbd_error(j->nbd))
			e = *nbd_error(j->nbd);
		else
			err_sys(&e, -res, "cannot read the source disk %s at byte %llu", j->name,
				(unsigned long long)c->offset);
		job_fail(j, &e);
	} else {
		chunk_send(c);
		j->result->read_bytes += c->bytes;
		__atomic_fetch_add(&j->reader->done[j->round.object], c->bytes, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&j->reader->left[j->round.object], c->bytes, __ATOMIC_RELAXED);
	}
	shared_buf_unref(&c->shared);
	pump_all(j->reader);
}

/* Starts one read of the job; false when it has none left to start or none may be started now. */
static bool start_read(struct job *j)
{
	struct disk_reader *r = j->reader;
	struct nbd_extent *x;
	struct chunk *c;
	uint64_t at, n;

	if (j->failed || j->at == j->count || j->in_flight == PER_DISK_MAX || !r->free_count)
		return false;
	x = &j->read[j->at];
	at = x->offset + j->offset;
	n = MIN(x->length - j->offset, CHUNK_BYTES - at % CHUNK_BYTES);
	c = r->free_chunk[--r->free_count];
	c->shared.refs = 1;
	c->job = j;
	c->offset = at;
	c->bytes = (uint32_t)n;
	j->offset += n;
	if (j->offset == x->length) {
		j->at++;
		j->offset = 0;
	}
	j->in_flight++;
	nbd_read(j->nbd, &c->req, c->data, c->bytes, at);
	return true;
}

static void pump_all(struct disk_reader *r)
{
	struct job *j, *next;
	bool more = true;

	if (r->stopping)
		return;
	while (more)
		for (more = false, j = r->jobs; j; j = j->next)
			more |= start_read(j);
	for (j = r->jobs; j; j = next) {
		next = j->next;
		if (!j->in_flight && (j->failed || j->at == j->count) && !j->ended) {
			j->ended = true;
			job_end(j);
			next = r->jobs;
		}
	}
}

static void on_jobs(struct queue *q)
{
	struct disk_reader *r = container_of(q, struct disk_reader, jobs_in);
	struct qnode *n;
	struct err e;

	while ((n = queue_take(q))) {
		struct job *j = container_of(n, struct job, node);

		if (begin_round(j, &e)) {
			err_prefix(&e, "reading the source disk %s", j->name);
			job_fail(j, &e);
		}
		j->next = r->jobs;
		r->jobs = j;
	}
	pump_all(r);
}

static void on_returned(struct queue *q)
{
	struct disk_reader *r = container_of(q, struct disk_reader, returned);
	struct qnode *n;

	while ((n = queue_take(q)))
		r->free_chunk[r->free_count++] = container_of(n, struct chunk, node);
	pump_all(r);
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
	struct job *j;
	struct err e;

	cpu_thread_begin(r->shared->cpu, CPU_DISK);
	if (loop_run(r->loop, &e))
		log_error("disk reader: %s", e.msg);
	r->stopping = true;
	while ((j = r->jobs)) {
		nbd_close(j->nbd); /* completes what is in flight */
		j->nbd = NULL;
		r->jobs = j->next;
		job_free(j);
	}
	cpu_thread_end();
	return NULL;
}

int disk_reader_start(struct disk_reader **out, struct sender **senders, unsigned sender_count,
		      struct send_shared *shared, struct queue *results, struct err *e)
{
	struct disk_reader *r = xcalloc(1, sizeof(*r));
	unsigned i;
	int k;

	k = loop_new(&r->loop, 128, e);
	if (k) {
		free(r);
		return k;
	}
	r->senders = senders;
	r->sender_count = sender_count;
	r->shared = shared;
	r->results = results;
	queue_init(&r->jobs_in, r->loop, on_jobs);
	queue_init(&r->returned, r->loop, on_returned);
	r->task_stop.run = on_stop;
	for (i = 0; i < CHUNKS; i++) {
		r->chunk[i].reader = r;
		r->chunk[i].shared.release = chunk_release;
		r->chunk[i].req.done = read_done;
		r->chunk[i].data = xmalloc(CHUNK_BYTES);
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
	struct job *j = xcalloc(1, sizeof(*j));

	j->reader = r;
	j->round = *round;
	j->socket = xstrdup(round->socket);
	j->export_name = xstrdup(round->export_name);
	j->select = round->select ? xstrdup(round->select) : NULL;
	j->name = xstrdup(round->name);
	j->result = xcalloc(1, sizeof(*j->result));
	j->result->object = round->object;
	j->result->number = round->number;
	queue_put(&r->jobs_in, &j->node);
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
	loop_post(r->loop, &r->task_stop);
	pthread_join(r->thread, NULL);
}

void disk_reader_free(struct disk_reader *r)
{
	struct qnode *n;
	unsigned i;

	if (!r)
		return;
	while ((n = queue_take(&r->jobs_in)))
		job_free(container_of(n, struct job, node));
	for (i = 0; i < CHUNKS; i++)
		free(r->chunk[i].data);
	queue_fini(&r->jobs_in);
	queue_fini(&r->returned);
	loop_free(r->loop);
	free(r);
}
