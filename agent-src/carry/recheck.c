/* recheck.c: see recheck.h. */
#include "recheck.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANY_PAGES   4096
#define SAMPLES	     64ULL
#define LAST_SAMPLES 32
#define GROUPS	     4U	  /* groups of samples, spread alike: what disturbs for a moment disturbs one */
#define UNKNOWN_NS   0.19 /* time for a byte, where that was not measured */
#define BESIDE	     1.15 /* threads that read beside each other share the way to memory: of 214 moves measured */
#define LOOKED_UP                                                                                                                          \
	1.3 /* factor, as a sample looks up nothing of what was carried: 1.2 to 1.5 in 55 moves, with nobody or up to 17 threads beside them */

struct checked_block {
	uint64_t host, bytes; /* 0: not looked at */
};

struct recheck {
	struct qemu_memory memory;
	struct ram_block_place *told;
	size_t told_count;
	struct checked_block *block; /* blocks by object */
	unsigned blocks;
	double sample[LAST_SAMPLES];
	unsigned sampled;
};

int recheck_new(struct recheck **out, pid_t pid, const struct ram_block_place *told, size_t count, struct err *e)
{
	struct recheck *r = xcalloc(1, sizeof(*r));
	int code = qemu_memory_open(&r->memory, pid, e);

	if (code) {
		recheck_free(r);
		return code;
	}
	r->told = xmalloc((count + 1) * sizeof(*told));
	if (count)
		memcpy(r->told, told, count * sizeof(*told));
	r->told_count = count;
	*out = r;
	return 0;
}

void recheck_free(struct recheck *r)
{
	if (!r)
		return;
	qemu_memory_close(&r->memory);
	FREE_ALL(r->told, r->block, r);
}

void recheck_object(struct recheck *r, uint32_t object, const char *name, uint64_t bytes)
{
	unsigned i = object - OBJECT_RAM_BASE;

	if (i >= r->blocks) {
		r->block = xrealloc(r->block, (i + 1) * sizeof(*r->block));
		memset(r->block + r->blocks, 0, (i + 1 - r->blocks) * sizeof(*r->block));
		r->blocks = i + 1;
	}
	for (size_t k = 0; k < r->told_count; k++)
		if (!strcmp(r->told[k].name, name) && r->told[k].used_bytes == bytes)
			r->block[i] = (struct checked_block){r->told[k].host, bytes};
}

/* ---- what it will take ---- */

/* -errno: it cannot be read. */
static int sample_piece(const struct recheck *r, const struct digest_key *key, uint64_t host, uint8_t *buf)
{
	bool there[MEMORY_PIECE_PAGES];
	struct err e;
	int code = qemu_memory_present(&r->memory, host, MEMORY_PIECE_PAGES, there, NULL, &e);

	code = code ?: qemu_memory_read(&r->memory, host, MEMORY_PIECE_PAGES, there, buf, &e);
	for (unsigned i = 0; i < MEMORY_PIECE_PAGES && !code; i++) {
		const uint8_t *page = buf + (size_t)i * PAGE_BYTES;

		if (there[i] && !bytes_are_zero(page, PAGE_BYTES))
			hash_content(key, page, PAGE_BYTES);
	}
	return code;
}

static const struct ram_block_place *largest(const struct recheck *r)
{
	const struct ram_block_place *found = NULL;

	for (size_t i = 0; i < r->told_count; i++)
		if (!found || r->told[i].used_bytes > found->used_bytes)
			found = &r->told[i];
	return found;
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The same pieces once more would come out of a cache. */
static double sample_ns(const struct recheck *r, const struct digest_key *key)
{
	const struct ram_block_place *b = largest(r);
	uint64_t pieces = b ? b->used_bytes / (MEMORY_PIECE_PAGES * PAGE_BYTES) : 0, spent[GROUPS] = {0}, gap = pieces / (SAMPLES + 1);
	uint8_t *buf = xmalloc((size_t)MEMORY_PIECE_PAGES * PAGE_BYTES);
	int code = pieces ? 0 : -ENOENT;

	for (unsigned i = 0; i <= SAMPLES && !code; i++) {
		uint64_t piece = pieces * i / (SAMPLES + 1) + (gap ? r->sampled % gap : 0), since = thread_cpu_ns();

		code = sample_piece(r, key, b->host + piece * MEMORY_PIECE_PAGES * PAGE_BYTES, buf);
		if (i) /* the first has the buffer brought in */
			spent[i % GROUPS] += thread_cpu_ns() - since;
	}
	free(buf);
	qsort(spent, GROUPS, sizeof(spent[0]), compare_ns);
	return code ? 0
		    : (double)(spent[GROUPS / 2 - 1] + spent[GROUPS / 2]) / 2 /
			       (double)(SAMPLES / GROUPS * MEMORY_PIECE_PAGES * PAGE_BYTES);
}

/* The estimate is the least of the last samples: a disturbance only makes a sample longer, and a paused guest disturbs less. */
double recheck_sample_ns(struct recheck *r, const struct digest_key *key)
{
	double ns = sample_ns(r, key), least = ns;

	if (ns > 0)
		r->sample[r->sampled++ % LAST_SAMPLES] = ns;
	for (unsigned i = 0; i < MIN(r->sampled, (unsigned)LAST_SAMPLES); i++)
		least = least > 0 ? MIN(least, r->sample[i]) : r->sample[i];
	return least * LOOKED_UP;
}

double recheck_takes_ms(double ns, uint64_t bytes, unsigned threads)
{
	double each = (double)bytes / MAX(threads, 1U);

	return (ns > 0 ? ns : UNKNOWN_NS) * (threads > 1 ? BESIDE : 1) * each / 1e6;
}

/* ---- what a channel looks at ---- */

/* Pages of one place, one after another. */
struct piece {
	uint32_t object;
	uint64_t offset, host;
	unsigned pages;
};

static bool next_piece(const struct recheck *r, struct recheck_at *at, struct piece *out)
{
	const uint64_t place = 1ULL << (PLACE_SHIFT - PAGE_SHIFT);

	for (; at->block < r->blocks; at->block++, at->page = 0) {
		const struct checked_block *b = &r->block[at->block];
		uint32_t object = OBJECT_RAM_BASE + at->block;
		uint64_t pages = b->bytes >> PAGE_SHIFT;

		while (at->page < pages && place_channel(object, at->page << PAGE_SHIFT, at->channels) != at->channel)
			at->page = (at->page / place + 1) * place;
		if (at->page >= pages)
			continue;
		*out = (struct piece){object, at->page << PAGE_SHIFT, b->host + (at->page << PAGE_SHIFT),
				      (unsigned)MIN(pages - at->page, (uint64_t)MEMORY_PIECE_PAGES)};
		at->page += out->pages;
		return true;
	}
	return false;
}

/* Pages that QEMU did not send mean nothing to the guest (not plugged in, or given back); missing pages are zeros. */
static bool is_wanted(const struct sums *s, uint32_t object, uint64_t offset, bool there)
{
	return sums_page_was_carried(s, object, offset) && (there || !sums_page_is_zero(s, object, offset));
}

/* Zero pages are recognised without a hash. */
static bool is_as_carried(struct sums *s, uint32_t object, const struct send_part *part)
{
	return (bytes_are_zero(part->data, PAGE_BYTES) && sums_page_is_zero(s, object, part->offset)) || !sums_add_page(s, object, part);
}

static int look(const struct recheck *r, struct recheck_at *at, const struct piece *p, struct sums *sums, struct recheck_found *out,
		struct err *e)
{
	bool there[MEMORY_PIECE_PAGES], swapped[MEMORY_PIECE_PAGES], wanted[MEMORY_PIECE_PAGES];
	int code = qemu_memory_present(&r->memory, p->host, p->pages, there, swapped, e);

	for (unsigned i = 0; i < p->pages && !code; i++) {
		there[i] |= swapped[i];
		wanted[i] = is_wanted(sums, p->object, p->offset + i * PAGE_BYTES, there[i]);
	}
	code = code ?: qemu_memory_read(&r->memory, p->host, p->pages, wanted, at->buf, e);
	for (unsigned i = 0; i < p->pages && !code; i++) {
		struct send_part part = {p->offset + i * PAGE_BYTES, at->buf + (size_t)i * PAGE_BYTES, PAGE_BYTES};

		if (!wanted[i])
			continue;
		at->read++;
		if (is_as_carried(sums, p->object, &part))
			continue;
		at->missed += there[i];
		out->part[out->n++] = part;
	}
	return code;
}

/* Judges whether the addresses that were found are right, where a QEMU does not tell them (7.2): nearly all that is read there is as it
 * was carried, or else it was not the guest's memory. */
static int judge(const struct recheck *r, const struct recheck_at *at, struct err *e)
{
	if (!r->told_count || !r->told[0].is_found || at->missed < MANY_PAGES || at->missed < at->read / 2)
		return 0;
	return err_set(e, EIO,
		       "QEMU's memory, read once more, is not what QEMU has sent: %llu pages of %llu differ (--recheck off believes QEMU)",
		       (unsigned long long)at->missed, (unsigned long long)at->read);
}

int recheck_step(const struct recheck *r, struct recheck_at *at, struct sums *sums, struct recheck_found *out, struct err *e)
{
	struct piece p;
	int code;

	if (!next_piece(r, at, &p))
		return judge(r, at, e);
	out->object = p.object;
	out->pages = p.pages;
	out->n = 0;
	code = look(r, at, &p, sums, out, e);
	return code ? code : 1;
}
