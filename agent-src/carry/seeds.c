/* seeds.c: see seeds.h. */
#include "seeds.h"
#include "qemu-memory.h"
#include "util.h"

#include <errno.h>

#define EMPTY	  0   /* value of an empty slot of the index */
#define CHAIN_MAX 128 /* limit for pages of one content: the others are left out */

struct seeds {
	struct qemu_memory memory;
	const struct digest_key *key;
	struct seed_block block[SEED_BLOCKS_MAX];
	struct page_table table[SEED_BLOCKS_MAX];
	uint64_t first[SEED_BLOCKS_MAX + 1]; /* first page of each block, counted through all */
	unsigned count;
	/* While there is an index, a page's slot in its table holds the hash of the content that was found there; the slot of a page that
	 * was found holds the hash of its place, which the sender writes. From then on only the bit in `given` is looked at here. */
	uint32_t *index; /* page + 1, counted through all; open addressing by the content's hash. NULL: none */
	uint64_t mask;
	uint8_t *given;	    /* bits: these have been found */
	uint64_t indexed;   /* atomic */
	uint64_t looked_at; /* pages, there or not; atomic */
	bool ready;
	bool stop; /* atomic */
};

struct seeds *seeds_new(pid_t pid, const struct digest_key *key, const struct seed_block *blocks, unsigned count)
{
	struct seeds *s = xcalloc(1, sizeof(*s));

	s->memory = (struct qemu_memory){pid, -1};
	s->key = key;
	s->count = MIN(count, SEED_BLOCKS_MAX);
	for (unsigned i = 0; i < s->count; i++) {
		s->block[i] = blocks[i];
		s->table[i].pages = blocks[i].bytes >> PAGE_SHIFT;
		s->table[i].hash = xcalloc(s->table[i].pages, sizeof(struct hash128));
		s->first[i + 1] = s->first[i] + s->table[i].pages;
	}
	return s;
}

static void drop_index(struct seeds *s)
{
	free(s->index);
	free(s->given);
	s->index = NULL;
	s->given = NULL;
}

void seeds_free(struct seeds *s)
{
	if (!s)
		return;
	drop_index(s);
	for (unsigned i = 0; i < s->count; i++)
		free(s->table[i].hash);
	free(s);
}

static struct hash128 *slot_of(struct seeds *s, uint64_t page, unsigned *block)
{
	unsigned i = 0;

	while (page >= s->first[i + 1])
		i++;
	*block = i;
	return &s->table[i].hash[page - s->first[i]];
}

/* ---- the scan ---- */

static void note(struct seeds *s, unsigned block, uint64_t page, const uint8_t *content)
{
	if (bytes_are_zero(content, PAGE_BYTES))
		return;
	s->table[block].hash[page] = hash_content(s->key, content, PAGE_BYTES);
	__atomic_fetch_add(&s->indexed, 1, __ATOMIC_RELAXED);
}

static int scan_block(struct seeds *s, unsigned block, uint8_t *piece, struct err *e)
{
	uint64_t host = s->block[block].host, pages = s->table[block].pages;
	bool there[MEMORY_PIECE_PAGES];
	unsigned i, n;
	int r = 0;

	for (uint64_t at = 0; at < pages && !r; at += n) {
		n = (unsigned)MIN(pages - at, (uint64_t)MEMORY_PIECE_PAGES);
		if (__atomic_load_n(&s->stop, __ATOMIC_RELAXED))
			return err_set(e, ECANCELED, "the move is being rolled back");
		r = qemu_memory_present(&s->memory, host + at * PAGE_BYTES, n, there, NULL, e);
		r = r ?: qemu_memory_read(&s->memory, host + at * PAGE_BYTES, n, there, piece, e);
		for (i = 0; !r && i < n; i++)
			if (there[i])
				note(s, block, at + i, piece + (size_t)i * PAGE_BYTES);
		__atomic_fetch_add(&s->looked_at, n, __ATOMIC_RELAXED);
	}
	return r;
}

static void make_index(struct seeds *s)
{
	uint64_t size = 1024, page, k;
	unsigned block, chain;

	while (size < s->indexed + s->indexed / 4)
		size *= 2;
	s->mask = size - 1;
	s->index = xcalloc(size, sizeof(*s->index));
	s->given = xcalloc(s->first[s->count] / 8 + 1, 1);
	for (page = 0; page < s->first[s->count]; page++) {
		const struct hash128 *slot = slot_of(s, page, &block);

		if (hash_equal(*slot, (struct hash128){0, 0}))
			continue;
		for (k = slot->lo & s->mask, chain = 0; s->index[k] != EMPTY && chain < CHAIN_MAX; k = (k + 1) & s->mask)
			chain++;
		if (s->index[k] == EMPTY)
			s->index[k] = (uint32_t)page + 1;
	}
}

int seeds_scan(struct seeds *s, struct err *e)
{
	AUTO_FREE uint8_t *piece = aligned_alloc(PAGE_BYTES, (size_t)MEMORY_PIECE_PAGES * PAGE_BYTES);
	int r = 0;

	if (s->first[s->count] >= SEED_PAGES_MAX || !piece)
		r = err_set(e, EOVERFLOW, "the guest has too many pages for an index of them");
	r = r ?: qemu_memory_open(&s->memory, s->memory.pid, e);
	for (unsigned i = 0; i < s->count && !r; i++)
		r = scan_block(s, i, piece, e);
	qemu_memory_close(&s->memory);
	if (!r)
		make_index(s);
	s->ready = !r;
	__atomic_store_n(&s->looked_at, s->first[s->count], __ATOMIC_RELAXED);
	return r;
}

void seeds_stop(struct seeds *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
}

/* ---- looking up ---- */

static bool is_given(const struct seeds *s, uint64_t page)
{
	return s->given[page / 8] & 1u << page % 8;
}

/* Finds all pages with this content; returns their number. */
static unsigned find_page(struct seeds *s, struct hash128 content, uint32_t unit, struct seed *out, unsigned room)
{
	unsigned n = 0, chain = 0, block;
	uint64_t k, page;

	for (k = content.lo & s->mask; s->index[k] != EMPTY && chain <= CHAIN_MAX && n < room; k = (k + 1) & s->mask, chain++) {
		page = s->index[k] - 1;
		if (is_given(s, page) || !hash_equal(*slot_of(s, page, &block), content))
			continue;
		s->given[page / 8] |= (uint8_t)(1u << page % 8);
		out[n++] = (struct seed){unit, OBJECT_RAM_BASE + block, page - s->first[block], content};
	}
	return n;
}

unsigned seeds_find(struct seeds *s, uint64_t offset, const uint8_t *data, uint32_t bytes, struct seed out[SEEDS_PER_PART_MAX])
{
	uint32_t at, unit;
	unsigned n = 0;

	if (!s->index || offset % PAGE_BYTES)
		return 0;
	for (unit = 0, at = 0; at + PAGE_BYTES <= bytes; unit++, at += PAGE_BYTES)
		n += find_page(s, hash_content(s->key, data + at, PAGE_BYTES), unit, out + n, SEEDS_PER_PART_MAX - n);
	return n;
}

void seeds_end(struct seeds *s)
{
	static const struct hash128 none = {0, 0};
	unsigned block;

	if (!s->index)
		return;
	for (uint64_t page = 0; page < s->first[s->count]; page++) {
		struct hash128 *slot = slot_of(s, page, &block);

		if (!is_given(s, page) && !hash_equal(*slot, none)) /* a table is not to be touched where nothing was */
			*slot = none;
	}
	drop_index(s);
}

bool seeds_ready(const struct seeds *s)
{
	return s && s->ready;
}

struct page_table *seeds_tables(struct seeds *s)
{
	return s->table;
}

const struct seed_block *seeds_blocks(const struct seeds *s, unsigned *count)
{
	*count = s->count;
	return s->block;
}

double seeds_scanned(const struct seeds *s)
{
	return s->first[s->count] ? (double)__atomic_load_n(&s->looked_at, __ATOMIC_RELAXED) / (double)s->first[s->count] : 1;
}

uint64_t seeds_indexed(const struct seeds *s)
{
	return __atomic_load_n(&s->indexed, __ATOMIC_RELAXED);
}
