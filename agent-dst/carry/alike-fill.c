/* alike-fill.c: see alike-fill.h. */
#include "alike-fill.h"
#include "alike-table.h"
#include "disk-scan.h"
#include "fault.h"
#include "have-tell.h"
#include "log.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES  (1U << ALIKE_SHIFT)
#define WRITES	     64
#define WANT_HASH    16		       /* bytes */
#define LEAST	     19		       /* nice(1) */
#define SAMPLE_STEP  (64 * SCAN_PIECE) /* bytes between the pieces of an image that are looked at first */
#define SAMPLE_LEAST (4 * SAMPLE_STEP) /* size below which all of an image is looked at */
#define WORTH_PART   50		       /* share of the sample's blocks that must be wanted, one in so many, or the image is left */

struct fill_write {
	struct disk_req req;
	struct alike_fill *fill;
	bool busy;
};

/* Neighbours in the image that are neighbours on the disk. */
struct fill_run {
	uint32_t object, block, count;
	const uint8_t *buf;
};

struct alike_fill {
	struct receive_shared *shared;
	const struct alike_image *images;
	unsigned count, ms;
	pthread_mutex_t adding;
	struct alike_table *table; /* table of wanted blocks; under the lock while blocks are added */
	bool sealed;
	/* the thread's */
	pthread_t thread;
	bool started, over, stopped; /* the last two atomic */
	struct loop *loop;
	struct disk_scan *scan;
	struct disk_io *disk[OBJECT_DISK_MAX + 1];
	struct fill_write write[WRITES];
	unsigned in_flight;
	struct fill_run run;
	int failed; /* error of a write */
	uint64_t until_ns, read_bytes;
	uint64_t looked_at, hits; /* blocks of the image at hand */
	struct have_teller teller;
};

static bool is_stopped(const struct alike_fill *f)
{
	return __atomic_load_n(&f->stopped, __ATOMIC_RELAXED);
}

bool alike_fill_is_over(const struct alike_fill *f)
{
	return __atomic_load_n(&f->over, __ATOMIC_ACQUIRE);
}

/* ---- writing ---- */

static void write_done(struct disk_req *req, int res)
{
	struct fill_write *w = container_of(req, struct fill_write, req);

	w->busy = false;
	w->fill->in_flight--;
	w->fill->failed = w->fill->failed ?: res;
}

static int wait_for_writes(struct alike_fill *f, unsigned most, struct err *e)
{
	while (f->in_flight > most)
		if (loop_step(f->loop, 1000, e))
			return -e->code;
	return f->failed ? err_sys(e, -f->failed, "cannot write what is alike to the new disk") : 0;
}

static int flush_run(struct alike_fill *f, struct err *e)
{
	struct fill_run *run = &f->run;
	struct fill_write *w = f->write;
	int r = run->count ? wait_for_writes(f, WRITES - 1, e) : 0;

	if (r || !run->count)
		return r;
	while (w->busy)
		w++;
	w->busy = true;
	w->fill = f;
	w->req.done = write_done;
	f->in_flight++;
	disk_io_write(f->disk[run->object], &w->req, run->buf, run->count * BLOCK_BYTES, (uint64_t)run->block << ALIKE_SHIFT);
	run->count = 0;
	return 0;
}

static int put(struct alike_fill *f, const struct alike_block *b, const uint8_t *buf, struct err *e)
{
	struct fill_run *run = &f->run;
	int r = 0;

	if (run->count && (run->object != b->object || run->block + run->count != b->block || run->count == SCAN_PIECE / BLOCK_BYTES ||
			   run->buf + run->count * BLOCK_BYTES != buf))
		r = flush_run(f, e);
	if (!run->count)
		*run = (struct fill_run){b->object, b->block, 0, buf};
	run->count++;
	return r;
}

/* ---- looking ---- */

static int before_window(void *ctx, struct err *e)
{
	struct alike_fill *f = ctx;
	int r = flush_run(f, e) ?: wait_for_writes(f, 0, e);

	if (!r)
		fault_point("dst-alike-window");
	return r ? r : is_stopped(f) || now_ns() > f->until_ns || alike_table_found(f->table) == alike_table_wanted(f->table);
}

static int look_for(void *ctx, uint64_t at, const uint8_t *buf, uint32_t bytes, struct err *e)
{
	struct alike_fill *f = ctx;
	enum cpu_stage before = cpu_stage_enter_for(CPU_HASH, bytes);
	const struct alike_block *b;
	int r = 0;

	(void)at;
	for (uint32_t k = 0; k + BLOCK_BYTES <= bytes && !r; k += BLOCK_BYTES) {
		struct hash128 hash = hash_content(&f->shared->key, buf + k, BLOCK_BYTES);
		bool hit = false;

		while (!r && (b = alike_table_take(f->table, hash))) {
			r = put(f, b, buf + k, e);
			hit = true;
		}
		f->hits += hit;
		f->looked_at++;
	}
	f->read_bytes += bytes;
	cpu_stage_enter(before);
	return r;
}

/* The file that was chosen, and no other by now. Somebody may write to it. */
static int open_image(struct alike_fill *f, const struct alike_image *im, int *fd, struct disk_io **io, struct err *e)
{
	struct disk_at at = {.cached = true, .was_bytes = im->bytes};
	AUTO_FREE char *self = NULL;
	struct stat st;
	int r;

	*fd = open(im->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return err_sys(e, errno, "cannot open it");
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode) || st.st_dev != im->device || st.st_ino != im->inode)
		r = err_set(e, ESTALE, "it is another file by now");
	else
		r = disk_io_open(io, f->loop, (at.path = self = xasprintf("/proc/self/fd/%d", *fd), &at), e);
	if (r)
		close(*fd);
	return r;
}

static bool is_worth_all(const struct alike_fill *f, const struct alike_image *im)
{
	return im->bytes < SAMPLE_LEAST || f->hits * WORTH_PART >= f->looked_at;
}

static int look_through(struct alike_fill *f, const struct alike_image *im, struct err *e)
{
	const struct disk_scan_for each = {.before = before_window, .piece = look_for, .ctx = f};
	struct disk_io *io;
	int fd, r = open_image(f, im, &fd, &io, e);

	if (r)
		return r;
	f->looked_at = f->hits = 0;
	if (im->bytes >= SAMPLE_LEAST)
		r = disk_scan_run(f->scan, io, im->bytes, SAMPLE_STEP, &each, e);
	if (!r && is_worth_all(f, im))
		r = disk_scan_run(f->scan, io, im->bytes, SCAN_PIECE, &each, e);
	r = r ?: flush_run(f, e) ?: wait_for_writes(f, 0, e);
	f->run.count = 0;
	while (f->in_flight) { /* after an error */
		struct err ignored;

		if (loop_step(f->loop, 1000, &ignored))
			break;
	}
	disk_io_close(io);
	close(fd);
	return r;
}

static int look_at_all(struct alike_fill *f, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < f->count && !r && !is_stopped(f) && now_ns() < f->until_ns; i++) {
		const struct alike_image *im = &f->images[i];
		uint64_t found = alike_table_found(f->table);

		if (!look_through(f, im, e))
			log_info("%s: %llu blocks of it are wanted", im->path, (unsigned long long)(alike_table_found(f->table) - found));
		else if (f->failed)
			r = -e->code;
		else
			log_info("nothing is taken from %s: %s", im->path, e->msg);
	}
	return r;
}

/* ---- its disks ---- */

/* Blocks of the disk's file for all that is wanted, as it all has contents, in runs as long as they are: whatever is not found comes later. If there is no room, the
 * writes say so. */
static void make_room(struct alike_fill *f, uint32_t object, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t i, n = alike_table_wanted(f->table), first = 0, count = 0;

	for (i = 0; i <= n; i++) {
		const struct alike_block *b = i < n ? alike_table_at(f->table, i) : NULL;

		if (b && b->object == object && count && b->block == first + count) {
			count++;
			continue;
		}
		if (count && fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(first << ALIKE_SHIFT), (off_t)(count << ALIKE_SHIFT)))
			return;
		count = b && b->object == object;
		first = b ? b->block : 0;
	}
}

static int open_disks(struct alike_fill *f, struct err *e)
{
	int r = 0;

	for (uint32_t i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX && !r; i++) {
		struct disk_at at = f->shared->disk[i].at;

		if (!f->shared->disk[i].alike)
			continue;
		if (!at.export_name)
			make_room(f, i, at.path);
		at.gathers = true;
		r = disk_io_open(&f->disk[i], f->loop, &at, e);
	}
	return r;
}

static void close_disks(struct alike_fill *f)
{
	for (uint32_t i = OBJECT_DISK_BASE; i <= OBJECT_DISK_MAX; i++) {
		disk_io_close(f->disk[i]);
		f->disk[i] = NULL;
	}
}

/* good: what was found is there. */
static void tell(struct alike_fill *f, bool good)
{
	uint64_t i = 0, n = alike_table_wanted(f->table);

	for (uint32_t object = OBJECT_DISK_BASE; object <= OBJECT_DISK_MAX; object++) {
		if (!f->shared->disk[object].alike)
			continue;
		have_teller_begin(&f->teller, f->shared->events, object);
		for (; i < n && alike_table_at(f->table, i)->object <= object; i++) {
			const struct alike_block *b = alike_table_at(f->table, i);

			if (good && b->found && b->object == object)
				have_teller_put(&f->teller, b->block, b->hash.lo);
		}
		have_teller_end(&f->teller);
	}
}

static void *run(void *arg)
{
	struct alike_fill *f = arg;
	uint64_t from = now_ns();
	struct err e;
	int r;

	cpu_thread_begin(f->shared->cpu, CPU_DISK);
	f->until_ns = from + f->ms * 1000000ULL;
	alike_table_seal(f->table);
	r = loop_new(&f->loop, 2 * WRITES, &e);
	if (!r) {
		f->scan = disk_scan_new(f->loop);
		r = open_disks(f, &e) ?: look_at_all(f, &e);
		close_disks(f);
		disk_scan_free(f->scan);
		loop_free(f->loop);
	}
	if (r)
		log_error("looking for what is alike: %s: all travels", e.msg);
	log_info("what is alike: %llu of %llu blocks, found in %llu MiB within %llu ms", (unsigned long long)alike_table_found(f->table),
		 (unsigned long long)alike_table_wanted(f->table), (unsigned long long)(f->read_bytes >> 20),
		 (unsigned long long)(now_ns() - from) / 1000000);
	__atomic_store_n(&f->over, true, __ATOMIC_RELEASE); /* the fill is over before the source hears of it */
	tell(f, !r);
	cpu_thread_end();
	return NULL;
}

/* ---- what is wanted ---- */

static bool is_within(const struct alike_fill *f, const struct msg_want *m)
{
	uint64_t blocks = f->shared->disk[m->object].bytes >> ALIKE_SHIFT, n = m->hashes.n / WANT_HASH;

	return m->hashes.n % WANT_HASH == 0 && m->block <= blocks && n <= blocks - m->block && (n || m->last);
}

static int add(struct alike_fill *f, const struct msg_want *m)
{
	struct reader rd = reader_of(m->hashes.p, m->hashes.n);
	uint64_t i, n = m->hashes.n / WANT_HASH;
	int r = 0;

	for (i = 0; i < n && r != -EPROTO; i++) {
		struct hash128 h;

		h.lo = read_u64(&rd);
		h.hi = read_u64(&rd);
		r = alike_table_add(f->table, m->object, m->block + i, h);
	}
	return r == -EPROTO ? r : 0;
}

/* Adds the hashes of a message. All such messages travel on one channel, in order, and no other thread may add in between. */
int alike_fill_want(struct alike_fill *f, const struct msg_want *m, struct err *e)
{
	int r = -EPROTO;

	pthread_mutex_lock(&f->adding);
	if (!f->sealed && f->shared->disk[m->object].alike && is_within(f, m))
		r = add(f, m);
	f->sealed |= !r && m->last;
	if (f->sealed && !r) {
		r = -pthread_create(&f->thread, NULL, run, f);
		f->started = !r;
	}
	pthread_mutex_unlock(&f->adding);
	return r ? err_set(e, -r, "the source wants %zu bytes of hashes from block %llu of disk %u on, which is not possible", m->hashes.n,
			   (unsigned long long)m->block, m->object)
		 : 0;
}

/* ---- life ---- */

struct alike_fill *alike_fill_new(struct receive_shared *shared, const struct alike_image *images, unsigned count, unsigned ms)
{
	struct alike_fill *f = xcalloc(1, sizeof(*f));

	pthread_mutex_init(&f->adding, NULL);
	f->shared = shared;
	f->images = images;
	f->count = count;
	f->ms = MIN(ms, ALIKE_MS_MAX);
	f->table = alike_table_new();
	return f;
}

void alike_fill_end(struct alike_fill *f)
{
	bool joins;

	if (!f)
		return;
	__atomic_store_n(&f->stopped, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&f->adding);
	joins = f->started;
	f->started = false;
	f->sealed = true;
	pthread_mutex_unlock(&f->adding);
	if (joins)
		pthread_join(f->thread, NULL);
}

void alike_fill_free(struct alike_fill *f)
{
	if (!f)
		return;
	alike_table_free(f->table);
	pthread_mutex_destroy(&f->adding);
	free(f);
}
