/* sample.c: see sample.h. */
#include "sample.h"
#include "host-load.h"
#include "open-regular.h"
#include "qemu-memory.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_PAGES    16U   /* pages of memory that are looked at together: LZ4 sees no further */
#define RUNS	     4096U /* 256 MiB */
#define PIECE_BYTES  DATA_RAW_MAX
#define PIECE_PAGES  (PIECE_BYTES / PAGE_BYTES)
#define PIECES	     512U		   /* 128 MiB */
#define TRIES	     64U		   /* pieces of either that are compressed */
#define TRIES_FOUND  16U		   /* pieces of memory's pages that are on a disk: how they differ from the others */
#define KEPT_PAGES   (TRIES * PIECE_PAGES) /* pages of memory to be compressed when it is known which are on a disk: 16 MiB */
#define UNPACK_EVERY 4U
#define TRIES_NS     300000000ULL /* a busy machine ends that sooner */
#define EXTENTS_MAX  65536U
#define DISKS_NS     400000000ULL /* a slow disk ends it sooner */
#define EXTENTS_NS   100000000ULL
#define SLOTS	     (4U * RUNS * RUN_PAGES) /* slots of the index: a power of two */
#define CHAIN_MAX    64U
#define PAGE_REST    ((uint64_t)PAGE_BYTES - 1)
#define GOLDEN	     0.6180339887498949
/* limit for the share of pages not found that are on a disk all the same; above it nothing is known about the rest */
#define HIDDEN_MAX 0.9

/* Pages of memory with one content. */
struct content {
	uint64_t hash; /* 0: none */
	uint32_t pages;
	bool found; /* on a disk */
};

struct extent {
	uint64_t offset, length, before; /* before: bytes of all extents that come earlier */
	unsigned file;
};

struct sampler {
	enum codec_effort most;
	struct codec *codec;
	struct digest_key key;
	struct sample_of memory, disks;
	struct content *index;
	uint64_t indexed;	     /* pages */
	double found, found_squared; /* sums over the disks' pieces: pages found in each, and the square of that */
	double pieces, pieces_in_all;
	uint64_t read_ns, read_bytes;
	struct host_load load;
	uint8_t *piece, *packed, *batch;
	size_t batched;
	uint8_t *kept;
	uint64_t *kept_hash;
	size_t kept_pages;
};

/* ---- life ---- */

struct sampler *sampler_new(enum codec_effort most)
{
	struct sampler *s = xcalloc(1, sizeof(*s));

	s->most = most;
	s->codec = codec_new();
	s->piece = aligned_alloc(PAGE_BYTES, PIECE_BYTES);
	if (!s->piece)
		abort();
	s->packed = xmalloc(PIECE_BYTES);
	s->batch = xmalloc(PIECE_BYTES);
	s->kept = xmalloc((size_t)KEPT_PAGES * PAGE_BYTES);
	s->kept_hash = xcalloc(KEPT_PAGES, sizeof(*s->kept_hash));
	s->index = xcalloc(SLOTS, sizeof(*s->index));
	host_load_open(&s->load);
	if (getrandom(s->key.secret, sizeof(s->key.secret), 0) != (ssize_t)sizeof(s->key.secret))
		abort();
	return s;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	host_load_close(&s->load);
	codec_free(s->codec);
	FREE_ALL(s->piece, s->packed, s->batch, s->kept, s->kept_hash, s->index, s);
}

/* ---- what both have ---- */

static void try_effort(struct sampler *s, struct sample_of *of, enum codec_effort effort, const uint8_t *data, size_t n)
{
	enum data_codec which = codec_of_effort(effort);
	uint64_t since = thread_cpu_ns();
	struct err e;
	size_t left;

	codec_set_effort(s->codec, effort);
	left = codec_compress(s->codec, which, data, n, s->packed, n);
	of->pack_ns[effort] += thread_cpu_ns() - since;
	of->packed[effort] += left ? left : n;
	if (!left || of->tries % UNPACK_EVERY)
		return;
	since = thread_cpu_ns();
	if (!codec_decompress(s->codec, which, (struct slice){s->packed, left}, s->piece, n, &e)) {
		of->unpack_ns[effort] += thread_cpu_ns() - since;
		of->unpacked[effort] += n;
	}
}

/* Overwrites the piece. */
static void try_to_compress(struct sampler *s, struct sample_of *of, unsigned tries, const uint8_t *data, size_t n)
{
	if (!of->tries)
		of->tries_until_ns = now_ns() + TRIES_NS;
	if (of->tries == tries || now_ns() > of->tries_until_ns)
		return;
	host_load_glance(&s->load, 1);
	of->tries++;
	of->tried += n;
	of->packed[EFFORT_NONE] += n;
	for (unsigned effort = EFFORT_LZ4; effort <= s->most; effort++)
		try_effort(s, of, (enum codec_effort)effort, data, n);
}

static struct content *slot_of(const struct sampler *s, uint64_t hash)
{
	uint64_t k = hash & (SLOTS - 1);

	for (unsigned chain = 0; chain < CHAIN_MAX; chain++, k = (k + 1) & (SLOTS - 1))
		if (!s->index[k].hash || s->index[k].hash == hash)
			return &s->index[k];
	return NULL;
}

static uint64_t hash_of(const struct sampler *s, const uint8_t *page)
{
	return hash_content(&s->key, page, PAGE_BYTES).lo | 1;
}

/* Step that visits each of n exactly once, spread all over them from the beginning, as sampling may end at any moment. */
static uint64_t step_through(uint64_t n)
{
	uint64_t step = (uint64_t)((double)n * GOLDEN) | 1, a, b, rest;

	for (;; step += 2) {
		for (a = step, b = n; b; a = b, b = rest)
			rest = a % b;
		if (a == 1 || !n)
			return step;
	}
}

/* ---- memory ---- */

struct memory {
	struct qemu_memory qemu;
	uint64_t used;	/* pages of those looked at that are in memory, or swapped out */
	uint64_t pages; /* looked at */
	unsigned runs;
};

static void note_page(struct sampler *s, const uint8_t *page, bool keep)
{
	struct content *slot;
	uint64_t hash;

	s->memory.looked_at += PAGE_BYTES;
	if (bytes_are_zero(page, PAGE_BYTES)) {
		s->memory.zero += PAGE_BYTES;
		return;
	}
	s->indexed++;
	hash = hash_of(s, page);
	slot = slot_of(s, hash);
	if (slot) {
		slot->hash = hash;
		slot->pages++;
	}
	if (keep && s->kept_pages < KEPT_PAGES) {
		memcpy(s->kept + s->kept_pages * PAGE_BYTES, page, PAGE_BYTES);
		s->kept_hash[s->kept_pages++] = hash;
	}
}

static int look_at_run(struct sampler *s, struct memory *m, uint64_t host, bool keep, struct err *e)
{
	bool there[MEMORY_PIECE_PAGES], swapped[MEMORY_PIECE_PAGES];
	uint64_t since = thread_cpu_ns();
	int r = qemu_memory_present(&m->qemu, host, RUN_PAGES, there, swapped, e);

	if (r)
		return r;
	for (unsigned i = 0; i < RUN_PAGES; i++)
		m->used += there[i] || swapped[i];
	m->pages += RUN_PAGES;
	r = qemu_memory_read(&m->qemu, host, RUN_PAGES, there, s->piece, e);
	for (unsigned i = 0; i < RUN_PAGES && !r; i++) {
		if (!there[i])
			continue;
		note_page(s, s->piece + (size_t)i * PAGE_BYTES, keep);
		s->read_bytes += PAGE_BYTES;
	}
	s->read_ns += thread_cpu_ns() - since;
	return r;
}

/* Takes one run at a random place in each of equally long parts: content that repeats at a distance is neither always hit nor always
 * missed. */
static int look_at_block(struct sampler *s, struct memory *m, const struct seed_block *b, uint64_t all_runs, struct err *e)
{
	uint64_t runs = b->bytes / PAGE_BYTES / RUN_PAGES, wanted = all_runs <= RUNS ? runs : MIN(MAX(runs * RUNS / all_runs, 1), runs);
	uint64_t every = MAX(MIN(all_runs, (uint64_t)RUNS) / (TRIES * PIECE_PAGES / RUN_PAGES), 1ULL), step = step_through(wanted), i, k;
	int r = 0;

	for (i = 0, k = 0; i < wanted && !r; i++, k = (k + step) % wanted) {
		uint64_t from = k * runs / wanted, room = (k + 1) * runs / wanted - from;
		uint64_t run = from + (uint64_t)(fmod((double)(m->runs + 1) * GOLDEN, 1) * (double)room);

		r = look_at_run(s, m, b->host + run * RUN_PAGES * PAGE_BYTES, m->runs++ % every == 0, e);
	}
	return r;
}

int sample_memory(struct sampler *s, pid_t pid, const struct seed_block *blocks, unsigned count, struct err *e)
{
	struct memory m = {.pages = 0};
	uint64_t bytes = 0;
	int r = qemu_memory_open(&m.qemu, pid, e);

	if (r)
		return r;
	for (unsigned i = 0; i < count; i++)
		bytes += blocks[i].bytes;
	for (unsigned i = 0; i < count && !r; i++)
		r = look_at_block(s, &m, &blocks[i], bytes / PAGE_BYTES / RUN_PAGES, e);
	qemu_memory_close(&m.qemu);
	if (r) {
		s->memory = (struct sample_of){0};
		s->indexed = s->kept_pages = 0;
		memset(s->index, 0, SLOTS * sizeof(*s->index));
		return r;
	}
	s->memory.bytes = m.pages ? (uint64_t)((double)bytes * (double)m.used / (double)m.pages) : 0;
	return 0;
}

/* ---- disks ---- */

struct files {
	int *fd;
	struct extent *extent;
	size_t count;
	uint64_t bytes;
};

static void add_extent(struct files *f, unsigned file, uint64_t offset, uint64_t length)
{
	if ((f->count & (f->count - 1)) == 0)
		f->extent = xrealloc(f->extent, MAX(f->count * 2, (size_t)1) * sizeof(*f->extent));
	f->extent[f->count++] = (struct extent){offset, length, f->bytes, file};
	f->bytes += length;
}

/* Lists the extents with data; of a file with very many pieces, as many as can be found in a short time. */
static void list_extents(struct files *f, unsigned file, uint64_t allocated)
{
	uint64_t until = now_ns() + EXTENTS_NS;
	off_t at = 0, end, size = lseek(f->fd[file], 0, SEEK_END);

	for (; at < size && f->count < EXTENTS_MAX && now_ns() < until; at = end) {
		off_t data = lseek(f->fd[file], at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			return;
		end = data < 0 ? -1 : lseek(f->fd[file], data, SEEK_HOLE);
		if (end <= data) { /* a device, or a file system that knows no holes */
			data = at;
			end = MIN(size, (off_t)MAX(allocated, (uint64_t)PAGE_BYTES));
			if (end <= data)
				return;
		}
		add_extent(f, file, (uint64_t)data, (uint64_t)(end - data));
	}
}

static int open_disk(const char *path)
{
	struct stat st;
	int fd;

	/* a device past the page cache: others may write to it where that is not seen, and would read later what it kept for us */
	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
	fd = open_regular(path);
	if (fd >= 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	return fd;
}

static const struct extent *extent_at(const struct files *f, uint64_t at)
{
	size_t low = 0, high = f->count;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (f->extent[mid].before <= at)
			low = mid;
		else
			high = mid;
	}
	return &f->extent[low];
}

static void look_for_pages(struct sampler *s, size_t n)
{
	double found = 0;

	for (size_t at = 0; at + PAGE_BYTES <= n; at += PAGE_BYTES) {
		struct content *slot = slot_of(s, hash_of(s, s->piece + at));

		if (!slot || !slot->hash || slot->found)
			continue;
		slot->found = true;
		found += slot->pages;
	}
	s->found += found;
	s->found_squared += found * found;
}

/* Whole pages, across the holes. Returns how many bytes. */
static size_t read_piece(struct sampler *s, const struct files *f, uint64_t at)
{
	size_t have = 0;

	while (have < PIECE_BYTES && at < f->bytes) {
		const struct extent *x = extent_at(f, at);
		uint64_t offset = (x->offset + (at - x->before)) & ~PAGE_REST, left = x->offset + x->length - offset;
		size_t n = (size_t)MIN((uint64_t)PIECE_BYTES - have, (left + PAGE_REST) & ~PAGE_REST);
		ssize_t got = pread(f->fd[x->file], s->piece + have, n, (off_t)offset);

		if (got < 0)
			break;
		have += (size_t)got & ~(size_t)PAGE_REST;
		at += n;
	}
	return have;
}

static void look_at_piece(struct sampler *s, const struct files *f, uint64_t at)
{
	uint64_t since = thread_cpu_ns();
	size_t n = read_piece(s, f, at);

	if (!n)
		return;
	s->pieces++;
	s->disks.looked_at += n;
	if (bytes_are_zero(s->piece, n)) {
		s->disks.zero += n;
		return;
	}
	look_for_pages(s, n);
	if (!s->read_bytes)
		s->read_ns += thread_cpu_ns() - since;
	memcpy(s->batch, s->piece, n);
	try_to_compress(s, &s->disks, TRIES, s->batch, n);
}

static void look_at_pieces(struct sampler *s, const struct files *f)
{
	uint64_t until = now_ns() + DISKS_NS, pieces = (f->bytes + PIECE_BYTES - 1) / PIECE_BYTES, wanted = MIN(pieces, (uint64_t)PIECES);
	uint64_t step = step_through(wanted), i, k;

	for (i = 0, k = 0; i < wanted && now_ns() < until; i++, k = (k + step) % wanted)
		look_at_piece(s, f, pieces == wanted ? k * PIECE_BYTES : k * (f->bytes / wanted));
	s->pieces_in_all = (double)MAX(f->bytes, s->disks.bytes) / PIECE_BYTES;
}

void sample_disks(struct sampler *s, const struct sample_file *files, unsigned count)
{
	struct files f = {.fd = xcalloc(count + 1, sizeof(int))};

	for (unsigned i = 0; i < count; i++) {
		s->disks.bytes += files[i].allocated;
		f.fd[i] = files[i].readable ? open_disk(files[i].path) : -1;
		if (f.fd[i] >= 0)
			list_extents(&f, i, files[i].allocated);
	}
	if (f.bytes)
		look_at_pieces(s, &f);
	for (unsigned i = 0; i < count; i++)
		if (f.fd[i] >= 0)
			close(f.fd[i]);
	free(f.extent);
	free(f.fd);
}

/* ---- what of memory travels ---- */

static bool is_on_disk(const struct sampler *s, uint64_t hash)
{
	const struct content *slot = slot_of(s, hash);

	return slot && slot->hash == hash && slot->found;
}

static void try_batch(struct sampler *s, struct sample_of *of, unsigned tries)
{
	if (s->batched)
		try_to_compress(s, of, tries, s->batch, s->batched);
	s->batched = 0;
}

/* Compresses the kept pages that were found on a disk, or those that were not; or all. */
static void try_kept(struct sampler *s, struct sample_of *of, unsigned tries, bool all, bool found)
{
	for (size_t i = 0; i < s->kept_pages; i++) {
		if (!all && is_on_disk(s, s->kept_hash[i]) != found)
			continue;
		memcpy(s->batch + s->batched, s->kept + i * PAGE_BYTES, PAGE_BYTES);
		s->batched += PAGE_BYTES;
		if (s->batched == PIECE_BYTES)
			try_batch(s, of, tries);
	}
	try_batch(s, of, tries);
}

/* Some of those that were not found are on a disk, too, where nobody looked: what is left without them. */
static void leave_out_hidden(struct sampler *s, const struct sample_of *found)
{
	double seen = s->found / (double)s->indexed, hidden = (sampled_seeds(s, &(double){0}) - seen) / MAX(1 - seen, 1e-9);

	if (hidden <= 0 || hidden > HIDDEN_MAX || !found->tried || !s->memory.tried)
		return;
	for (unsigned i = EFFORT_LZ4; i <= s->most; i++) {
		double both = (double)s->memory.packed[i] / (double)s->memory.tried,
		       theirs = (double)found->packed[i] / (double)found->tried;
		double ours = (both - hidden * theirs) / (1 - hidden);

		s->memory.packed[i] = (uint64_t)(MIN(MAX(ours, both / 2), 1) * (double)s->memory.tried);
	}
}

void sample_what_travels(struct sampler *s, bool seeds)
{
	struct sample_of found = {0};

	try_kept(s, &s->memory, TRIES, !seeds, false);
	if (!seeds || s->found <= 0)
		return;
	try_kept(s, &found, TRIES_FOUND, false, true);
	leave_out_hidden(s, &found);
}

/* ---- what comes of it ---- */

const struct sample_of *sampled_memory(const struct sampler *s)
{
	return &s->memory;
}

const struct sample_of *sampled_disks(const struct sampler *s)
{
	return &s->disks;
}

double sampled_seeds(const struct sampler *s, double *error)
{
	double scale, variance;

	*error = 0;
	if (!s->indexed || s->pieces < 2)
		return 0;
	scale = MAX(s->pieces_in_all / s->pieces, 1) / (double)s->indexed;
	/* pieces are what was drawn: neighbours of a disk are often neighbours in memory */
	variance = s->found_squared - s->found * s->found / s->pieces;
	*error = MIN(sqrt(MAX(variance, 1) * MAX(1 - s->pieces / s->pieces_in_all, 0)) * scale, 1);
	return MIN(s->found * scale, 1);
}

double sampled_read_ns(const struct sampler *s)
{
	uint64_t bytes = s->read_bytes ? s->read_bytes : s->disks.looked_at;

	return bytes ? (double)s->read_ns / (double)bytes : 0;
}

double sampled_others(const struct sampler *s)
{
	return host_load_others(&s->load);
}
