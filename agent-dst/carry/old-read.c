/* old-read.c: see old-read.h. */
#include "old-read.h"
#include "disk-scan.h"
#include "have-tell.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCK_BYTES (1U << HAVE_SHIFT)
#define LEAST	    19 /* nice(1): what nobody else wants of a processor */
#define YIELD_MS    5

struct old_reader {
	struct receive_shared *shared;
	struct loop *loop;
	struct disk_scan *scan;
	pthread_t thread;
	bool enough[OBJECT_DISK_MAX + 1]; /* atomic */
	/* the disk at hand */
	uint32_t object;
	uint64_t whole; /* bytes of the disk */
	uint64_t bytes; /* bytes that both the disk and the old copy have */
	struct have_teller teller;
};

static bool is_enough(const struct old_reader *r)
{
	return __atomic_load_n(&r->enough[r->object], __ATOMIC_RELAXED);
}

/* ---- reading ---- */

/* The receivers have the disks first. A block that is not read here travels instead, and a disk that is no faster than the network has no
 * time left. */
static int yield(void *ctx, struct err *e)
{
	struct old_reader *r = ctx;
	int k = 0;

	while (!k && !is_enough(r) && __atomic_load_n(&r->shared->busy, __ATOMIC_RELAXED))
		k = loop_step(r->loop, YIELD_MS, e);
	return k ? k : is_enough(r);
}

/* Whole blocks of the disk; its own last may be short. */
static int hash_piece(void *ctx, uint64_t from, const uint8_t *buf, uint32_t bytes, struct err *e)
{
	struct old_reader *r = ctx;
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, bytes);

	(void)e;
	for (uint64_t at = 0; at < bytes; at += BLOCK_BYTES) {
		uint64_t n = MIN(BLOCK_BYTES, r->whole - (from + at));

		if (at + n <= bytes)
			have_teller_put(&r->teller, (from + at) >> HAVE_SHIFT, hash_content(&r->shared->key, buf + at, n).lo);
	}
	cpu_stage_enter(before);
	return 0;
}

/* Reads an old copy, and reports its blocks. Blocks that cannot be read will be transferred. */
static void read_disk(struct old_reader *r, const struct disk_target *t)
{
	const struct disk_scan_for each = {.before = yield, .piece = hash_piece, .ctx = r};
	uint64_t from = now_ns();
	struct disk_io *io;
	struct err e;
	int k = t->old.path ? disk_io_open(&io, r->loop, &t->old, &e) : err_set(&e, ENODEV, "it cannot be opened");

	have_teller_begin(&r->teller, r->shared->events, r->object);
	if (!k) {
		r->whole = t->bytes;
		r->bytes = MIN(t->bytes, io->caps.size);
		k = is_enough(r) ? 0 : disk_scan_run(r->scan, io, r->bytes, SCAN_PIECE, &each, &e);
		disk_io_close(io);
	}
	if (k)
		log_info("the old copy %s: %s: what is behind that travels", t->old_name, e.msg);
	log_info("the old copy %s was read in %llu ms", t->old_name, (unsigned long long)(now_ns() - from) / 1000000);
	have_teller_end(&r->teller);
}

static void *run(void *arg)
{
	struct old_reader *r = arg;

	cpu_thread_begin(r->shared->cpu, CPU_DISK);
	setpriority(PRIO_PROCESS, (id_t)gettid(), LEAST); /* gettid() names this thread alone */
	for (r->object = OBJECT_DISK_BASE; r->object <= OBJECT_DISK_MAX; r->object++)
		if (r->shared->disk[r->object].old_name && !r->shared->disk[r->object].known && !is_enough(r))
			read_disk(r, &r->shared->disk[r->object]);
	cpu_thread_end();
	return NULL;
}

/* ---- life ---- */

static void reader_free(struct old_reader *r)
{
	disk_scan_free(r->scan);
	loop_free(r->loop);
	free(r);
}

int old_reader_start(struct old_reader **out, struct receive_shared *shared, struct err *e)
{
	struct old_reader *r = xcalloc(1, sizeof(*r));
	int k = loop_new(&r->loop, 16, e);

	if (k) {
		free(r);
		return k;
	}
	r->shared = shared;
	r->scan = disk_scan_new(r->loop);
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
	if (!r)
		return;
	for (uint32_t i = 0; i <= OBJECT_DISK_MAX; i++)
		old_reader_enough(r, i);
	pthread_join(r->thread, NULL);
	reader_free(r);
}
