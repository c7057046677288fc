/* have.c: see have.h. */
#include "have.h"
#include "util.h"

#include <errno.h>

#define BLOCK_BYTES (1U << HAVE_SHIFT)
#define HASH_BYTES  8

struct have {
	uint64_t bytes, blocks;
	uint64_t known; /* blocks, from the first on; atomic */
	uint64_t *hash; /* 0: not there */
};

struct have *have_new(uint64_t bytes)
{
	struct have *h = xcalloc(1, sizeof(*h));

	h->bytes = bytes;
	h->blocks = (bytes + BLOCK_BYTES - 1) >> HAVE_SHIFT;
	h->hash = xcalloc(h->blocks + 1, sizeof(*h->hash));
	return h;
}

void have_free(struct have *h)
{
	if (!h)
		return;
	free(h->hash);
	free(h);
}

int have_take(struct have *h, const struct msg_have *m, struct err *e)
{
	struct reader r = reader_of(m->hashes.p, m->hashes.n);
	uint64_t n = m->hashes.n / HASH_BYTES, i;

	if (h->known == h->blocks || m->block < h->known || m->block > h->blocks || m->hashes.n % HASH_BYTES || n > h->blocks - m->block)
		return err_set(e, EPROTO,
			       "HAVE of disk %u: %zu bytes of hashes from block %llu on, where %llu of its %llu blocks are known",
			       m->object, m->hashes.n, (unsigned long long)m->block, (unsigned long long)h->known,
			       (unsigned long long)h->blocks);
	for (i = 0; i < n; i++)
		h->hash[m->block + i] = read_u64(&r);
	__atomic_store_n(&h->known, m->last ? h->blocks : m->block + n, __ATOMIC_RELEASE);
	return 0;
}

bool have_covers(const struct have *h, uint64_t end)
{
	uint64_t known = __atomic_load_n(&h->known, __ATOMIC_ACQUIRE);

	return known == h->blocks || known << HAVE_SHIFT >= end;
}

/* Of the block that offset lies in, as far as the content goes. */
static uint32_t piece(const struct have *h, uint64_t offset, uint32_t bytes)
{
	uint64_t end = MIN((offset >> HAVE_SHIFT) + 1, h->blocks) << HAVE_SHIFT;

	return (uint32_t)MIN(bytes, end - offset);
}

/* Only whole blocks can be told; the disk's last may be short. */
static bool has_piece(const struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes)
{
	uint64_t hash = h->hash[offset >> HAVE_SHIFT];

	return hash && !(offset % BLOCK_BYTES) && bytes == MIN(BLOCK_BYTES, h->bytes - offset) && hash_content(key, data, bytes).lo == hash;
}

uint32_t have_run(const struct have *h, const struct digest_key *key, uint64_t offset, const uint8_t *data, uint32_t bytes, bool *has)
{
	uint32_t at = piece(h, offset, bytes), n;

	*has = has_piece(h, key, offset, data, at);
	for (; at < bytes; at += n) {
		n = piece(h, offset + at, bytes - at);
		if (has_piece(h, key, offset + at, data + at, n) != *has)
			break;
	}
	return at;
}
