/* old-read.c: see old-read.h. */
#include "old-read.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCK_BYTES (1U << HAVE_SHIFT)
#define CHUNK_BYTES DATA_RAW_MAX
#define CHUNKS	    8 /* read at once */
#define TELL_BLOCKS 256
#define HASH_BYTES  8
#define LEAST	    19 /* nice(1): what nobody else wants of a processor */
#define YIELD_MS    5

struct chunk {
	struct disk_req req;
	struct old_reader *reader;
	uint8_t *buf;
	uint32_t bytes; /* 0: nothing is there to be read */
	int res;
};

struct old_reader {
	struct receive_shared *shared;
	struct loop *loop;
	pthread_t thread;
	bool enough[OBJECT_DISK_MAX + 1]; /* atomic */
	struct chunk chunk[CHUNKS];
	unsigned in_flight;
	/* the disk at hand */
	uint32_t object;
	uint64_t bytes; /* that both it and the old copy have */
	struct disk_io *io;
	struct disk_map map;
	size_t extent;
	/* what is to be told of it */
	uint64_t block; /* the first of these */
	uint8_t hashes[TELL_BLOCKS * HASH_BYTES];
	unsigned count;
};

static bool is_enough(const struct old_reader *r)
{
	return __atomic_load_n(&r->enough[r->object], __ATOMIC_RELAXED);
}

/* ---- telling ---- */

static void tell(struct old_reader *r, bool last)
{
	size_t n = r->count * HASH_BYTES;
	struct receive_event *ev = xcalloc(1, sizeof(*ev) + n);

	ev->kind = RECEIVE_HAVE;
	ev->group = r->object;
	ev->offset = r->block;
	ev->number = last;
	ev->n = n;
	memcpy(ev->data, r->hashes, n);
	queue_put(r->shared->events, &ev->node);
	r->block += r->count;
	r->count = 0;
}

static void put(struct old_reader *r, uint64_t block, uint64_t hash)
{
	struct writer w;

	if (r->count && (r->count == TELL_BLOCKS || block != r->block + r->count))
		tell(r, false);
	if (!r->count)
		r->block = block;
	w = writer_of(r->hashes + r->count++ * HASH_BYTES, HASH_BYTES);
	write_u64(&w, hash);
}

/* ---- reading ---- */

static void chunk_done(struct disk_req *req, int res)
{
	struct chunk *c = container_of(req, struct chunk, req);

	c->res = res;
	c->reader->in_flight--;
}

static bool has_contents(struct old_reader *r, uint64_t from, uint64_t to)
{
	const struct disk_map *m = &r->map;

	while (r->extent < m->count && m->extent[r->extent].offset + m->extent[r->extent].length <= from)
		r->extent++;
	for (size_t i = r->extent; i < m->count && m->extent[i].offset < to; i++)
		if (m->extent[i].content == DISK_DATA)
			return true;
	return false;
}

/* The receivers have the disks first. A block that is not read here travels instead, and a disk that is no faster than the network has no time left. */
static int yield(struct old_reader *r, struct err *e)
{
	int k = 0;

	while (!k && !is_enough(r) && __atomic_load_n(&r->shared->busy, __ATOMIC_RELAXED))
		k = loop_step(r->loop, YIELD_MS, e);
	return k;
}

/* Whole blocks of the disk; its own last may be short. */
static void hash_chunk(struct old_reader *r, const struct chunk *c, uint64_t from, uint64_t whole)
{
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, c->bytes);
	uint64_t at;

	for (at = 0; at < c->bytes; at += BLOCK_BYTES) {
		uint64_t n = MIN(BLOCK_BYTES, whole - (from + at));

		if (at + n <= c->bytes)
			put(r, (from + at) >> HAVE_SHIFT, hash_content(&r->shared->key, c->buf + at, n).lo);
	}
	cpu_stage_enter(before);
}

static int read_window(struct old_reader *r, uint64_t from, struct err *e)
{
	unsigned i;

	for (i = 0; i < CHUNKS; i++) {
		struct chunk *c = &r->chunk[i];
		uint64_t at = from + (uint64_t)i * CHUNK_BYTES;

		c->res = 0;
		c->bytes = at < r->bytes ? (uint32_t)MIN(CHUNK_BYTES, r->bytes - at) : 0;
		if (c->bytes && !has_contents(r, at, at + c->bytes))
			c->bytes = 0;
		if (!c->bytes)
			continue;
		r->in_flight++;
		disk_io_read(r->io, &c->req, c->buf, c->bytes, at);
	}
	while (r->in_flight)
		if (loop_step(r->loop, 1000, e))
			return -e->code;
	return 0;
}

static int read_all(struct old_reader *r, uint64_t whole, struct err *e)
{
	uint64_t from;
	unsigned i;
	int k;

	for (from = 0; from < r->bytes && !is_enough(r); from += CHUNKS * CHUNK_BYTES) {
		k = yield(r, e) ?: read_window(r, from, e);
		for (i = 0; !k && i < CHUNKS; i++) {
			if (r->chunk[i].res)
				return err_sys(e, -r->chunk[i].res, "cannot read it at byte %llu",
					       (unsigned long long)(from + (uint64_t)i * CHUNK_BYTES));
			hash_chunk(r, &r->chunk[i], from + (uint64_t)i * CHUNK_BYTES, whole);
		}
		if (k)
			return k;
	}
	return 0;
}

/* What cannot be read travels. */
static void read_disk(struct old_reader *r, const struct disk_target *t)
{
	uint64_t from = now_ns();
	struct err e;
	int k = t->old.path ? disk_io_open(&r->io, r->loop, &t->old, &e) : err_set(&e, ENODEV, "it cannot be opened");

	r->block = r->count = 0;
	r->extent = 0;
	if (!k) {
		r->bytes = MIN(t->bytes, r->io->caps.size);
		k = is_enough(r) ? 0 : disk_io_map(r->io, &r->map, &e);
		k = k ? k : read_all(r, t->bytes, &e);
		disk_map_free(&r->map);
		disk_io_close(r->io);
	}
	if (k)
		log_info("the old copy %s: %s: what is behind that travels", t->old_name, e.msg);
	log_info("the old copy %s was read in %llu ms", t->old_name, (unsigned long long)(now_ns() - from) / 1000000);
	tell(r, true);
}

static void *run(void *arg)
{
	struct old_reader *r = arg;

	cpu_thread_begin(r->shared->cpu, CPU_DISK);
	setpriority(PRIO_PROCESS, (id_t)gettid(), LEAST); /* of this thread alone */
	for (r->object = OBJECT_DISK_BASE; r->object <= OBJECT_DISK_MAX; r->object++)
		if (r->shared->disk[r->object].old_name && !r->shared->disk[r->object].known && !is_enough(r))
			read_disk(r, &r->shared->disk[r->object]);
	cpu_thread_end();
	return NULL;
}

/* ---- life ---- */

static void reader_free(struct old_reader *r)
{
	unsigned i;

	for (i = 0; i < CHUNKS; i++)
		free(r->chunk[i].buf);
	loop_free(r->loop);
	free(r);
}

int old_reader_start(struct old_reader **out, struct receive_shared *shared, struct err *e)
{
	struct old_reader *r = xcalloc(1, sizeof(*r));
	unsigned i;
	int k = loop_new(&r->loop, 2 * CHUNKS, e);

	if (k) {
		free(r);
		return k;
	}
	r->shared = shared;
	for (i = 0; i < CHUNKS; i++) {
		r->chunk[i].req.done = chunk_done;
		r->chunk[i].reader = r;
		r->chunk[i].buf = aligned_alloc(DISK_ALIGN, CHUNK_BYTES);
		if (!r->chunk[i].buf)
			abort();
	}
	k = pthread_create(&r->thread, NULL, run, r);
	if (k) {
		reader_free(r);
		return err_sys(e, k, "cannot start the thread that reads old copies");
	}
	*out = r;
	return 0;
}

void old_reader_enough(struct old_reader *r, uint32_t object)
{
	__atomic_store_n(&r->enough[object], true, __ATOMIC_RELAXED);
}

void old_reader_stop(struct old_reader *r)
{
	uint32_t i;

	if (!r)
		return;
	for (i = 0; i <= OBJECT_DISK_MAX; i++)
		old_reader_enough(r, i);
	pthread_join(r->thread, NULL);
	reader_free(r);
}
