/* want.c: see want.h. */
#include "want.h"
#include "disk-scan.h"
#include "fault.h"
#include "log.h"
#include "util.h"

#include <pthread.h>
#include <string.h>

#define BLOCK_BYTES (1U << ALIKE_SHIFT)
#define HASH_BYTES  16
#define TELL_BLOCKS 256
#define ROOM_MS	    5

struct want {
	struct sender *to;
	struct send_shared *shared;
	struct want_disk *disk;
	unsigned count;
	pthread_t thread;
	bool stopped; /* atomic */
	struct loop *loop;
	struct disk_scan *scan;
	uint64_t told; /* blocks of all disks */
	/* blocks of the disk at hand that are not sent yet */
	uint32_t object;
	uint64_t block; /* the first of these */
	uint8_t hashes[TELL_BLOCKS * HASH_BYTES];
	unsigned n;
};

static bool is_stopped(const struct want *w)
{
	return __atomic_load_n(&w->stopped, __ATOMIC_RELAXED);
}

static void tell(struct want *w, bool last)
{
	uint8_t buf[TELL_BLOCKS * HASH_BYTES + 64];
	struct writer out = writer_of(buf, sizeof(buf));
	struct msg_want m = {.object = w->object, .block = w->block, .last = last, .hashes = {w->hashes, (size_t)w->n * HASH_BYTES}};

	if (!w->n && !last)
		return;
	msg_want_encode(&out, &m);
	sender_put(w->to, send_mark_new(MSG_WANT, buf, writer_len(&out)));
	w->n = 0;
}

static void put(struct want *w, uint64_t block, struct hash128 hash)
{
	if (w->n && (w->n == TELL_BLOCKS || block != w->block + w->n))
		tell(w, false);
	if (!w->n)
		w->block = block;
	hash_bytes(hash, w->hashes + (size_t)w->n++ * HASH_BYTES);
	w->told++;
}

/* Waits until less is unacknowledged: nothing else limits what is queued. */
static int wait_for_room(void *ctx, struct err *e)
{
	struct want *w = ctx;
	int r = 0;

	fault_point("src-want-window");
	while (!r && !is_stopped(w) && sender_unacked_bytes(w->to) > w->shared->window_bytes / 2)
		r = loop_step(w->loop, ROOM_MS, e);
	return r ? r : is_stopped(w) || w->told >= ALIKE_BLOCKS_MAX;
}

/* Zeros are a hole there, or soon written. */
static int hash_piece(void *ctx, uint64_t at, const uint8_t *buf, uint32_t bytes, struct err *e)
{
	struct want *w = ctx;
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, bytes);

	(void)e;
	for (uint32_t k = 0; k + BLOCK_BYTES <= bytes && w->told < ALIKE_BLOCKS_MAX; k += BLOCK_BYTES)
		if (!bytes_are_zero(buf + k, BLOCK_BYTES))
			put(w, (at + k) >> ALIKE_SHIFT, hash_content(&w->shared->key, buf + k, BLOCK_BYTES));
	cpu_stage_enter(before);
	return 0;
}

static void read_disk(struct want *w, const struct want_disk *d)
{
	const struct disk_scan_for each = {.before = wait_for_room, .piece = hash_piece, .ctx = w};
	struct disk_io *io;
	struct err e;
	int r = disk_io_open(&io, w->loop, &d->at, &e);

	w->object = d->object;
	w->block = 0;
	if (!r) {
		r = disk_scan_run(w->scan, io, d->bytes, SCAN_PIECE, &each, &e);
		disk_io_close(io);
	}
	if (r)
		log_info("disk %u is not read to its end for what is alike there: %s", d->object, e.msg);
	tell(w, false);
}

static void *run(void *arg)
{
	struct want *w = arg;
	uint64_t from = now_ns();

	cpu_thread_begin(w->shared->cpu, CPU_DISK);
	for (unsigned i = 0; i < w->count && !is_stopped(w); i++)
		read_disk(w, &w->disk[i]);
	tell(w, true);
	log_info("what is alike: %llu blocks are looked for there, read here within %llu ms", (unsigned long long)w->told,
		 (unsigned long long)(now_ns() - from) / 1000000);
	cpu_thread_end();
	return NULL;
}

/* ---- life ---- */

static void want_free(struct want *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		free((char *)(uintptr_t)w->disk[i].at.path);
		free((char *)(uintptr_t)w->disk[i].at.export_name);
	}
	disk_scan_free(w->scan);
	loop_free(w->loop);
	free(w->disk);
	free(w);
}

int want_start(struct want **out, const struct want_disk *disks, unsigned count, struct sender *to, struct send_shared *shared,
	       struct err *e)
{
	struct want *w = xcalloc(1, sizeof(*w));
	int r = loop_new(&w->loop, 16, e);

	if (r) {
		free(w);
		return r;
	}
	w->to = to;
	w->shared = shared;
	w->scan = disk_scan_new(w->loop);
	w->disk = xcalloc(count + 1, sizeof(*w->disk));
	for (unsigned i = 0; i < count; i++) {
		w->disk[i] = disks[i];
		w->disk[i].at.path = xstrdup(disks[i].at.path);
		w->disk[i].at.export_name = xstrdup(disks[i].at.export_name);
	}
	w->count = count;
	r = pthread_create(&w->thread, NULL, run, w);
	if (r) {
		want_free(w);
		return err_sys(e, r, "cannot start the thread that looks for what is alike");
	}
	*out = w;
	return 0;
}

void want_stop(struct want *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->stopped, true, __ATOMIC_RELAXED);
	pthread_join(w->thread, NULL);
	want_free(w);
}
