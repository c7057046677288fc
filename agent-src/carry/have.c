/* have.c: see have.h. */
#include "have.h"
#include "util.h"

#include <errno.h>

#define HASH_BYTES  8
#define LEAF_BLOCKS 16384 /* 1 GiB of the disk, or 64 MiB in small blocks */

struct have {
	uint64_t bytes, blocks;
	unsigned shift;	 /* size of a block, as a shift */
	uint64_t known;	 /* blocks, from the first on; atomic */
	uint64_t **leaf; /* leaves of LEAF_BLOCKS hashes each, 0: not there; NULL: none of them is */
};

static uint64_t block_bytes(const struct have *h)
{
	return 1ULL << h->shift;
}

struct have *have_new(uint64_t bytes, unsigned shift)
{
	struct have *h = xcalloc(1, sizeof(*h));

	h->bytes = bytes;
	h->shift = shift;
	h->blocks = (bytes + block_bytes(h) - 1) >> shift;
	h->leaf = xcalloc(h->blocks / LEAF_BLOCKS + 1, sizeof(*h->leaf));
	return h;
}

void have_free(struct have *h)
{
	if (!h)
		return;
	for (uint64_t i = 0; i <= h->blocks / LEAF_BLOCKS; i++)
		free(h->leaf[i]);
	free(h->leaf);
	free(h);
}

static void set(struct have *h, uint64_t block, uint64_t hash)
{
	uint64_t **leaf = &h->leaf[block / LEAF_BLOCKS];

	if (!*leaf)
		*leaf = xcalloc(LEAF_BLOCKS, sizeof(**leaf));
	(*leaf)[block % LEAF_BLOCKS] = hash;
}

static uint64_t get(const struct have *h, uint64_t block)
{
	const uint64_t *leaf = h->leaf[block / LEAF_BLOCKS];

	return leaf ? leaf[block % LEAF_BLOCKS] : 0;
}

int have_take(struct have *h, const struct msg_have *m, struct err *e)
{
	struct reader r = reader_of(m->hashes.p, m->hashes.n);
	uint64_t n = m->hashes.n / HASH_BYTES, i;

	if (h->known == h->blocks || m->block < h->known || (!n && !m->last) || m->block > h->blocks || m->hashes.n % HASH_BYTES ||
	    n > h->blocks - m->block)
		return err_set(e, EPROTO,
			       "HAVE of disk %u: %zu bytes of hashes from block %llu on, where %llu of its %llu blocks are known",
			       m->object, m->hashes.n, (unsigned long long)m->block, (unsigned long long)h->known,
			       (unsigned long long)h->blocks);
	for (i = 0; i < n; i++)
		set(h, m->block + i, read_u64(&r));
	__atomic_store_n(&h->known, m->last ? h->blocks : m->block + n, __ATOMIC_RELEASE);
	return 0;
}

bool have_covers(const struct have *h, uint64_t end)
{
	uint64_t known = __atomic_load_n(&h->known, __ATOMIC_ACQUIRE);

	return known == h->blocks || known << h->shift >= end;
}

uint64_t have_told(const struct have *h)
{
	return MIN(__atomic_load_n(&h->known, __ATOMIC_ACQUIRE) << h->shift, h->bytes);
}

/* Length of the rest of the block at offset, limited to the content. */
static uint32_t piece(const struct have *h, uint64_t offset, uint32_t bytes)
{
	uint64_t end = MIN((offset >> h->shift) + 1, h->blocks) << h->shift;

	return (uint32_t)MIN(bytes, end - offset);
}

/* True if these bytes are a whole block, which alone can be reported; the last block of a disk may be short. */
static bool is_block(const struct have *h, uint64_t offset, uint32_t bytes)
{
	return offset % block_bytes(h) == 0 && bytes == MIN(block_bytes(h), h->bytes - offset);
}

/* The piece [at, at + n) of the range, by the whole block that it is in. */
static bool has_piece(const struct have *h, const struct digest_key *key, const struct have_range *r, uint32_t at, uint32_t n)
{
	uint64_t offset = r->offset + at, lead = offset % block_bytes(h), bytes = MIN(block_bytes(h), h->bytes - (offset - lead));
	uint64_t hash = get(h, offset >> h->shift);

	return hash && lead + n <= bytes && lead <= at + r->before && bytes - lead - n <= r->bytes - at - n + r->behind &&
	       hash_content(key, r->data + at - lead, (uint32_t)bytes).lo == hash;
}

void have_widen(struct have_range *r, const struct have *h)
{
	uint64_t end = r->offset + r->bytes, past = end % block_bytes(h);

	r->before = (uint32_t)(r->offset % block_bytes(h));
	r->behind = past ? (uint32_t)(MIN(end - past + block_bytes(h), h->bytes) - end) : 0;
}

void have_note(struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes)
{
	uint32_t at, n;

	for (at = 0; at < bytes; at += n) {
		n = piece(h, offset + at, bytes - at);
		if (is_block(h, offset + at, n))
			set(h, (offset + at) >> h->shift, hash_content(key, data + at, n).lo);
	}
}

struct have *have_resized(const struct have *h, uint64_t bytes)
{
	struct have *to = have_new(bytes, h->shift);

	for (uint64_t i = 0; i < MIN(h->blocks, to->blocks); i++) /* a block that is cut short has another hash than the whole one */
		if (get(h, i))
			set(to, i, get(h, i));
	to->known = to->blocks;
	return to;
}

uint32_t have_run(const struct have *h, const struct digest_key *key, const struct have_range *r, bool *has)
{
	uint32_t at = piece(h, r->offset, r->bytes), n;

	*has = has_piece(h, key, r, 0, at);
	for (; at < r->bytes; at += n) {
		n = piece(h, r->offset + at, r->bytes - at);
		if (has_piece(h, key, r, at, n) != *has)
			break;
	}
	return at;
}
